"""Links in an item's life: a human approves where it belongs, the agent hears which cannot be made, and a link that is
written to another item starts nothing here."""

from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.escalations import EscalationKind
from pointsman.contracts.tracker import TrackedItem
from pointsman.contracts.work_items import EventKind, WorkItemState
from tests.books_sync import FakeTargets
from tests.workflows.rig import TO_SEVEN, Rig, policy, rig
from tests.worlds import answer
from workflows.work_items import NO_NEWS

MAY = policy(needs_approval=(), may_link=("Parent", "Related"))
PARENT, RELATED = "System.LinkTypes.Hierarchy-Reverse", "System.LinkTypes.Related"


def there(item: Rig, *ids: int) -> None:
    targets = item.sync.targets
    assert isinstance(targets, FakeTargets)
    targets.items.update({number: TrackedItem(id=number, rev=1) for number in ids})


def relations(item: Rig) -> list[str]:
    return [str(one["rel"]) for one in item.tracker.items[1].relations]


async def test_an_agent_may_not_say_on_its_own_where_an_item_belongs(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", links=[("Parent", "7"), ("Related", "8")]), wanted=MAY) as item:
        there(item, 7, 8)
        await item.deliver()
        row = await item.asked()
        assert row.escalation.summary.endswith("links + Parent 7, Related 8; a human must approve Parent link.")
        assert not relations(item)
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE
    assert relations(item) == [PARENT, RELATED]


async def test_the_agent_hears_which_links_cannot_be_made_and_answers_again(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", links=[("Related", "9")]), answer("", links=[("Related", "8")]), wanted=MAY) as item:
        there(item, 8)
        await item.deliver()
        result = await item.result()
    assert (result.turns, relations(item), item.tracker.writes[1]) == (2, [RELATED], 1)
    words = str(item.model.requests[-1].messages)
    assert "these links cannot be made" in words
    assert "Related 9: there is no such thing, or we may not see it: no item 9" in words


async def test_people_are_asked_where_it_goes_on_and_may_let_the_rest_be_written(env: WorkflowEnvironment) -> None:
    none = MAY.model_copy(update={"process": MAY.process.model_copy(update={"rewrites": 0})})
    async with rig(env, answer("", tags=["x"], links=[("Related", "9"), ("Related", "8")]), wanted=none) as item:
        there(item, 8)
        await item.deliver()
        row = await item.asked()
        assert (row.escalation.kind, row.escalation.allowed) == (EscalationKind.FAILURE, ("approve", "reject"))
        assert row.escalation.summary.startswith("Not written: Related 9 cannot be made. Approve: the rest is written")
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE
    assert (relations(item), item.tracker.items[1].fields["System.Tags"]) == ([RELATED], "x")


async def test_a_link_that_people_left_out_stays_out_when_another_cannot_be_made_either(
    env: WorkflowEnvironment,
) -> None:
    none = MAY.model_copy(update={"process": MAY.process.model_copy(update={"rewrites": 0})})
    async with rig(env, answer("", tags=["x"], links=[("Related", "9"), ("Related", "8")]), wanted=none) as item:
        there(item, 8)
        await item.deliver()
        row = await item.asked()
        assert isinstance(item.sync.targets, FakeTargets)
        item.sync.targets.items.clear()
        await item.decide(row, "approve")
        again = await item.asked(2)
        assert again.escalation.summary.startswith("Not written: Related 8 cannot be made.")
        await item.decide(again, "approve")
        assert (await item.result()).state is WorkItemState.DONE
    assert (relations(item), item.tracker.items[1].fields["System.Tags"]) == ([], "x")


async def test_the_other_end_of_our_link_starts_no_work_and_a_human_s_link_does(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(), wanted=MAY) as item:
        await item.hears_of_our_link()
        echo = await item.result()
        await item.deliver(EventKind.UPDATED, linked=[TO_SEVEN])
        news = await item.result()
    assert (echo.reason, echo.turns) == (NO_NEWS, 0)
    assert (news.turns, item.tracker.writes[1]) == (1, 1)
