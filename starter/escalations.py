"""Decide an escalation: by update, so that whoever decides learns at once what stands."""

from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.escalations import Decision, Resolution, Standing
from pointsman.ports import Missing, Rejected
from workflows.escalations import ResolveEscalation


async def decide(client: Client, workflow_id: str, decision: Decision) -> Standing:
    """Send the decision. The first valid one stands; a later one is told whose, with `accepted` false.

    Raises:
        Missing: the escalation is closed; what stands is in the store.
        Rejected: the decision does not answer the question, or is about something else than is asked now.
    """
    handle: WorkflowHandle[ResolveEscalation, Resolution] = client.get_workflow_handle_for(
        ResolveEscalation.run, workflow_id
    )
    try:
        return await handle.execute_update(ResolveEscalation.decide, decision)
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        code = cause.type or "" if isinstance(cause, ApplicationError) else ""
        raise Rejected(getattr(cause, "message", "") or str(cause), code) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Missing(f"escalation workflow {workflow_id!r} is closed or does not exist") from error
        raise
