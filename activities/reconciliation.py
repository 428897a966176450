"""The side effects of a comparison: read items there and here, and mend what policy lets us.

Every step may be repeated: events that come back have ids that follow from them, writes are settled once, and a report
is kept once for each run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, caller, chain, outside
from activities.recovery import recovered_delivery, unnamed_of
from pointsman.contracts.reconciliation import (
    Compared,
    OurItem,
    ReconcileCarry,
    ReconcileReport,
    ReconcileRequest,
    ReconcileTally,
    SyncStanding,
    TheirItem,
)
from pointsman.contracts.recovery import CommentVersionTold, Containers, RecoveredFrom, Snapshot
from pointsman.contracts.work_items import EventKind, WorkItemKey
from pointsman.domain import recovery
from pointsman.domain.reconciliation import (
    after_look,
    compare,
    fields_asked,
    gone,
    is_over,
    settled_writes,
    to_settle,
    window,
)
from pointsman.domain.reconciliation_tally import counted
from pointsman.domain.recovery import Listened, Missed
from pointsman.domain.sync.recognising import COMMENT
from pointsman.ports import EventSource, Inbox, Ledger, Missing, Recoveries, WorkTracker
from pointsman.ports_reconciliation import ItemPages, Reconciliations, Tombstones

PAGE = 200


@dataclass(frozen=True)
class Books:
    """What of ours is compared and mended."""

    reconciliations: Reconciliations
    tombstones: Tombstones
    recoveries: Recoveries
    inbox: Inbox
    ledger: Ledger


@dataclass
class _Step:
    """One page's work."""

    ask: ReconcileRequest
    where: Containers
    floor: datetime
    tally: ReconcileTally
    now: datetime

    @property
    def project(self) -> str:
        return self.ask.carry.project

    @property
    def mends(self) -> bool:
        return self.ask.policy.sync.repair.lost_events and not self.ask.dry_run

    def count(self, item_id: int, compared: Compared, repaired: bool = False) -> None:
        self.tally = counted(self.tally, item_id, compared, repaired=repaired)

    def add(self, name: str, number: int) -> None:
        self.tally = self.tally.model_copy(update={name: getattr(self.tally, name) + number})


