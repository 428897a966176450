"""What comes in while an item is worked on: edits, comments, deletions, restorations, echoes, repeats."""

import asyncio
import json

from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.llm.types import LLMRequest
from pointsman.temporal_server import DevServer
from tests.workflows.plain_rig import plain_rig
from tests.workflows.rig import PATIENCE, Rig, rig
from tests.worlds import answer, calls
from workflows.work_items import NO_NEWS


class Pause:
    """Holds the model's first request until released."""

    def __init__(self, item: Rig) -> None:
        self.reached = asyncio.Event()
        self.released = asyncio.Event()
        item.model.on_request = self._hold

    async def _hold(self, request: LLMRequest) -> None:
        self.reached.set()
        await self.released.wait()


def told(item: Rig, request: int) -> list[str]:
    return [message.text for message in item.model.requests[request].messages]


async def instructed(item: Rig, number: int = 1) -> None:
    """Wait until the running turn was signalled `number` times."""
    turn = item.client.get_workflow_handle(f"{item.handle.id}/turn-1")

    async def signals() -> int:
        history = await turn.fetch_history()
        return sum(event.HasField("workflow_execution_signaled_event_attributes") for event in history.events)

    async with asyncio.timeout(PATIENCE):
        while await signals() < number:  # noqa: ASYNC110 - nothing announces it
            await asyncio.sleep(0.05)


async def test_a_comment_reaches_the_running_turn_at_its_next_step(env: WorkflowEnvironment) -> None:
    async with rig(env, calls(("known__look", {})), answer()) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        item.tracker.edit(1, System__History="It is only on Safari")
        await item.deliver(EventKind.COMMENTED, comment="<p>It is only on Safari</p>")
        await instructed(item)
        pause.released.set()
        result = await item.result()
    assert (result.state, result.turns, item.tracker.writes[1]) == (WorkItemState.DONE, 1, 1)
    assert any("It is only on Safari" in text for text in told(item, 1))


async def test_an_edit_is_told_before_an_answer_that_did_not_know_it(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("old"), answer("new")) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        item.tracker.edit(1, System__Title="Login fails on Safari")
        await item.deliver(EventKind.UPDATED, changed={"System.Title": "Login fails on Safari"})
        await instructed(item)
        pause.released.set()
        await item.result()
    assert any('System.Title: (empty) -> "Login fails on Safari"' in text for text in told(item, 1))
    assert "new" in json.dumps([row.values for row in item.ledger.kept.values()])


async def test_a_deletion_withdraws_the_item_and_cancels_the_turn(dev_server: DevServer) -> None:
    async with plain_rig(await dev_server.connect()) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        result = await item.result()
        await item.until(lambda: all(attempt.outcome for attempt in item.attempts.kept.values()))
    assert (result.state, item.tracker.writes[1]) == (WorkItemState.WITHDRAWN, 0)
    assert [attempt.outcome for attempt in item.attempts.kept.values()] == ["cancelled"]


async def test_a_restored_item_goes_on(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        assert (await item.result()).state is WorkItemState.WITHDRAWN
        item.tracker.remove(1, deleted=False)
        await item.deliver(EventKind.RESTORED)
        assert (await item.result()).state is WorkItemState.DONE
    assert item.tracker.writes[1] == 1


async def test_a_deletion_that_was_overtaken_by_its_undoing_changes_nothing(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        await item.deliver(EventKind.DELETED)
        pause.released.set()
        assert (await item.result()).state is WorkItemState.DONE


async def test_a_deletion_while_a_human_is_asked_closes_the_question(dev_server: DevServer) -> None:
    async with plain_rig(await dev_server.connect(), answer(System__State="Resolved")) as item:
        await item.deliver()
        row = await item.asked()
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        result = await item.result()
    closed = item.escalations.kept[row.id].resolution
    assert result.state is WorkItemState.WITHDRAWN
    assert closed is not None
    assert closed.outcome == "withdrawn"


async def test_what_is_said_while_a_human_is_asked_leads_to_another_turn(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(System__State="Resolved"), answer("Noted.")) as item:
        await item.deliver()
        row = await item.asked()
        await item.deliver(EventKind.COMMENTED, rev=2, comment="One more thing")
        await item.decide(row, "approve")
        result = await item.result()
    assert (result.state, result.turns, item.tracker.writes[1]) == (WorkItemState.DONE, 2, 2)
    assert any("One more thing" in text for text in told(item, 1))


async def test_a_comment_that_arrives_in_two_events_is_told_once(env: WorkflowEnvironment) -> None:
    async with rig(env, calls(("known__look", {})), answer()) as item:
        pause = Pause(item)
        await item.deliver()
        await pause.reached.wait()
        item.tracker.edit(1, System__History="Twice")
        await item.deliver(EventKind.UPDATED, comment="Twice")
        await instructed(item)
        await item.deliver(EventKind.COMMENTED, comment="Twice")
        await item.until(lambda: item.delivered == 3)
        pause.released.set()
        await item.result()
    assert sum("Twice" in text for text in told(item, 1)) == 1


async def test_the_echo_of_our_own_write_causes_nothing(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("Seen.", tags=["triaged"]), answer("again")) as item:
        item.tracker.after_write = lambda key: None
        await item.deliver()
        await item.result()
        (row,) = item.ledger.kept.values()
        await item.deliver(EventKind.UPDATED, rev=row.rev, changed=dict(row.values))
        result = await item.result()
    # Its run had ended when the echo came, and the dispatcher had not seen that yet: so a run was started for it.
    assert item.tracker.writes[1] == 1
    assert len(item.model.requests) == 1
    assert (result.state, result.reason) == (WorkItemState.DONE, NO_NEWS)


async def test_news_beside_an_echo_is_worked_on(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("Seen.", tags=["triaged"]), answer("again")) as item:
        item.tracker.after_write = lambda key: None
        await item.deliver()
        await item.result()
        (row,) = item.ledger.kept.values()
        await item.deliver(EventKind.UPDATED, rev=row.rev, changed=dict(row.values))
        await item.deliver(EventKind.COMMENTED, comment="Look once more.")
        result = await item.result()
    assert len(item.model.requests) == 2
    assert (result.state, result.turns) == (WorkItemState.DONE, 2)


async def test_a_repeated_delivery_has_no_effect(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        pause = Pause(item)
        await item.deliver(key="same")
        await pause.reached.wait()
        await item.deliver(EventKind.COMMENTED, key="same", comment="never told")
        pause.released.set()
        result = await item.result()
    assert result.turns == 1
    assert not any("never told" in text for request in range(len(item.model.requests)) for text in told(item, request))


async def test_an_update_that_arrives_before_the_creation_it_follows_is_no_news(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        item.tracker.edit(1, System__Title="Second title")
        await item.deliver(EventKind.UPDATED, rev=2, changed={"System.Title": "Second title"})
        await item.deliver(EventKind.CREATED, rev=1)
        result = await item.result()
    assert (result.turns, len(item.model.requests), item.tracker.writes[1]) == (1, 1, 1)
