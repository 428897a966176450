"""The side effects of a check: read items as rules look at them, and keep what became of each violation."""

from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, outside
from pointsman.contracts.process import ItemFacts
from pointsman.contracts.violations import (
    CheckCarry,
    CheckScope,
    CheckStep,
    Inspection,
    ProcessViolation,
    ViolationDecision,
    ViolationVerb,
)
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.evaluation import Around, fields_asked, of_a_project, of_item, types_asked
from pointsman.domain.process.tallies import counted, settled
from pointsman.ports import Missing, ProcessSource, ProcessViolations, Rejected

ITEMS_AT_ONCE = 100


class ProcessChecks:
    """`worker.py` hands in the client and the books."""

    def __init__(self, source: ProcessSource, violations: ProcessViolations) -> None:
        self._source = source
        self._violations = violations

    @activity.defn(name="process.check")
    async def check(self, step: CheckStep) -> CheckCarry:
        """Inspect the next hundred items. Safe to repeat: what an inspection has settled, another settles the same.

        Three requests an item and one for each linked pull request. Items that are gone meanwhile are passed over.

        Raises:
            ApplicationError: `Rejected` or its kinds, not retryable: we may not read the project.
        """
        scope, carry = step.scope, step.carry
        with outside(f"process of {scope.organisation}/{scope.project}"):
            async with beating():
                where = types_asked(scope.policy)
                ids = await self._source.ids(scope.organisation, scope.project, where, carry.after, ITEMS_AT_ONCE)
                agents = frozenset({(await self._source.identity(scope.organisation)).casefold()})
                reader = self._source.reader(scope.organisation, fields_asked(scope.policy))
                tally = carry.tally
                for item_id in ids:
                    around = Around(datetime.now(UTC), agents)
                    try:
                        item = await reader.item(item_id)
                    except Missing:
                        continue
                    inspection = _inspection(scope, item, around)
                    tally = counted(scope.policy, tally, item, inspection.findings)
                    tally = settled(tally, await self._violations.settle(inspection))
                return CheckCarry(after=max([carry.after, *ids]), done=len(ids) < ITEMS_AT_ONCE, tally=tally)

    @activity.defn(name="process.decide")
    async def decide(self, decision: ViolationDecision) -> ProcessViolation:
        """Acknowledge or waive. Safe to repeat: the same decision changes nothing twice.

        Raises:
            ApplicationError: `Missing`, or `Rejected` for one that is resolved or a waiver that is over; not retryable.
        """
        with outside(f"decision on {decision.violation_id}"):
            if decision.verb is ViolationVerb.ACKNOWLEDGE:
                return await self._violations.acknowledge(decision.violation_id, decision.by, decision.reason)
            if decision.until is None or not decision.reason:
                raise Rejected("a waiver needs a reason and an end: nothing was changed")
            return await self._violations.waive(decision.violation_id, decision.by, decision.reason, decision.until)


def _inspection(scope: CheckScope, item: ItemFacts, around: Around) -> Inspection:
    return Inspection(
        tenant=scope.tenant,
        process=scope.policy.name,
        key=WorkItemKey(organisation=scope.organisation, project=scope.project, id=item.id),
        rev=item.rev,
        at=around.now,
        checks=tuple(check.id for check in scope.policy.checks if not of_a_project(check.rule)),
        findings=tuple(of_item(scope.policy, item, around)),
    )
