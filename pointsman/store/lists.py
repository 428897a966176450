"""Conditions over many values, as one parameter: the statement stays the same, so it is prepared once."""

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import CursorResult, text
from sqlalchemy.orm import Session

Value = str | int


class Among:
    """A statement with a condition `column {among}`: the column is one of the values told as `:values`.

    SQLAlchemy's own list of parameters costs ten times as much as what it asks for.
    """

    def __init__(self, statement: str) -> None:
        self._sqlite = text(statement.format(among="IN (SELECT value FROM json_each(:values))"))
        self._postgresql = text(statement.format(among="= ANY(:values)"))

    def run(self, session: Session, values: Iterable[Value], **others: Value) -> CursorResult[*tuple[Any, ...]]:
        """Execute it, `others` being its other parameters. Its columns are the caller's business, so untyped."""
        told = list(values)
        connection = session.connection()
        if connection.dialect.name == "sqlite":
            return connection.execute(self._sqlite, {"values": json.dumps(told), **others})
        return connection.execute(self._postgresql, {"values": told, **others})
