"""Hold back writes of ours that would break rules of the item's process."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from activities.outside import caller, chain
from activities.rule_books import RuleBooks
from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import ImpossibleLink, Publish
from pointsman.contracts.process import CheckSeverity, ItemFacts, LinkedItem
from pointsman.contracts.process_control import Breach, BrokenRule
from pointsman.contracts.records import AuditEvent
from pointsman.contracts.tracker import ItemWrite, LinkWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.echoes import tags_of
from pointsman.domain.links import opposite
from pointsman.domain.loose import string
from pointsman.domain.process.evaluation import Around
from pointsman.domain.process.foresight import asks_of_links, changed, end_of, newly_broken, unlinked
from pointsman.domain.process.history_rules import TYPE
from pointsman.domain.sync.agreeing import link_name
from pointsman.ports import Audit, Unavailable

TAGS, PROJECT = "System.Tags", "System.TeamProject"


class WriteGuard:
    """Asked before each write. Three requests where policy wants it, and as many for each item that a link leads to;
    none where the write changes neither field nor link. Where a rule over links decides, what they lead to is asked for
    now, and not as it was read some seconds ago."""

    def __init__(self, books: RuleBooks, audit: Audit) -> None:
        self._books = books
        self._audit = audit

    async def broken_by(self, ask: Publish, item: TrackedItem, change: ItemWrite) -> tuple[BrokenRule, ...]:
        """Rules that the write would break, but for those that somebody let pass. What there is, is told to the audit
        log.

        Raises:
            Unavailable: the item moved on since it was read, or the service does not answer now.
            Rejected: it cannot be known.
        """
        if ask.enforce_from is None or not moves(change):
            return ()
        broken = await self._foresee(ask.key, item, change, ask.enforce_from)
        held = tuple(one for one in broken if not _may_pass(ask, one))
        if broken:
            action = Action.WRITE_HELD_BACK if held else Action.WRITE_ALLOWED
            await self._tell(ask, item, action, [one.check for one in held or broken])
        return held

    async def tell_impossible(self, ask: Publish, item: TrackedItem, links: Sequence[ImpossibleLink]) -> None:
        """Tell the audit log of a write that is not sent because links of it cannot be made. Idempotent."""
        await self._tell(ask, item, Action.WRITE_HELD_BACK, [f"link {one.link}" for one in links])

    async def why_not(self, limit: CheckSeverity | None, key: WorkItemKey, item: TrackedItem, change: ItemWrite) -> str:
        """Rules of at least this severity that a write would break, in words; empty for none.

        Raises as `broken_by`.
        """
        broken = await self._foresee(key, item, change, limit) if limit and moves(change) else ()
        told = "; ".join(f"{one.check} ({one.severity}), {one.title}: {one.evidence}" for one in broken)
        return f"rules of the process would be broken: {told}" if told else ""

    async def _foresee(
        self, key: WorkItemKey, item: TrackedItem, change: ItemWrite, limit: CheckSeverity
    ) -> tuple[BrokenRule, ...]:
        policy = await self._books.rules(key.organisation, key.project)
        if policy is None:
            return ()
        linked_now = asks_of_links(policy, limit, string(item.fields.get(TYPE)))
        facts = await self._books.item(key, policy, linked_now=linked_now)
        if facts.rev != item.rev:
            raise Unavailable(f"{key} moved from revision {item.rev} to {facts.rev} before it was written")
        around = Around(datetime.now(UTC), await self._books.agents(key.organisation))
        by = await self._books.source.identity(key.organisation)
        added, gone = [_end(link) for link in change.links], [_end(link) for link in change.unlinks]
        others = [key.model_copy(update={"id": number}) for _, number in (*added, *gone) if number]
        linked_now = asks_of_links(policy, limit)
        ends = {one.id: await self._books.item(one, policy, linked_now=linked_now) for one in others}
        links = [
            end_of(ends[number], relation) if number else LinkedItem(relation=relation) for relation, number in added
        ]
        after = changed(unlinked(facts, gone), _written(item, change), by, around.now, links)
        found = list(newly_broken(policy, facts, after, around, limit))
        for number, end in ends.items():
            there = [end_of(after, opposite(relation)) for relation, other in added if other == number]
            left = [(opposite(relation), key.id) for relation, other in gone if other == number]
            then = changed(unlinked(end, left), {}, by, around.now, there)
            found += await self._broken_there(key, end, then, around, limit)
        return tuple(found)

    async def _broken_there(
        self, key: WorkItemKey, before: ItemFacts, after: ItemFacts, around: Around, limit: CheckSeverity
    ) -> list[BrokenRule]:
        """What a link does to the item at its other end, by the rules of the project where that is."""
        policy = await self._books.rules(key.organisation, string(before.fields.get(PROJECT)) or key.project)
        broken = newly_broken(policy, before, after, around, limit) if policy else ()
        return [one.model_copy(update={"evidence": f"work item {before.id}: {one.evidence}"}) for one in broken]

    async def _tell(self, ask: Publish, item: TrackedItem, action: Action, checks: list[Json]) -> None:
        asked_by, allowed_by = caller(), ask.despite if action is Action.WRITE_ALLOWED else ""
        await self._audit.append(
            AuditEvent(
                id=f"{action.value}/{ask.operation}/{item.rev}",
                action=action.value,
                actor=allowed_by or f"{asked_by.workflow_id}/{asked_by.run_id}",
                at=datetime.now(UTC),
                chain=chain(ask.tenant, ask.correlation_id, ask.key),
                data={"operation": ask.operation, "rev": item.rev, "checks": checks, "proposal": ask.proposal},
            )
        )


def _may_pass(ask: Publish, broken: BrokenRule) -> bool:
    """What somebody has let pass is how they saw it broken; of runs from before that was kept, the check."""
    if not (ask.let_pass or ask.allowed_breaches):
        return bool(ask.despite)
    shown = Breach(check=broken.check, evidence=broken.evidence) in ask.allowed_breaches
    return bool(ask.despite) and (shown or broken.check in ask.let_pass)


def moves(change: ItemWrite) -> bool:
    """Whether it changes more than what is said on the item."""
    return bool(change.fields or change.tags or change.links or change.unlinks)


def _end(link: LinkWrite) -> tuple[str, int]:
    """A link as rules see it: its relation, or name for code, and the item that it leads to; 0 for none."""
    number = link_name(link.rel, link.url).rpartition(" ")[2]
    return link.name or link.rel, int(number) if opposite(link.rel) and number.isdecimal() else 0


def _written(item: TrackedItem, change: ItemWrite) -> Mapping[str, Json]:
    """Fields as they would be. Tags are added to those that are there."""
    if not change.tags:
        return change.fields
    there = string(item.fields.get(TAGS))
    new = [tag for tag in change.tags if tag.strip().casefold() not in tags_of(there)]
    return {**change.fields, TAGS: "; ".join(filter(None, [there, *new]))}
