"""Check projects in full on a schedule of Temporal, as policy says, and no other project."""

from collections.abc import Mapping

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from pointsman.contracts.policy import Policy
from pointsman.contracts.process import ProcessPolicy
from pointsman.contracts.violations import CheckScope, CheckStep
from pointsman.domain.routing import tenant_of
from pointsman.temporal import TASK_QUEUE
from starter import schedules
from starter.process_checks import attributes, summary, workflow_id
from workflows.process import CheckProcess

PREFIX = "process/"


def scopes(policy: Policy, known: Mapping[str, ProcessPolicy]) -> list[CheckScope]:
    """What the schedules ask for. `known` are the rules by their name; loading policy has made sure of those named."""
    return [
        CheckScope(
            tenant=tenant_of(policy, one.organisation),
            organisation=one.organisation.lower(),
            project=one.project,
            policy=known[one.process],
            on_open=policy.process.on_open,
            ladders=policy.ladders,
        )
        for one in policy.process.projects
    ]


async def ensure_schedules(
    client: Client, policy: Policy, known: Mapping[str, ProcessPolicy], task_queue: str = TASK_QUEUE
) -> None:
    """One schedule for each project, as it is to be now; those that policy no longer names go."""
    control = policy.process
    wanted = scopes(policy, known) if control.every or control.cron else []
    spec = (
        ScheduleSpec(cron_expressions=[control.cron])
        if control.cron
        else ScheduleSpec(intervals=[ScheduleIntervalSpec(every=control.every)] if control.every else [])
    )
    await schedules.keep(
        client,
        PREFIX,
        {workflow_id(scope.organisation, scope.project): _schedule(scope, spec, task_queue) for scope in wanted},
        task_queue,
    )


def _schedule(scope: CheckScope, spec: ScheduleSpec, task_queue: str) -> Schedule:
    action = ScheduleActionStartWorkflow(
        CheckProcess.run,
        CheckStep(scope=scope),
        id=workflow_id(scope.organisation, scope.project),
        task_queue=task_queue,
        static_summary=summary(scope),
        typed_search_attributes=attributes(scope),
    )
    return Schedule(action=action, spec=spec, policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP))
