"""What follows when violations open or are resolved: people are told, asked, and asked no longer."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import (
    ActivityError,
    FailureError,
    WorkflowAlreadyStartedError,
    is_cancelled_exception,
)
from temporalio.workflow import ParentClosePolicy

from activities.process import ProcessChecks
from activities.violation_calls import ViolationCalls
from pointsman.contracts.escalations import Resolution
from pointsman.contracts.policy import Ladder
from pointsman.contracts.violations import (
    ActOn,
    Called,
    ProcessViolation,
    QuestionAbout,
    ViolationDecision,
    ViolationVerb,
)
from pointsman.domain import story
from pointsman.domain.lifecycle import DEFAULT_RUNGS
from pointsman.domain.process import questions
from workflows import attributes
from workflows.escalations import ResolveEscalation
from workflows.showing import Showing

BOOKS_TIME = timedelta(seconds=30)
CALLS_TIME = timedelta(minutes=2)
BEAT = timedelta(seconds=10)
PATIENT = RetryPolicy(maximum_interval=timedelta(minutes=5))
FEW = RetryPolicy(maximum_attempts=5)  # what comes to nothing is done with the item's next check


def question_id(violation_id: str) -> str:
    """`process/question/VIO-7`."""
    return f"process/question/{violation_id}"


async def follow(ask: ActOn, ladders: Sequence[Ladder]) -> Called:
    """Do what policy wants, and put the questions. A failure leaves it to the next check of the items."""
    try:
        called: Called = await workflow.execute_activity_method(
            ViolationCalls.act,
            ask,
            start_to_close_timeout=CALLS_TIME,
            heartbeat_timeout=BEAT,
            retry_policy=FEW,
            summary=f"tell of violations in {len(ask.items)} items",
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        return Called()
    for one in called.ask:
        await _put(one, ladders)
    return called


async def call_off(violation_ids: Sequence[str]) -> None:
    """Ask no longer about what is resolved. A question that has ended by itself is none to call off."""
    for name in violation_ids:
        with suppress(FailureError):
            await workflow.get_external_workflow_handle(question_id(name)).cancel()


async def _put(violation: ProcessViolation, ladders: Sequence[Ladder]) -> None:
    severity = questions.URGENCY[violation.severity]
    found = next((one for one in ladders if one.severity is severity), None)
    question = QuestionAbout(violation=violation, ladder=found or Ladder(severity=severity, rungs=DEFAULT_RUNGS))
    with suppress(WorkflowAlreadyStartedError):
        await workflow.start_child_workflow(
            AskAboutViolation.run,
            question,
            id=question_id(violation.id),
            parent_close_policy=ParentClosePolicy.ABANDON,
            static_summary=story.summary(f"{violation.id}: who takes it on?"),
            search_attributes=attributes.of_violation(violation, severity),
        )


@workflow.defn
class AskAboutViolation(Showing):
    """One question about one violation; it outlives whoever put it, and is cancelled when the violation is resolved."""

    @workflow.run
    async def run(self, question: QuestionAbout) -> Resolution:
        violation = question.violation
        self._show(questions.told(violation))
        asked = await workflow.start_child_workflow(
            ResolveEscalation.run,
            questions.about(violation, question.ladder),
            id=f"{workflow.info().workflow_id}/escalation",
            static_summary=story.summary(f"{violation.id}: {violation.check} of {violation.key}"),
            search_attributes=attributes.of_violation(violation, question.ladder.severity),
        )
        resolution = await asked
        if resolution.outcome == "decided":
            await self._acknowledge(violation, resolution)
        return resolution

    async def _acknowledge(self, violation: ProcessViolation, resolution: Resolution) -> None:
        decision = ViolationDecision(
            violation_id=violation.id,
            verb=ViolationVerb.ACKNOWLEDGE,
            by=resolution.by,
            reason=resolution.comment or f"taken on, {resolution.escalation_id}",
        )
        with suppress(ActivityError):  # resolved meanwhile
            await workflow.execute_activity_method(
                ProcessChecks.decide, decision, start_to_close_timeout=BOOKS_TIME, retry_policy=PATIENT
            )
