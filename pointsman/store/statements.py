"""Statements straight to the driver: SQLAlchemy's own path costs more than what most of them do.

Only for statements that run for every delivery. Their parameters are what the driver takes, their text is clean.
"""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection as Sqlite
from sqlite3 import Cursor, Error, IntegrityError, OperationalError
from typing import Any

from sqlalchemy import Connection, CursorResult, exc

Value = Any  # whatever a column takes: the tables say what that is
Values = Sequence[Value] | Mapping[str, Value]


def rows(connection: Connection, statement: str, values: Values) -> Sequence[Sequence[Value]]:
    """All rows that a statement gives, its parameters in the driver's own style.

    Raises:
        DBAPIError: the same that SQLAlchemy would raise.
    """
    return _run(connection, statement, values).fetchall()


def count(connection: Connection, statement: str, values: Values) -> int:
    """How many rows a statement changes; else like `rows`."""
    return _run(connection, statement, values).rowcount


def _run(connection: Connection, statement: str, values: Values) -> Cursor | CursorResult[*tuple[Any, ...]]:
    raw = connection.connection.driver_connection
    if not isinstance(raw, Sqlite):
        return connection.exec_driver_sql(statement, values if isinstance(values, dict) else tuple(values))
    try:
        return raw.execute(statement, values)
    except Error as error:
        raise _named(error)(statement, None, error, hide_parameters=True) from error


def _named(error: Error) -> type[exc.DBAPIError]:
    if isinstance(error, IntegrityError):
        return exc.IntegrityError
    return exc.OperationalError if isinstance(error, OperationalError) else exc.DatabaseError
