"""An item that moves to another project, area or type is the same item, and is routed anew; what is deleted is left."""

import asyncio

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.policy import Match, Policy, Route
from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.llm.types import LLMRequest
from pointsman.temporal_server import DevServer
from tests.workflows.plain_rig import PlainRig
from tests.workflows.rig import Rig, policy, rig
from tests.workflows.test_events import Pause, instructed, told
from tests.worlds import answer


def by_area() -> Policy:
    """What is below Web is triaged, what is below Shop is for the shop's own agent."""
    made = policy()
    triage = made.agents[0]
    routes = (
        Route(name="web", match=Match(area_paths=("Web",)), agent="triage"),
        Route(name="shop", match=Match(area_paths=("Shop",)), agent="clerk"),
    )
    return made.model_copy(update={"agents": (triage, triage.model_copy(update={"name": "clerk"})), "routes": routes})


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


async def moved(item: Rig, **fields: str) -> None:
    """Somebody moves the item, and its event comes in."""
    item.tracker.edit(1, **fields)
    changed = {name.replace("__", "."): value for name, value in fields.items()}
    await item.deliver(EventKind.UPDATED, changed={**changed})


async def test_an_item_that_moves_while_it_is_worked_on_goes_to_the_agent_of_its_new_place(client: Client) -> None:
    item = await PlainRig(client, answer("At the clerk's."), wanted=by_area()).prompt()
    async with item.worker():
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        item.model.on_request = lambda request: None
        await moved(item, System__AreaPath="Shop\\Till")
        result = await item.result()
    assert (result.state, result.agent, result.turns) == (WorkItemState.DONE, "clerk", 2)
    assert item.items.states.count("routed") == 2
    assert any('System.AreaPath: (empty) -> "Shop\\\\Till"' in text for text in told(item, 1))
    assert item.tracker.writes[1] == 1


async def test_a_move_that_leads_to_the_same_agent_is_told_to_it_and_stops_nothing(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("Seen."), answer("In the new area."), wanted=by_area()) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        await moved(item, System__AreaPath="Web\\Login")
        await instructed(item)
        pause.released.set()
        result = await item.result()
    assert (result.state, result.agent, result.turns) == (WorkItemState.DONE, "triage", 1)
    assert item.items.states.count("routed") == 1


async def test_a_move_out_of_scope_withdraws_the_question_and_the_item(client: Client) -> None:
    item = await PlainRig(client, answer(System__State="Resolved"), wanted=by_area()).prompt()
    async with item.worker():
        await item.deliver()
        row = await item.asked()
        await moved(item, System__WorkItemType="Epic")
        result = await item.result()
    closed = item.escalations.kept[row.id].resolution
    assert closed is not None
    assert (closed.outcome, result.state, item.tracker.writes[1]) == ("withdrawn", WorkItemState.WITHDRAWN, 0)
    assert "out of scope" in result.reason


async def test_a_move_while_a_human_chooses_an_agent_may_make_the_choice_needless(client: Client) -> None:
    item = await PlainRig(client, answer("At the clerk's."), wanted=by_area()).prompt()
    item.tracker.add(1, System__AreaPath="Nowhere")
    async with item.worker():
        await item.deliver()
        await item.asked()
        await moved(item, System__AreaPath="Shop")
        result = await item.result()
    assert (result.state, result.agent) == (WorkItemState.DONE, "clerk")


async def test_a_move_that_comes_while_the_outcome_is_written_is_followed_after_it(client: Client) -> None:
    """On the dev server: the time-skipping one lets a run end over an event that came with its last task."""
    script = (answer("Looked at it."), answer("At the clerk's."))
    item = await PlainRig(client, *script, wanted=by_area()).prompt()
    async with item.worker():

        def move(_: object) -> None:
            item.tracker.after_write = lambda key: None
            item.tracker.edit(1, System__AreaPath="Shop")
            task.append(asyncio.ensure_future(item.deliver(EventKind.UPDATED, changed={"System.AreaPath": "Shop"})))

        task: list[asyncio.Task[object]] = []
        item.tracker.after_write = move
        await item.deliver()
        result = await item.result()
        await asyncio.gather(*task)
        result = await item.result()
    assert (result.state, result.agent, item.tracker.writes[1]) == (WorkItemState.DONE, "clerk", 2)


async def test_an_item_keeps_its_workflow_in_another_project_and_its_books_know_the_new_one(
    env: WorkflowEnvironment,
) -> None:
    async with rig(env) as item:
        await item.deliver()
        first = await item.result()
        item.tracker.edit(1, System__TeamProject="Shop", System__AreaPath="Shop")
        await item.deliver(EventKind.UPDATED, changed={"System.TeamProject": "Shop", "System.AreaPath": "Shop"})
        second = await item.result()
        shown = (await item.handle.describe()).typed_search_attributes
    assert (first.key.project, second.key.project) == ("Web", "Shop")
    assert "Shop" in [pair.value for pair in shown]


async def test_nothing_is_written_to_an_item_that_was_deleted_before_its_event_came(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("Looked at it.", tags=["triaged"])) as item:

        def delete(request: LLMRequest) -> None:
            item.tracker.remove(1)

        item.model.on_request = delete
        await item.deliver()
        result = await item.result()
    assert (result.state, result.reason) == (WorkItemState.WITHDRAWN, "deleted in Azure DevOps")
    assert (item.tracker.writes[1], item.ledger.kept) == (0, {})
    stone = await item.sync.tombstones.get(item.key)
    assert stone is not None
    assert stone.cleared_at is None


async def test_a_tombstone_is_kept_with_a_deletion_and_cleared_by_its_restoration(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        await item.result()
        stone = await item.sync.tombstones.get(item.key)
        assert stone is not None
        assert stone.cleared_at is None
        item.tracker.remove(1, deleted=False)
        await item.deliver(EventKind.RESTORED)
        assert (await item.result()).state is WorkItemState.DONE
        stone = await item.sync.tombstones.get(item.key)
        assert stone is not None
        assert stone.cleared_at is not None
