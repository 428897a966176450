"""Check projects in full on a schedule of Temporal, as policy says, and no other project."""

from collections.abc import Mapping

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.service import RPCError, RPCStatusCode

from pointsman.contracts.policy import Policy
from pointsman.contracts.process import ProcessPolicy
from pointsman.contracts.violations import CheckScope, CheckStep
from pointsman.domain.routing import tenant_of
from pointsman.temporal import TASK_QUEUE
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
    """One schedule for each project, as it is to be now; those that policy no longer names go. Several processes may
    start at once, and again. Whether somebody paused one is theirs to say, so that stays."""
    control = policy.process
    wanted = scopes(policy, known) if control.every or control.cron else []
    spec = (
        ScheduleSpec(cron_expressions=[control.cron])
        if control.cron
        else ScheduleSpec(intervals=[ScheduleIntervalSpec(every=control.every)] if control.every else [])
    )
    for scope in wanted:
        await _ensure(client, workflow_id(scope.organisation, scope.project), _schedule(scope, spec, task_queue))
    await _remove_others(client, {workflow_id(scope.organisation, scope.project) for scope in wanted}, task_queue)


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


async def _ensure(client: Client, name: str, wanted: Schedule) -> None:
    def change(found: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = found.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    try:
        await client.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(change)


async def _remove_others(client: Client, kept: set[str], task_queue: str) -> None:
    """Of ours only: another installation may share the namespace, with a task queue of its own."""
    found = [one.id async for one in await client.list_schedules() if one.id.startswith(PREFIX)]
    for name in found:
        if name not in kept:
            await _remove(client, name, task_queue)


async def _remove(client: Client, name: str, task_queue: str) -> None:
    handle = client.get_schedule_handle(name)
    try:
        action = (await handle.describe()).schedule.action
        if isinstance(action, ScheduleActionStartWorkflow) and action.task_queue == task_queue:
            await handle.delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # another process was faster
            raise
