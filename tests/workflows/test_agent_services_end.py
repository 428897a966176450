"""However the work of a service comes to its end, no task of ours stays open there, and the books say who was stopped.

`remote_rig` looks at the tasks of the service itself when a test is over; here are the ways to get there.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.policy import Match, Route
from pointsman.contracts.records import EscalationRow
from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.workflows.remote_rig import RemoteRig, remote_rig

End = Callable[[RemoteRig, EscalationRow], Awaitable[object]]
CANCELED = ["TASK_STATE_CANCELED"]


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


async def rejects(item: RemoteRig, row: EscalationRow) -> None:
    await item.decide(row, "reject", comment="not worth it")


async def deletes(item: RemoteRig, row: EscalationRow) -> None:
    item.tracker.remove(1)
    await item.deliver(EventKind.DELETED)


async def moves_away(item: RemoteRig, row: EscalationRow) -> None:
    item.tracker.edit(1, System__WorkItemType="Epic")
    await item.deliver(EventKind.UPDATED, changed={"System.WorkItemType": "Epic"})


async def terminates_question(item: RemoteRig, row: EscalationRow) -> None:
    await item.client.get_workflow_handle(row.workflow_id).terminate("by hand")


async def states(item: RemoteRig) -> list[str]:
    return sorted((await item.service.states()).values())


def stops(item: RemoteRig) -> list[str]:
    """What came of telling the service to stop, as the books have it."""
    return [one.outcome for one in item.sent if one.subject.endswith("/stop")]


def said_last(item: RemoteRig) -> str:
    """The reason of the last transition, as the timeline has it."""
    return [*item.items.recorded.values()][-1].reason


@pytest.mark.parametrize(
    ("script", "end", "state"),
    [
        ("asks", rejects, WorkItemState.PARKED),
        ("wants-credentials", rejects, WorkItemState.FAILED),
        ("asks", deletes, WorkItemState.WITHDRAWN),
        ("asks", moves_away, WorkItemState.WITHDRAWN),
        ("asks", terminates_question, WorkItemState.PARKED),
    ],
)
async def test_task_that_waits_for_an_answer_which_never_comes_is_stopped(
    client: Client, script: str, end: End, state: WorkItemState
) -> None:
    async with remote_rig(client, script, says_status=False) as item:
        await item.deliver()
        await end(item, await item.asked())
        result = await item.result()
        (task,) = await item.service.states()
        assert await states(item) == CANCELED
    assert result.state is state
    assert result.reason.endswith(f"; triage was told to stop: task {task}"), result.reason
    assert said_last(item) == result.reason
    assert stops(item) == ["stopped"]


async def test_task_that_asked_what_nobody_answers_is_stopped_when_all_rungs_have_passed(
    env: WorkflowEnvironment,
) -> None:
    async with remote_rig(env, "asks", says_status=False) as item:
        await item.deliver()
        await item.asked()
        result = await item.result()
        assert await states(item) == CANCELED
    assert (result.state, stops(item)) == (WorkItemState.PARKED, ["stopped"])
    assert "all rungs passed; triage was told to stop" in result.reason


async def test_task_that_waits_is_stopped_when_an_operator_cancels_the_run(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        await item.asked()
        await work_items.cancel(client, work_items.workflow_id(item.key), "not needed")
        with pytest.raises(WorkflowFailureError):
            await item.result()
        assert await states(item) == CANCELED
    assert said_last(item).startswith("cancelled (not needed); triage was told to stop: task ")


async def test_task_at_work_is_stopped_when_the_run_of_its_item_is_terminated(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        item.service.may_go_on.clear()
        await item.deliver()
        await item.until(lambda: "GetTask" in item.service.calls)
        await item.handle.terminate("by hand")
        await item.until(lambda: stops(item) == ["stopped"])
        item.service.may_go_on.set()
        assert await states(item) == CANCELED


async def test_task_that_waits_for_an_answer_is_stopped_when_the_run_of_its_item_is_terminated(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        row = await item.asked()
        await item.handle.terminate("by hand")
        with pytest.raises(WorkflowFailureError):
            await client.get_workflow_handle(row.workflow_id).result()
        assert await states(item) == CANCELED
    assert stops(item) == ["stopped"]
    assert row.escalation.open_elsewhere == ()


async def test_task_that_waits_for_a_run_which_was_terminated_with_its_question_is_stopped_by_the_next_one(
    client: Client,
) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        question = client.get_workflow_handle((await item.asked()).workflow_id)
        await asyncio.gather(item.handle.terminate("by hand"), question.terminate("by hand"))
        item.tracker.edit(1, System__Title="Login fails on Sundays, script: asks")
        await item.deliver(EventKind.UPDATED, changed={"System.Title": "Login fails on Sundays, script: asks"})
        row = await item.asked(2)
        assert await states(item) == ["TASK_STATE_CANCELED", "TASK_STATE_INPUT_REQUIRED"]
        await item.given_up(row)
    assert stops(item) == ["stopped", "stopped"]


async def test_task_of_a_turn_that_was_terminated_does_not_work_beside_that_of_the_next_one(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        item.service.may_go_on.clear()
        await item.deliver()
        await item.until(lambda: "GetTask" in item.service.calls)
        await client.get_workflow_handle(f"{item.handle.id}/turn-1").terminate("by hand")
        await item.decide(await item.asked(), "approve")
        await item.until(lambda: len(item.service.heard) > 1)
        item.service.may_go_on.set()
        row = await item.asked(2)
        assert await states(item) == ["TASK_STATE_CANCELED", "TASK_STATE_INPUT_REQUIRED"]
        await item.given_up(row)
        assert await states(item) == CANCELED * 2
    assert stops(item) == ["stopped", "stopped"]


async def test_task_of_an_agent_that_has_no_more_to_do_with_the_item_is_stopped_before_the_next_one_begins(
    client: Client,
) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        (triage,) = item.policy.agents
        routes = (Route(name="shop", match=Match(area_paths=("Shop",)), agent="clerk"), *item.policy.routes)
        clerk = triage.model_copy(update={"name": "clerk"})
        item.policy = item.policy.model_copy(update={"agents": (triage, clerk), "routes": routes})
        await item.deliver()
        await item.asked()
        item.tracker.edit(1, System__AreaPath="Shop")
        await item.deliver(EventKind.UPDATED, changed={"System.AreaPath": "Shop"})
        await item.decide(await item.asked(2), "respond", comment="For 2.1.")
        result = await item.result()
        assert await states(item) == ["TASK_STATE_CANCELED", "TASK_STATE_COMPLETED"]
    assert (result.state, result.agent) == (WorkItemState.DONE, "clerk")
    assert [(one.target, one.subject[-4:]) for one in item.sent if one.outcome == "stopped"] == [("triage", "stop")]
    first, second = item.service.heard[:2]
    assert first.context_id != second.context_id


async def test_what_cannot_be_stopped_is_said_and_holds_nothing_up(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        row = await item.asked()
        item.service.refuses["CancelTask"] = 403
        result = await item.given_up(row)
        item.service.refuses.clear()
        (task,) = await item.service.states()
        service = item.policy.agents[0].service
        assert service is not None
        await item.remote.cancel(service, task)
    assert result.state is WorkItemState.PARKED
    assert "; triage could not be told to stop: Rejected: " in result.reason
    assert stops(item) == ["Rejected"]
