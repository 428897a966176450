"""Keep the schedules of Temporal that policy and settings ask for, and no other of ours."""

from collections.abc import Mapping
from datetime import timedelta

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

CATCH_UP = timedelta(minutes=1)  # a run that was missed is not made up for: the next one reads as far


def at_intervals(action: ScheduleActionStartWorkflow, every: timedelta) -> Schedule:
    """One run at a time, for work that goes on where the last run ended."""
    return Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=every)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCH_UP),
    )


async def keep(client: Client, prefix: str, wanted: Mapping[str, Schedule], task_queue: str) -> None:
    """Of all schedules whose names begin with `prefix` and whose workflows run on `task_queue`: those of `wanted`, by
    name, as they are to be now. Several processes may do so at once, and again. Whether somebody paused one is theirs
    to say, so that stays.

    Temporal's list follows its schedules by a moment: one that another process made just now stays until the next call.
    """
    for name, schedule in wanted.items():
        await _ensure(client, name, schedule)
    found = [one.id async for one in await client.list_schedules() if one.id.startswith(prefix)]
    for name in found:
        if name not in wanted:
            await _remove(client, name, task_queue)


async def _ensure(client: Client, name: str, wanted: Schedule) -> None:
    def change(found: ScheduleUpdateInput) -> ScheduleUpdate:
        wanted.state = found.description.schedule.state
        return ScheduleUpdate(schedule=wanted)

    try:
        await client.create_schedule(name, wanted)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(change)


async def _remove(client: Client, name: str, task_queue: str) -> None:
    """Of ours only: another installation may share the namespace, with a task queue of its own."""
    handle = client.get_schedule_handle(name)
    try:
        action = (await handle.describe()).schedule.action
        if isinstance(action, ScheduleActionStartWorkflow) and action.task_queue == task_queue:
            await handle.delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:  # another process was faster
            raise
