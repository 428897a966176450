"""Who may do something alone: within a transaction, or for as long as they live."""

from sqlalchemy import Connection, text
from sqlalchemy.orm import Session


def wait_turn(session: Session, name: str) -> None:
    """Until the transaction ends, no other holds `name`. SQLite has one writer: there it is always our turn."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})


def take_turn(connection: Connection, name: str) -> bool:
    """Like `wait_turn`, but says false at once when another holds `name`."""
    if connection.dialect.name != "postgresql":
        return True
    found = connection.scalar(text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    return bool(found)
