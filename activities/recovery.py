"""The side effects of a recovery: read what the service remembers, and put what never came into the inbox.

Every step may be repeated: a recovered delivery has an id that follows from its event, and the watermark moves only
behind what is kept.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, caller, outside
from pointsman.contracts.records import Delivery, DeliveryState, NewDelivery, Selection
from pointsman.contracts.recovery import (
    CommentVersionTold,
    Containers,
    ReadBatch,
    RecoverCarry,
    RecoveredFrom,
    RecoverRequest,
    RecoverResult,
    Stage,
    StreamBatch,
    Tally,
    TouchedItem,
    Unrecovered,
    UpdateTold,
    Watermark,
)
from pointsman.domain import outages, recovery
from pointsman.domain.chains import edges_told
from pointsman.domain.deliveries import read_bytes
from pointsman.domain.loose import string, truth
from pointsman.domain.recovery import Listened, Missed
from pointsman.domain.unnamed import UNNAMED, Unnamed, unheard, unnamed
from pointsman.ports import EventSource, Inbox, Missing, Recoveries

UNRECOVERED_MAX = 100
HEARD_MAX = 200
SEEN_MAX = 2_000  # each step carries them through the history; beyond, a dry run counts some events twice
PROJECT = "System.TeamProject"
NEXT = {
    Stage.NOTIFICATIONS: Stage.REVISIONS,
    Stage.REVISIONS: Stage.LINKS,
    Stage.LINKS: Stage.DISCUSSIONS,
    Stage.DISCUSSIONS: Stage.DONE,
}


@dataclass
class _Step:
    """One activity's work: what it was asked, and what it has found so far."""

    request: RecoverRequest
    carry: RecoverCarry
    where: Containers
    recovered: dict[str, int] = field(default_factory=dict)
    known: int = 0
    items: int = 0
    unrecovered: list[Unrecovered] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.seen.extend(self.carry.seen)

    def count(self, event_type: str) -> None:
        self.recovered[event_type] = self.recovered.get(event_type, 0) + 1

    def tally(self) -> Tally:
        before = self.carry.tally
        kinds = sorted({*before.recovered, *self.recovered})
        named = [one for one in self.unrecovered if one not in before.unrecovered]
        return Tally(
            recovered={kind: before.recovered.get(kind, 0) + self.recovered.get(kind, 0) for kind in kinds},
            known=before.known + self.known,
            items=before.items + self.items,
            unrecovered=(*before.unrecovered, *named)[:UNRECOVERED_MAX],
            unrecovered_count=before.unrecovered_count + len(named),
        )


