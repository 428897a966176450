"""The side effects of a check: settle what a project breaks, and keep what people decide of it."""

from temporalio import activity

from activities.checking import NO_GRAPHS, Checking
from activities.outside import beating, outside
from pointsman.contracts.violations import CheckCarry, CheckStep, ProcessViolation, ViolationDecision, ViolationVerb
from pointsman.domain.process.graphs import Graphs
from pointsman.ports import Rejected
from pointsman.ports_process import KeptViolations, RuledProjects, WholeProjects


class ProcessChecks:
    """`worker.py` hands in the client and the books."""

    def __init__(
        self,
        source: RuledProjects,
        violations: KeptViolations,
        graphs: Graphs = NO_GRAPHS,
        projects: WholeProjects | None = None,
    ) -> None:
        self._checking = Checking(source, violations, graphs, projects)
        self._violations = violations

    @activity.defn(name="process.check")
    async def check(self, step: CheckStep) -> CheckCarry:
        """Inspect the next hundred items. Safe to repeat: what an inspection has settled, another settles the same.

        Raises:
            ApplicationError: `Rejected` or its kinds, not retryable: we may not read the project.
        """
        with outside(f"process of {step.scope.organisation}/{step.scope.project}"):
            async with beating():
                return await self._checking.step(step)

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
