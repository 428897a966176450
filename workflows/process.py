"""Check a project against the rules of its process, item by item, or one item to which something happened, and keep
what became of each violation."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.inspections import Inspections
from activities.process import ProcessChecks
from pointsman.contracts.violations import (
    ActOn,
    CheckCarry,
    CheckItem,
    CheckResult,
    CheckScope,
    CheckStep,
    Inspected,
    InspectItem,
    ProcessViolation,
    ViolationDecision,
)
from pointsman.domain.process.calls import NO_PLACE
from pointsman.domain.process.questions import told
from workflows.hearing import at_once
from workflows.reasons import reason_of
from workflows.showing import Showing
from workflows.violations import call_off, follow

BOOKS_TIME = timedelta(seconds=30)
BATCH_TIME = timedelta(minutes=30)  # a hundred items, each with some requests, at a service that may slow us down
HEARTBEAT = timedelta(seconds=10)
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=5))  # for as long as the service is away
# What comes to nothing is made up for by the item's next event, or by the check on schedule.
FEW = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=4)

CALLS_OFF = "call-off-decided"
"""Runs that began before this go on asking who takes a violation on, though somebody has decided on it."""


@workflow.defn
class CheckProcess(Showing):
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
            self._show(self._story())
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
            self._show(self._story())
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
class CheckWorkItem(Showing):
    """One run per item at a time: `starter.process_checks.item_workflow_id`. What happens meanwhile has it checked once
    more. An item that is worked on is checked by `DeliverWorkItem`."""

    @workflow.init
    def __init__(self, ask: CheckItem) -> None:
        self._next: InspectItem | None = ask.item

    @workflow.run
    async def run(self, ask: CheckItem) -> Inspected:
        found = Inspected()
        while (item := self._next) is not None:
            self._next = None
            found = await self._check(item, ask)
            if workflow.info().is_continue_as_new_suggested() and self._next is not None:
                workflow.continue_as_new(ask.model_copy(update={"item": self._next}))
        return found

    @workflow.signal
    def happened(self, item: InspectItem) -> None:
        """Something happened to it again. That it was deleted is not forgotten for what is told after it: deliveries
        come in any order, and the check looks whether it is there."""
        gone = item.gone or (self._next is not None and self._next.gone)
        self._next = item.model_copy(update={"gone": gone})

    async def _check(self, item: InspectItem, ask: CheckItem) -> Inspected:
        try:
            found = await at_once(Inspections.inspect, item, retry=FEW, summary="check the rules of its process")
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._show(f"It could not be checked: {reason_of(error)}")
            return Inspected()
        self._show("")  # an earlier check of this run may have come to nothing
        await call_off(found.called_off)
        if found.act:
            key = item.key
            told = ActOn(
                tenant=item.tenant,
                correlation_id=item.correlation_id,
                organisation=key.organisation,
                project=key.project,
                items=(key.id,),
                on_open=item.on_open,
                breaker=ask.breaker,
            )
            await follow(told, ask.ladders)
        return found


@workflow.defn
class DecideViolation:
    """Somebody acknowledges a violation or waives it, and nobody is asked any more who takes it on. One run per
    decision."""

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
        if found.asked and workflow.patched(CALLS_OFF):
            await call_off((found.id,))
        return found
