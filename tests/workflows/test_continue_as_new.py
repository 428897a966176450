"""`DeliverWorkItem` on a server that suggests to continue as new from the first event on.

So each stage is a run of its own: nothing may be lost, doubled or cut off at any boundary.
"""

import asyncio
import random
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus, WorkflowHistory

from pointsman.contracts.lifecycle import DeliverRequest, Stage
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import EventKind, WorkItemKey, WorkItemState
from pointsman.temporal import data_converter
from pointsman.temporal_server import DevServer, find_server
from tests.servers import STARTUP_TIMEOUT
from tests.workflows.plain_rig import PlainRig
from tests.workflows.servers import ImpatientServer, runs_of
from tests.workflows.test_events import Pause, instructed
from tests.worlds import FakeTracker, answer, calls

COMMENTS_MIN, COMMENTS_MAX = 12, 300
WRITES = 2  # by as many turns; what is said during one waits in the queue of the run that follows
CLOSING = answer(System__State="Resolved")
CHILD_ENDS = {
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_COMPLETED,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_FAILED,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_CANCELED,
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def impatient() -> Generator[DevServer]:
    with tempfile.TemporaryDirectory(prefix="pointsman-temporal-") as folder:
        server = ImpatientServer(find_server().path, Path(folder), ui=False)
        asyncio.run(server.start(STARTUP_TIMEOUT))
        try:
            yield server
        finally:
            server.kill()  # its order to end takes it a second, and nobody reads what it leaves


class PacedTracker(FakeTracker):
    """Answers a write only when something more was said, as long as people go on talking: so the run cannot end."""

    def __init__(self) -> None:
        super().__init__()
        self.add(1)
        self.begun = 0
        self.said = 0
        self.silent = False

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        heard = self.begun  # all of it may have been heard already, so only what begins later keeps the run going
        written = await super().write(key, rev, change)
        while not self.silent and self.said <= heard:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.005)
        return written


async def request_of(history: WorkflowHistory) -> DeliverRequest:
    payloads = history.events[0].workflow_execution_started_event_attributes.input.payloads
    (request,) = await data_converter().decode(payloads, [DeliverRequest])
    assert isinstance(request, DeliverRequest)
    return request


def at(history: WorkflowHistory, *types: "EventType.ValueType") -> list[HistoryEvent]:
    return [event for event in history.events if event.event_type in types]


async def check_children(item: PlainRig, runs: list[WorkflowHistory]) -> int:
    """Each child that a run opened ended in the same run, by itself. Returns how many there were."""
    ids = []
    for history in runs:
        opened = at(history, EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED)
        assert len(at(history, *CHILD_ENDS)) == len(opened)
        ids += [one.start_child_workflow_execution_initiated_event_attributes.workflow_id for one in opened]
    for name in ids:
        described = await item.client.get_workflow_handle(name).describe()
        assert described.status is WorkflowExecutionStatus.COMPLETED
    return len(ids)


async def test_each_boundary_between_stages_can_be_crossed(impatient: DevServer) -> None:
    item = await PlainRig(await impatient.connect(), calls(("known__look", {})), CLOSING).prompt()
    async with item.worker():
        await item.deliver()
        await item.decide(await item.asked(), "approve")
        result = await item.result()
        runs = await runs_of(item.client, item.handle.id)
        assert await check_children(item, runs) == 2
    requests = [await request_of(history) for history in runs]
    assert [one.carry.stage for one in requests] == [
        Stage.INTAKE,
        Stage.ROUTING,
        Stage.WORKING,
        Stage.WAITING,
        Stage.PUBLISHING,
    ]
    assert [one.carry.runs for one in requests] == [1, 2, 3, 4, 5]
    assert (result.state, item.tracker.writes[1]) == (WorkItemState.DONE, 1)