class Recovery:
    """`worker.py` hands in the client and the books; `told` counts what a recovery came to."""

    def __init__(
        self,
        source: EventSource,
        inbox: Inbox,
        recoveries: Recoveries,
        told: Callable[[RecoverResult], None] = lambda result: None,
    ) -> None:
        self._source = source
        self._inbox = inbox
        self._recoveries = recoveries
        self._told = told

    @activity.defn(name="recovery.begin")
    async def begin(self, ask: RecoverRequest) -> RecoverCarry:
        """From where to read: since the moment asked for, else from the kept watermark, else since the first
        delivery; where nothing came yet, from now on."""
        with outside(f"watermark of {ask.organisation}/{ask.project or '*'}"):
            if ask.since is not None:
                return RecoverCarry(watermark=Watermark(since=ask.since), floor=ask.since)
            kept = await self._recoveries.watermark(ask.organisation, ask.project)
            if kept is not None:
                return RecoverCarry(watermark=kept, floor=kept.since)
            floor = await self._recoveries.began(ask.organisation) or datetime.now(UTC)
            return RecoverCarry(watermark=Watermark(since=floor), floor=floor)

    @activity.defn(name="recovery.read")
    async def read(self, step: ReadBatch) -> RecoverCarry:
        """One batch of the stage's stream: what is missing goes into the inbox, then the watermark moves.

        Raises:
            ApplicationError: `Rejected` or its kinds, not retryable: we may not read the organisation or project.
        """
        ask, carry = step.request, step.carry
        with outside(f"{carry.stage} of {ask.organisation}/{ask.project or '*'}"):
            async with beating():
                work = _Step(ask, carry, await self._source.containers(ask.organisation, ask.project))
                if carry.stage is Stage.NOTIFICATIONS:
                    await self._from_notifications(work)
                    return _after(work, carry.watermark, StreamBatch())
                return await self._from_stream(work)

    @activity.defn(name="recovery.finish")
    async def finish(self, result: RecoverResult) -> RecoverResult | None:
        """Keep what came of it, with its audit event; returns it with the gaps of earlier recoveries told apart.
        Idempotent by the run; a dry run leaves nothing. Histories of before have None as its result."""
        with outside(f"result of recovery of {result.organisation}/{result.project or '*'}"):
            kept = await self._recoveries.finish(result, caller())
        if not kept.dry_run:
            self._told(kept)
        return kept

    # Streams

    async def _from_stream(self, work: _Step) -> RecoverCarry:
        ask, mark = work.request, work.carry.watermark
        place = (ask.organisation, ask.project)
        since = work.carry.floor
        match work.carry.stage:
            case Stage.REVISIONS:
                batch = await self._source.revisions(*place, mark.revisions, since)
                moved = mark.model_copy(update={"revisions": batch.token})
            case Stage.LINKS:
                batch = await self._source.links(*place, mark.links, since)
                moved = mark.model_copy(update={"links": batch.token})
            case _:
                batch = await self._source.discussions(*place, mark.discussions, since)
                moved = mark.model_copy(update={"discussions": batch.token})
        for number, touched in enumerate(batch.items, 1):
            await self._item(work, touched)
            activity.heartbeat(f"{work.carry.stage}: {number} of {len(batch.items)} items")
        after = _after(work, moved, batch)
        await self._keep(ask, after)
        return after

    async def _keep(self, ask: RecoverRequest, after: RecoverCarry) -> None:
        """Tokens of a reading that began elsewhere count once it has reached the end."""
        if not ask.dry_run and (ask.since is None or after.stage is Stage.DONE):
            await self._recoveries.keep_watermark(ask.organisation, ask.project, ask.tenant, after.watermark)

    async def _item(self, work: _Step, touched: TouchedItem) -> None:
        ask = work.request
        if touched.id in work.seen:
            return
        if ask.dry_run and len(work.seen) < SEEN_MAX:
            work.seen.append(touched.id)
        keys = await self._recoveries.known(ask.organisation, touched.id, ask.tenant)
        lowest = min((one.rev for one in touched.snapshots), default=0)
        hints = await unnamed_of(self._inbox, ask.organisation, touched.id, keys)
        listened = Listened(ask.organisation, touched.id, keys, work.carry.floor, lowest, hints)
        try:
            updates = await self._source.updates(ask.organisation, touched.id, _skip(work.carry.stage, listened))
        except Missing:
            await self._in_recycle_bin(work, listened, touched)
            return
        comments: Sequence[CommentVersionTold] = ()
        if work.carry.stage is Stage.DISCUSSIONS or recovery.tells_of_comments(updates):
            comments = await self._comments(work, listened, updates)
        found = recovery.missing(listened, updates, comments)
        work.known += found.known
        if not found.missed:
            return
        work.items += 1
        first = min(one.rev for one in found.missed)
        snapshots = await self._source.snapshots(ask.organisation, touched.id, first)
        for one in found.missed:
            await self._put(
                work, one, recovery.body_of(one, listened, recovery.snapshot_for(one, snapshots), work.where)
            )

    async def _comments(
        self, work: _Step, listened: Listened, updates: Sequence[UpdateTold]
    ) -> Sequence[CommentVersionTold]:
        """Comments are asked for in the project where the item is now, which need not be where it was."""
        organisation, item_id = listened.organisation, listened.item_id
        newest = await self._source.snapshots(organisation, item_id, updates[-1].rev if updates else 1)
        project = string(newest[-1].fields.get(PROJECT)) if newest else ""
        return await self._source.comment_versions(organisation, project or work.request.project, item_id)

    async def _in_recycle_bin(self, work: _Step, listened: Listened, touched: TouchedItem) -> None:
        """Its history cannot be read before it is restored: only the stream tells that it went there, and when."""
        for missed, snapshot in recovery.deletion_of(listened, touched.snapshots):
            await self._put(work, missed, recovery.body_of(missed, listened, snapshot, work.where))
            work.items += 1
        ours = Selection(organisation=listened.organisation, item_id=listened.item_id)
        kept = await self._inbox.select(ours, limit=HEARD_MAX)
        told = {one.rev for one in touched.snapshots if not truth(one.fields.get(recovery.DELETED))}
        if lost := unheard(told, kept):
            reason = (
                f"it is in the recycle bin, or gone, so revisions {', '.join(map(str, lost))} cannot be read; "
                "they come back by themselves when it is restored"
            )
            item = f"work item {listened.item_id}"
            gap = f"{item}, revisions {', '.join(map(str, lost))}"
            work.unrecovered.append(Unrecovered(what=item, reason=reason, gap=gap))

    # Notifications

    async def _from_notifications(self, work: _Step) -> None:
        ask = work.request
        histories = await self._source.notifications(ask.organisation)
        mine = [one for one in histories if _concerns(one.subscription.project_id, work.where.project_id)]
        for history in mine:
            for notification in outages.failed(history):
                body = await self._source.event(ask.organisation, history.subscription, notification.id)
                if body:
                    await self._bring(work, body, RecoveredFrom.NOTIFICATIONS)
            activity.heartbeat(f"{work.carry.stage}: {history.subscription.event_type}")
        work.unrecovered += outages.lost(mine, work.carry.floor)

    # The inbox

    async def _put(self, work: _Step, missed: Missed, body: bytes) -> None:
        ask = work.request
        delivery = recovered_delivery(ask.organisation, ask.tenant, body, RecoveredFrom.HISTORY)
        assert delivery.idempotency_key == missed.key, f"{delivery.idempotency_key!r} is not {missed.key!r}"
        await self._accept(work, delivery)

    async def _bring(self, work: _Step, body: bytes, origin: RecoveredFrom) -> None:
        ask = work.request
        delivery = recovered_delivery(ask.organisation, ask.tenant, body, origin)
        if ask.dry_run and delivery.item_id:
            return  # nothing is kept, so the streams will tell of it again
        if await self._recoveries.there(delivery.tenant, [delivery.idempotency_key]):
            work.known += 1
        else:
            await self._accept(work, delivery)

    async def _accept(self, work: _Step, delivery: NewDelivery) -> None:
        if not work.request.dry_run:
            receipt = await self._inbox.accept(delivery)
            if receipt.duplicate_of:  # it came by itself meanwhile
                work.known += 1
                return
        work.count(delivery.event_type)


