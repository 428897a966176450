"""Many rows at once, with as little between the values and the driver as can be."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Dialect, Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from pointsman.store.columns import UtcTime

Value = Any  # whatever a column takes: the tables say what that is
Converter = Callable[[Value], Value]


class Insert:
    """An INSERT of all named columns. Compiled once per database; rows go to the driver as tuples.

    SQLAlchemy's own path costs half again as much as the rows themselves. Text must be clean already
    (`pointsman.store.columns.clean`): it goes to the driver as it is.
    """

    def __init__(self, table: Table, columns: Sequence[str], *, ignore_conflicts: bool = False) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._ignore = ignore_conflicts
        self._compiled: dict[str, tuple[str, list[tuple[int, Converter]]]] = {}

    def rows(self, session: Session, rows: Sequence[Sequence[Value]]) -> None:
        """Insert the rows; values in the order of the columns."""
        if not rows:
            return
        connection = session.connection()
        statement, converters = self._statement(connection.dialect)
        prepared = [_convert(row, converters) for row in rows]
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(statement, prepared)
        else:
            connection.exec_driver_sql(statement, [dict(zip(self._columns, row, strict=True)) for row in prepared])

    def _statement(self, dialect: Dialect) -> tuple[str, list[tuple[int, Converter]]]:
        if (known := self._compiled.get(dialect.name)) is not None:
            return known
        insert = sqlite.insert(self._table) if dialect.name == "sqlite" else postgresql.insert(self._table)
        if self._ignore:
            insert = insert.on_conflict_do_nothing()
        compiled = str(insert.compile(dialect=dialect, column_keys=list(self._columns)))
        converters: list[tuple[int, Converter]] = []
        for place, name in enumerate(self._columns):
            convert = self._table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None and isinstance(self._table.c[name].type, UtcTime):
                converters.append((place, convert))
        self._compiled[dialect.name] = (compiled, converters)
        return self._compiled[dialect.name]


def _convert(row: Sequence[Value], converters: Sequence[tuple[int, Converter]]) -> tuple[Value, ...]:
    values = list(row)
    for place, convert in converters:
        if values[place] is not None:
            values[place] = convert(values[place])
    return tuple(values)
