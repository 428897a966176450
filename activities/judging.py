"""What an event turns out to be: the echo of a write of ours, long known, or news that an agent is told."""

from dataclasses import dataclass, replace

from activities.outside import caller, chain
from activities.reading import HistoryReader
from pointsman.contracts.lifecycle import Classify
from pointsman.contracts.records import Chain, DeliveryState, WriteRecord
from pointsman.contracts.sync import Agreed
from pointsman.contracts.work_items import EventKind, Facts, Judgement, Verdict, WorkItemEvent, WorkItemKey
from pointsman.domain import briefing
from pointsman.domain.deliveries import Changes, Heard, read_bytes
from pointsman.domain.echoes import is_another, is_in_doubt, proves, told
from pointsman.domain.loose import string
from pointsman.domain.sync.agreeing import links_of
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
PLACES = frozenset({"System.TeamProject", "System.AreaPath", "System.WorkItemType"})


@dataclass(frozen=True)
class _Case:
    """One event, and all that is known of it."""

    event: WorkItemEvent
    heard: Heard
    changed: Changes
    comment: str = ""


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

    async def judge(self, ask: Classify, event: WorkItemEvent) -> Judgement:
        """Safe to repeat, except that what was news is then what both sides agree on: so what an agent is told is kept
        before the agreement moves."""
        if event.kind in (EventKind.DELETED, EventKind.RESTORED):
            return await self._judge_presence(ask, event)
        agreed = await self._agreements.get(ask.key)
        case = await self._case(ask, event, agreed)
        echo = await self._echo(ask.key, case, agreed)
        if echo:
            await self._deliveries.settle(event.delivery_id, DeliveryState.ECHO, echo, caller().workflow_id)
            judgement = _judgement(case.event, Verdict.ECHO, echo)
            await self._take_in(ask, case, own=True)
            return judgement
        judgement = await self._news(ask, case, agreed)
        await self._take_in(ask, case, own=False)
        return judgement

    async def _case(self, ask: Classify, event: WorkItemEvent, agreed: Agreed | None) -> _Case:
        delivery = await self._deliveries.get(event.delivery_id)
        heard = read_bytes(delivery.body) if delivery else NOTHING
        changed, comment = heard.changed, heard.comment
        if ask.reread or (delivery and heard.is_hint):
            read = await self._reader.read(ask, event, agreed)
            event, changed = read.event, read.changed
            heard = replace(
                heard, links_changed=read.exact, links_added=read.links_added, links_removed=read.links_removed
            )
            comment = string(changed.get(HISTORY, (None, None))[1])
        if comment:
            changed = {**changed, HISTORY: (None, comment)}
        return _Case(event, heard, changed, comment)

    async def _news(self, ask: Classify, case: _Case, agreed: Agreed | None) -> Judgement:
        event, heard = case.event, case.heard
        linked = bool(heard.links_added or heard.links_removed)
        if not (case.comment or linked) and 0 < event.rev <= ask.known_rev:
            return _judgement(event, Verdict.STALE, f"revision {event.rev} is taken into account")
        if why := known_already(agreed, heard, event.rev, case.changed):
            return _judgement(event, Verdict.STALE, why)
        told_already = 0 < event.rev <= ask.known_rev and not case.comment
        changed = {} if told_already else case.changed
        text = briefing.happened(event.actor, event.rev, changed, case.comment)
        text = "\n\n".join(filter(None, [text, briefing.linked(event.actor, heard.links_added, heard.links_removed)]))
        if not text:
            return _judgement(event, Verdict.STALE, "changes nothing that matters")
        instruction = await self._contents.put(text.encode())
        judgement = _judgement(event, Verdict.NEWS, text.split(":", 1)[0])
        moved_to = await self._moved_to(ask.key, changed)
        return judgement.model_copy(update={"instruction": instruction, "moved_to": moved_to})

    async def _moved_to(self, key: WorkItemKey, changed: Changes) -> Facts | None:
        """Where the item is now, if the event moved it. One that cannot be read is nowhere."""
        if PLACES.isdisjoint(changed):
            return None
        try:
            item = await self._tracker.get(key)
        except Missing:
            return None
        where = briefing.placed(key, item.fields)
        return None if item.deleted else briefing.facts_of(where, item.fields, item.rev, item.url, deleted=False)

    async def _take_in(self, ask: Classify, case: _Case, *, own: bool) -> None:
        """Both sides agree on what the event brings from now on."""
        heard, key, whose = case.heard, ask.key, _chain(ask)
        version = {heard.comment_id: heard.comment_version or 1} if heard.comment_id else None
        links = links_of((await self._tracker.get(key)).relations) if heard.links_changed else None
        changes = {name: new for name, (_, new) in case.changed.items() if name != HISTORY}
        if changes or version or links is not None:
            update = case.event.update_id if heard.links_changed else 0
            await self._agreements.advance(
                whose, case.event.rev, changes, links=links, comments=version, link_update=update
            )
        if own and heard.comment_id:
            await self._agreements.own_comment(whose, heard.comment_id)

    async def _echo(self, key: WorkItemKey, case: _Case, agreed: Agreed | None) -> str:
        """Why the event is an echo, empty where it is none. A write in doubt is settled where the event proves it."""
        event, heard = case.event, case.heard
        if case.comment and own_comment(agreed, heard) and not await self._by_another(key, event):
            return told(f"comment {heard.comment_id}")
        write = write_of(await self._ledger.writes(key), event.rev, case.changed, heard)
        if write is None:
            return await self._other_end(key, case)
        # A revision that our PATCH made is ours. A link or an edited comment moves none, and a doubt is a doubt.
        sure = not is_in_doubt(write) and write.rev == event.rev and bool(case.changed)
        sure = sure and not {LINKS, UNLINKS} & write.values.keys()
        if not sure and await self._by_another(key, event):
            return ""
        await self._settle(write, case)
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

    async def _settle(self, write: WriteRecord, case: _Case) -> None:
        if is_in_doubt(write) and COMMENT not in write.values and proves(write, case.changed):
            evidence = f"delivery {case.event.delivery_id}"
            await self._ledger.settle(write.operation, "written", case.event.rev, caller(), evidence)

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
