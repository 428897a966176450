"""Many rows at once, with as little between the values and the driver as can be."""

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain

from sqlalchemy import Connection, Table

from pointsman.store import statements
from pointsman.store.columns import UtcTime, microseconds
from pointsman.store.statements import Value

ROWS_PER_STATEMENT = 64
IGNORED = "ON CONFLICT DO NOTHING"

Row = Sequence[Value]


class Insert:
    """An INSERT of all named columns, with one statement for many rows: at each, SQLite's driver hands the
    interpreter over to another thread, and under load waits to get it back.

    `then` is what follows the values: `ON CONFLICT …`, `RETURNING …`. Text must be clean already
    (`pointsman.store.columns.clean`): it goes to the driver as it is.
    """

    def __init__(self, table: Table, columns: Sequence[str], then: str = "") -> None:
        self._start = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES"
        self._then = then
        self._width = len(columns)
        self._moments = [
            slice(place, None, self._width)
            for place, name in enumerate(columns)
            if isinstance(table.c[name].type, UtcTime)
        ]

    def rows(self, connection: Connection, rows: Sequence[Row]) -> list[Row]:
        """Insert the rows, values in the order of the columns; returns what `RETURNING` gives, in any order."""
        is_sqlite = connection.dialect.name == "sqlite"
        returned: list[Row] = []
        for some in _in_powers(rows):
            values = list(chain.from_iterable(some))
            if is_sqlite:
                for column in self._moments:
                    values[column] = [None if at is None else microseconds(at) for at in values[column]]
            places = _places("?" if is_sqlite else "%s", self._width, len(some))
            returned += statements.run(connection, f"{self._start} {places} {self._then}", values)
        return returned


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
