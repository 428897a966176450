"""The side effects of a check: read items as rules look at them, and keep what became of each violation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio import activity

from activities.outside import beating, outside
from activities.rule_books import Completing
from pointsman.contracts.process import Finding, Graph, ItemFacts
from pointsman.contracts.violations import (
    CheckCarry,
    CheckScope,
    CheckStep,
    CheckTally,
    Inspection,
    ProcessViolation,
    Settlement,
    ViolationDecision,
    ViolationVerb,
)
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.calls import concerns
from pointsman.domain.process.evaluation import (
    Around,
    days_asked,
    fields_asked,
    of_a_project,
    of_item,
    of_project,
    types_asked,
)
from pointsman.domain.process.graphs import Graphs
from pointsman.domain.process.tallies import counted, project_facts, settled
from pointsman.ports import ItemReader, Missing, ProcessSource, ProcessViolations, Rejected
from pointsman.ports_process import WholeProjects

ITEMS_AT_ONCE = 100
NO_GRAPHS: Mapping[str, Mapping[str, Graph]] = {}


@dataclass
class _Batch:
    """What came of the items of one step."""

    tally: CheckTally
    act_on: list[int] = field(default_factory=list)
    called_off: list[str] = field(default_factory=list)

    def take(self, scope: CheckScope, item_id: int, settlement: Settlement) -> None:
        self.tally = settled(self.tally, settlement)
        self.called_off += settlement.called_off
        if any(concerns(scope.on_open, one) for one in settlement.untold):
            self.act_on.append(item_id)


class ProcessChecks:
    """`worker.py` hands in the client and the books."""

    def __init__(
        self,
        source: ProcessSource,
        violations: ProcessViolations,
        graphs: Graphs = NO_GRAPHS,
        projects: WholeProjects | None = None,
    ) -> None:
        self._source = source
        self._violations = violations
        self._graphs = graphs
        self._projects = projects

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
                batch = _Batch(carry.tally)
                reader = self._reader(scope)
                for item_id in ids:
                    around = Around(datetime.now(UTC), agents)
                    try:
                        item = await reader.item(item_id)
                    except Missing:
                        continue
                    inspection = _inspection(scope, item, around)
                    batch.tally = counted(scope.policy, batch.tally, item, inspection.findings)
                    batch.take(scope, item.id, await self._violations.settle(inspection))
                done = len(ids) < ITEMS_AT_ONCE
                return CheckCarry(
                    after=max([carry.after, *ids]),
                    done=done,
                    whole=await self._whole(scope, batch.tally) if done else (),
                    tally=batch.tally,
                    act_on=tuple(batch.act_on),
                    called_off=tuple(batch.called_off),
                )

    async def _whole(self, scope: CheckScope, tally: CheckTally) -> tuple[Finding, ...]:
        """What only all items together can tell, and the rules of its branches."""
        counted_of = project_facts(scope.policy, tally, scope.project)
        if self._projects is not None:
            seen = await self._projects.whole(scope.organisation, scope.project, days_asked(scope.policy))
            told = {"policies": seen.policies, "bypasses": seen.bypasses}
            counted_of = counted_of.model_copy(update=told)
        return tuple(of_project(scope.policy, counted_of))

    def _reader(self, scope: CheckScope) -> ItemReader:
        reader = self._source.reader(scope.organisation, fields_asked(scope.policy))
        return Completing(reader, self._graphs.get(scope.policy.base, {}))

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
