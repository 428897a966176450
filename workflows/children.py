"""Workflows that a run of an item begins: how one takes the place of another, and how one is stopped.

Temporal can reset a run to an earlier point. What it has begun goes on, and reports to the new run. But it takes no
cancellation from that, and its ids are in use when the new run comes to the same place again.
"""

from contextlib import suppress

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, FailureError

from pointsman.contracts.escalations import Resolution
from pointsman.contracts.turns import TurnResult
from workflows.escalations import ResolveEscalation
from workflows.turns import TakeTurn

Question = workflow.ChildWorkflowHandle[ResolveEscalation, Resolution]
Child = workflow.ChildWorkflowHandle[TakeTurn, TurnResult] | Question
IN_PLACE = WorkflowIDReusePolicy.TERMINATE_IF_RUNNING
"""Of a child: what its id stands for is begun once by each run, so that one which is open was left by a reset."""
STOPS_BY_ID = "stop-children-by-id"
"""Runs that began before this cannot stop what was begun before they were reset."""


async def stop(child: Child) -> None:
    """Cancel a child and let it close its books, whichever run of the item began it."""
    if workflow.patched(STOPS_BY_ID):
        with suppress(FailureError):  # it has ended by itself
            await workflow.get_external_workflow_handle(child.id).cancel()
    else:
        child.cancel()
    with suppress(ChildWorkflowError):
        await child
