"""Why something that a workflow waited for came to nothing, as a line for people."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError

from pointsman.domain.texts import clean

WHY_CHARS_MAX = 300


def reason_of(error: ActivityError | ChildWorkflowError) -> str:
    cause = error.cause
    return f"{cause.type}: {cause.message}" if isinstance(cause, ApplicationError) else str(cause or error)


def why_cancelled() -> str:
    """With what whoever cancelled the run said: who it is, and why."""
    why = " ".join(clean(workflow.cancellation_reason() or "").split())[:WHY_CHARS_MAX]
    return f"cancelled ({why})" if why else "cancelled"
