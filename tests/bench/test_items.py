"""The floor of a history: what its own commands need at the least."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.worker import Worker

from bench.bare import BareItem, BareTurn, nothing
from bench.items import floor_of
from pointsman.temporal_server import DevServer


def scheduled(task: int) -> HistoryEvent:
    """An activity that the workflow task of that event scheduled."""
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    event.activity_task_scheduled_event_attributes.workflow_task_completed_event_id = task
    return event


def other(event_type: EventType.ValueType) -> HistoryEvent:
    return HistoryEvent(event_type=event_type)


STARTED = other(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
SIGNALED = other(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
COMPLETED = other(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)


def test_a_run_without_commands_needs_five_events() -> None:
    assert floor_of([STARTED]) == 5


def test_activities_of_one_workflow_task_are_one_stage() -> None:
    together = [STARTED, scheduled(4), scheduled(4)]
    in_turn = [STARTED, scheduled(4), scheduled(10)]
    assert (floor_of(together), floor_of(in_turn)) == (5 + 2 * 3 + 3, 5 + 2 * 3 + 2 * 3)


def test_a_signal_needs_one_event_and_a_workflow_task_of_its_own_none() -> None:
    assert floor_of([STARTED, SIGNALED, COMPLETED, COMPLETED]) == 6


async def test_a_bare_turn_on_a_real_server_meets_its_floor(dev_server: DevServer) -> None:
    client = await dev_server.connect()
    events = await _history_of_a_turn(client)
    assert len(events) == floor_of(events) == 11


async def _history_of_a_turn(client: Client) -> list[HistoryEvent]:
    queue = "bench-floor"
    async with Worker(client, task_queue=queue, workflows=[BareItem, BareTurn], activities=[nothing]):
        handle = await client.start_workflow(BareTurn.run, 1, id=queue, task_queue=queue)
        await handle.result()
    return list((await handle.fetch_history()).events)
