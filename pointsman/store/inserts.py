"""Many rows at once, with as little between the values and the driver as can be."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain

from sqlalchemy import Connection, Table

from pointsman.store import statements
from pointsman.store.columns import UtcTime, microseconds
from pointsman.store.statements import Value

ROWS_PER_STATEMENT = 64

Row = Sequence[Value]


class Insert:
    """An INSERT of all named columns, with one statement for many rows: at each, SQLite's driver hands the
    interpreter over to another thread, and under load waits to get it back.

    Rows that a unique index forbids are passed over where `ignore_conflicts` is set; `then` may say something else
    about them, as `ON CONFLICT …`. Text must be clean already (`pointsman.domain.texts.clean`): it goes to the driver
    as it is.
    """

    def __init__(
        self,
        table: Table,
        columns: Sequence[str],
        *,
        ignore_conflicts: bool = False,
        then: str = "",
    ) -> None:
        into = f"INTO {table.name} ({', '.join(columns)}) VALUES"
        # With these words SQLite keeps no journal of the statement: one that fails is not undone by itself.
        self._sqlite = f"INSERT{'' if then else ' OR IGNORE' if ignore_conflicts else ' OR FAIL'} {into}", then
        self._postgresql = f"INSERT {into}", "ON CONFLICT DO NOTHING" if ignore_conflicts else then
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
        mark, (start, end) = ("?", self._sqlite) if is_sqlite else ("%s", self._postgresql)
        for some in in_powers(rows):
            values = list(chain.from_iterable(some))
            if is_sqlite:
                for column in self._moments:
                    values[column] = [None if at is None else microseconds(at) for at in values[column]]
            yield f"{start} {places(mark, self._width, len(some))} {end}", values


def in_powers(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in runs of powers of two, so that there are few different statements, each prepared once."""
    at = 0
    while left := len(rows) - at:
        count = min(ROWS_PER_STATEMENT, 1 << (left.bit_length() - 1))
        yield rows[at : at + count]
        at += count


@cache
def places(mark: str, columns: int, rows: int) -> str:
    return ", ".join([f"({', '.join([mark] * columns)})"] * rows)
