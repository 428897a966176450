"""Check a project against the rules of its process, item by item, and keep what became of each violation."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy

from activities.process import ProcessChecks
from pointsman.contracts.violations import (
    ActOn,
    CheckCarry,
    CheckResult,
    CheckScope,
    CheckStep,
    ProcessViolation,
    ViolationDecision,
)
from pointsman.domain.process.calls import NO_PLACE
from pointsman.domain.process.questions import told
from workflows.violations import call_off, follow

BOOKS_TIME = timedelta(seconds=30)
BATCH_TIME = timedelta(minutes=30)  # a hundred items, each with some requests, at a service that may slow us down
HEARTBEAT = timedelta(seconds=10)
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=5))  # for as long as the service is away


@workflow.defn
class CheckProcess:
    """One run per project at a time: `starter.process_checks.workflow_id`."""

    @workflow.init
    def __init__(self, step: CheckStep) -> None:
        self._carry = step.carry
        self._uncommented: tuple[str, ...] = ()

    @workflow.run
    async def run(self, step: CheckStep) -> CheckResult:
        scope = step.scope
        while not self._carry.done:
            self._carry = await workflow.execute_activity_method(
                ProcessChecks.check,
                CheckStep(scope=scope, carry=self._carry),
                start_to_close_timeout=BATCH_TIME,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=PATIENT,
                summary=f"items above {self._carry.after}",
            )
            workflow.set_current_details(self._story())
            await self._follow(scope)
            if workflow.info().is_continue_as_new_suggested() and not self._carry.done:
                workflow.continue_as_new(CheckStep(scope=scope, carry=self._carry))
        name = f"{scope.organisation}/{scope.project}"
        return CheckResult(scope=name, process=scope.policy.name, tally=self._carry.tally, whole=self._carry.whole)

    async def _follow(self, scope: CheckScope) -> None:
        """What the batch opened or resolved is told to people."""
        await call_off(self._carry.called_off)
        if self._carry.act_on:
            ask = ActOn(
                tenant=scope.tenant,
                correlation_id="",
                organisation=scope.organisation,
                project=scope.project,
                items=self._carry.act_on,
                on_open=scope.on_open,
            )
            self._uncommented = (await follow(ask, scope.ladders)).uncommented
            workflow.set_current_details(self._story())
        self._carry = self._carry.model_copy(update={"act_on": (), "called_off": ()})

    @workflow.query
    def progress(self) -> CheckCarry:
        """How far it is, and what it has found."""
        return self._carry

    def _story(self) -> str:
        tally = self._carry.tally
        without = f" No comment on {', '.join(self._uncommented)}: {NO_PLACE}." if self._uncommented else ""
        return (
            f"{tally.items} items inspected, up to {self._carry.after}. "
            f"Violations: {tally.standing} stand, {tally.opened} opened, {tally.resolved} resolved.{without}"
        )


@workflow.defn
class DecideViolation:
    """Somebody acknowledges a violation or waives it. One run per decision."""

    @workflow.run
    async def run(self, decision: ViolationDecision) -> ProcessViolation:
        found = await workflow.execute_activity_method(
            ProcessChecks.decide,
            decision,
            start_to_close_timeout=BOOKS_TIME,
            retry_policy=PATIENT,
            summary=f"{decision.verb.value} {decision.violation_id}",
        )
        workflow.set_current_details(told(found))
        return found
