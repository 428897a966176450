"""Statements straight to the driver: SQLAlchemy's own path costs more than what most of them do.

Only for statements that run for every delivery. Their parameters are what the driver takes, their text is clean.
"""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection as Sqlite
from sqlite3 import Error, IntegrityError, OperationalError
from typing import Any

from sqlalchemy import Connection, exc

Value = Any  # whatever a column takes: the tables say what that is
Values = Sequence[Value] | Mapping[str, Value]


def run(connection: Connection, statement: str, values: Values = ()) -> Sequence[Sequence[Value]]:
    """Execute a statement in the driver's own style of parameters; returns all rows that it gives.

    Raises:
        DBAPIError: the same that SQLAlchemy would raise.
    """
    raw = connection.connection.driver_connection
    if not isinstance(raw, Sqlite):
        found = connection.exec_driver_sql(statement, values if isinstance(values, dict) else tuple(values))
        return found.all() if found.returns_rows else []
    try:
        return raw.execute(statement, values).fetchall()
    except Error as error:
        raise _named(error)(statement, None, error, hide_parameters=True) from error


def _named(error: Error) -> type[exc.DBAPIError]:
    if isinstance(error, IntegrityError):
        return exc.IntegrityError
    return exc.OperationalError if isinstance(error, OperationalError) else exc.DatabaseError
