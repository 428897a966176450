"""`ResolveEscalation`: the first valid decision stands, by update or by signal, and none that is sent vanishes."""

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Standing
from pointsman.contracts.work_items import WorkItemState
from pointsman.ports import Missing, Rejected
from tests.workflows.rig import rig, shown
from tests.worlds import answer

CLOSING = answer(System__State="Resolved")


async def test_the_second_decider_is_told_who_was_first(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        both = await asyncio.gather(
            item.decide(row, "approve"), item.decide(row, "reject", by="bob", comment="no"), return_exceptions=True
        )
        result = await item.result()
    told = [one for one in both if isinstance(one, Standing)]
    assert [one for one in both if not isinstance(one, Standing | Missing)] == []
    (first,) = (one for one in told if one.accepted)
    for late in told:
        assert late.accepted or ("already decided" in late.note and late.by == first.by)
    assert result.state is (WorkItemState.DONE if first.by == "ada" else WorkItemState.PARKED)


async def test_a_plain_signal_decides(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        await item.signal(row, {"verb": "approve", "by": "grace", "subject": row.escalation.subject[:12]})
        result = await item.result()
    decision = item.escalations.kept[row.id].decision
    assert decision is not None
    assert (result.state, decision.by, decision.channel) == (WorkItemState.DONE, "grace", "temporal")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"verb": "aprove", "by": "ada"}, "verb: Input should be"),
        ("approve", "Input should be an object"),
        ({"verb": "approve"}, "by: Field required"),
        ({"verb": "approve", "by": "ada"}, "needs the subject"),
        ({"verb": "approve", "by": "ada", "subject": "00000000"}, "stale: you saw 00000000"),
        ({"verb": "reject", "by": "ada"}, "reject needs a comment"),
        (["approve"], "Input should be an object"),
        (None, "Invalid JSON"),
    ],
    ids=["misspelt", "not an object", "nobody", "no subject", "stale", "no reason", "a list", "null"],
)
async def test_a_signal_that_cannot_be_taken_is_kept_and_shown(
    env: WorkflowEnvironment, document: Json, reason: str
) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        await item.signal(row, document)
        await item.until(lambda: item.escalations.refused)
        assert reason in item.escalations.refused[0].reason
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE


async def test_a_signal_without_input_is_kept_and_shown(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        await item.client.get_workflow_handle(row.workflow_id).signal("decide")
        await item.until(lambda: item.escalations.refused)
        await item.decide(row, "approve")
        await item.result()
    assert "Invalid JSON" in item.escalations.refused[0].reason


async def test_inputs_that_do_not_fit_stop_nothing(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        asked, run = item.client.get_workflow_handle(row.workflow_id), item.handle
        await asked.signal("decide", args=[{"verb": "approve"}, "by ada"])
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await asked.execute_update("decide")
        await run.signal("deliver")
        await run.signal("deliver", args=[1, 2])
        await item.until(lambda: item.escalations.refused)
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE
    assert "one JSON object is wanted, 2 inputs came" in item.escalations.refused[0].reason
    assert "does not take 0 inputs" in str(refused.value.cause)


async def test_a_signal_of_no_known_name_is_shown_by_the_question_and_by_the_item(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        question = item.client.get_workflow_handle(row.workflow_id)
        for handle in (question, item.handle):
            await handle.signal("approve`", args=[{"by": "ada"}, 2])
        await item.handle.signal("deliver", args=[1, 2])
        asked, run = [await shown(handle) for handle in (question, item.handle)]
        unknown = "- signal `` approve` `` with 2 inputs: no signal of that name is known here\n"
        assert asked.startswith(f"**Not taken:**\n\n{unknown}\n### {row.id}")
        assert run.startswith(
            f"**Not taken:**\n\n{unknown}- signal `deliver` with 2 inputs: it does not take so many\n"
        )
        await item.decide(row, "approve")
        assert (await item.result()).state is WorkItemState.DONE
        assert unknown in await shown(item.handle)
    assert item.escalations.refused == []


async def test_a_signal_that_comes_after_the_decision_is_kept_as_late(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        signed = {"by": "grace", "subject": row.escalation.subject[:12]}
        await asyncio.gather(
            item.signal(row, {"verb": "approve", **signed}),
            item.signal(row, {"verb": "reject", "comment": "no", **signed}),
        )
        result = await item.result()
    decided = item.escalations.kept[row.id].decision
    assert decided is not None
    assert result.state is (WorkItemState.DONE if decided.verb == "approve" else WorkItemState.PARKED)
    assert "late:" in item.escalations.refused[0].reason


async def test_a_decision_that_does_not_answer_the_question_is_refused(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        with pytest.raises(Rejected, match="stale: you saw ffffffff"):
            await item.decide(row, "approve", subject="ffffffff")
        with pytest.raises(Rejected, match="reject needs a comment"):
            await item.decide(row, "reject")
        with pytest.raises(Rejected, match="tags: must be a list"):
            await item.decide(row, "edit", edits={"tags": 7})
        await item.decide(row, "approve")
        await item.result()


async def test_who_decides_when_it_is_closed_is_told_so(env: WorkflowEnvironment) -> None:
    async with rig(env, CLOSING) as item:
        await item.deliver()
        row = await item.asked()
        await item.decide(row, "approve")
        await item.result()
        with pytest.raises(Missing, match="closed"):
            await item.decide(row, "reject", comment="too late")
