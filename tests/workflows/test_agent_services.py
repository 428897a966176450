"""`DeliverWorkItem` with an agent that is a service elsewhere: what it says reaches the item, and what happens it."""

import re
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from activities.agents import RemoteTurns
from pointsman.contracts.agents import FollowedService, FollowService
from pointsman.contracts.escalations import EscalationKind
from pointsman.contracts.policy import Limits
from pointsman.contracts.tracker import CommentTold
from pointsman.contracts.work_items import EventKind, WorkItemKey, WorkItemState
from pointsman.ports import Rejected
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.workflows.remote_rig import TOKEN, RemoteRig, remote_rig

RETITLED = "Login fails on Sundays"
ASKED_AGAIN = timedelta(seconds=3)
"""So late a service that did not answer has been asked a second time."""


async def retitled(item: RemoteRig) -> None:
    """Somebody changes the item."""
    item.tracker.edit(1, System__Title=RETITLED)
    await item.deliver(EventKind.UPDATED, changed={"System.Title": RETITLED})


async def test_work_of_a_service_is_written_like_that_of_a_model(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "works") as item:
        await item.deliver()
        result = await item.result()
    assert result.state is WorkItemState.DONE
    assert item.items.states == ["received", "analysed", "routed", "working", "publishing", "done"]
    assert item.tracker.items[1].fields["System.Tags"] == "triaged"
    assert [(one.target, one.subject, one.outcome) for one in item.sent] == [("triage", "1/1/say", "ok")]


async def test_progress_that_cannot_be_said_on_the_item_stops_nothing(
    env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []

    async def locked(key: WorkItemKey, comment_id: int, html: str) -> CommentTold:
        refused.append(html)
        raise Rejected("the comment is locked")

    async with remote_rig(env, "hears") as item:
        monkeypatch.setattr(item.comments, "edit", locked)
        await item.deliver()
        await item.until(lambda: refused)
        await retitled(item)
        assert (await item.result()).state is WorkItemState.DONE
    assert "reads the item" in refused[0]


async def test_question_goes_to_a_human_and_the_answer_back_into_the_same_task(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "asks") as item:
        await item.deliver()
        row = await item.asked()
        assert row.escalation.kind is EscalationKind.QUESTION
        assert "Which release is it for?" in row.escalation.summary
        await item.decide(row, "respond", comment="For 2.1.")
        assert (await item.result()).state is WorkItemState.DONE
    first, second = item.service.heard
    assert second.task_id == first.task_id
    assert [part.text for part in second.parts] == ["ada answers: For 2.1."]


async def test_progress_reaches_the_item_and_an_edit_of_it_the_task_at_work(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "hears") as item:
        await item.deliver()
        await item.until(lambda: any("working. triage says: reads the item" in text for text in item.said))
        await retitled(item)
        assert (await item.result()).state is WorkItemState.DONE
    first, second = item.service.heard
    assert second.task_id == first.task_id
    assert "Login fails on Sundays" in second.parts[0].text
    assert len(item.comments.texts) == 1, "there is one comment, and it is edited"


async def test_what_comes_too_late_for_a_task_is_told_in_the_next_one(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "works") as item:
        item.service.may_go_on.clear()
        await item.deliver()
        await item.until(lambda: item.service.heard)
        item.service.refuses["SendMessage"] = 404  # it takes no more messages
        await retitled(item)
        await item.until(lambda: item.service.calls.count("SendMessage") > 1)
        item.service.refuses.clear()
        item.service.may_go_on.set()
        assert (await item.result()).state is WorkItemState.DONE
    first, second = item.service.heard
    assert second.task_id != first.task_id
    assert "Login fails on Sundays" in second.parts[0].text
    assert item.tracker.writes[1] == 1, "the answer that did not know of it was not written"


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("fails", "says failed: its task failed: The index is broken."),
        ("rejects", "says rejected: it does not take the task: No such work here."),
    ],
)
async def test_what_the_service_cannot_do_is_a_question_to_a_human(
    env: WorkflowEnvironment, script: str, told: str
) -> None:
    async with remote_rig(env, script) as item:
        await item.deliver()
        row = await item.asked()
        assert (row.escalation.kind, item.tracker.writes[1]) == (EscalationKind.FAILURE, 0)
        assert told in row.escalation.summary
        assert (await item.given_up(row)).state is WorkItemState.FAILED


async def test_bad_answer_is_asked_for_again_once(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "answers-badly") as item:
        await item.deliver()
        row = await item.asked()
        assert "comment: Field required" in row.escalation.summary
        await item.given_up(row)
    first, second = item.service.heard
    assert "Your answer cannot be used: " in second.parts[0].text
    assert list(second.reference_task_ids) == [first.task_id]
    assert second.context_id == first.context_id