async def unnamed_of(inbox: Inbox, organisation: str, item_id: int, keys: Collection[str]) -> tuple[Unnamed, ...]:
    """Deliveries of the item that do not tell which of its events they are: all, or the oldest were taken for lost."""
    rows: list[Delivery] = []
    if any(key.startswith(UNNAMED) for key in keys):
        ours, before = Selection(organisation=organisation, item_id=item_id), 0
        while page := await inbox.select(ours, before=before, limit=HEARD_MAX):
            rows += [one for one in page if one.idempotency_key.startswith(UNNAMED)]
            before = page[-1].sequence
    return unnamed(rows)


def _skip(stage: Stage, listened: Listened) -> int:
    """How much of the history need not be read. An update's number is never below its revision's, so nothing that the
    stream told is skipped; which comments have no entry is known only to who has read all entries."""
    if stage is Stage.DISCUSSIONS:
        return 0
    front = recovery.front(listened.keys, listened.organisation, listened.item_id)
    return min(front, listened.streamed_rev - 1) if listened.streamed_rev else front


def _after(work: _Step, watermark: Watermark, batch: StreamBatch) -> RecoverCarry:
    carry = work.carry
    newest = max((one for one in (carry.newest, batch.newest) if one), default=None)
    stage = NEXT[carry.stage] if batch.is_last else carry.stage
    if stage is Stage.DONE:
        watermark = watermark.model_copy(update={"since": newest or carry.floor})
    return RecoverCarry(
        stage=stage,
        watermark=watermark,
        floor=carry.floor,
        newest=newest,
        tally=work.tally(),
        batches=carry.batches + 1,
        seen=tuple(work.seen),
        deaf=carry.deaf,
    )


def _concerns(hook_project: str, project: str) -> bool:
    return not project or not hook_project or hook_project.lower() == project.lower()


def recovered_delivery(organisation: str, tenant: str, body: bytes, origin: RecoveredFrom) -> NewDelivery:
    """As the inbox takes it. Its id follows from its event, so that a repeated attempt puts it there once."""
    heard = read_bytes(body, organisation)
    key = heard.idempotency_key or recovery.delivery_id("", body.decode())
    delivery_id = recovery.delivery_id(tenant, key)
    state = DeliveryState.PENDING if heard.kind else DeliveryState.UNKNOWN
    return NewDelivery(
        id=delivery_id,
        received_at=datetime.now(UTC),
        tenant=tenant,
        organisation=heard.organisation,
        event_type=heard.event_type,
        event_id=heard.event_id,
        subscription_id=heard.subscription_id,
        notification_id=heard.notification_id,
        idempotency_key=key,
        item_id=heard.item_id if heard.kind else 0,
        project=heard.project,
        body=body,
        state=DeliveryState.DEAD if heard.unreadable else state,
        reason=heard.reason,
        edges=edges_told(heard, body, delivery_id),
        recovered_from=origin.value,
    )
