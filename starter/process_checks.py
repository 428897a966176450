"""Start checks of projects, and decide on violations. Owns the workflow ids of both."""

from uuid import uuid4

from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes, WorkflowIDConflictPolicy

from pointsman.contracts.search_attributes import SearchAttribute
from pointsman.contracts.violations import CheckResult, CheckScope, CheckStep, ProcessViolation, ViolationDecision
from pointsman.temporal import TASK_QUEUE
from workflows.process import CheckProcess, DecideViolation

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


def summary(scope: CheckScope) -> str:
    return f"{scope.organisation}/{scope.project} by {scope.policy.name}: {scope.reason}"


def attributes(scope: CheckScope) -> TypedSearchAttributes:
    return _places(scope.tenant, scope.project)


def _places(tenant: str, project: str) -> TypedSearchAttributes:
    values = {SearchAttribute.TENANT: tenant, SearchAttribute.PROJECT: project}
    pairs = [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), value) for name, value in values.items() if value
    ]
    return TypedSearchAttributes(pairs)


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
        search_attributes=_places(tenant, project),
    )
