"""A run that somebody resets in Temporal's UI goes on with what it has begun: a turn here or elsewhere, or a question.

What was begun before goes on beside the run that was reset, and is not the new one's own.
"""

from uuid import uuid4

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import ActivityEnvironment

from activities.escalations import Asking
from pointsman.contracts.escalations import Notify, Whose
from pointsman.contracts.records import EscalationRow
from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.temporal_server import DevServer
from starter import work_items
from starter.item_runs import TemporalRuns
from tests.workflows.remote_rig import RemoteRig, remote_rig

pytestmark = pytest.mark.slow
DONE_TASK = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
CHILD = EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
CANCELED, COMPLETED = ["TASK_STATE_CANCELED"], ["TASK_STATE_COMPLETED"]


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


async def reset(item: RemoteRig, *, before_child: bool = False, to_first: bool = False) -> str:
    """The run that was reset, to its last step, to the one before its last child began, or to its first."""
    described = await item.handle.describe()
    run = WorkflowExecution(workflow_id=item.handle.id, run_id=described.run_id)
    events = (await item.client.get_workflow_handle(run.workflow_id, run_id=run.run_id).fetch_history()).events
    child = max(event.event_id for event in events if event.event_type == CHILD)
    steps = [event.event_id for event in events if event.event_type == DONE_TASK]
    step = max(one for one in steps if one < child) if before_child else steps[0 if to_first else -1]
    ask = ResetWorkflowExecutionRequest(
        namespace=item.client.namespace,
        workflow_execution=run,
        workflow_task_finish_event_id=step,
        reason="a trial",
        request_id=str(uuid4()),
    )
    await item.client.workflow_service.reset_workflow_execution(ask)
    return run.run_id


async def answer(item: RemoteRig, row: EscalationRow) -> None:
    standing = await item.decide(row, "respond", comment="For 2.1.")
    assert standing.accepted


@pytest.mark.parametrize("before_child", [False, True])
async def test_question_of_a_run_that_was_reset_is_answered_once(client: Client, *, before_child: bool) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        await item.asked()
        await reset(item, before_child=before_child)
        await answer(item, await item.asked(2 if before_child else 1))
        result = await item.handle.result()
        assert sorted((await item.service.states()).values()) == COMPLETED
    assert (result.state, result.turns) == (WorkItemState.DONE, 2)


async def test_question_of_a_service_is_asked_anew_when_the_run_of_its_item_begins_again(client: Client) -> None:
    """Nobody has answered it, so that there is nothing to go on with."""
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        await item.asked()
        await reset(item, to_first=True)
        await answer(item, await item.asked(2))
        result = await item.handle.result()
        assert len(item.service.heard) == 2, "the task, and the answer"
        await client.get_workflow_handle(f"{item.handle.id}/escalation-1").terminate()
    assert (result.state, result.turns) == (WorkItemState.DONE, 3)


async def test_turn_of_a_run_that_was_reset_goes_on_with_its_task(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        item.service.may_go_on.clear()
        await item.deliver()
        await item.until(lambda: "GetTask" in item.service.calls)
        await reset(item, before_child=True)
        item.service.may_go_on.set()
        await answer(item, await item.asked())
        result = await item.handle.result()
        assert sorted((await item.service.states()).values()) == COMPLETED
    assert (result.state, result.turns) == (WorkItemState.DONE, 2)


async def test_item_of_a_run_that_was_reset_is_withdrawn_with_its_question(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        await item.deliver()
        row = await item.asked()
        await reset(item, before_child=False)
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        result = await item.handle.result()
        assert sorted((await item.service.states()).values()) == CANCELED
        assert result.state is WorkItemState.WITHDRAWN
        assert item.escalations.kept[row.id].closed_at is not None
        whose = Whose(key=item.key, tenant="default", correlation_id="c")
        ask = Notify(escalation_id=row.id, rung=2, target="lead", subject="?", text="?", whose=whose)
        room = Asking(item.escalations, item.contents, item.people)
        assert (await ActivityEnvironment().run(room.notify, ask)).startswith("nobody was told")


async def test_run_that_was_reset_is_cancelled_with_its_turn(client: Client) -> None:
    async with remote_rig(client, "goes-silent", says_status=False) as item:
        await item.deliver()
        await item.until(lambda: "GetTask" in item.service.calls)
        await reset(item, before_child=False)
        await work_items.cancel(client, item.handle.id, "not needed")
        with pytest.raises(WorkflowFailureError):
            await item.handle.result()
        assert sorted((await item.service.states()).values()) == CANCELED


async def test_run_that_was_reset_is_not_over_until_the_new_one_is(client: Client) -> None:
    async with remote_rig(client, "asks", says_status=False) as item:
        runs = TemporalRuns(item.connected)
        await item.deliver()
        row = await item.asked()
        run_id = await reset(item, before_child=False)
        assert not await runs.is_over(item.handle.id, run_id)
        await item.given_up(row)
        assert await runs.is_over(item.handle.id, run_id)
