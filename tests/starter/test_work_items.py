"""What starts, feeds and stops the workflow of an item, on a real server; and what Temporal's own lists then show."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Priority
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.worker import Worker

from activities.escalations import Asking
from activities.turns import Turns
from activities.work_items import WorkItems
from pointsman import temporal
from pointsman.contracts.lifecycle import DeliverResult
from pointsman.contracts.policy import Policy
from pointsman.contracts.search_attributes import SearchAttribute
from pointsman.contracts.work_items import EventKind, WorkItemEvent, WorkItemKey
from pointsman.ports import Missing
from pointsman.temporal import activities_of
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.books import (
    MemoryAttempts,
    MemoryBodies,
    MemoryContents,
    MemoryEscalations,
    MemoryItems,
    MemoryLedger,
    MemoryTranscripts,
)
from tests.books_sync import memory_sync
from tests.workflows.rig import policy
from tests.worlds import FakeModel, FakePeople, FakeToolbox, FakeTracker, answer, served
from workflows.escalations import ResolveEscalation
from workflows.turns import TakeTurn
from workflows.work_items import DeliverWorkItem

pytestmark = pytest.mark.slow


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    connected = await dev_server.connect()
    await temporal.ensure_search_attributes(connected)
    return connected


@pytest.fixture
def key() -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project=f"P{uuid4().hex[:8]}", id=1)


def event(key: WorkItemKey, number: int = 1) -> WorkItemEvent:
    return WorkItemEvent(
        delivery_id=f"d-{number}",
        idempotency_key=f"{key}/{number}",
        correlation_id=f"d-{number}",
        kind=EventKind.UPDATED,
        key=key,
        actor="ada",
    )


async def signals(client: Client, name: str) -> list[str]:
    """Names of the signals in the history of the one run."""
    history = await client.get_workflow_handle(name).fetch_history()
    told = (event.workflow_execution_signaled_event_attributes.signal_name for event in history.events)
    return [name for name in told if name]


async def runs(client: Client, name: str) -> int:
    return (await client.count_workflows(f"WorkflowId = '{name}'")).count


async def eventually(wanted: int, count: Callable[[], Awaitable[int]]) -> None:
    """Lists of Temporal follow its runs with a delay."""
    async with asyncio.timeout(60):
        while await count() != wanted:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.1)


async def test_the_first_event_starts_a_run_and_later_ones_reach_it(client: Client, key: WorkItemKey) -> None:
    queue = f"test-{uuid4()}"
    ids = [
        await work_items.hand_over(client, event(key, number), policy(), "north", "c-1", task_queue=queue)
        for number in (1, 2, 2)
    ]
    assert set(ids) == {work_items.workflow_id(key)} == {f"ado/fabrikam/{key.project}/1"}
    assert await signals(client, ids[0]) == ["deliver"] * 3
    await eventually(1, lambda: runs(client, ids[0]))
    await client.get_workflow_handle(ids[0]).terminate()


async def test_events_at_once_start_one_run(client: Client, key: WorkItemKey) -> None:
    queue = f"test-{uuid4()}"
    await asyncio.gather(
        *(
            work_items.hand_over(client, event(key, number), policy(), "north", "c-1", task_queue=queue)
            for number in range(6)
        )
    )
    name = work_items.workflow_id(key)
    assert await signals(client, name) == ["deliver"] * 6
    await eventually(1, lambda: runs(client, name))
    await client.get_workflow_handle(name).terminate()


async def test_an_item_that_moved_to_another_project_keeps_its_workflow(client: Client, key: WorkItemKey) -> None:
    queue = f"test-{uuid4()}"
    first = await work_items.hand_over(client, event(key), policy(), "north", "c-1", task_queue=queue)
    moved = event(key.model_copy(update={"project": f"{key.project}-moved"}), 2)
    assert first == await work_items.hand_over(
        client, moved, policy(), "north", "c-1", known_workflow_id=first, task_queue=queue
    )
    assert await signals(client, first) == ["deliver", "deliver"]
    assert not await work_items.is_open(client, work_items.workflow_id(moved.key))
    await client.get_workflow_handle(first).terminate()


async def test_an_item_can_be_started_by_hand_and_cancelled_once(client: Client, key: WorkItemKey) -> None:
    name = await work_items.start_by_hand(client, key, policy(), "north", "ada")
    assert await work_items.is_open(client, name)
    assert await signals(client, name) == ["deliver"]
    await work_items.cancel(client, name, "ada: asked twice")
    # No worker serves it, so the run ends only here.
    await client.get_workflow_handle(name).terminate()
    assert not await work_items.is_open(client, name)
    with pytest.raises(Missing, match=name):
        await work_items.cancel(client, name, "again")


async def test_what_never_ran_is_neither_open_nor_cancelled(client: Client, key: WorkItemKey) -> None:
    name = work_items.workflow_id(key)
    assert not await work_items.is_open(client, name)
    with pytest.raises(Missing, match=name):
        await work_items.cancel(client, name, "for no reason")


def rooms(contents: MemoryContents, project: str) -> list[Callable[..., object]]:
    tracker, model = FakeTracker(), FakeModel(answer())
    tracker.add(1, System__TeamProject=project)
    items, ledger, attempts = MemoryItems(), MemoryLedger(), MemoryAttempts()
    turns = Turns(served(model), FakeToolbox(), MemoryTranscripts(), contents, attempts)
    return [
        *activities_of(WorkItems(tracker, contents, items, ledger, MemoryBodies(), sync=memory_sync())),
        *activities_of(turns),
        *activities_of(Asking(MemoryEscalations(), contents, FakePeople())),
    ]


async def test_temporal_lists_an_item_by_what_became_of_it(client: Client, key: WorkItemKey) -> None:
    queue, contents = f"test-{uuid4()}", MemoryContents()
    in_force = own(policy(), await contents.put(b"You triage bugs."))
    async with Worker(
        client,
        task_queue=queue,
        workflows=[DeliverWorkItem, TakeTurn, ResolveEscalation],
        activities=rooms(contents, key.project),
        **temporal.serving_options(),
    ):
        name = await work_items.hand_over(client, event(key), in_force, "north", "c-1", task_queue=queue)
        handle = client.get_workflow_handle(name, result_type=DeliverResult)
        async with asyncio.timeout(60):
            result = await handle.result()
    assert result.state == "done"
    described = await handle.describe()
    assert described.status is WorkflowExecutionStatus.COMPLETED
    assert await described.static_summary() == f"fabrikam/{key.project} #1"
    shown = {pair.key.name: pair.value for pair in described.typed_search_attributes}
    assert shown[SearchAttribute.WORK_ITEM_STATE] == "done"
    assert shown[SearchAttribute.WORK_ITEM_TYPE] == "Bug"
    assert shown[SearchAttribute.AGENT] == "triage"
    assert (shown[SearchAttribute.TENANT], shown[SearchAttribute.CORRELATION_ID]) == ("north", "c-1")
    query = f"WorkItemState = 'done' AND Project = '{key.project}' AND WorkflowType = 'DeliverWorkItem'"

    async def listed() -> int:
        return len([one async for one in client.list_workflows(query) if one.id == name])

    await eventually(1, listed)
    history = await handle.fetch_history()
    summaries = [event.user_metadata.summary.data.decode() for event in history.events]
    assert any("write" in summary for summary in summaries)
    # An item that comes in goes before the turns of others; which tenant's goes first is as fair for both.
    item, turn = [await priority(client, run) for run in (name, f"{name}/turn-1")]
    assert 0 < item.priority_key < turn.priority_key
    assert (item.fairness_key, turn.fairness_key) == ("north", "north")


async def priority(client: Client, name: str) -> Priority:
    history = await client.get_workflow_handle(name).fetch_history()
    return history.events[0].workflow_execution_started_event_attributes.priority


def own(given: Policy, prompt: str) -> Policy:
    """Nothing waits for a human."""
    (agent,) = given.agents
    return given.model_copy(update={"agents": (agent.model_copy(update={"needs_approval": (), "prompt": prompt}),)})
