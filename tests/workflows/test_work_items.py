"""`DeliverWorkItem` over real activities: every state, and why an item gets there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.escalations import Resolution
from pointsman.contracts.policy import Limits
from pointsman.contracts.work_items import WorkItemKey, WorkItemState
from pointsman.llm.errors import AuthenticationError, RateLimitedError
from pointsman.llm.types import Message, ToolResultPart
from pointsman.ports import Rejected, Unavailable
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.workflows.plain_rig import plain_rig
from tests.workflows.rig import policy, rig
from tests.worlds import answer, calls, says


async def test_a_bug_runs_through_to_one_write(env: WorkflowEnvironment) -> None:
    reply = answer("Like #7.", tags=["triaged"], Microsoft__VSTS__Common__Priority=1)
    async with rig(env, calls(("known__look", {"id": 7}), ("known__look", {"id": 8})), reply) as item:
        await item.deliver()
        result = await item.result()
    assert result.state is WorkItemState.DONE
    assert item.items.states == ["received", "analysed", "routed", "working", "publishing", "done"]
    assert item.tracker.writes[1] == 1
    assert item.tracker.items[1].fields["Microsoft.VSTS.Common.Priority"] == 1
    assert item.tracker.items[1].fields["System.Tags"] == "triaged"


async def test_tools_of_one_reply_reach_the_model_together(env: WorkflowEnvironment) -> None:
    script = (calls(("known__look", {"id": 7}), ("nobody__knows", {})), answer())
    async with rig(env, *script) as item:
        await item.deliver()
        await item.result()
    results = {part.call_id: part for message in item.model.requests[1].messages for part in tool_results(message)}
    assert (results["call-1"].text, results["call-1"].is_error) == ('{"id": 7}', False)
    assert results["call-2"].is_error
    assert "no tool 'nobody__knows'" in results["call-2"].text


async def test_an_item_out_of_scope_is_left_alone(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        item.tracker.add(1, System__WorkItemType="Epic")
        await item.deliver()
        result = await item.result()
    assert (result.state, item.model.requests) == (WorkItemState.WITHDRAWN, [])
    assert "out of scope" in result.reason


async def test_an_item_that_no_rule_matches_goes_to_a_human(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        item.tracker.add(1, System__WorkItemType="Task")
        await item.deliver()
        row = await item.asked()
        with pytest.raises(Rejected, match="none of: triage"):
            await item.decide(row, "respond", comment="nobody")
        await item.decide(row, "respond", comment="triage")
        result = await item.result()
    assert (result.state, result.agent) == (WorkItemState.DONE, "triage")
    assert "chosen by ada" in [transition.reason for transition in item.items.recorded.values()]


async def test_approval_writes_what_was_approved(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(System__State="Resolved")) as item:
        await item.deliver()
        row = await item.asked()
        assert item.tracker.writes[1] == 0
        standing = await item.decide(row, "approve")
        result = await item.result()
    assert (standing.accepted, standing.by) == (True, "ada")
    assert (result.state, item.tracker.items[1].fields["System.State"]) == (WorkItemState.DONE, "Resolved")


async def test_an_edit_writes_what_the_human_made_of_it(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(System__State="Resolved")) as item:
        await item.deliver()
        row = await item.asked()
        await item.decide(row, "edit", edits={"System.State": "Closed", "tags": ["seen"]})
        await item.result()
    fields = item.tracker.items[1].fields
    assert (fields["System.State"], fields["System.Tags"]) == ("Closed", "seen")


async def test_rejection_parks_the_item_with_the_reason(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(System__State="Resolved")) as item:
        await item.deliver()
        await item.decide(await item.asked(), "reject", comment="not before Monday")
        result = await item.result()
    assert result.state is WorkItemState.PARKED
    assert "not before Monday" in result.reason
    assert item.tracker.writes[1] == 0


async def test_a_response_goes_back_to_the_agent(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(question="Which customer?"), answer()) as item:
        await item.deliver()
        row = await item.asked()
        assert "Which customer?" in row.escalation.summary
        await item.decide(row, "respond", comment="Contoso")
        result = await item.result()
    assert (result.state, result.turns) == (WorkItemState.DONE, 2)
    assert "ada answers: Contoso" in [message.text for message in item.model.requests[1].messages]


async def test_silence_climbs_the_ladder_and_parks_the_item(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(System__State="Resolved")) as item:
        await item.deliver()
        result = await item.result()  # the test server skips the three days
    assert result.state is WorkItemState.PARKED
    assert "nobody decided" in result.reason
    assert [target for target, _ in item.people.told] == ["team", "team", "lead"]
    assert result.waited_seconds >= timedelta(days=3).total_seconds()
    assert item.tracker.writes[1] == 0


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        (Limits(steps=1), "steps reached 1 of 1"),
        (Limits(tool_calls=1), "tool_calls reached 2 of 1"),
        (Limits(tokens=100), "tokens reached 120 of 100"),
        (Limits(cost_usd=Decimal("0.001")), "cost_usd reached 0.001 of 0.001"),
        (Limits(same_call=1), "same_call of known__look reached 2 of 1"),
    ],
    ids=lambda value: value.split()[0] if isinstance(value, str) else "",
)
async def test_a_limit_is_an_escalation_with_its_value(env: WorkflowEnvironment, limits: Limits, named: str) -> None:
    twice = calls(("known__look", {"id": 7}), ("known__look", {"id": 7}))
    async with rig(env, twice, answer(), wanted=policy(limits=limits)) as item:
        await item.deliver()
        row = await item.asked()
        assert row.escalation.kind == "limit"
        assert named in row.escalation.summary
        assert "model calls" in row.escalation.details
        await item.decide(row, "reject", comment="enough")
        assert (await item.result()).state is WorkItemState.PARKED


async def test_tool_calls_that_a_limit_prevented_do_not_break_the_next_turn(env: WorkflowEnvironment) -> None:
    script = (calls(("known__look", {})), answer())
    async with rig(env, *script, wanted=policy(limits=Limits(steps=1))) as item:
        item.model.script.insert(0, calls(("known__look", {"id": 1}), ("known__look", {"id": 2})))
        item.model.script.pop(1)
        await item.deliver()
        await item.decide(await item.asked(), "approve", comment="go on")
        result = await item.result()
    assert result.state is WorkItemState.DONE
    open_calls = {call.call_id for message in item.model.requests[1].messages for call in message.tool_calls}
    answered = {part.call_id for message in item.model.requests[1].messages for part in tool_results(message)}
    assert open_calls == answered


async def test_an_answer_that_is_not_what_was_asked_for_is_repaired_once(env: WorkflowEnvironment) -> None:
    async with rig(env, says("I think it is fine."), answer()) as item:
        await item.deliver()
        result = await item.result()
    assert result.state is WorkItemState.DONE
    assert "cannot be used" in item.model.requests[1].messages[-1].text


async def test_an_answer_that_stays_wrong_goes_to_a_human(env: WorkflowEnvironment) -> None:
    async with rig(env, says("no"), says("still no"), answer()) as item:
        await item.deliver()
        row = await item.asked()
        assert row.escalation.kind == "failure"
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE


async def test_a_fault_that_no_retry_mends_goes_to_a_human(env: WorkflowEnvironment) -> None:
    async with rig(env, AuthenticationError("key refused", provider="fake"), answer()) as item:
        await item.deliver()
        row = await item.asked()
        assert "key refused" in row.escalation.summary
        await item.decide(row, "reject", comment="no key this year")
        assert (await item.result()).state is WorkItemState.FAILED


async def test_a_passing_fault_is_retried(env: WorkflowEnvironment) -> None:
    async with rig(env, RateLimitedError("slow down", retry_after=timedelta(seconds=1)), answer()) as item:
        item.tracker.failures.append(Unavailable("gateway timeout"))
        await item.deliver()
        result = await item.result()
    assert (result.state, len(item.model.requests)) == (WorkItemState.DONE, 2)
    assert [attempt.outcome for attempt in item.attempts.kept.values()] == ["RateLimitedError", "ok"]


async def test_an_item_that_cannot_be_read_is_asked_about(env: WorkflowEnvironment) -> None:
    async with rig(env) as item:
        item.tracker.failures.append(Rejected("403 for this account", code="TF400813"))
        await item.deliver()
        row = await item.asked()
        assert "403 for this account" in row.escalation.summary
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE


async def test_what_the_service_refuses_to_write_people_may_change(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(Microsoft__VSTS__Common__Priority=9)) as item:
        refusals = iter([Rejected("TF401320: rule error for field Priority", code="TF401320")])

        def refuse(key: WorkItemKey) -> None:
            for error in refusals:
                raise error

        item.tracker.before_write = refuse
        await item.deliver()
        row = await item.asked()
        assert row.escalation.allowed == ("approve", "edit", "reject")
        await item.decide(row, "edit", edits={"Microsoft.VSTS.Common.Priority": 1})
        assert (await item.result()).state is WorkItemState.DONE
    assert (item.tracker.items[1].fields["Microsoft.VSTS.Common.Priority"], item.tracker.writes[1]) == (1, 1)


async def test_what_somebody_else_changed_meanwhile_is_merged(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(Microsoft__VSTS__Common__Priority=1)) as item:
        titles = iter(["Login fails on Monday"])

        def overtake(key: WorkItemKey) -> None:
            for title in titles:
                item.tracker.edit(1, System__Title=title)

        item.tracker.before_write = overtake
        await item.deliver()
        result = await item.result()
    fields = item.tracker.items[1].fields
    assert (result.state, item.tracker.writes[1]) == (WorkItemState.DONE, 1)
    assert (fields["System.Title"], fields["Microsoft.VSTS.Common.Priority"]) == ("Login fails on Monday", 1)


async def test_a_conflict_goes_to_a_human_who_lets_ours_stand(env: WorkflowEnvironment) -> None:
    async with rig(env, answer(Microsoft__VSTS__Common__Priority=1)) as item:
        item.model.on_request = lambda request: item.tracker.edit(1, Microsoft__VSTS__Common__Priority=4)
        await item.deliver()
        row = await item.asked()
        assert (row.escalation.kind, item.tracker.writes[1]) == ("conflict", 0)
        assert "| Microsoft.VSTS.Common.Priority | (empty) | 1 | 4 |" in row.escalation.details
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE
    assert item.tracker.items[1].fields["Microsoft.VSTS.Common.Priority"] == 1


async def test_a_write_whose_answer_was_lost_is_not_written_again(env: WorkflowEnvironment) -> None:
    lost = iter([Unavailable("connection reset")])

    def lose(key: WorkItemKey) -> None:
        for error in lost:
            raise error

    async with rig(env, answer(tags=["triaged"])) as item:
        item.tracker.after_write = lose
        await item.deliver()
        result = await item.result()
    assert (result.state, item.tracker.writes[1]) == (WorkItemState.DONE, 1)
    assert [row.status for row in item.ledger.kept.values()] == ["written"]


async def test_an_operator_can_cancel(dev_server: DevServer) -> None:
    async with plain_rig(await dev_server.connect(), answer(System__State="Resolved")) as item:
        await item.deliver()
        row = await item.asked()
        await work_items.cancel(item.client, work_items.workflow_id(item.key), "ada:  not\n needed")
        with pytest.raises(WorkflowFailureError):
            await item.result()
    assert item.items.states[-1] == "withdrawn"
    assert list(item.items.recorded.values())[-1].reason == "cancelled (ada: not needed)"
    assert item.escalations.kept[row.id].resolution == Resolution(escalation_id=row.id, outcome="withdrawn")


def tool_results(message: Message) -> list[ToolResultPart]:
    return [part for part in message.parts if isinstance(part, ToolResultPart)]
