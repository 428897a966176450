"""Moments that are easy to lose something in: a cancellation, a decision or an event between two steps."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.escalations import Resolution
from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.ports import Rejected
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.workflows.obstacles import (
    DeafPeople,
    ForgetfulContents,
    HalfToolbox,
    HeldBodies,
    HeldEscalations,
    HeldTracker,
    Hold,
    RefusingBodies,
)
from tests.workflows.plain_rig import PlainRig, plain_rig
from tests.workflows.rig import Rig, policy
from tests.workflows.test_events import Pause, instructed, told
from tests.worlds import FakeTracker, answer, calls

CLOSING = answer(System__State="Resolved")


def edit_once(tracker: FakeTracker) -> None:
    if tracker.items[1].rev == 1:
        tracker.edit(1, System__Title="Only on Safari")


@asynccontextmanager
async def running(made: Rig) -> AsyncGenerator[Rig]:
    async with (await made.prompt()).worker():
        yield made


async def test_a_cancellation_while_an_event_is_judged_closes_the_question(dev_server: DevServer) -> None:
    hold = Hold()
    made = PlainRig(await dev_server.connect(), CLOSING)
    made.bodies = HeldBodies(hold)
    async with running(made) as item:
        await item.deliver()
        row = await item.asked()
        await item.deliver(EventKind.COMMENTED, comment="Wait")
        await hold.reached.wait()
        await work_items.cancel(item.client, item.handle.id, "not needed")
        with pytest.raises(WorkflowFailureError):
            await item.result()
        hold.released.set()
    assert item.escalations.kept[row.id].resolution == Resolution(escalation_id=row.id, outcome="withdrawn")


async def test_a_cancellation_while_a_question_opens_leaves_none_open(dev_server: DevServer) -> None:
    hold = Hold()
    made = PlainRig(await dev_server.connect(), CLOSING)
    made.escalations = books = HeldEscalations(opening=hold)
    async with running(made) as item:
        await item.deliver()
        await hold.reached.wait()
        await work_items.cancel(item.client, item.handle.id, "not needed")
        await item.until(lambda: books.asked == 2)  # the attempt under way was given up: its answer is lost
        hold.released.set()
        with pytest.raises(WorkflowFailureError):
            await item.result()
    assert await books.find(pending_only=True) == []


async def test_a_decision_that_comes_when_time_is_up_is_refused_and_not_promised(env: WorkflowEnvironment) -> None:
    hold = Hold()
    made = Rig(env, (CLOSING,), policy())
    made.escalations = HeldEscalations(settling=hold)
    async with running(made) as item:
        await item.deliver()
        row = await item.asked()
        ending = asyncio.create_task(item.result())
        await hold.reached.wait()
        with pytest.raises(Rejected, match="nobody decided in time"):
            await item.decide(row, "approve")
        await item.signal(row, {"verb": "approve", "by": "grace", "subject": row.escalation.subject})
        hold.released.set()
        assert (await ending).state is WorkItemState.PARKED
    assert [refusal.reason.partition(":")[0] for refusal in item.escalations.refused] == ["late"]


async def test_who_cannot_be_told_does_not_hold_up_the_decision(env: WorkflowEnvironment) -> None:
    made = Rig(env, (CLOSING,), policy())
    made.people = DeafPeople()
    async with running(made) as item:
        await item.deliver()
        await item.until(lambda: item.escalations.kept)
        row = item.escalations.kept["ESC-1"]
        assert (await item.decide(row, "approve")).accepted
        assert (await item.result()).state is WorkItemState.DONE


async def test_who_can_be_told_is_told_although_others_cannot(env: WorkflowEnvironment) -> None:
    made = Rig(env, (CLOSING,), policy())
    made.people = DeafPeople()
    async with running(made) as item:
        await item.deliver()
        assert (await item.result()).state is WorkItemState.PARKED
    assert [target for target, _ in item.people.told] == ["lead"]


async def test_what_a_failed_call_was_to_tell_is_told_by_the_next_turn(env: WorkflowEnvironment) -> None:
    made = Rig(env, (calls(("known__look", {})), answer()), policy())
    made.contents = contents = ForgetfulContents("only on Safari")
    async with running(made) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        await item.deliver(EventKind.COMMENTED, comment="It is only on Safari")
        await instructed(item)
        pause.released.set()
        await item.decide(await item.asked(), "approve")
        assert (await item.result()).state is WorkItemState.DONE
    assert contents.refused == 1
    assert sum("only on Safari" in text for text in told(item, -1)) == 1


async def test_a_turn_that_is_terminated_in_temporal_loses_nothing_that_was_said(dev_server: DevServer) -> None:
    made = PlainRig(await dev_server.connect(), answer())
    async with running(made) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        await item.deliver(EventKind.COMMENTED, comment="It is only on Safari")
        await instructed(item)
        await item.client.get_workflow_handle(f"{item.handle.id}/turn-1").terminate("stuck")
        row = await item.asked()
        pause.released.set()
        await item.decide(row, "approve")
        result = await item.result()
    assert (result.state, result.turns) == (WorkItemState.DONE, 2)
    assert any("only on Safari" in text for text in told(item, -1))


async def test_a_question_that_is_cancelled_in_temporal_withdraws_the_item(dev_server: DevServer) -> None:
    async with plain_rig(await dev_server.connect(), CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        await item.client.get_workflow_handle(row.workflow_id).cancel()
        result = await item.result()
    assert (result.state, result.reason) == (WorkItemState.WITHDRAWN, "the question was cancelled in Temporal")
    assert item.items.states[-1] == "withdrawn"


async def test_all_tools_of_a_reply_have_ended_when_its_turn_ends(env: WorkflowEnvironment) -> None:
    made = Rig(env, (calls(("gone__tool", {}), ("known__look", {})), answer()), policy())
    made.toolbox = HalfToolbox()
    async with running(made) as item:
        await item.deliver()
        row = await item.asked()
        assert "this server is gone" in row.escalation.summary
        outcomes = {attempt.target: attempt.outcome for attempt in item.attempts.kept.values()}
        assert outcomes["known__look"] == "ok"
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE


async def test_a_restoration_while_the_item_is_worked_on_needs_no_second_turn(env: WorkflowEnvironment) -> None:
    hold = Hold()
    made = Rig(env, (answer(),), policy())
    made.tracker = HeldTracker(hold)
    made.tracker.add(1)
    async with running(made) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        await item.deliver(EventKind.RESTORED)
        pause.released.set()
        await hold.reached.wait()
        await item.deliver(EventKind.UPDATED, rev=1)
        hold.released.set()
        result = await item.result()
    assert (result.state, result.turns) == (WorkItemState.DONE, 1)


async def test_a_change_between_read_and_write_is_told_even_if_its_event_comes_after(env: WorkflowEnvironment) -> None:
    hold = Hold()
    made = Rig(env, (answer(Microsoft__VSTS__Common__Priority=1), answer("Seen.")), policy())
    made.tracker = HeldTracker(hold)
    made.tracker.add(1)
    async with running(made) as item:
        item.model.on_request = lambda request: edit_once(item.tracker)
        await item.deliver()
        await hold.reached.wait()
        await item.deliver(EventKind.UPDATED, rev=2, changed={"System.Title": "Only on Safari"})
        hold.released.set()
        result = await item.result()
    assert (result.state, result.turns, result.rev) == (WorkItemState.DONE, 2, 4)
    assert any("Only on Safari" in text for text in told(item, 1))


async def test_events_that_cannot_be_judged_are_given_up_when_a_human_says_so(env: WorkflowEnvironment) -> None:
    hold = Hold()
    made = Rig(env, (answer(),), policy())
    made.tracker = HeldTracker(hold)
    made.tracker.add(1)
    made.bodies = RefusingBodies()
    async with running(made) as item:
        await item.deliver()
        await hold.reached.wait()
        await item.deliver(EventKind.COMMENTED, comment="Unreadable")
        hold.released.set()
        row = await item.asked()
        assert "is damaged" in row.escalation.summary
        await item.decide(row, "reject", comment="leave it")
        result = await item.result()
    assert (result.state, list(item.escalations.kept)) == (WorkItemState.FAILED, ["ESC-1"])


async def test_an_item_that_was_destroyed_is_withdrawn(dev_server: DevServer) -> None:
    async with plain_rig(await dev_server.connect(), CLOSING) as item:
        await item.deliver()
        await item.asked()
        item.tracker.items.clear()
        await item.deliver(EventKind.DELETED, rev=2)
        assert (await item.result()).state is WorkItemState.WITHDRAWN
