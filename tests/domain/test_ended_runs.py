"""What our books are to say of an item whose run was over in Temporal before it could say so itself."""

from datetime import UTC, datetime, timedelta

import pytest

from pointsman.contracts.policy import AgentPolicy, AgentService, Policy
from pointsman.contracts.reconciliation import Conversation, OpenItem, ReconcileTally, RunEnd, RunStatus
from pointsman.contracts.work_items import WorkItemKey, WorkItemState
from pointsman.domain.ended_runs import also, counted_ended, ended_run
from pointsman.domain.remote_turns import transcript_of

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
ITEM = OpenItem(
    key=WorkItemKey(organisation="fabrikam", project="Web", id=42),
    tenant="default",
    correlation_id="c-1",
    workflow_id="ado/fabrikam/Web/42",
    run_id="r-2",
    state=WorkItemState.WAITING,
    changed_at=NOW - timedelta(hours=1),
)
TRIAGE = AgentPolicy(name="triage", service=AgentService(url="https://agents.example"))
POLICY = Policy(version="1", agents=(TRIAGE, AgentPolicy(name="local", model="fast", prompt="ab")))


@pytest.mark.parametrize(
    ("end", "state", "reason"),
    [
        (
            RunEnd(status=RunStatus.TERMINATED, by="ada@desk", reason="wrong customer"),
            "failed",
            "terminated in Temporal by ada@desk: wrong customer",
        ),
        (RunEnd(status=RunStatus.TERMINATED), "failed", "terminated in Temporal"),
        (RunEnd(status=RunStatus.FAILED, reason="boom\x00"), "failed", "its run failed in Temporal: boom\ufffd"),
        (RunEnd(status=RunStatus.TIMED_OUT), "failed", "its run timed out in Temporal"),
        (RunEnd(status=RunStatus.CANCELED), "withdrawn", "cancelled in Temporal"),
        (RunEnd(status=RunStatus.COMPLETED, state=WorkItemState.DONE, reason="written"), "done", "written"),
        (
            RunEnd(status=RunStatus.UNKNOWN),
            "failed",
            "Temporal has no run of it: deleted there, or ended longer ago than it keeps",
        ),
    ],
    ids=lambda value: value.status if isinstance(value, RunEnd) else "",
)
def test_each_end_is_told_as_temporal_tells_it(end: RunEnd, state: str, reason: str) -> None:
    ended = ended_run(POLICY, ITEM, end, (), NOW)
    assert (ended.state, ended.reason) == (state, reason)


def test_it_ended_when_temporal_says_but_not_before_it_last_moved() -> None:
    moments = (None, NOW - timedelta(minutes=1), NOW - timedelta(hours=2))
    ended = [ended_run(POLICY, ITEM, RunEnd(status=RunStatus.TERMINATED, at=at), (), NOW).at for at in moments]
    assert ended == [NOW, NOW - timedelta(minutes=1), ITEM.changed_at]


def test_the_turn_of_a_conversation_leads_to_the_same_conversation() -> None:
    told = [Conversation(transcript=f"{ITEM.workflow_id}@r-1/{name}", turn=3) for name in ("triage", "gone", "local")]
    ended = ended_run(POLICY, ITEM, RunEnd(status=RunStatus.TERMINATED), told, NOW)
    (turn,) = ended.turns
    assert (transcript_of(turn), turn.number, turn.agent) == (told[0].transcript, 3, TRIAGE)
    assert ended.reason.endswith("; policy has no service gone, local any more: what it has open stays so")


def test_it_is_counted_beside_the_standing_that_it_has_otherwise() -> None:
    ended = also(ended_run(POLICY, ITEM, RunEnd(status=RunStatus.TERMINATED), (), NOW), "; triage was told to stop")
    tally = ReconcileTally(items=5, counts={"equal": 5})
    closed, found = (counted_ended(tally, [ended], closed=one) for one in (True, False))
    assert (closed.items, closed.counts, closed.trouble) == (5, {"equal": 5, "ended_outside": 1}, 0)
    (finding,) = closed.findings
    assert (finding.item_id, finding.repaired) == (42, True)
    assert finding.reason == "terminated in Temporal; triage was told to stop"
    assert (found.trouble, found.findings[0].repaired) == (1, False)
