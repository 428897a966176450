"""What an event turns out to be: the echo of a write of ours, long known, or news that an agent is told.

Events that waited together are judged in one pass: what they have in common is read once, and what they bring is agreed
on once, behind the last.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from activities.outside import caller, chain
from activities.reading import HistoryReader
from pointsman.contracts.lifecycle import Classify
from pointsman.contracts.records import Chain, Delivery, DeliveryState, WriteRecord
from pointsman.contracts.sync import Advance, Agreed
from pointsman.contracts.tracker import TrackedItem
from pointsman.contracts.work_items import EventKind, Facts, Judgement, Verdict, WorkItemEvent, WorkItemKey
from pointsman.domain import briefing
from pointsman.domain.deliveries import Changes, Heard, read_bytes
from pointsman.domain.echoes import is_another, is_in_doubt, proves, told
from pointsman.domain.loose import moment, string
from pointsman.domain.sync.agreeing import links_of, stepped
from pointsman.domain.sync.recognising import (
    COMMENT,
    HISTORY,
    LINKS,
    UNLINKS,
    known_already,
    linking,
    other_ends,
    own_comment,
    write_of,
)
from pointsman.ports import Contents, Deliveries, Ledger, Missing, WorkTracker
from pointsman.ports_reconciliation import Tombstones
from pointsman.ports_sync import Agreements

NOTHING = Heard()
PRESENCE = (EventKind.DELETED, EventKind.RESTORED)
IDLE = "nothing happened that matters: a comment was taken back, or a card moved on a board"
PLACES = frozenset({"System.TeamProject", "System.AreaPath", "System.WorkItemType"})


@dataclass(frozen=True)
class _Case:
    """One event, and all that is known of it."""

    event: WorkItemEvent
    heard: Heard
    changed: Changes
    comment: str = ""
    is_idle: bool = False
    """The item's history says that nothing happened that matters: where the item was worked on, it is as good as an
    echo."""


class _Pass:
    """What is known of an item while its events are judged: what both sides agree on, with what the events before have
    brought; and what is read at its first use: our writes, the item as it is now."""

    def __init__(self, ask: Classify, agreed: Agreed | None, bodies: Mapping[str, Delivery]) -> None:
        self.ask = ask
        self.agreed = agreed
        self.bodies = bodies
        self.steps: list[Advance] = []
        self.told: dict[str, str] = {}
        """What is news, by delivery."""
        self.writes: Sequence[WriteRecord] | None = None
        self.present: TrackedItem | None = None

    def take(self, step: Advance) -> None:
        self.steps.append(step)
        self.agreed = stepped(self.agreed, step) if self.agreed else None


class Judge:
    """Looks into the ledger first, then at what both sides agree on, and takes in what an event brings."""

    def __init__(
        self,
        tracker: WorkTracker,
        contents: Contents,
        ledger: Ledger,
        deliveries: Deliveries,
        agreements: Agreements,
        tombstones: Tombstones,
    ) -> None:
        self._tracker = tracker
        self._contents = contents
        self._ledger = ledger
        self._deliveries = deliveries
        self._agreements = agreements
        self._tombstones = tombstones
        self._reader = HistoryReader(tracker)

    async def judge(self, ask: Classify) -> list[Judgement]:
        """Safe to repeat, except that what was news is then what both sides agree on: so what an agent is told is kept
        before the agreement moves, and that moves for all events or for none."""
        told = [one.delivery_id for one in ask.events if one.kind not in PRESENCE]
        agreed = await self._agreements.get(ask.key) if told else None
        now = _Pass(ask, agreed, await self._deliveries.several(told) if told else {})
        judged = [await self._judge(now, event) for event in ask.events]
        kept = await asyncio.gather(*(self._contents.put(text.encode()) for text in now.told.values()))
        instructions = dict(zip(now.told, kept, strict=True))
        await self._agreements.advance_all(_chain(ask), now.steps)
        return [one.model_copy(update={"instruction": instructions.get(one.delivery_id, "")}) for one in judged]

    async def _judge(self, now: _Pass, event: WorkItemEvent) -> Judgement:
        if event.kind in PRESENCE:
            return await self._judge_presence(now.ask, event)
        case = await self._case(now, event)
        echo = await self._echo(now, case)
        if why := echo or (IDLE if case.is_idle and not now.ask.fresh else ""):
            await self._deliveries.settle(event.delivery_id, DeliveryState.ECHO, why, caller().workflow_id)
            await self._take_in(now, case, own=bool(echo))
            return _judgement(case.event, Verdict.ECHO, why)
        judgement = await self._news(now, case)
        await self._take_in(now, case, own=False)
        return judgement

    async def _case(self, now: _Pass, event: WorkItemEvent) -> _Case:
        delivery = now.bodies.get(event.delivery_id)
        heard = read_bytes(delivery.body) if delivery else NOTHING
        changed, comment, is_idle = heard.changed, heard.comment, False
        if now.ask.reread or (delivery and heard.is_hint):
            read = await self._reader.read(now.ask, event, now.agreed, moment(heard.created_date))
            event, changed, is_idle = read.event, read.changed, read.is_idle
            heard = replace(
                heard, links_changed=read.exact, links_added=read.links_added, links_removed=read.links_removed
            )
            comment = string(changed.get(HISTORY, (None, None))[1])
        if comment:
            changed = {**changed, HISTORY: (None, comment)}
        return _Case(event, heard, changed, comment, is_idle)

    async def _news(self, now: _Pass, case: _Case) -> Judgement:
        event, heard, ask = case.event, case.heard, now.ask
        linked = bool(heard.links_added or heard.links_removed)
        if not (case.comment or linked) and 0 < event.rev <= ask.known_rev:
            return _judgement(event, Verdict.STALE, f"revision {event.rev} is taken into account")
        if why := known_already(now.agreed, heard, event.rev, case.changed):
            return _judgement(event, Verdict.STALE, why)
        told_already = 0 < event.rev <= ask.known_rev and not case.comment
        changed = {} if told_already else case.changed
        text = briefing.happened(event.actor, event.rev, changed, case.comment)
        text = "\n\n".join(filter(None, [text, briefing.linked(event.actor, heard.links_added, heard.links_removed)]))
        if not text:
            return _judgement(event, Verdict.STALE, "changes nothing that matters")
        now.told[event.delivery_id] = text
        judgement = _judgement(event, Verdict.NEWS, text.split(":", 1)[0])
        return judgement.model_copy(update={"moved_to": await self._moved_to(now, changed)})

    async def _moved_to(self, now: _Pass, changed: Changes) -> Facts | None:
        """Where the item is now, if the event moved it. One that cannot be read is nowhere."""
        key = now.ask.key
        if PLACES.isdisjoint(changed):
            return None
        try:
            item = await self._present(now)
        except Missing:
            return None
        where = briefing.placed(key, item.fields)
        return None if item.deleted else briefing.facts_of(where, item.fields, item.rev, item.url, deleted=False)

    async def _take_in(self, now: _Pass, case: _Case, *, own: bool) -> None:
        """Both sides agree on what the event brings from now on."""
        heard = case.heard
        version = {heard.comment_id: heard.comment_version or 1} if heard.comment_id else None
        links = links_of((await self._present(now)).relations) if heard.links_changed else None
        changes = {name: new for name, (_, new) in case.changed.items() if name != HISTORY}
        if changes or version or links is not None:
            update = case.event.update_id if heard.links_changed else 0
            now.take(
                Advance(
                    rev=case.event.rev,
                    changes=changes,
                    links=links,
                    comments=version,
                    link_update=update,
                    own_comment=heard.comment_id if own else 0,
                )
            )

    async def _present(self, now: _Pass) -> TrackedItem:
        """The item as it is, read behind all of the events. Raises as `WorkTracker.get`."""
        now.present = now.present or await self._tracker.get(now.ask.key)
        return now.present

    async def _writes(self, now: _Pass) -> Sequence[WriteRecord]:
        if now.writes is None:
            now.writes = await self._ledger.writes(now.ask.key)
        return now.writes

    async def _echo(self, now: _Pass, case: _Case) -> str:
        """Why the event is an echo, empty where it is none. A write in doubt is settled where the event proves it."""
        event, heard, key = case.event, case.heard, now.ask.key
        write = write_of(await self._writes(now), event.rev, case.changed, heard)
        if case.comment and own_comment(now.agreed, heard) and not await self._by_another(key, event):
            return told(write.operation) if write else f"our comment {heard.comment_id}"
        if write is None:
            return await self._other_end(key, case)
        # A revision that our PATCH made is ours. A link or an edited comment moves none, and a doubt is a doubt.
        sure = not is_in_doubt(write) and write.rev == event.rev and bool(case.changed)
        sure = sure and not {LINKS, UNLINKS} & write.values.keys()
        if not sure and await self._by_another(key, event):
            return ""
        await self._settle(now, write, case)
        return told(write.operation)

    async def _other_end(self, key: WorkItemKey, case: _Case) -> str:
        """Why it shows nothing but the other ends of links that we wrote to other items; empty if it does not."""
        ends = other_ends(case.heard) if not case.changed else {}
        if not ends or await self._by_another(key, case.event):
            return ""
        operation = ""
        for item_id, (added, removed) in ends.items():
            write = linking(await self._ledger.writes(key.model_copy(update={"id": item_id})), added, removed)
            if write is None:
                return ""
            operation = write.operation
        return told(operation)

    async def _settle(self, now: _Pass, write: WriteRecord, case: _Case) -> None:
        if is_in_doubt(write) and COMMENT not in write.values and proves(write, case.changed):
            evidence = f"delivery {case.event.delivery_id}"
            await self._ledger.settle(write.operation, "written", case.event.rev, caller(), evidence)
            now.writes = None

    async def _by_another(self, key: WorkItemKey, event: WorkItemEvent) -> bool:
        return is_another(event.actor, await self._tracker.identity(key.organisation))

    async def _judge_presence(self, ask: Classify, event: WorkItemEvent) -> Judgement:
        """A deletion or restoration counts when the item is in that state now: they overtake each other."""
        try:
            item = await self._tracker.get(ask.key)
            deleted, rev = item.deleted, item.rev
        except Missing:
            # The event says so, and not even the recycle bin has it. That alone would not make it deleted.
            deleted, rev = event.kind is EventKind.DELETED, event.rev
        await self._tombstones.keep(_chain(ask), rev, caller(), deleted=deleted)
        wanted = event.kind is EventKind.DELETED
        if deleted != wanted:
            return _judgement(event, Verdict.STALE, f"{event.kind} was overtaken")
        verdict = Verdict.DELETED if wanted else Verdict.RESTORED
        return _judgement(event, verdict, f"{event.kind} by {event.actor or 'somebody'}")


def _chain(ask: Classify) -> Chain:
    return chain(ask.tenant, ask.correlation_id, ask.key)


def _judgement(event: WorkItemEvent, verdict: Verdict, reason: str) -> Judgement:
    return Judgement(delivery_id=event.delivery_id, verdict=verdict, rev=event.rev, reason=reason)