class Reconciling:
    """`worker.py` hands in the clients and the books."""

    def __init__(self, pages: ItemPages, source: EventSource, tracker: WorkTracker, books: Books) -> None:
        self._pages = pages
        self._source = source
        self._tracker = tracker
        self._books = books

    @activity.defn(name="reconciliation.begin")
    async def begin(self, ask: ReconcileRequest) -> ReconcileCarry:
        """Which projects there are to compare, in order."""
        with outside(f"projects of {ask.organisation}"):
            names = [ask.project] if ask.project else list(await self._pages.projects(ask.organisation))
        return ReconcileCarry(project=names[0] if names else "", waiting=tuple(names[1:]), is_begun=True)

    @activity.defn(name="reconciliation.compare")
    async def compare(self, ask: ReconcileRequest) -> ReconcileCarry:
        """One page of at most 200 items of the project, there and here. Two requests, and two or more for each item
        that is not as our books say.

        Raises:
            ApplicationError: `Rejected` or its kinds, not retryable: we may not read the project.
        """
        carry = ask.carry
        with outside(f"{ask.organisation}/{carry.project} behind {carry.after}"):
            async with beating():
                return await self._page(ask)

    @activity.defn(name="reconciliation.finish")
    async def finish(self, report: ReconcileReport) -> None:
        """Keep what came of a project. Idempotent by run and project; a dry run leaves nothing."""
        with outside(f"report on {report.organisation}/{report.project}"):
            await self._books.reconciliations.finish(report, caller())

    async def _page(self, ask: ReconcileRequest) -> ReconcileCarry:
        carry, place = ask.carry, (ask.organisation, ask.carry.project)
        work = await self._begun(ask)
        theirs = {one.id: one for one in await self._pages.page(*place, carry.after, PAGE, fields_asked(ask.policy))}
        mine = await self._books.reconciliations.ids(*place, carry.after, PAGE)
        there, here, end = window([*theirs], mine, PAGE)
        known = await self._books.reconciliations.known(ask.organisation, sorted({*there, *here}))
        for number, item_id in enumerate(there, 1):
            await self._present(work, theirs[item_id], known[item_id])
            activity.heartbeat(f"{number} of {len(there)} items")
        await self._absent(work, [known[one] for one in here if one not in theirs])
        return carry.model_copy(update={"after": end, "tally": work.tally, "is_compared": end == 0})

    async def _begun(self, ask: ReconcileRequest) -> _Step:
        now = datetime.now(UTC)
        floor = await self._books.recoveries.began(ask.organisation) or now
        where = await self._source.containers(ask.organisation, ask.carry.project)
        return _Step(ask, where, floor, ask.carry.tally, now)

    # Items that the project has

    async def _present(self, work: _Step, theirs: TheirItem, ours: OurItem) -> None:
        ask = work.ask
        ours = await self._settled(work, ours, work.project)  # whatever else there is to say of the item
        compared = compare(ask.policy, ask.organisation, theirs, ours, work.floor)
        if not compared.look:
            work.count(theirs.id, compared)
            return
        try:
            missed = await self._missed(work, theirs.id)
        except Missing:
            reason = "it went into the recycle bin while it was looked at"
            work.count(theirs.id, Compared(standing=SyncStanding.PENDING, reason=reason))
            return
        told = after_look(ask.policy, ask.organisation, theirs, ours, missed, work.now, ask.settle)
        repaired = told.standing is SyncStanding.LOST and await self._bring_back(work, theirs.id, missed)
        stone = ours.tombstone
        if stone and stone.cleared_at is None and not ask.dry_run:
            await self._keep(work, theirs, deleted=False)
        work.count(theirs.id, told, repaired)

    async def _settled(self, work: _Step, ours: OurItem, project: str) -> OurItem:
        """Writes of which nobody knew, settled by what the item's history and comments say. In `project` it is now."""
        ask, mends = work.ask, work.ask.policy.sync.repair.lost_writes and not work.ask.dry_run
        doubtful = to_settle(ours, work.now, ask.settle) if mends else []
        if not doubtful:
            return ours
        key = self._key(work, ours.id)
        oldest = min(one.base_rev for one in doubtful)
        account = await self._tracker.identity(ask.organisation)
        said: Sequence[CommentVersionTold] = ()
        try:
            updates = await self._tracker.updates(key, max(oldest - 1, 0))  # links move at the revision that stands
            if any(COMMENT in one.values for one in doubtful):
                said = await self._source.comment_versions(ask.organisation, project, ours.id)
        except Missing:
            return ours  # it went into the recycle bin meanwhile
        found = settled_writes(doubtful, updates, account, await self._books.ledger.writes(key), said)
        for one in found:
            status, evidence = ("written" if one.is_written else "abandoned"), f"reconciliation: {one.evidence}"
            await self._books.ledger.settle(one.write.operation, status, one.rev, caller(), evidence)
        work.add("writes", len(found))
        done = {one.write.operation for one in found}
        return ours.model_copy(update={"in_doubt": tuple(one for one in ours.in_doubt if one.operation not in done)})

    async def _missed(self, work: _Step, item_id: int) -> Sequence[Missed]:
        """Events of the item's own history that never came."""
        organisation = work.ask.organisation
        listened = await self._listened(work, item_id)
        skip = recovery.front(listened.keys, organisation, item_id)
        updates = await self._source.updates(organisation, item_id, skip)
        comments: Sequence[CommentVersionTold] = ()
        if recovery.tells_of_comments(updates):
            comments = await self._source.comment_versions(organisation, work.project, item_id)
        return recovery.missing(listened, updates, comments).missed

    async def _listened(self, work: _Step, item_id: int) -> Listened:
        ask = work.ask
        keys = await self._books.recoveries.known(ask.organisation, item_id, ask.tenant)
        hints = await unnamed_of(self._books.inbox, ask.organisation, item_id, keys)
        return Listened(ask.organisation, item_id, keys, work.floor, unnamed=hints)

    async def _bring_back(self, work: _Step, item_id: int, missed: Sequence[Missed]) -> bool:
        """Put them into the inbox, as a recovery does."""
        if not missed or not work.mends:
            return False
        organisation = work.ask.organisation
        listened = await self._listened(work, item_id)
        snapshots = await self._source.snapshots(organisation, item_id, min(one.rev for one in missed))
        for one in missed:
            body = recovery.body_of(one, listened, recovery.snapshot_for(one, snapshots), work.where)
            await self._put(work, body)
        return True

    async def _put(self, work: _Step, body: bytes) -> None:
        ask = work.ask
        delivery = recovered_delivery(ask.organisation, ask.tenant, body, RecoveredFrom.RECONCILIATION)
        receipt = await self._books.inbox.accept(delivery)
        work.add("events", 0 if receipt.duplicate_of else 1)

    # Items of ours that it does not have

    async def _absent(self, work: _Step, items: Sequence[OurItem]) -> None:
        asked = [one for one in items if not is_over(one, work.now, work.ask.policy.sync.grace)]
        fields = fields_asked(work.ask.policy)
        elsewhere = await self._pages.items(work.ask.organisation, [one.id for one in asked], fields)
        found: Mapping[int, TheirItem] = {one.id: one for one in elsewhere}
        for one in items:
            if one not in asked:
                reason = "in the recycle bin for longer than it is looked for"
                work.count(one.id, Compared(standing=SyncStanding.DELETED, reason=reason))
                continue
            theirs = found.get(one.id) or await self._pages.in_recycle_bin(work.ask.organisation, one.id)
            await self._gone(work, one, theirs)
            activity.heartbeat(f"item {one.id}")

    async def _gone(self, work: _Step, ours: OurItem, theirs: TheirItem | None) -> None:
        if theirs is not None and not theirs.deleted:
            ours = await self._settled(work, ours, theirs.project)
        told = gone(ours, theirs, work.project)
        repaired = False
        if told.look and theirs is not None and work.mends:
            repaired = await (self._buried if theirs.deleted else self._moved)(work, theirs)
        work.count(ours.id, told, repaired)

    async def _moved(self, work: _Step, theirs: TheirItem) -> bool:
        return await self._bring_back(work, theirs.id, await self._missed(work, theirs.id))

    async def _buried(self, work: _Step, theirs: TheirItem) -> bool:
        """Its deletion never came: its workflow is told now, and the books know it at once."""
        listened = await self._listened(work, theirs.id)
        event = recovery.key_of(work.ask.organisation, theirs.id, EventKind.DELETED, theirs.rev)
        await self._keep(work, theirs, deleted=True)
        if event in listened.keys:
            return True
        missed = Missed(EventKind.DELETED, event, theirs.rev, None)
        snapshot = Snapshot(rev=theirs.rev, fields=theirs.fields)
        await self._put(work, recovery.body_of(missed, listened, snapshot, work.where))
        return True

    async def _keep(self, work: _Step, theirs: TheirItem, *, deleted: bool) -> None:
        ask, key = work.ask, self._key(work, theirs.id)
        whose = chain(ask.tenant, "", key)
        await self._books.tombstones.keep(whose, theirs.rev, caller(), deleted=deleted)

    def _key(self, work: _Step, item_id: int) -> WorkItemKey:
        return WorkItemKey(organisation=work.ask.organisation, project=work.project, id=item_id)
