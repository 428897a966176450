"""A proposal of what is so already asks nobody and writes nothing, and the item says so."""

from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.work_items import WorkItemState
from tests.workflows.rig import policy, rig
from tests.worlds import answer

PRIORITY = "Microsoft.VSTS.Common.Priority"


async def test_an_item_whose_proposal_is_so_already_is_done_without_a_question(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", System__State="Active")) as item:
        await item.deliver()
        result = await item.result()
    told = "nothing to write; left out, because it is so already: System.State"
    assert (result.state, result.reason) == (WorkItemState.DONE, told)
    assert (item.escalations.kept, item.tracker.writes[1], item.ledger.kept) == ({}, 0, {})


async def test_people_are_asked_only_about_what_would_change(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", System__State="Active", Microsoft__VSTS__Common__Priority=1)) as item:
        await item.deliver()
        assert (await item.result()).state is WorkItemState.DONE
    assert (item.escalations.kept, item.tracker.items[1].fields[PRIORITY]) == ({}, 1)
    (said,) = [one.reason for one in item.items.recorded.values() if one.after is WorkItemState.PUBLISHING]
    assert said == f"{PRIORITY} = 1; left out, because it is so already: System.State"


async def test_the_question_says_what_was_left_out(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", tags=["old"], System__State="Resolved")) as item:
        item.tracker.add(1, System__Tags="old")
        await item.deliver()
        row = await item.asked()
        await item.decide(row, "reject", comment="not now")
        await item.result()
    assert "So already, and left out: tag old." in row.escalation.details
    assert row.escalation.proposal is not None
    assert row.escalation.proposal.tags == ()


async def test_links_that_are_there_ask_nobody_alone_or_beside_others(env: WorkflowEnvironment) -> None:
    wanted = policy(may_link=("Related",), approve_links=("Related",))
    async with rig(env, answer("", links=[("Related", "8")]), wanted=wanted) as item:
        item.tracker.link(1, "System.LinkTypes.Related", "https://ado/_apis/wit/workItems/8")
        await item.deliver()
        result = await item.result()
    told = "nothing to write; left out, because it is so already: link Related 8"
    assert (result.state, result.reason) == (WorkItemState.DONE, told)
    assert (item.escalations.kept, item.tracker.writes[1], item.ledger.kept) == ({}, 0, {})


async def test_what_somebody_changed_meanwhile_is_not_taken_back(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", System__State="Active")) as item:
        item.model.on_request = lambda request: item.tracker.edit(1, System__State="Resolved")
        await item.deliver()
        result = await item.result()
    assert (result.reason.startswith("nothing to write"), item.tracker.items[1].fields["System.State"]) == (
        True,
        "Resolved",
    )
