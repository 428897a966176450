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


def rows(connection: Connection, statement: str, values: Values) -> Sequence[Sequence[Value]]:
    """All rows that a statement gives, its parameters in the driver's own style.

    Raises:
        DBAPIError: the same that SQLAlchemy would raise.
    """
    found: Sequence[Sequence[Value]] = _run(connection, statement, values).fetchall()
    return found


def count(connection: Connection, statement: str, values: Values) -> int:
    """How many rows a statement changes; else like `rows`."""
    changed: int = _run(connection, statement, values).rowcount
    return changed


def _run(connection: Connection, statement: str, values: Values) -> Any:  # Any: a cursor of either driver
    raw = connection.connection.driver_connection
    if isinstance(raw, Sqlite):
        try:
            return raw.execute(statement, values)
        except Error as error:
            raise _named(error)(statement, None, error, hide_parameters=True) from error
    assert raw is not None, "a connection in use has one of the driver"
    errors = connection.dialect.loaded_dbapi.Error
    try:
        return raw.execute(statement, values)
    except errors as error:
        raise _wrapped(connection, statement, error, errors) from error


def _named(error: Error) -> type[exc.DBAPIError]:
    if isinstance(error, IntegrityError):
        return exc.IntegrityError
    return exc.OperationalError if isinstance(error, OperationalError) else exc.DatabaseError


def _wrapped(connection: Connection, statement: str, error: Any, errors: type[Exception]) -> Exception:
    """What SQLAlchemy makes of an error of psycopg (Any: loaded only where it is used); a connection that broke is
    not used again."""
    raw = connection.connection.dbapi_connection
    is_lost = connection.dialect.is_disconnect(error, raw, None)
    if is_lost:
        connection.invalidate(error)
    told: Exception = exc.DBAPIError.instance(
        statement,
        None,
        error,
        errors,
        hide_parameters=True,
        connection_invalidated=is_lost,
        dialect=connection.dialect,
    )
    return told
