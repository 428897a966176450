"""Start `RollBackItem`, and wait for what came of it."""

from uuid import uuid4

from temporalio.client import Client

from pointsman.contracts.rollback import RollbackRequest, RollbackResult, RollbackScope
from pointsman.contracts.search_attributes import SearchAttribute
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.rollback import OPERATION
from pointsman.domain.rollback_story import scope_told
from pointsman.temporal import TASK_QUEUE
from workflows.attributes import typed
from workflows.rollback import RollBackItem


def request(
    key: WorkItemKey,
    tenant: str,
    correlation_id: str,
    scope: RollbackScope,
    *,
    by: str,
    reason: str,
    force: bool = False,
    comments: bool = False,
    dry_run: bool = False,
) -> RollbackRequest:
    """With an operation of its own, under which the ledger will know it."""
    return RollbackRequest(
        key=key,
        tenant=tenant,
        correlation_id=correlation_id,
        operation=f"{OPERATION}{uuid4()}",
        scope=scope,
        force=force,
        comments=comments,
        dry_run=dry_run,
        by=by,
        reason=reason,
    )


async def roll_back(client: Client, ask: RollbackRequest, task_queue: str = TASK_QUEUE) -> RollbackResult:
    """Have it taken back. It goes on when nobody waits any more; its workflow has the name of the operation.

    Raises:
        WorkflowFailureError: it cannot be done; the cause says why.
        RPCError: Temporal did not take it, or its answer was lost.
    """
    values = {
        SearchAttribute.TENANT: ask.tenant,
        SearchAttribute.PROJECT: ask.key.project,
        SearchAttribute.CORRELATION_ID: ask.correlation_id,
    }
    return await client.execute_workflow(
        RollBackItem.run,
        ask,
        id=ask.operation,
        task_queue=task_queue,
        static_summary=f"{ask.key}: {scope_told(ask.scope)}, for {ask.by}"[:150],
        search_attributes=typed(values),
    )
