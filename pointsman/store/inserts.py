"""Many rows at once, with as little between the values and the driver as can be."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from pointsman.store import statements
from pointsman.store.columns import UtcTime, microseconds
from pointsman.store.statements import Value

ROWS_PER_STATEMENT = 64
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]  # as SQLAlchemy has it

Row = Sequence[Value]


class Insert:
    """An INSERT of all named columns, with one statement for many rows: at each, SQLite's driver hands the
    interpreter over to another thread, and under load waits to get it back.

    Rows that a unique index forbids are passed over where `ignore_conflicts` is set; `then` may say something else
    about them, as `ON CONFLICT …`. Text must be clean already (`pointsman.domain.texts.clean`): it goes to the driver
    as it is. With `as_arrays`, PostgreSQL gets any number of rows in one statement, which it prepares once.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        ignore_conflicts: bool = False,
        then: str = "",
        as_arrays: bool = False,
    ) -> None:
        into = f"INTO {table.name} ({', '.join(columns)}) VALUES"
        # With these words SQLite keeps no journal of the statement: one that fails is not undone by itself.
        self._sqlite = f"INSERT{'' if then else ' OR IGNORE' if ignore_conflicts else ' OR FAIL'} {into}", then
        self._postgresql = f"INSERT {into}", "ON CONFLICT DO NOTHING" if ignore_conflicts else then
        from_arrays = f"{into.removesuffix('VALUES')}SELECT * FROM {unnested(table, columns)}"  # noqa: S608 - our names
        self._from_arrays = f"INSERT {from_arrays} {self._postgresql[1]}"
        self._as_arrays = as_arrays
        self._width = len(columns)
        self._moments = [
            slice(place, None, self._width)
            for place, name in enumerate(columns)
            if isinstance(table.c[name].type, UtcTime)
        ]

    def rows(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Insert the rows, values in the order of the columns; returns how many went in. If it fails, some may be
        in: the transaction or savepoint around it must not be kept."""
        return sum(statements.count(connection, *asked) for asked in self._asked(connection, rows))

    def returned(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        """Like `rows`, where `then` ends with `RETURNING`: what that names, in no order."""
        asked = self._asked(connection, rows)
        return [row for statement, values in asked for row in statements.rows(connection, statement, values)]

    def _asked(self, connection: Connection, rows: Sequence[Row]) -> Iterator[tuple[str, list[Value]]]:
        is_sqlite = connection.dialect.name == "sqlite"
        if self._as_arrays and not is_sqlite:
            if rows:
                yield self._from_arrays, arrays(rows)
            return
        mark, (start, end) = ("?", self._sqlite) if is_sqlite else ("%s", self._postgresql)
        for some in _in_powers(rows):
            values = list(chain.from_iterable(some))
            if is_sqlite:
                for column in self._moments:
                    values[column] = [None if at is None else microseconds(at) for at in values[column]]
            yield f"{start} {_places(mark, self._width, len(some))} {end}", values


def unnested(table: Table, columns: Sequence[str]) -> str:
    """Rows of these columns for PostgreSQL, which come as an array for each column."""
    kinds = (table.c[name].type.compile(dialect=_POSTGRESQL) for name in columns)
    return f"unnest({', '.join(f'%s::{kind}[]' for kind in kinds)})"


def arrays(rows: Sequence[Row]) -> list[Value]:
    """The rows as `unnested` takes them."""
    return [list(column) for column in zip(*rows, strict=True)]


def _in_powers(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in runs of powers of two, so that there are few different statements, each prepared once."""
    at = 0
    while left := len(rows) - at:
        count = min(ROWS_PER_STATEMENT, 1 << (left.bit_length() - 1))
        yield rows[at : at + count]
        at += count


@cache
def _places(mark: str, columns: int, rows: int) -> str:
    return ", ".join([f"({', '.join([mark] * columns)})"] * rows)
