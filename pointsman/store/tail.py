"""Deliveries as they come, in order of arrival, from any point on: none is left out, however they were committed.

On PostgreSQL several writers take numbers and commit in another order, so a number may be missing only for now. Whoever
asks waits there until every transaction that ran when the gap was seen has ended; a gap that is still there is one of
a transaction that was undone. SQLite has one writer, and no such gaps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from pointsman.contracts.records import Delivery
from pointsman.store.engine import Store
from pointsman.store.tables import InboxRow, col

_RUNNING = text(
    "SELECT pg_snapshot_xmin(now.told)::text::bigint, pg_snapshot_xmax(now.told)::text::bigint "
    "FROM (SELECT pg_current_snapshot() AS told) AS now"
)


@dataclass(frozen=True)
class _Gap:
    """`before` is the number behind it; transactions from `newest` on had not begun when it was seen."""

    before: int
    newest: int


@dataclass(frozen=True)
class _Seen:
    rows: Sequence[InboxRow]
    oldest_running: int
    newest: int


class Tail:
    """One reader's place. `offset` is the last delivery that it was given, and where another may go on."""

    def __init__(self, store: Store, offset: int) -> None:
        self._store = store
        self.offset = offset
        self._gap: _Gap | None = None

    @staticmethod
    async def end(store: Store) -> int:
        """The offset behind everything that is kept now."""
        last = select(col(InboxRow.sequence)).order_by(col(InboxRow.sequence).desc()).limit(1)
        return await store.read(lambda session: session.scalar(last)) or 0

    async def next(self, limit: int = 100) -> list[Delivery]:
        """What comes after `offset`, which moves on; nothing when there is nothing, or a gap is waited for."""
        seen = await self._store.read(lambda session: _look(session, self.offset, limit))
        given = []
        for row in seen.rows:
            assert row.sequence is not None, "a stored row has a number"
            if row.sequence > self.offset + 1 and not self._is_over(row.sequence, seen):
                break
            self.offset = row.sequence
            given.append(Delivery.model_validate({**row.model_dump(), "correlation_id": row.id}))
        return given

    def _is_over(self, before: int, seen: _Seen) -> bool:
        """Whether nothing can come any more into the gap before that number."""
        if not seen.newest:
            return True
        if self._gap is None or self._gap.before != before:
            self._gap = _Gap(before, seen.newest)
            return False
        return seen.oldest_running >= self._gap.newest


def _look(session: Session, offset: int, limit: int) -> _Seen:
    oldest_running, newest = 0, 0
    if session.get_bind().dialect.name == "postgresql":
        oldest_running, newest = session.execute(_RUNNING).one()
    rows = select(InboxRow).where(col(InboxRow.sequence) > offset).order_by(col(InboxRow.sequence)).limit(limit)
    return _Seen(session.scalars(rows).all(), oldest_running, newest)
