"""What a human decides about a conflict holds for what they saw, and an item that loops is left alone."""

from datetime import timedelta

import pytest
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.base import Json
from pointsman.contracts.sync import FieldStrategy, LoopBreaker, SyncPolicy
from tests.workflows.rig import Rig, policy, rig
from tests.worlds import answer

PRIORITY = "Microsoft.VSTS.Common.Priority"
TRIED_AGAIN = timedelta(seconds=2)
"""So late every write that was overtaken has been tried again."""


def overtake(item: Rig, *priorities: int) -> None:
    """Somebody sets these, one before each read of ours for a write."""
    left = list(priorities)

    def between(key: object) -> None:
        if left:
            item.tracker.edit(1, Microsoft__VSTS__Common__Priority=left.pop(0))

    item.tracker.before_write = between


async def test_a_human_types_another_value_and_that_is_written(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", Microsoft__VSTS__Common__Priority=1)) as item:
        overtake(item, 4)
        await item.deliver()
        await item.later(TRIED_AGAIN)
        row = await item.asked()
        assert "| Microsoft.VSTS.Common.Priority | (empty) | 1 | 4 | escalate |" in row.escalation.details
        await item.decide(row, "edit", edits={PRIORITY: 2})
        assert (await item.result()).state == "done"
    assert item.tracker.items[1].fields[PRIORITY] == 2
    assert [(one.conflict.outcome, one.by) for one in item.conflicts] == [("merged", "ada")]


async def test_a_human_leaves_theirs_and_nothing_is_written(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", Microsoft__VSTS__Common__Priority=1)) as item:
        overtake(item, 4)
        await item.deliver()
        await item.later(TRIED_AGAIN)
        await item.decide(await item.asked(), "edit", edits={PRIORITY: None})
        assert (await item.result()).reason.startswith("unchanged")
    assert (item.tracker.items[1].fields[PRIORITY], item.tracker.writes[1]) == (4, 0)
    assert [one.conflict.outcome for one in item.conflicts] == ["theirs"]


async def test_what_changes_behind_a_decision_is_asked_about_again(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("", Microsoft__VSTS__Common__Priority=1)) as item:
        overtake(item, 4)
        await item.deliver()
        await item.later(TRIED_AGAIN)
        row = await item.asked()
        item.tracker.edit(1, Microsoft__VSTS__Common__Priority=3)
        await item.decide(row, "approve")
        again = await item.asked(2)
        assert "| 1 | 3 | escalate |" in again.escalation.details
        await item.decide(again, "approve")
        assert (await item.result()).state == "done"
    assert (item.tracker.items[1].fields[PRIORITY], item.tracker.writes[1]) == (1, 1)


async def test_a_decision_holds_while_people_are_asked_about_another_field(env: WorkflowEnvironment) -> None:
    wanted = policy(may_change=("System.Title", PRIORITY))
    async with rig(env, answer("", System__Title="Ours", Microsoft__VSTS__Common__Priority=1), wanted=wanted) as item:
        overtake(item, 4)
        await item.deliver()
        await item.later(TRIED_AGAIN)
        row = await item.asked()
        item.tracker.edit(1, System__Title="Theirs")
        await item.decide(row, "approve")
        again = await item.asked(2)
        assert (row.escalation.fields, again.escalation.fields) == ((PRIORITY,), ("System.Title",))
        await item.decide(again, "edit", edits={"System.Title": None}, by="grace")
        assert (await item.result()).state == "done"
    fields = item.tracker.items[1].fields
    assert (fields[PRIORITY], fields["System.Title"], item.tracker.writes[1]) == (1, "Theirs", 1)
    settled = {one.conflict.field: (one.conflict.outcome, one.by) for one in item.conflicts}
    assert settled == {PRIORITY: ("ours", "ada"), "System.Title": ("theirs", "grace")}


async def test_what_policy_merges_behind_a_decision_is_said_to_be_policy_s(env: WorkflowEnvironment) -> None:
    steps, lines = "Microsoft.VSTS.TCM.ReproSteps", "<p>{}</p><p>two</p><p>three</p>"
    ours = answer("", Microsoft__VSTS__TCM__ReproSteps=lines.format("ONE"))
    async with rig(env, ours, wanted=policy(may_change=(steps,))) as item:
        item.tracker.edit(1, Microsoft__VSTS__TCM__ReproSteps=lines.format("one"))
        theirs = iter([lines.format("uno")])

        def between(key: object) -> None:
            for text in theirs:
                item.tracker.edit(1, Microsoft__VSTS__TCM__ReproSteps=text)

        item.tracker.before_write = between
        await item.deliver()
        await item.later(TRIED_AGAIN)
        row = await item.asked()
        item.tracker.edit(1, Microsoft__VSTS__TCM__ReproSteps=f"{lines.format('uno')}<p>four</p>")
        await item.decide(row, "approve")
        assert (await item.result()).state == "done"
    assert item.tracker.items[1].fields[steps] == f"{lines.format('ONE')}<p>four</p>"
    assert [(one.conflict.outcome, one.by) for one in item.conflicts] == [("merged", "policy")]


@pytest.mark.parametrize(("verb", "edits", "stands"), [("approve", {}, 1), ("edit", {PRIORITY: None}, 4)])
async def test_decisions_hold_while_an_item_is_in_quarantine_and_in_conflict(
    env: WorkflowEnvironment, verb: str, edits: dict[str, Json], stands: int
) -> None:
    breaker = LoopBreaker(writes=1, within=timedelta(days=1))
    wanted = policy().model_copy(update={"sync": SyncPolicy(breaker=breaker)})
    async with rig(env, answer("first"), answer("", Microsoft__VSTS__Common__Priority=1), wanted=wanted) as item:
        await item.deliver()
        assert (await item.result()).state == "done"
        item.tracker.edit(1, System__Title="Login fails on Monday")
        await item.deliver(rev=3, changed={"System.Title": "Login fails on Monday"})
        looping = await item.asked()
        item.tracker.edit(1, Microsoft__VSTS__Common__Priority=4)
        await item.decide(looping, "approve", by="grace")
        conflict = await item.asked(2)
        assert conflict.escalation.kind == "conflict"
        await item.decide(conflict, verb, edits=edits)
        assert (await item.result()).state == "done"
    assert (item.tracker.items[1].fields[PRIORITY], len(item.escalations.kept)) == (stands, 2)
    outcome = "ours" if verb == "approve" else "theirs"
    assert [(one.conflict.outcome, one.by) for one in item.conflicts] == [(outcome, "ada")]
    (released,) = await item.sync.quarantines.find(every=True)
    assert released.released_by == "grace"


async def test_policy_lets_theirs_stand_without_asking_and_keeps_what_went(env: WorkflowEnvironment) -> None:
    wanted = policy().model_copy(update={"sync": SyncPolicy(fields={PRIORITY: FieldStrategy.REMOTE_WINS})})
    async with rig(env, answer("", Microsoft__VSTS__Common__Priority=1), wanted=wanted) as item:
        overtake(item, 4)
        await item.deliver()
        assert (await item.result()).state == "done"
    (kept,) = item.conflicts
    assert (kept.conflict.ours, kept.conflict.theirs, kept.conflict.outcome, kept.by) == (1, 4, "theirs", "policy")


async def test_a_write_that_others_overtake_again_and_again_becomes_a_question(env: WorkflowEnvironment) -> None:
    wanted = policy().model_copy(update={"sync": SyncPolicy(attempts=2)})
    async with rig(env, answer("", Microsoft__VSTS__Common__Priority=1), wanted=wanted) as item:
        titles = iter(range(2))

        def rename(key: object) -> None:
            for number in titles:
                item.tracker.edit(1, System__Title=f"Renamed {number}")
                return

        item.tracker.before_write = rename
        await item.deliver()
        await item.later(TRIED_AGAIN)
        row = await item.asked()
        assert "others changed the item 2 times" in row.escalation.details
        await item.decide(row, "approve")
        assert (await item.result()).state == "done"
    assert item.tracker.items[1].fields[PRIORITY] == 1


async def test_an_item_that_is_written_too_often_is_left_alone_until_a_human_says_so(env: WorkflowEnvironment) -> None:
    breaker = LoopBreaker(writes=1, within=timedelta(days=1))
    wanted = policy().model_copy(update={"sync": SyncPolicy(breaker=breaker)})
    async with rig(env, answer("first"), answer("second"), wanted=wanted) as item:
        await item.deliver()
        assert (await item.result()).state == "done"
        item.tracker.edit(1, System__Title="Login fails on Monday")
        await item.deliver(rev=3, changed={"System.Title": "Login fails on Monday"})
        row = await item.asked()
        assert (row.escalation.severity, item.tracker.writes[1]) == ("critical", 1)
        assert "1 write of ours within 1440 minutes, the limit is 1" in row.escalation.summary
        assert await item.sync.quarantines.get(item.key) is not None
        await item.decide(row, "approve")
        assert (await item.result()).state == "done"
    assert item.tracker.writes[1] == 2
    (released,) = await item.sync.quarantines.find(every=True)
    assert released.released_by == "ada"


async def test_an_item_tells_in_one_comment_how_far_the_work_is(env: WorkflowEnvironment) -> None:
    wanted = policy(needs_approval=("System.State",))
    wanted = wanted.model_copy(update={"sync": SyncPolicy(status_comment=True)})
    async with rig(env, answer("", System__State="Resolved"), wanted=wanted) as item:
        await item.deliver()
        await item.decide(await item.asked(), "approve")
        assert (await item.result()).state == "done"
    (texts,) = item.comments.texts.values()
    states = [text.split("Pointsman: ")[1].split(".")[0] for text in texts]
    assert states == ["working", "waiting", "publishing", "done"]


async def test_without_the_switch_an_item_tells_nothing(env: WorkflowEnvironment) -> None:
    async with rig(env, answer("Looked.")) as item:
        await item.deliver()
        assert (await item.result()).state == "done"
    assert item.comments.texts == {}
