"""The side effects of closing what is over in Temporal and open in our books: runs looked up, and books closed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.outside import beating, caller, outside
from pointsman.contracts.reconciliation import (
    ClosedItems,
    CloseEnded,
    EndedRun,
    FoundEnded,
    OpenItem,
    ReconcileRequest,
    RunEnd,
)
from pointsman.domain.ended_runs import ended_run
from pointsman.ports_reconciliation import ItemRuns, OpenItems

PAGE = 200
ENDED_MAX = 20
"""So many travel through the history in one step, each with what its agents need to be told."""
CONVERSATIONS_MAX = 10
REST = timedelta(minutes=1)
"""An item that moved within it is left alone: its run may be beginning, or about to say how it ends."""


class EndedRuns:
    """`worker.py` hands in Temporal and the books, tests hand in fakes."""

    def __init__(self, runs: ItemRuns, books: OpenItems) -> None:
        self._runs = runs
        self._books = books

    @activity.defn(name="reconciliation.find_ended")
    async def find(self, ask: ReconcileRequest) -> FoundEnded:
        """At most 20 items of the project that are open in our books and have no open run. Reads only."""
        carry, now = ask.carry, datetime.now(UTC)
        with outside(f"open items of {ask.organisation}/{carry.project} behind {carry.swept_to}"):
            async with beating():
                rows = await self._books.find(ask.organisation, carry.project, carry.swept_to, now - REST, PAGE)
                ends = await self._runs.ended([row.workflow_id for row in rows])
                over = [row for row in rows if row.workflow_id in ends]
                some = over[:ENDED_MAX]
                ended = [await self._ended(ask, row, ends[row.workflow_id], now) for row in some]
        return FoundEnded(ended=tuple(ended), after=_next(rows, over, some))

    async def _ended(self, ask: ReconcileRequest, row: OpenItem, end: RunEnd, now: datetime) -> EndedRun:
        return ended_run(ask.policy, row, end, await self._books.conversations(row, CONVERSATIONS_MAX), now)

    @activity.defn(name="reconciliation.close_ended")
    async def close(self, ask: CloseEnded) -> ClosedItems:
        """Say in our books how each ended. Idempotent; one that moved on since it was found is left alone."""
        closed: list[int] = []
        for one in ask.ended:
            with outside(f"books of {one.item.key}"):
                if await self._books.close(one, caller()):
                    closed.append(one.item.key.id)
        return ClosedItems(items=tuple(closed))


def _next(rows: Sequence[OpenItem], over: Sequence[OpenItem], some: Sequence[OpenItem]) -> int:
    """Behind which item to go on; 0 for the end."""
    if len(over) > len(some):
        return some[-1].key.id
    return rows[-1].key.id if len(rows) >= PAGE else 0