async def test_all_that_a_run_knows_crosses_the_boundary(impatient: DevServer) -> None:
    item = await PlainRig(await impatient.connect(), calls(("known__look", {})), CLOSING).prompt()
    async with item.worker():
        event = await item.deliver()
        await item.decide(await item.asked(), "approve")
        result = await item.result()
        requests = [await request_of(history) for history in await runs_of(item.client, item.handle.id)]
    last = requests[-1].carry
    assert (result.usage.model_calls, result.usage.tool_calls, result.usage.cost_usd) == (2, 1, "0.002")
    assert 0 < result.waited_seconds < result.seconds
    assert (last.usage, last.waited_seconds, last.agent) == (result.usage, result.waited_seconds, "triage")
    assert last.seen == (event.idempotency_key,)
    assert {one.correlation_id for one in requests} == {event.correlation_id}
    assert {one.carry.started_at for one in requests[1:]} == {last.started_at}
    assert item.items.states == ["received", "analysed", "routed", "working", "waiting", "publishing", "done"]
    assert [one.number for one in item.items.recorded.values()] == [1, 2, 3, 4, 5, 6, 7]


async def test_a_suggestion_that_comes_during_a_turn_is_kept_until_it_is_closed(impatient: DevServer) -> None:
    item = await PlainRig(await impatient.connect(), answer("old"), answer("new")).prompt()
    async with item.worker():
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        await item.deliver(EventKind.COMMENTED, comment="Only on Safari")
        await instructed(item)
        pause.released.set()
        result = await item.result()
        runs = await runs_of(item.client, item.handle.id)
        assert await check_children(item, runs) == 1
    (working,) = [one for one in runs if (await request_of(one)).carry.stage is Stage.WORKING]
    (closed,) = at(working, *CHILD_ENDS)
    suggested = [
        event.event_id
        for event in at(working, EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED)
        if event.workflow_task_started_event_attributes.suggest_continue_as_new
    ]
    assert len([number for number in suggested if number < closed.event_id]) >= 2
    assert (result.state, result.turns) == (WorkItemState.DONE, 1)


async def test_a_deletion_is_heard_across_the_boundary(impatient: DevServer) -> None:
    item = await PlainRig(await impatient.connect(), CLOSING).prompt()
    async with item.worker():
        await item.deliver()
        row = await item.asked()
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        result = await item.result()
    closed = item.escalations.kept[row.id].resolution
    assert result.state is WorkItemState.WITHDRAWN
    assert closed is not None
    assert closed.outcome == "withdrawn"


async def test_events_in_a_tight_loop_are_told_once_each_while_runs_follow_each_other(impatient: DevServer) -> None:
    item = PlainRig(await impatient.connect(), answer())
    item.tracker = tracker = PacedTracker()
    wait = random.Random(7)
    async with (await item.prompt()).worker():
        await item.deliver()
        while tracker.said < COMMENTS_MIN or (tracker.writes[1] < WRITES and tracker.said < COMMENTS_MAX):
            number = tracker.said
            tracker.begun += 1
            for _ in range(2):  # deliveries come at least once
                await item.deliver(EventKind.COMMENTED, key=f"comment-{number}", comment=f"remark {number:03}")
            tracker.said += 1
            await asyncio.sleep(wait.random() * 0.08)
        tracker.silent = True
        result = await item.result()
        runs = await runs_of(item.client, item.handle.id)
        turns = await check_children(item, runs)
    (transcript,) = item.transcripts.kept.values()
    told = b"\n".join(message.body for message in transcript.values()).decode()
    assert [told.count(f"remark {number:03}") for number in range(tracker.said)] == [1] * tracker.said
    assert (result.state, result.turns, tracker.writes[1]) == (WorkItemState.DONE, turns, turns)
    assert len(runs) > turns >= WRITES
    carried = [(await request_of(history)).carry for history in runs]
    assert any(carry.queue for carry in carried), "no event was on its way while a run continued as new"
    assert carried[-1].seen[1:] == tuple(f"comment-{number}" for number in range(tracker.said))
