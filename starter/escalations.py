"""Decide an escalation: by update, so that whoever decides learns at once what stands."""

import asyncio
from datetime import timedelta
from hashlib import sha256

from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.escalations import Decision, Resolution, Standing
from pointsman.ports import Missing, Rejected, Unavailable
from workflows.escalations import ResolveEscalation

ANSWER_TIMEOUT = timedelta(seconds=15)  # longer than a worker takes that was killed and is started again at once
AWAY = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.RESOURCE_EXHAUSTED, RPCStatusCode.ABORTED})


class Unanswered(Unavailable):
    """Nobody answered the update in time. It may still be taken, by a worker that starts later."""


async def decide(client: Client, workflow_id: str, decision: Decision, timeout: timedelta = ANSWER_TIMEOUT) -> Standing:
    """Send the decision. The first valid one stands; a later one is told whose, with `accepted` false.

    Safe to repeat: the same decision of the same person is one update, and its answer is given again.

    Raises:
        Missing: the escalation is closed; what stands is in the store.
        Rejected: the decision does not answer the question, or is about something else than is asked now.
        Unanswered: no worker answers within `timeout`; nothing is known to have changed.
        Unavailable: Temporal does not answer.
    """
    handle: WorkflowHandle[ResolveEscalation, Resolution] = client.get_workflow_handle_for(
        ResolveEscalation.run, workflow_id
    )
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await handle.execute_update(ResolveEscalation.decide, decision, id=_update_id(decision))
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        code = cause.type or "" if isinstance(cause, ApplicationError) else ""
        raise Rejected(getattr(cause, "message", "") or str(cause), code) from error
    except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
        # The SDK tells our own cancellation by the same error, and who cancels must not be told of workers.
        if (task := asyncio.current_task()) and task.cancelling():
            raise asyncio.CancelledError from error
        raise Unanswered(_unanswered(workflow_id, timeout)) from error
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Missing(f"escalation workflow {workflow_id!r} is closed or does not exist") from error
        if error.status in AWAY:
            told = f"Temporal did not take the decision on {workflow_id!r} ({error.status.name}: {error.message})"
            raise Unavailable(f"{told}. Nothing is known to have changed, and it is safe to repeat") from error
        raise


def _update_id(decision: Decision) -> str:
    """The same for the same decision, so that a repeated one does not find itself decided by somebody else."""
    return sha256(decision.model_dump_json().encode()).hexdigest()


def _unanswered(workflow_id: str, timeout: timedelta) -> str:
    return (
        f"the decision on escalation workflow {workflow_id!r} was not answered within {timeout.total_seconds():g} s: "
        "no worker runs, or it is stuck. Nothing is known to have changed. Start a worker with `pointsman worker` or "
        "`pointsman serve`, then repeat the decision, which is safe; or send it as the signal `decide`, which is kept "
        "until a worker runs"
    )
