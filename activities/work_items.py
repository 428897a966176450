"""The side effects of a work item's life: read it, judge what came in, write the outcome, keep the books."""

import json
from collections.abc import Mapping
from html import escape

from markdown_it import MarkdownIt
from temporalio import activity

from activities.outside import beating, caller, chain, outside
from activities.write_guard import WriteGuard
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Classify, Intake, Publish, Published, RecordTransition, TakeIn
from pointsman.contracts.records import DeliveryState, WriteIntent, WriteRecord
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import EventKind, Judgement, Proposal, Verdict, WorkItemEvent, WorkItemKey
from pointsman.domain import briefing
from pointsman.domain.deliveries import Changes, read_bytes
from pointsman.domain.echoes import echo_of, explains, is_another, is_in_doubt, is_noise, proves, told
from pointsman.domain.loose import string
from pointsman.domain.merging import merge
from pointsman.ports import Conflict, Contents, Deliveries, Items, Ledger, Missing, Rejected, Unavailable, WorkTracker

HISTORY = "System.History"
# HTML in a model's Markdown stays text: what people read on the item holds no markup of the model's own. A picture
# would be fetched by whoever reads the item, and its address could carry away what the model has read.
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


class WorkItems:
    """`worker.py` hands in the clients and the store's books, tests hand in fakes."""

    def __init__(
        self,
        tracker: WorkTracker,
        contents: Contents,
        items: Items,
        ledger: Ledger,
        deliveries: Deliveries,
        guard: WriteGuard | None = None,
    ) -> None:
        self._tracker = tracker
        self._contents = contents
        self._items = items
        self._ledger = ledger
        self._deliveries = deliveries
        self._guard = guard

    @activity.defn(name="work_items.take_in")
    async def take_in(self, ask: TakeIn) -> Intake:
        """Read the item and keep the snapshot. Safe to repeat: equal snapshots are stored once.

        Raises:
            ApplicationError: `Missing` or `Rejected`, not retryable: there is no such item, or we may not see it.
        """
        with outside(f"read of {ask.key}"):
            async with beating():
                item = await self._tracker.get(ask.key)
                snapshot = await self._contents.put(_canonical(item.fields))
                facts = briefing.facts_of(ask.key, item.fields, item.rev, item.url, deleted=item.deleted)
                facts = facts.model_copy(update={"snapshot": snapshot})
                await self._items.take_in(facts, chain(ask.tenant, ask.correlation_id, ask.key), caller())
                escalations, turns = await self._items.counts(ask.key)
        return Intake(facts=facts, escalations=escalations, turns=turns)

    @activity.defn(name="work_items.classify")
    async def classify(self, ask: Classify) -> list[Judgement]:
        """Judge each event against ledger and revision. Safe to repeat: it keeps what an agent is to be told, and
        which deliveries were echoes.
        """
        with outside(f"events of {ask.key}"):
            async with beating():
                await self._tracker.heard(ask.key)
                return [await self._judge(ask, event) for event in ask.events]

    async def _judge(self, ask: Classify, event: WorkItemEvent) -> Judgement:
        if event.kind in (EventKind.DELETED, EventKind.RESTORED):
            return await self._judge_presence(ask.key, event)
        delivery = await self._deliveries.get(event.delivery_id)
        heard = read_bytes(delivery.body) if delivery else None
        changed = heard.changed if heard else {}
        comment = heard.comment if heard else ""
        if ask.reread or (heard and not (heard.fields or heard.links_changed)):
            event, changed = await self._read_again(ask, event)
            comment = string(changed.get(HISTORY, (None, None))[1])
        if comment:
            changed = {**changed, HISTORY: (None, comment)}
        echo = await self._echo(ask.key, event, changed)
        if echo is not None:
            reason = told(echo.operation)
            await self._deliveries.settle(event.delivery_id, DeliveryState.ECHO, reason, caller().workflow_id)
            return _judgement(event, Verdict.ECHO, reason)
        if not comment and 0 < event.rev <= ask.known_rev:
            return _judgement(event, Verdict.STALE, f"revision {event.rev} is taken into account")
        text = briefing.happened(event.actor, event.rev, changed, comment)
        if not text:
            return _judgement(event, Verdict.STALE, "changes nothing that matters")
        instruction = await self._contents.put(text.encode())
        judgement = _judgement(event, Verdict.NEWS, text.split(":", 1)[0])
        return judgement.model_copy(update={"instruction": instruction})

    async def _read_again(self, ask: Classify, event: WorkItemEvent) -> tuple[WorkItemEvent, Changes]:
        """The event as the item's history tells it: a delivery is a hint, and may carry nothing but the item's id.

        Without revision and update the event is whatever happened since what is known.
        """
        since = event.rev - 1 if event.rev else ask.known_rev
        updates = await self._tracker.updates(ask.key, max(since, 0))
        if event.update_id:
            updates = [update for update in updates if update.id == event.update_id]
        elif event.rev:
            updates = [update for update in updates if update.rev == event.rev]
        changed: Changes = {}
        for update in updates:
            for name, (old, new) in update.changed.items():
                if not is_noise(name):
                    changed[name] = (changed[name][0] if name in changed else old, new)
        if not updates:
            return event, changed
        last = updates[-1]
        return event.model_copy(update={"rev": last.rev, "actor": last.revised_by or event.actor}), changed

    async def _echo(
        self, key: WorkItemKey, event: WorkItemEvent, changed: Mapping[str, tuple[Json, Json]]
    ) -> WriteRecord | None:
        """The write of ours that the event repeats. One that was in doubt is settled where the event proves it."""
        echo = echo_of(await self._ledger.writes(key), event.rev, changed)
        if echo is None or not is_in_doubt(echo):
            return echo
        if is_another(event.actor, await self._tracker.identity(key.organisation)):
            return None
        if proves(echo, changed):
            evidence = f"delivery {event.delivery_id}"
            await self._ledger.settle(echo.operation, "written", event.rev, caller(), evidence)
        return echo

    async def _judge_presence(self, key: WorkItemKey, event: WorkItemEvent) -> Judgement:
        """A deletion or restoration counts when the item is in that state now: they overtake each other."""
        try:
            deleted = (await self._tracker.get(key)).deleted
        except Missing:
            deleted = True  # destroyed: it is not even in the recycle bin
        wanted = event.kind is EventKind.DELETED
        if deleted != wanted:
            return _judgement(event, Verdict.STALE, f"{event.kind} was overtaken")
        verdict = Verdict.DELETED if wanted else Verdict.RESTORED
        return _judgement(event, verdict, f"{event.kind} by {event.actor or 'somebody'}")

    @activity.defn(name="work_items.record")
    async def record(self, record: RecordTransition) -> None:
        """Keep a transition, with its audit event. Idempotent by workflow, run and number."""
        with outside(f"record of {record.key}"):
            await self._items.record(
                record.transition,
                chain(record.tenant, record.correlation_id, record.key),
                caller(),
                record.usage,
                record.waited_seconds,
            )

    @activity.defn(name="work_items.publish")
    async def publish(self, ask: Publish) -> Published:
        """Write a proposal once: intent row, one PATCH guarded by the revision, result row.

        Safe to repeat. An attempt whose answer was lost is recognised by the revision it made; until that is seen
        nothing is written again. A revision that moved under us is `Unavailable`, and the next attempt merges anew.
        """
        with outside(f"write {ask.operation}"):
            async with beating():
                return await self._publish(ask)

    async def _publish(self, ask: Publish) -> Published:
        proposal = Proposal.model_validate_json(await self._contents.get(ask.proposal))
        base: dict[str, Json] = json.loads(await self._contents.get(ask.base))
        item = await self._tracker.get(ask.key)
        before = next((row for row in await self._ledger.writes(ask.key) if row.operation == ask.operation), None)
        if before is not None:
            done = await self._recover(ask, before)
            if done is not None:
                return done
        merged = merge(base, proposal.fields, item.fields, proposal.tags, ask.force)
        if merged.conflicts:
            return Published(status="conflict", rev=item.rev, conflicts=merged.conflicts)
        change = ItemWrite(fields=merged.fields, tags=merged.tags, comment=comment_html(proposal.comment, ask.agent))
        if not (change.fields or change.tags or change.comment):
            return Published(status="unchanged", rev=item.rev)
        return await self._write(ask, item, change)

    async def _recover(self, ask: Publish, before: WriteRecord) -> Published | None:
        """What an earlier attempt came to; None when it certainly wrote nothing."""
        if before.status == "written":
            return Published(status="written", rev=before.rev, recovered=True)
        me = await self._tracker.identity(ask.key.organisation)
        updates = await self._tracker.updates(ask.key, after_rev=before.base_rev)
        made = next(
            (update for update in updates if update.revised_by == me and explains(before.values, update.changed)), None
        )
        if made is None:
            return None
        await self._ledger.settle(ask.operation, "written", made.rev, caller())
        return Published(status="written", rev=made.rev, recovered=True)

    async def _write(self, ask: Publish, item: TrackedItem, change: ItemWrite) -> Published:
        if self._guard and (broken := await self._guard.broken_by(ask, item, change)):
            return Published(status="held_back", rev=item.rev, broken=broken)
        intent = WriteIntent(
            operation=ask.operation,
            chain=chain(ask.tenant, ask.correlation_id, ask.key),
            base_rev=item.rev,
            values=_values(change),
        )
        await self._ledger.intend(intent, caller())
        try:
            written = await self._tracker.write(ask.key, item.rev, change)
        except Conflict as error:
            # Nothing was written. The next attempt reads the revision that overtook us and merges into that.
            raise Unavailable(f"revision {item.rev} was overtaken: {error}") from error
        except Rejected:
            await self._ledger.settle(ask.operation, "abandoned", 0, caller())
            raise
        await self._ledger.settle(ask.operation, "written", written.rev, caller())
        return Published(status="written", rev=written.rev)


def _judgement(event: WorkItemEvent, verdict: Verdict, reason: str) -> Judgement:
    return Judgement(delivery_id=event.delivery_id, verdict=verdict, rev=event.rev, reason=reason)


def _canonical(fields: Mapping[str, Json]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _values(change: ItemWrite) -> dict[str, Json]:
    """What the write sends, as the echo will bring it back."""
    values = dict(change.fields)
    if change.tags:
        values["System.Tags"] = "; ".join(change.tags)
    if change.comment:
        values["System.History"] = change.comment
    return values


def comment_html(markdown: str, agent: str) -> str:
    """The comment as System.History takes it; empty stays empty."""
    if not markdown.strip():
        return ""
    return str(MARKDOWN.render(markdown)).strip() + (
        f"<p><em>Written by agent {escape(agent)}.</em></p>" if agent else ""
    )
