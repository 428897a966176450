"""Writes of ours to work items: one revision each, kept in the ledger before and after, stopped where they loop."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from activities.outside import caller
from pointsman.contracts.base import Json
from pointsman.contracts.records import Chain, WriteIntent, WriteRecord
from pointsman.contracts.sync import LoopBreaker
from pointsman.contracts.tracker import ItemUpdate, ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.echoes import equal, explains, is_noise
from pointsman.domain.sync.agreeing import link_name, links_of
from pointsman.domain.sync.recognising import AGAIN, BY, COMMENT, LINKS, UNLINKS, fit, linked_by, links_at, values_of
from pointsman.domain.words import how_many
from pointsman.ports import Conflict, Ledger, Rejected, Unavailable, WorkTracker
from pointsman.ports_sync import WriteBooks


class Writer:
    """Every write is at most one revision, however often it is tried."""

    def __init__(self, tracker: WorkTracker, ledger: Ledger, sync: WriteBooks) -> None:
        self._tracker = tracker
        self._ledger = ledger
        self._sync = sync

    async def rows(self, key: WorkItemKey, operation: str) -> list[WriteRecord]:
        """What the ledger has of the operation, oldest first."""
        return rows_of(await self._ledger.writes(key), operation)

    async def recover(self, chain: Chain, item: TrackedItem, rows: Sequence[WriteRecord]) -> int:
        """The revision that an earlier attempt made; 0 when none has.

        Each attempt is guarded by the revision that it was made from, so it has made the next one or none. Where the
        item has moved on without it, it never will: such a row is given up.
        """
        key = needed_key(chain)
        if written := next((row for row in rows if row.status == "written"), None):
            await self._give_up(rows, item.rev, written.operation)
            return written.rev
        if linked := await self._linked(chain, item, rows):
            return linked
        late = [row for row in rows if row.base_rev < item.rev]
        if not late:
            return 0
        me = await self._tracker.identity(key.organisation)
        updates = await self._tracker.updates(key, after_rev=min(row.base_rev for row in late))
        mine = [update for update in updates if update.revised_by == me]
        found = [(row, made) for row in late for made in mine if _may_have_made(row, made)]
        if not found:
            await self._give_up(late, item.rev)
            return 0
        row, made = max(found, key=lambda one: fit(one[0], *links_at(mine, one[1].rev)))
        await self._ledger.settle(row.operation, "written", made.rev, caller(), f"update {made.id}")
        changes = {name: new for name, (_, new) in made.changed.items()}
        await self._sync.agreements.advance(chain, made.rev, changes)
        await self._give_up([one for one in late if one is not row], item.rev, row.operation)
        return made.rev

    async def _give_up(self, rows: Sequence[WriteRecord], rev: int, written: str = "") -> None:
        """Rows that the item has moved on without will never be carried out: each is guarded by its revision. Of links
        alone none is made, but the service refuses those that are there, and all are once the operation is `written`.
        """
        for row in rows:
            if row.status == "intended" and (written or row.base_rev < rev):
                evidence = f"{written} was written" if written else f"revision {row.base_rev + 1} is not of it"
                await self._ledger.settle(row.operation, "abandoned", 0, caller(), evidence)

    async def _linked(self, chain: Chain, item: TrackedItem, rows: Sequence[WriteRecord]) -> int:
        """As `recover`, for writes of links alone: they are looked for in the history of links."""
        key = needed_key(chain)
        doubtful = [row for row in rows if row.values and set(row.values) <= {BY, LINKS, UNLINKS}]
        if not doubtful:
            return 0
        me, writes = await self._tracker.identity(key.organisation), await self._ledger.writes(key)
        updates = await self._tracker.updates(key, after_rev=min(row.base_rev for row in doubtful) - 1)
        for row in doubtful:
            if update := linked_by(row, updates, me, writes):
                rev = next(one.rev for one in updates if one.id == update)
                await self._sync.agreements.advance(chain, rev, {}, links=links_of(item.relations))
                await self._ledger.settle(row.operation, "written", rev, caller(), f"update {update}")
                await self._give_up([one for one in rows if one is not row], rev, row.operation)
                return rev
        return 0

    async def stopped(self, chain: Chain, breaker: LoopBreaker) -> str:
        """Why the item is not written to; empty where it may be. The write that would be one too many is not sent.

        A comment that is edited in place is none of them: who tells how far the work is goes round in no loop.
        """
        key = needed_key(chain)
        standing = await self._sync.quarantines.get(key)
        if standing is not None:
            return standing.reason
        released = await self._sync.quarantines.released_at(key)
        since = datetime.now(UTC) - breaker.within
        since = max(since, released) if released else since
        recent = [row for row in await self._ledger.writes(key) if row.intended_at > since and _counts(row)]
        if len(recent) < breaker.writes:
            return ""
        minutes = breaker.within.total_seconds() / 60
        limit = f"the limit is {breaker.writes}: it looks like a loop"
        reason = f"{how_many(len(recent), 'write')} of ours within {minutes:g} minutes, {limit}"
        return (await self._sync.quarantines.put(chain, reason, len(recent), caller())).reason

    async def write(self, chain: Chain, operation: str, item: TrackedItem, change: ItemWrite) -> TrackedItem:
        """Intent row, one PATCH guarded by the revision, result row; both sides agree on what it changed.

        An attempt with other values, or on another revision, gets a row of its own: the earlier PATCH may be under way
        still, and its echo must be known by what it carried.

        Raises:
            Unavailable: somebody else's revision came first; nothing was written.
        """
        key, values = needed_key(chain), values_of(change)
        if change.links or change.unlinks:
            # Links are told at their other ends too, and there the account alone says whose they are.
            values[BY] = await self._tracker.identity(key.organisation)
        rows = await self.rows(key, operation)
        named = _name(rows, operation, item.rev, values)
        await self._ledger.intend(WriteIntent(operation=named, chain=chain, base_rev=item.rev, values=values), caller())
        try:
            written = await self._tracker.write(key, item.rev, change)
        except Conflict as error:
            await self._ledger.settle(named, "abandoned", 0, caller(), f"revision {item.rev} was overtaken")
            raise Unavailable(f"revision {item.rev} was overtaken: {error}") from error
        except Rejected as error:
            if change.links and await self._came_meanwhile(key, item, change):
                raise Unavailable(f"links of revision {item.rev} moved before it was written: {error}") from error
            await self._ledger.settle(named, "abandoned", 0, caller())
            raise
        # First what is agreed, then the result: an attempt that dies in between finds the intent, and does both again.
        links = links_of(written.relations) if change.links or change.unlinks else None
        await self._sync.agreements.advance(chain, written.rev, changed_by(item, written), links=links)
        await self._ledger.settle(named, "written", written.rev, caller())
        await self._give_up([row for row in rows if row.operation != named], written.rev, named)
        return written

    async def _came_meanwhile(self, key: WorkItemKey, item: TrackedItem, change: ItemWrite) -> bool:
        """Whether a link of the write is there by now: an attempt whose answer was lost, or somebody else, was faster.

        The service refuses a link that is there, and no revision tells that one came.
        """
        there = set(links_of((await self._tracker.get(key)).relations)) - set(links_of(item.relations))
        return any(link_name(link.rel, link.url) in there for link in change.links)


def needed_key(chain: Chain) -> WorkItemKey:
    assert chain.key is not None, "a write is to an item"
    return chain.key


def changed_by(before: TrackedItem, after: TrackedItem) -> dict[str, Json]:
    """What a write changed, with what rules of the service changed beside it; None where a field went empty."""
    names = {*before.fields, *after.fields}
    pairs = {name: (before.fields.get(name), after.fields.get(name)) for name in names if not is_noise(name)}
    return {name: new for name, (old, new) in pairs.items() if not equal(old, new)}


def overtaken(rows: Sequence[WriteRecord]) -> int:
    """How often the operation was given up."""
    return sum(row.status == "abandoned" for row in rows)


def _counts(row: WriteRecord) -> bool:
    return row.status != "abandoned" and COMMENT not in row.values


def _may_have_made(row: WriteRecord, made: ItemUpdate) -> bool:
    return made.rev == row.base_rev + 1 and explains(row.values, made.changed)


def rows_of(writes: Sequence[WriteRecord], operation: str) -> list[WriteRecord]:
    """The rows of one operation, however often it was tried."""
    return [row for row in writes if row.operation == operation or row.operation.startswith(f"{operation}{AGAIN}")]


def _name(rows: Sequence[WriteRecord], operation: str, rev: int, values: Mapping[str, Json]) -> str:
    same = next((row.operation for row in rows if row.base_rev == rev and row.values == values), "")
    return same or (f"{operation}{AGAIN}{len(rows) + 1}" if rows else operation)
