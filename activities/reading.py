"""What an item's history tells of an event: a delivery is a hint, and may carry nothing but the item's id."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pointsman.contracts.lifecycle import Classify
from pointsman.contracts.sync import Agreed
from pointsman.contracts.tracker import ItemUpdate
from pointsman.contracts.work_items import EventKind, WorkItemEvent
from pointsman.domain.deliveries import Changes, leaves_all
from pointsman.domain.echoes import is_another, is_noise
from pointsman.domain.sync.agreeing import links_of
from pointsman.domain.sync.recognising import HISTORY
from pointsman.ports import WorkTracker

RECENT = 100
"""So many revisions are looked through first for the one that said something."""
SAME_MOMENT = timedelta(seconds=1)
"""The service tells moments by different clocks, and in steps."""
CLOSE = timedelta(seconds=2)
"""Between a comment and its event: of several within it any may be meant."""


@dataclass(frozen=True)
class ReadAgain:
    """An event with the revision and the account that the history names, and what it changed."""

    event: WorkItemEvent
    changed: Changes = field(default_factory=dict)
    links_added: tuple[str, ...] = ()
    links_removed: tuple[str, ...] = ()
    exact: bool = False
    """The links are those of the event's own entry, and not all that came and went since both sides agreed."""
    is_idle: bool = False
    """Nothing happened that matters. Never of an event that names no entry of the history: it may be any."""


class HistoryReader:
    def __init__(self, tracker: WorkTracker) -> None:
        self._tracker = tracker

    async def read(
        self, ask: Classify, event: WorkItemEvent, agreed: Agreed | None, created_at: datetime | None
    ) -> ReadAgain:
        """One request or two, and one more where links moved that no entry is named for, or something was said.

        Without revision and update the event is whatever happened since what is known. Links that move no revision are
        then told by what both sides agree on: those that came and went since. A repeated attempt must find the same,
        so that nothing is agreed on because of them.
        """
        event = await self._named(ask, event, created_at)
        updates = await self._entries(ask, event)
        if not updates:
            return ReadAgain(event)
        named = bool(event.update_id or event.rev)
        changed = _changes([one for one in updates if named or one.rev > ask.known_rev])
        linked = [one for one in updates if one.links_added or one.links_removed]
        last = updates[-1] if changed or not linked else linked[-1]
        event = event.model_copy(update={"rev": last.rev, "actor": last.revised_by or event.actor})
        if not linked:
            return ReadAgain(event, changed, is_idle=named and all(leaves_all(one.changed) for one in updates))
        if event.update_id:
            added, removed = links_of(linked[-1].links_added), links_of(linked[-1].links_removed)
            return ReadAgain(event, changed, added, removed, exact=True)
        now = frozenset(links_of((await self._tracker.get(ask.key)).relations))
        before = frozenset(agreed.links) if agreed else now
        return ReadAgain(event, changed, tuple(sorted(now - before)), tuple(sorted(before - now)))

    async def _named(self, ask: Classify, event: WorkItemEvent, created_at: datetime | None) -> WorkItemEvent:
        """Of a comment a delivery may name the item alone: meant is the last entry before it that says something. Else
        our own comment would be taken for news by the run that it starts, and answered, and so on for ever."""
        if event.kind is not EventKind.COMMENTED or event.update_id or event.rev or created_at is None:
            return event
        latest = created_at + SAME_MOMENT
        for since in sorted({max(ask.known_rev - RECENT, 0), 0}, reverse=True):
            told = [one for one in await self._tracker.updates(ask.key, since) if one.changed.get(HISTORY)]
            if said := [one for one in told if one.revised_at and one.revised_at <= latest]:
                meant = await self._likeliest(ask, said, created_at)
                return event.model_copy(update={"update_id": meant.id, "rev": meant.rev})
        return event

    async def _likeliest(self, ask: Classify, said: Sequence[ItemUpdate], created_at: datetime) -> ItemUpdate:
        """The last. Where ours follows close upon what somebody says, theirs: taken for an echo, it would be lost."""
        account = await self._tracker.identity(ask.key.organisation)
        close = [one for one in said if one.revised_at and one.revised_at >= created_at - CLOSE]
        return next((one for one in reversed(close) if is_another(one.revised_by, account)), said[-1])

    async def _entries(self, ask: Classify, event: WorkItemEvent) -> Sequence[ItemUpdate]:
        """Entries of the history that the event may be."""
        since = max((event.rev or ask.known_rev) - 1, 0)
        updates = await self._tracker.updates(ask.key, since)
        if not event.update_id:
            return [one for one in updates if one.rev == event.rev] if event.rev else updates
        found = [one for one in updates if one.id == event.update_id]
        if not found and since:  # late: the item has moved on since
            found = [one for one in await self._tracker.updates(ask.key) if one.id == event.update_id]
        return found


def _changes(updates: Sequence[ItemUpdate]) -> Changes:
    """Each field from before the first change of it to after the last."""
    changed: Changes = {}
    for update in updates:
        for name, (old, new) in update.changed.items():
            if not is_noise(name):
                changed[name] = (changed[name][0] if name in changed else old, new)
    return changed
