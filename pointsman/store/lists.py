"""Conditions over many values, as one parameter: the statement stays the same, so it is prepared once."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, text

from pointsman.store import statements

Value = str | int


class Among:
    """A statement with a condition `column {among}`: the column is one of the values told as `:values`.

    SQLAlchemy's own list of parameters costs ten times as much as what it asks for.
    """

    def __init__(self, statement: str) -> None:
        self._sqlite = statement.format(among="IN (SELECT value FROM json_each(:values))")
        self._postgresql = text(statement.format(among="= ANY(:values)"))

    def run(self, connection: Connection, values: Iterable[Value], **others: Value) -> Sequence[Sequence[Any]]:
        """The rows that it gives, `others` being its other parameters. Columns are the caller's business: untyped."""
        told = list(values)
        if connection.dialect.name == "sqlite":
            return statements.rows(connection, self._sqlite, {"values": json.dumps(told), **others})
        found = connection.execute(self._postgresql, {"values": told, **others})
        return found.all() if found.returns_rows else []
