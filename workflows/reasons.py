"""Why something that a workflow waited for came to nothing, as a line for people."""

from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError


def reason_of(error: ActivityError | ChildWorkflowError) -> str:
    cause = error.cause
    return f"{cause.type}: {cause.message}" if isinstance(cause, ApplicationError) else str(cause or error)
