"""Start checks of projects and of items, and decide on violations. Owns the workflow ids of all three."""

from uuid import uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.common import TypedSearchAttributes, WorkflowIDConflictPolicy

from pointsman.contracts.violations import (
    CheckItem,
    CheckResult,
    CheckScope,
    CheckStep,
    ProcessViolation,
    ViolationDecision,
)
from pointsman.contracts.work_items import WorkItemKey
from pointsman.temporal import TASK_QUEUE
from workflows.attributes import of_place
from workflows.process import CheckProcess, CheckWorkItem, DecideViolation

Running = WorkflowHandle[CheckProcess, CheckResult]


def workflow_id(organisation: str, project: str) -> str:
    """`process/fabrikam/Web`."""
    return f"process/{organisation}/{project}"


async def start(client: Client, scope: CheckScope, task_queue: str = TASK_QUEUE) -> Running:
    """Start a check, or join the one that runs for this project.

    Raises:
        RPCError: Temporal did not take it, or its answer was lost.
    """
    return await client.start_workflow(
        CheckProcess.run,
        CheckStep(scope=scope),
        id=workflow_id(scope.organisation, scope.project),
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=summary(scope),
        search_attributes=attributes(scope),
    )


def item_workflow_id(key: WorkItemKey) -> str:
    """`process/item/fabrikam/42`: an item keeps it when it moves to another project."""
    return f"process/item/{key.organisation}/{key.id}"


async def check_item(client: Client, ask: CheckItem, task_queue: str = TASK_QUEUE) -> str:
    """Have one item checked because something happened to it. Returns the workflow's id; one that runs checks it once
    more.

    Raises:
        RPCError: Temporal did not take it, or its answer was lost.
    """
    item = ask.item
    name = item_workflow_id(item.key)
    await client.start_workflow(
        CheckWorkItem.run,
        ask,
        id=name,
        task_queue=task_queue,
        start_signal="happened",
        start_signal_args=[item],
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=f"{item.key.organisation}/{item.key.project} #{item.key.id} by the rules of its process",
        search_attributes=of_place(item.tenant, item.key.project),
    )
    return name


def summary(scope: CheckScope) -> str:
    return f"{scope.organisation}/{scope.project} by {scope.policy.name}: {scope.reason}"


def attributes(scope: CheckScope) -> TypedSearchAttributes:
    return of_place(scope.tenant, scope.project)


async def decide(
    client: Client,
    decision: ViolationDecision,
    task_queue: str = TASK_QUEUE,
    *,
    tenant: str = "",
    project: str = "",
) -> ProcessViolation:
    """Have it decided, and wait for what came of it. `tenant` and `project` are for those who search for the run.

    Raises:
        WorkflowFailureError: it was refused; the cause says why.
        RPCError: Temporal did not take it, or its answer was lost.
    """
    return await client.execute_workflow(
        DecideViolation.run,
        decision,
        id=f"process/decide/{decision.violation_id}/{uuid4()}",
        task_queue=task_queue,
        static_summary=f"{decision.verb.value} {decision.violation_id} by {decision.by}",
        search_attributes=of_place(tenant, project),
    )
