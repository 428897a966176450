"""Deliveries that tell no more than which entry of an item's history they are about."""

from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.work_items import EventKind, WorkItemState
from tests.workflows.rig import Rig, rig
from tests.workflows.test_events import told
from tests.worlds import answer
from workflows.work_items import NO_NEWS


async def worked_on(item: Rig) -> None:
    """Its first turn is over, and what it wrote is heard of."""
    await item.deliver(EventKind.CREATED)
    await item.result()


async def test_a_card_that_moves_on_a_board_starts_no_turn(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(), answer("again")) as item:
        await worked_on(item)
        item.tracker.edit(1, System__BoardLane="Fast")
        await item.hand_over(item.hint())
        result = await item.result()
    assert (result.state, result.reason, len(item.model.requests)) == (WorkItemState.DONE, NO_NEWS, 1)


async def test_an_item_of_which_a_moved_card_is_heard_first_is_worked_on(env: WorkflowEnvironment) -> None:
    async with rig(env, answer()) as item:
        item.tracker.edit(1, System__BoardLane="Fast")
        await item.hand_over(item.hint())
        result = await item.result()
    assert (result.state, result.turns) == (WorkItemState.DONE, 1)


async def test_what_was_read_and_not_worked_on_is_news_when_it_is_heard_of(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(), answer("again")) as item:
        await worked_on(item)
        item.tracker.edit(1, System__Title="Basket is empty")
        late = item.hint()
        item.tracker.edit(1, System__BoardLane="Fast")
        item.overtaken(late)  # it comes behind the look at the item, and before the run for the other ends
        await item.hand_over(item.hint())
        result = await item.result()
    assert (result.turns, len(item.model.requests)) == (2, 2)


async def test_our_own_comment_starts_no_turn_however_late_it_is_heard_of(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(), answer("again")) as item:
        await worked_on(item)
        await item.hand_over(item.hint(EventKind.COMMENTED))
        result = await item.result()
    assert (result.state, result.reason, len(item.model.requests)) == (WorkItemState.DONE, NO_NEWS, 1)


async def test_a_comment_that_is_heard_of_late_is_told_with_its_words(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(), answer("again")) as item:
        await worked_on(item)
        item.tracker.edit(1, System__History="Only on Mondays")
        said = item.hint(EventKind.COMMENTED)
        item.tracker.edit(1, System__Title="Basket is empty")
        await item.hand_over(said)
        result = await item.result()
    assert result.turns == 2
    assert any("Only on Mondays" in text for text in told(item, 1))
