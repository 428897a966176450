"""Writes of ours to work items: one revision each, kept in the ledger before and after, stopped where they loop."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from activities.outside import caller
from pointsman.contracts.base import Json
from pointsman.contracts.records import Chain, WriteIntent, WriteRecord
from pointsman.contracts.sync import LoopBreaker
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.echoes import equal, explains, is_noise
from pointsman.domain.sync.recognising import values_of
from pointsman.ports import Conflict, Ledger, Rejected, Unavailable, WorkTracker
from pointsman.ports_sync import SyncBooks

AGAIN = "~"
"""Between an operation and the number of a later row of it: each row is one PATCH that may have been carried out."""


class Writer:
    """Every write is at most one revision, however often it is tried."""

    def __init__(self, tracker: WorkTracker, ledger: Ledger, sync: SyncBooks) -> None:
        self._tracker = tracker
        self._ledger = ledger
        self._sync = sync

    async def rows(self, key: WorkItemKey, operation: str) -> list[WriteRecord]:
        """What the ledger has of the operation, oldest first."""
        return [row for row in await self._ledger.writes(key) if _is_of(row, operation)]

    async def recover(self, chain: Chain, key: WorkItemKey, rows: Sequence[WriteRecord]) -> int:
        """The revision that an earlier attempt made; 0 when none is to be seen."""
        written = next((row.rev for row in rows if row.status == "written"), 0)
        if written or not rows:
            return written
        me = await self._tracker.identity(key.organisation)
        updates = await self._tracker.updates(key, after_rev=min(row.base_rev for row in rows))
        for update in updates:
            made = next(
                (row for row in rows if row.base_rev < update.rev and explains(row.values, update.changed)), None
            )
            if made is not None and update.revised_by == me:
                await self._ledger.settle(made.operation, "written", update.rev, caller())
                changes = {name: new for name, (_, new) in update.changed.items()}
                await self._sync.agreements.advance(chain, update.rev, changes)
                return update.rev
        return 0

    async def stopped(self, chain: Chain, key: WorkItemKey, breaker: LoopBreaker) -> str:
        """Why the item is not written to; empty where it may be. The write that would be one too many is not sent."""
        standing = await self._sync.quarantines.get(key)
        if standing is not None:
            return standing.reason
        released = await self._sync.quarantines.released_at(key)
        since = datetime.now(UTC) - breaker.within
        since = max(since, released) if released else since
        recent = [
            row for row in await self._ledger.writes(key) if row.intended_at > since and row.status != "abandoned"
        ]
        if len(recent) < breaker.writes:
            return ""
        minutes = breaker.within.total_seconds() / 60
        limit = f"the limit is {breaker.writes}: it looks like a loop"
        reason = f"{len(recent)} writes of ours within {minutes:g} minutes, {limit}"
        return (await self._sync.quarantines.put(chain, reason, len(recent), caller())).reason

    async def write(
        self, chain: Chain, key: WorkItemKey, operation: str, item: TrackedItem, change: ItemWrite
    ) -> TrackedItem:
        """Intent row, one PATCH guarded by the revision, result row; both sides agree on what it changed.

        An attempt with other values, or on another revision, gets a row of its own: the earlier PATCH may be under way
        still, and its echo must be known by what it carried.

        Raises:
            Unavailable: somebody else's revision came first; nothing was written.
        """
        values = values_of(change)
        named = _name(await self.rows(key, operation), operation, item.rev, values)
        await self._ledger.intend(WriteIntent(operation=named, chain=chain, base_rev=item.rev, values=values), caller())
        try:
            written = await self._tracker.write(key, item.rev, change)
        except Conflict as error:
            await self._ledger.settle(named, "abandoned", 0, caller(), f"revision {item.rev} was overtaken")
            raise Unavailable(f"revision {item.rev} was overtaken: {error}") from error
        except Rejected:
            await self._ledger.settle(named, "abandoned", 0, caller())
            raise
        await self._ledger.settle(named, "written", written.rev, caller())
        links = values.get("+links")
        agreed = await self._sync.agreements.advance(chain, written.rev, changed_by(item, written))
        if agreed is not None and isinstance(links, list):
            both = {*agreed.links, *map(str, links)}
            await self._sync.agreements.advance(chain, written.rev, {}, links=sorted(both))
        return written


def changed_by(before: TrackedItem, after: TrackedItem) -> dict[str, Json]:
    """What a write changed, with what rules of the service changed beside it; None where a field went empty."""
    names = {*before.fields, *after.fields}
    pairs = {name: (before.fields.get(name), after.fields.get(name)) for name in names if not is_noise(name)}
    return {name: new for name, (old, new) in pairs.items() if not equal(old, new)}


def overtaken(rows: Sequence[WriteRecord]) -> int:
    """How often the operation was given up."""
    return sum(row.status == "abandoned" for row in rows)


def _is_of(row: WriteRecord, operation: str) -> bool:
    return row.operation == operation or row.operation.startswith(f"{operation}{AGAIN}")


def _name(rows: Sequence[WriteRecord], operation: str, rev: int, values: Mapping[str, Json]) -> str:
    same = next((row.operation for row in rows if row.base_rev == rev and row.values == values), "")
    return same or (f"{operation}{AGAIN}{len(rows) + 1}" if rows else operation)
