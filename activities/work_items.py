"""The side effects of a work item's life: read it, judge what came in, write the outcome, keep the books."""

import json
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from html import escape

from markdown_it import MarkdownIt
from temporalio import activity

from activities.judging import Judge
from activities.links import wanted
from activities.outside import beating, caller, chain, outside
from activities.sync import Writer, overtaken
from activities.write_guard import WriteGuard
from pointsman.contracts.base import Json
from pointsman.contracts.conflicts import FieldOutcome
from pointsman.contracts.lifecycle import (
    Classify,
    Intake,
    Narrow,
    Narrowed,
    Publish,
    Published,
    RecordTransition,
    TakeIn,
)
from pointsman.contracts.sync import Agreed
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import ENDED, Judgement, Proposal
from pointsman.domain import briefing, proposals
from pointsman.domain.loose import string
from pointsman.domain.sync import merging
from pointsman.domain.sync.agreeing import canonical, links_of
from pointsman.domain.sync.kinds import STATE
from pointsman.domain.sync.no_ops import without_no_ops
from pointsman.domain.sync.recognising import marked
from pointsman.ports import Contents, Deliveries, Items, Ledger, WorkTracker
from pointsman.ports_sync import SyncBooks

POLICY = "policy"
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
        *,
        sync: SyncBooks,
    ) -> None:
        self._tracker = tracker
        self._contents = contents
        self._items = items
        self._guard = guard
        self._sync = sync
        self._judge = Judge(tracker, contents, ledger, deliveries, sync.agreements, sync.tombstones)
        self._writer = Writer(tracker, ledger, sync)

    @activity.defn(name="work_items.take_in")
    async def take_in(self, ask: TakeIn) -> Intake:
        """Read the item and keep the snapshot. Safe to repeat: equal snapshots are stored once.

        Raises:
            ApplicationError: `Missing` or `Rejected`, not retryable: there is no such item, or we may not see it.
        """
        with outside(f"read of {ask.key}"):
            async with beating():
                item = await self._tracker.get(ask.key)
                snapshot = await self._contents.put(canonical(item.fields))
                key = briefing.placed(ask.key, item.fields)
                facts = briefing.facts_of(key, item.fields, item.rev, item.url, deleted=item.deleted)
                facts = facts.model_copy(update={"snapshot": snapshot})
                whose = chain(ask.tenant, ask.correlation_id, key)
                await self._items.take_in(facts, whose, caller())
                await self._sync.tombstones.keep(whose, item.rev, caller(), deleted=item.deleted)
                if not item.deleted:
                    await self._sync.agreements.read(whose, item.rev, item.fields, links_of(item.relations))
                escalations, turns = await self._items.counts(key)
        return Intake(facts=facts, escalations=escalations, turns=turns)

    @activity.defn(name="work_items.classify")
    async def classify(self, ask: Classify) -> list[Judgement]:
        """Judge events against ledger and revision, in order. Safe to repeat: it keeps what an agent is to be told, and
        which deliveries were echoes.
        """
        with outside(f"events of {ask.key}"):
            async with beating():
                await self._tracker.heard(ask.key)
                return await self._judge.judge(ask)

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
            if record.transition.after in ENDED:
                await self._given_up(record)

    async def _given_up(self, record: RecordTransition) -> None:
        """A run that ends writes nothing more: what it was in conflict with stands."""
        standing = await self._sync.conflicts.find(organisation=record.key.organisation, item_id=record.key.id)
        if standing:
            outcomes = {one.conflict.field: FieldOutcome.THEIRS.value for one in standing}
            await self._sync.conflicts.settle(record.key, outcomes, record.transition.reason)

    @activity.defn(name="work_items.narrow")
    async def narrow(self, ask: Narrow) -> Narrowed:
        """Take out of a proposal what both sides agree on already. Safe to repeat: equal proposals are stored once."""
        with outside(f"proposal for {ask.key}"):
            proposal = Proposal.model_validate_json(await self._contents.get(ask.proposal))
            agreed = await self._sync.agreements.get(ask.key)
            left, unchanged = without_no_ops(proposal, agreed.fields, agreed.links) if agreed else (proposal, ())
            if unchanged:
                await self._contents.put(proposals.canonical(left))
            return Narrowed(proposal=proposals.refer(left), unchanged=unchanged)

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
        whose = chain(ask.tenant, ask.correlation_id, ask.key)
        proposal = Proposal.model_validate_json(await self._contents.get(ask.proposal))
        start: dict[str, Json] = json.loads(await self._contents.get(ask.base))
        item = await self._tracker.get(ask.key)
        if item.deleted:
            # Its history cannot be read: an attempt that was cut off stays in doubt until the comparison can.
            await self._sync.tombstones.keep(whose, item.rev, caller(), deleted=True)
            return Published(status="gone", rev=item.rev)
        rows = await self._writer.rows(ask.key, ask.operation)
        if rev := await self._writer.recover(whose, item, rows):
            await self._settled(ask, proposal)
            return Published(status="written", rev=rev, recovered=True)
        links = await wanted(self._sync.targets, ask.key, item, proposal.links, ask.leave_out)
        if links.impossible:
            if self._guard:
                await self._guard.tell_impossible(ask, item, links.impossible)
            return Published(status="held_back", rev=item.rev, impossible=links.impossible)
        agreed = await self._sync.agreements.get(ask.key)
        base = await self._base(ask, start, proposal, item, agreed)
        around = await self._around(ask, base, proposal, item)
        merged = merging.merge(base, proposal.fields, item.fields, proposal.tags, ask.sync, around)
        conflicts = merged.conflicts
        if not conflicts and overtaken(rows) >= ask.sync.attempts:
            conflicts = merging.overtaken(base, merged.fields, item.fields, overtaken(rows))
        if conflicts:
            await self._sync.conflicts.open(whose, ask.operation, item.rev, conflicts)
            return Published(status="conflict", rev=item.rev, conflicts=conflicts)
        if merged.settled:
            # Before the write: an attempt that dies behind it is recognised, and does not merge again.
            await self._sync.conflicts.open(whose, ask.operation, item.rev, merged.settled)
        comment = marked(comment_html(proposal.comment, ask.agent), ask.operation)
        change = ItemWrite(fields=merged.fields, tags=merged.tags, comment=comment, links=links.writes)
        if not (change.fields or change.tags or change.comment or change.links):
            await self._release(ask)
            await self._settled(ask, proposal)
            return Published(status="unchanged", rev=item.rev, settled=merged.settled)
        published = await self._write(ask, item, change)
        if published.status == "written":
            await self._settled(ask, proposal)
        return published.model_copy(update={"settled": merged.settled})

    async def _base(
        self, ask: Publish, start: Mapping[str, Json], proposal: Proposal, item: TrackedItem, agreed: Agreed | None
    ) -> dict[str, Json]:
        """What the proposal was made from. The history is asked where nothing else tells what the agent heard last."""
        base = merging.start_of(ask, start, item.fields, agreed)
        if names := merging.unsure(ask, proposal.fields, agreed):
            updates = await self._tracker.updates(ask.key, ask.base_rev)
            base |= merging.values_at(updates, names, ask.heard_rev)
        return base

    async def _around(
        self, ask: Publish, base: Mapping[str, Json], proposal: Proposal, item: TrackedItem
    ) -> merging.Around:
        """What strategies look at. Transitions of the item's type, and its history, are asked where they matter."""
        graph = None
        if STATE in proposal.fields and merging.has_moved(ask, proposal.fields, item):
            project = string(item.fields.get("System.TeamProject")) or ask.key.project
            kind = string(item.fields.get("System.WorkItemType"))
            graph = await self._sync.graphs.graph(ask.key.organisation, project, kind)
        theirs_at: Mapping[str, datetime] = {}
        if merging.asks_when(base, proposal.fields, item.fields, ask.sync):
            theirs_at = merging.changed_at(await self._tracker.updates(ask.key, ask.base_rev))
        steps = graph.steps if graph else None
        return merging.Around(ours_at=ask.proposed_at, theirs_at=theirs_at, transitions=steps)

    async def _write(self, ask: Publish, item: TrackedItem, change: ItemWrite) -> Published:
        if self._guard and (broken := await self._guard.broken_by(ask, item, change)):
            return Published(status="held_back", rev=item.rev, broken=broken)
        whose = chain(ask.tenant, ask.correlation_id, ask.key)
        await self._release(ask)
        if why := await self._writer.stopped(whose, ask.sync.breaker):
            return Published(status="quarantined", rev=item.rev, quarantine=why)
        written = await self._writer.write(whose, ask.operation, item, change)
        return Published(status="written", rev=written.rev)

    async def _release(self, ask: Publish) -> None:
        """Who let the item out of quarantine did so whatever is left to write."""
        if ask.released_by:
            await self._sync.quarantines.release(ask.key, ask.released_by)

    async def _settled(self, ask: Publish, proposal: Proposal) -> None:
        """Conflicts that a human decided on are closed by the write that follows, and so are those that policy settled:
        it can be seen whose value went."""
        standing = await self._sync.conflicts.find(organisation=ask.key.organisation, item_id=ask.key.id)
        decided = merging.outcomes(ask.decided, proposal.fields)
        us = ask.decided_by or ask.agent or POLICY
        whose = {one.field: one.by or us for one in ask.decided}
        closed: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for one in standing:
            name, by_policy = one.conflict.field, one.conflict.outcome
            if by_policy:  # also of what was changed behind a decision: nobody has seen that
                closed[POLICY][name] = by_policy
            elif name in decided:
                closed[whose[name]][name] = decided[name]
            else:
                closed[us][name] = FieldOutcome.OVERTAKEN.value
        for by, outcomes in closed.items():
            await self._sync.conflicts.settle(ask.key, outcomes, by)


def comment_html(markdown: str, agent: str) -> str:
    """The comment as System.History takes it; empty stays empty."""
    if not markdown.strip():
        return ""
    return str(MARKDOWN.render(markdown)).strip() + (
        f"<p><em>Written by agent {escape(agent)}.</em></p>" if agent else ""
    )
