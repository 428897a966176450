"""Check one item against the rules of its process because something happened to it."""

from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, outside
from activities.rule_books import RuleBooks
from pointsman.contracts.process import ItemFacts, ProcessPolicy
from pointsman.contracts.violations import Inspected, Inspection, InspectItem, Settlement
from pointsman.domain.loose import string
from pointsman.domain.process.calls import concerns
from pointsman.domain.process.evaluation import Around, of_a_project, of_item
from pointsman.ports import Missing
from pointsman.ports_process import KeptViolations

PROJECT = "System.TeamProject"


class Inspections:
    """`worker.py` hands in the rules and the books."""

    def __init__(self, books: RuleBooks, violations: KeptViolations) -> None:
        self._books = books
        self._violations = violations

    @activity.defn(name="process.inspect")
    async def inspect(self, ask: InspectItem) -> Inspected:
        """Open and resolve what the item breaks in its present revision. Safe to repeat.

        Three requests, fewer where the item and those it is linked to were just read, and one for each linked pull
        request; one or two for an item that is gone. Nothing happens where the project has no rules.

        Raises:
            ApplicationError: `Rejected` or its kinds, not retryable: we may not read the project.
        """
        with outside(f"rules of {ask.key}"):
            async with beating():
                policy = await self._books.rules(ask.key.organisation, ask.key.project)
                if policy is None:
                    return Inspected()
                made = await self._inspection(ask, policy)
                if made is None:
                    return Inspected(process=policy.name)
                return _told(ask, made, await self._violations.settle(made))

    async def _inspection(self, ask: InspectItem, policy: ProcessPolicy) -> Inspection | None:
        """None where the item cannot be read, and nobody tells that it was deleted: then it is not known what it
        breaks. Events come in any order, so one that was restored behind its deletion is there, whatever is told."""
        key = ask.key
        around = Around(datetime.now(UTC), await self._books.agents(key.organisation))
        try:
            item = await self._books.item(key, policy)
        except Missing:
            if ask.gone or await self._books.source.in_bin(key.organisation, key.id):
                return inspection(ask, policy, ItemFacts(id=key.id, type="", state=""), around, gone=True)
            return None
        project = string(item.fields.get(PROJECT)) or key.project
        if project.casefold() == key.project.casefold():
            return inspection(ask, policy, item, around)
        return await self._elsewhere(ask.model_copy(update={"key": key.model_copy(update={"project": project})}))

    async def _elsewhere(self, ask: InspectItem) -> Inspection | None:
        """By the rules of the project that the item is in: an event of before it moved came late."""
        policy = await self._books.rules(ask.key.organisation, ask.key.project)
        return await self._inspection(ask, policy) if policy else _nothing(ask)


def _nothing(ask: InspectItem) -> Inspection:
    """Of an item that follows no rules."""
    no_rules = ProcessPolicy(name="", version="")
    return inspection(ask, no_rules, ItemFacts(id=ask.key.id, type="", state=""), Around(datetime.now(UTC)))


def inspection(
    ask: InspectItem, policy: ProcessPolicy, item: ItemFacts, around: Around, *, gone: bool = False
) -> Inspection:
    return Inspection(
        tenant=ask.tenant,
        process=policy.name,
        key=ask.key,
        rev=item.rev,
        at=around.now,
        checks=tuple(check.id for check in policy.checks if not of_a_project(check.rule)),
        findings=() if gone else tuple(of_item(policy, item, around)),
    )


def _told(ask: InspectItem, made: Inspection, settlement: Settlement) -> Inspected:
    return Inspected(
        process=made.process,
        rev=made.rev,
        opened=len(settlement.opened),
        resolved=len(settlement.resolved),
        act=any(concerns(ask.on_open, one) for one in settlement.untold),
        called_off=settlement.called_off,
    )
