"""Start, feed and stop `DeliverWorkItem`. Owns its workflow id."""

from collections.abc import Sequence
from uuid import uuid4

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import (
    Priority,
    WorkflowIDConflictPolicy,
)
from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.lifecycle import DeliverRequest, DeliverResult
from pointsman.contracts.policy import Policy
from pointsman.contracts.search_attributes import SearchAttribute
from pointsman.contracts.work_items import EventKind, WorkItemEvent, WorkItemEvents, WorkItemKey
from pointsman.ports import Missing
from pointsman.temporal import TASK_QUEUE
from workflows.attributes import ITEMS_FIRST, typed
from workflows.work_items import DeliverWorkItem


def workflow_id(key: WorkItemKey) -> str:
    """`ado/fabrikam/Web/42`: all deliveries of an item lead to the same workflow."""
    return f"ado/{key.organisation}/{key.project}/{key.id}"


async def hand_over(
    client: Client,
    event: WorkItemEvent,
    policy: Policy,
    tenant: str,
    chain_id: str,
    *,
    others: Sequence[WorkItemEvent] = (),
    known_workflow_id: str = "",
    task_queue: str = TASK_QUEUE,
) -> str:
    """Start the item's workflow with the event and the `others` that follow it, or signal the one that runs. Returns
    the workflow's id.

    At least once: the workflow knows repeated events by their idempotency key. `known_workflow_id` is the id under
    which the item was first taken in; an item keeps it when it moves to another project.

    Raises:
        RPCError: Temporal did not take it. Nothing was started or signalled, or it was and the answer was lost.
    """
    name = known_workflow_id or workflow_id(event.key)
    await client.start_workflow(
        DeliverWorkItem.run,
        DeliverRequest(key=event.key, tenant=tenant, correlation_id=chain_id, policy=policy),
        id=name,
        task_queue=task_queue,
        start_signal="deliver_all" if others else "deliver",
        start_signal_args=[WorkItemEvents(events=(event, *others)) if others else event],
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{event.key.organisation}/{event.key.project} #{event.key.id}",
        # One tenant's flood does not hold up the others, where the server has fairness switched on.
        priority=Priority(priority_key=ITEMS_FIRST, fairness_key=tenant[:64]),
        search_attributes=typed(
            {
                SearchAttribute.PROJECT: event.key.project,
                SearchAttribute.TENANT: tenant,
                SearchAttribute.CORRELATION_ID: chain_id,
            }
        ),
    )
    return name


async def start_by_hand(
    client: Client,
    key: WorkItemKey,
    policy: Policy,
    tenant: str,
    by: str,
    *,
    known_workflow_id: str = "",
    task_queue: str = TASK_QUEUE,
) -> str:
    """Work on an item that no delivery announced. Returns the workflow's id; a running one goes on as it is.

    `known_workflow_id` is as for `hand_over`: without it an item that has moved would be worked on twice.
    """
    name = str(uuid4())
    event = WorkItemEvent(
        delivery_id=name,
        idempotency_key=f"by-hand:{name}",
        correlation_id=name,
        kind=EventKind.UPDATED,
        key=key,
        actor=by,
        replayed_by=by,
    )
    return await hand_over(
        client, event, policy, tenant, name, known_workflow_id=known_workflow_id, task_queue=task_queue
    )


async def cancel(client: Client, name: str, reason: str) -> None:
    """Ask the run to stop: its turn is cancelled, the item withdrawn.

    Raises:
        Missing: no run of that id is open.
    """
    if not await is_open(client, name):  # Temporal takes the request for a closed run, too, and does nothing
        raise Missing(f"no open run {name!r}")
    try:
        await _handle(client, name).cancel(reason=reason)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            raise Missing(f"no open run {name!r}") from error
        raise


async def is_open(client: Client, name: str) -> bool:
    """Whether a run of that id is open now."""
    try:
        described = await _handle(client, name).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    return described.status is WorkflowExecutionStatus.RUNNING


def _handle(client: Client, name: str) -> WorkflowHandle[DeliverWorkItem, DeliverResult]:
    return client.get_workflow_handle_for(DeliverWorkItem.run, name)
