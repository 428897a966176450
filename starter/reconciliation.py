"""Start, schedule and follow `ReconcileProject`. Owns its workflow ids."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import uuid4

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    WorkflowHandle,
)
from temporalio.common import (
    WorkflowIDConflictPolicy,
)

from pointsman.contracts.policy import Policy
from pointsman.contracts.reconciliation import ReconcileRequest, ReconcileResult
from pointsman.domain.routing import tenant_of
from pointsman.temporal import TASK_QUEUE
from starter import schedules
from starter.recovery import ALL, projects_of
from workflows.attributes import of_place
from workflows.reconciliation import ReconcileProject

PREFIX = "reconcile/"

Running = WorkflowHandle[ReconcileProject, ReconcileResult]


def workflow_id(organisation: str, project: str) -> str:
    """`reconcile/fabrikam/Web`; `reconcile/fabrikam/*` for all projects. A schedule adds the time."""
    return f"{PREFIX}{organisation}/{project or ALL}"


def request(policy: Policy, organisation: str, project: str, **told: object) -> ReconcileRequest:
    """Of policy only what a comparison asks: it travels through the history."""
    agents = tuple(one for one in policy.agents if one.service)
    asked = Policy(version=policy.version, hash=policy.hash, scope=policy.scope, sync=policy.sync, agents=agents)
    tenant = tenant_of(policy, organisation)
    return ReconcileRequest.model_validate(
        {"organisation": organisation, "project": project, "tenant": tenant, "policy": asked, **told}
    )


def requests(policy: Policy, organisations: Sequence[str]) -> list[ReconcileRequest]:
    """What the schedule asks for: the projects that events are wanted of."""
    return [
        request(policy, organisation, project)
        for organisation in organisations
        for project in projects_of(policy, organisation)
    ]


async def start(client: Client, ask: ReconcileRequest, task_queue: str = TASK_QUEUE) -> Running:
    """Start a comparison, or join the one that runs for this project. A dry run is one of its own.

    Raises:
        RPCError: Temporal did not take it, or its answer was lost.
    """
    name = workflow_id(ask.organisation, ask.project)
    return await client.start_workflow(
        ReconcileProject.run,
        ask,
        id=f"{name}/{uuid4()}" if ask.dry_run else name,
        task_queue=task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        static_summary=_summary(ask),
        search_attributes=of_place(ask.tenant, ask.project),
    )


async def ensure_schedules(
    client: Client, asks: Sequence[ReconcileRequest], every: timedelta, task_queue: str = TASK_QUEUE
) -> None:
    """One schedule for each request, as it is to be now; those of organisations and projects that nobody asks for any
    more go. With no time between runs all go."""
    wanted = {workflow_id(ask.organisation, ask.project): _schedule(ask, every, task_queue) for ask in asks if every}
    await schedules.keep(client, PREFIX, wanted, task_queue)


def _schedule(ask: ReconcileRequest, every: timedelta, task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        ReconcileProject.run,
        ask,
        id=workflow_id(ask.organisation, ask.project),
        task_queue=task_queue,
        static_summary=_summary(ask),
        typed_search_attributes=of_place(ask.tenant, ask.project),
    )
    return schedules.at_intervals(action, every)


def _summary(ask: ReconcileRequest) -> str:
    return f"{ask.organisation}/{ask.project or ALL}: {ask.reason}"[:150]