async def test_task_that_waits_for_credentials_goes_on_once_they_are_given(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "wants-credentials") as item:
        await item.deliver()
        row = await item.asked()
        assert "says auth-required: it waits for credentials." in row.escalation.summary
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE
    first, second = item.service.heard
    assert (second.task_id, second.parts[0].text) == (first.task_id, "Go on.")


@pytest.mark.parametrize("script", ["answers-in-text", "answers-at-once"])
async def test_answer_may_be_text_that_is_the_json(env: WorkflowEnvironment, script: str) -> None:
    async with remote_rig(env, script, says_status=False) as item:
        await item.deliver()
        assert (await item.result()).state is WorkItemState.DONE
    assert item.tracker.writes[1] == 1


async def test_answer_above_the_limit_is_a_question_to_a_human(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "talks-too-much") as item:
        await item.deliver()
        row = await item.asked()
        await item.given_up(row)
    assert "longer than 1000000 bytes, the limit `answer_bytes`" in row.escalation.summary


class Impatient(RemoteTurns):
    """Its patience is over at once."""

    @activity.defn(name="agents.follow")
    async def follow(self, ask: FollowService) -> FollowedService:
        return await super().follow(ask.model_copy(update={"patience": timedelta()}))


async def test_silent_service_is_stopped_at_the_wall_time(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "goes-silent", says_status=False, room=Impatient) as item:
        await item.deliver()
        row = await item.asked()
        assert row.escalation.kind is EscalationKind.LIMIT
        assert re.search(r"wall_time reached \d+ s of 1800 s; it", row.escalation.summary)
        await item.given_up(row)
    assert "CancelTask" in item.service.calls


async def test_steps_are_limited(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "answers-badly", limits=Limits(steps=1)) as item:
        await item.deliver()
        row = await item.asked()
        await item.given_up(row)
    assert "steps reached 1 of 1" in row.escalation.summary
    assert len(item.service.heard) == 1


async def test_service_that_dies_and_comes_back_is_followed_on(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "works") as item:
        item.service.refuses["GetTask"] = 503
        await item.deliver()
        await item.later(ASKED_AGAIN)
        await item.until(lambda: item.service.calls.count("GetTask") > 1)
        item.service.refuses.clear()
        assert (await item.result()).state is WorkItemState.DONE
    assert len(item.service.heard) == 1


async def test_task_whose_answer_was_lost_is_found_and_not_sent_twice(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "works") as item:
        item.service.answers_lost = 1
        await item.deliver()
        assert (await item.result()).state is WorkItemState.DONE
    assert len(item.service.heard) == 1
    assert "ListTasks" in item.service.calls
    assert [one.outcome for one in item.sent] == ["found"]


async def test_what_nobody_can_tell_is_named_in_doubt_and_not_sent_again(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "works") as item:
        item.service.answers_lost, item.service.refuses["ListTasks"] = 1, 404
        await item.deliver()
        await item.later(ASKED_AGAIN)
        row = await item.asked()
        await item.given_up(row)
    assert row.escalation.kind is EscalationKind.FAILURE
    assert "InDoubt" in row.escalation.summary
    assert "was heard is in doubt" in row.escalation.summary
    assert item.service.calls.count("SendMessage") == 1


async def test_deletion_of_the_item_cancels_the_task_there(dev_server: DevServer) -> None:
    async with remote_rig(await dev_server.connect(), "goes-silent") as item:
        await item.deliver()
        await item.until(lambda: "GetTask" in item.service.calls)
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        assert (await item.result()).state is WorkItemState.WITHDRAWN
        assert "CancelTask" in item.service.calls


async def test_run_that_is_cancelled_while_nobody_knows_what_was_heard_looks_for_it(dev_server: DevServer) -> None:
    async with remote_rig(await dev_server.connect(), "works") as item:
        item.service.refuses["SendMessage"] = 503
        await item.deliver()
        await item.until(lambda: "SendMessage" in item.service.calls)
        await work_items.cancel(item.client, work_items.workflow_id(item.key), "not needed")
        await item.until(lambda: "ListTasks" in item.service.calls)
        with pytest.raises(WorkflowFailureError):
            await item.result()
    assert item.service.heard == []


async def test_credential_is_in_no_history(env: WorkflowEnvironment) -> None:
    async with remote_rig(env, "works") as item:
        item.service.refuses["SendMessage"] = 400
        await item.deliver()
        await item.given_up(await item.asked())
        turn = item.client.get_workflow_handle(f"{item.handle.id}/turn-1")
        history = (await turn.fetch_history()).events
    payloads = str([event.SerializeToString() for event in history])
    assert "AGENT_KEY" in payloads, "its name is"
    assert TOKEN.get_secret_value() not in payloads
