"""An item's story: everything that happened, once, in order of time."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Resolution, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    AuditEvent,
    Caller,
    Chain,
    Delivery,
    DeliveryState,
    EscalationRow,
    ItemTransition,
    WriteRecord,
)
from pointsman.contracts.work_items import Transition, Usage, WorkItemKey, WorkItemState
from starter.timeline import TimelineRow, merge_timeline, wrote

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)
CHAIN = Chain(tenant="default", correlation_id="c-1", key=KEY)
START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def delivery(seconds: float, reason: str = "", replayed_by: str = "") -> Delivery:
    return Delivery(
        id=f"d-{seconds}",
        received_at=at(seconds),
        tenant="default",
        event_type="workitem.updated",
        idempotency_key=f"k-{seconds}",
        item_id=42,
        body=b"{}",
        state=DeliveryState.DISPATCHED,
        reason=reason,
        sequence=1,
        correlation_id=f"d-{seconds}",
        chain_id="c-1",
        replayed_by=replayed_by,
    )


def transition(seconds: float, after: WorkItemState, reason: str = "", agent: str = "") -> ItemTransition:
    step = Transition(number=1, before=WorkItemState.ANALYSED, after=after, reason=reason, at=at(seconds), agent=agent)
    return ItemTransition(run_id="0123456789", transition=step)


def attempt(seconds: float, kind: AttemptKind, outcome: str = "ok", took: float | None = 1.5) -> Attempt:
    return Attempt(
        id=f"a-{seconds}",
        kind=kind,
        chain=CHAIN,
        caller=Caller(workflow_id="w", run_id="r", activity="turns.think", attempt=2),
        target="gpt-6-sol",
        started_at=at(seconds),
        ended_at=None if took is None else at(seconds + took),
        outcome=outcome,
        usage=Usage(input_tokens=1_000, output_tokens=200, cost_usd="0.01"),
    )


def escalation(opened: float, closed: float | None, decided: bool) -> EscalationRow:
    asked = Escalation(
        key=KEY,
        tenant="default",
        correlation_id="c-1",
        number=1,
        kind=EscalationKind.APPROVAL,
        severity=Severity.HIGH,
        summary="Resolve it?",
        allowed=(Verb.APPROVE,),
        subject="f" * 64,
        ladder=Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("team",), wait=timedelta(hours=1)),)),
        agent="closer",
    )
    decision = Decision(verb=Verb.APPROVE, by="ada", comment="looks right") if decided else None
    outcome = "decided" if decided else "expired"
    return EscalationRow(
        id="ESC-7",
        workflow_id="w/1",
        escalation=asked,
        opened_at=at(opened),
        decision=decision,
        resolution=None if closed is None else Resolution(escalation_id="ESC-7", outcome=outcome),
        closed_at=None if closed is None else at(closed),
    )


def write(seconds: float, status: str, rev: int) -> WriteRecord:
    values: dict[str, Json] = {"System.State": "Resolved"}
    return WriteRecord(
        operation="op-1", key=KEY, base_rev=3, values=values, intended_at=at(seconds), rev=rev, status=status
    )


def only(rows: list[TimelineRow]) -> TimelineRow:
    assert len(rows) == 1
    return rows[0]


def test_an_item_is_told_from_delivery_to_write() -> None:
    rows = merge_timeline(
        writes=[write(9, "written", 4)],
        escalations=[escalation(4, 8, decided=True)],
        attempts=[attempt(2, AttemptKind.MODEL), attempt(3, AttemptKind.TOOL), attempt(9.5, AttemptKind.WRITE)],
        transitions=[transition(1, WorkItemState.ROUTED, "rule bugs", "triage"), transition(10, WorkItemState.DONE)],
        deliveries=[delivery(0)],
    )
    kinds = ["delivery", "routing", "model", "tool", "escalation", "decision", "ledger", "write", "state"]
    assert [row.kind for row in rows] == kinds
    assert rows[1].what == "analysed -> routed: rule bugs"
    assert rows[1].who == "triage"


@given(st.lists(st.integers(0, 50), max_size=12), st.lists(st.integers(0, 50), max_size=12))
def test_nothing_is_lost_and_time_never_runs_back(deliveries: list[int], attempts: list[int]) -> None:
    rows = merge_timeline(
        deliveries=[delivery(one) for one in deliveries],
        attempts=[attempt(one, AttemptKind.TOOL) for one in attempts],
    )
    assert len(rows) == len(deliveries) + len(attempts)
    assert [row.at for row in rows] == sorted(row.at for row in rows)


def test_at_one_moment_the_cause_comes_first() -> None:
    rows = merge_timeline(transitions=[transition(1, WorkItemState.WORKING)], deliveries=[delivery(1)])
    assert [row.kind for row in rows] == ["delivery", "state"]


def test_a_model_call_says_tokens_cost_time_and_which_attempt() -> None:
    row = only(merge_timeline(attempts=[attempt(2, AttemptKind.MODEL)]))
    assert row.what == "gpt-6-sol (attempt 2): ok, 1.5 s, 1,200 tokens, 0.01 USD"
    assert row.who == "turns.think"


def test_a_call_without_outcome_is_in_doubt() -> None:
    row = only(merge_timeline(attempts=[attempt(2, AttemptKind.TOOL, outcome="", took=None)]))
    assert "in doubt" in row.what


def test_an_open_escalation_has_no_decision() -> None:
    row = only(merge_timeline(escalations=[escalation(4, None, decided=False)]))
    assert row.kind == "escalation"
    assert row.what == "approval, high: Resolve it?"


def test_silence_is_told_as_such() -> None:
    rows = merge_timeline(escalations=[escalation(4, 8, decided=False)])
    assert rows[1].what == "expired: nobody decided"


def test_a_decision_says_who_and_why() -> None:
    rows = merge_timeline(escalations=[escalation(4, 8, decided=True)])
    assert (rows[1].what, rows[1].who, rows[1].ref) == ("approve: looks right", "ada", "ESC-7")


def test_a_replay_says_who_asked() -> None:
    row = only(merge_timeline(deliveries=[delivery(1, reason="echo", replayed_by="ada")]))
    assert row.what == "workitem.updated (replay for ada, dispatched: echo)"


def test_a_comment_that_was_written_has_no_revision_and_is_in_no_doubt() -> None:
    row = only(merge_timeline(writes=[write(1, "written", 0)]))
    assert row.what == "System.State on revision 3: written"


def test_a_write_in_doubt_is_told_apart_from_an_abandoned_one() -> None:
    doubt = only(merge_timeline(writes=[write(1, "intended", 0)]))
    abandoned = only(merge_timeline(writes=[write(1, "abandoned", 0)]))
    assert doubt.what == "System.State on revision 3: intended, no revision known: in doubt"
    assert abandoned.what == "System.State on revision 3: abandoned: nothing was written"


def test_links_of_a_write_are_named_as_people_name_them() -> None:
    values: dict[str, Json] = {
        "+links": ["System.LinkTypes.Hierarchy-Reverse 7"],
        "+unlinks": ["Hyperlink https://x.example"],
    }
    linked = write(1, "written", 4).model_copy(update={"values": values})
    told = "links: Parent 7, links taken away: Hyperlink https://x.example on revision 3: written, revision 4"
    assert only(merge_timeline(writes=[linked])).what == told


@pytest.mark.parametrize(("comment", "told"), [(0, "System.History"), (7, "System.History, comment 7")])
def test_a_comment_of_a_write_is_named_where_it_was_there_before(comment: int, told: str) -> None:
    values: dict[str, Json] = {"System.History": "Working", "+comment": comment, "+by": "pointsman@fabrikam.example"}
    assert wrote(write(1, "written", 0).model_copy(update={"values": values})) == told


def test_the_log_adds_only_what_no_row_tells() -> None:
    def event(action: Action) -> AuditEvent:
        data: dict[str, Json] = {"escalation": "ESC-7", "rung": 1}
        return AuditEvent(id=action.value, action=action.value, actor="w/r", at=at(1), chain=CHAIN, data=data)

    row = only(merge_timeline(events=[event(Action.ITEM_CHANGED), event(Action.ESCALATION_NOTIFIED)]))
    assert (row.kind, row.ref, row.what) == ("notice", "ESC-7", "rung 1")


def test_a_notice_says_who_was_told() -> None:
    data: dict[str, Json] = {"escalation": "ESC-7", "rung": 1}
    action = Action.ESCALATION_NOTIFIED.value
    asked = escalation(4, None, decided=False)
    told = asked.model_copy(update={"rungs": ("2026-01-05T09:00:05+00:00 rung 1: team told in the log",)})
    event = AuditEvent(id="e", action=action, actor="w/r", at=at(5), chain=CHAIN, data=data)
    rows = merge_timeline(escalations=[told], events=[event])
    assert (rows[1].kind, rows[1].what) == ("notice", "rung 1: team told in the log")


def test_rules_of_the_process_are_told_with_who_decided() -> None:
    def event(number: int, action: Action, actor: str, **data: Json) -> AuditEvent:
        return AuditEvent(id=action.value, action=action.value, actor=actor, at=at(number), chain=CHAIN, data=data)

    rows = merge_timeline(
        events=[
            event(1, Action.WRITE_HELD_BACK, "w/r", operation="run/1.1", rev=3, checks=["SEG-1", "PQA-2"]),
            event(2, Action.WRITE_ALLOWED, "ada", operation="run/1.2", rev=3, checks=["SEG-1"]),
            event(3, Action.VIOLATION_OPENED, "checks", violation="VIO-7", check="SEG-1", evidence="own work"),
            event(4, Action.VIOLATION_WAIVED, "noor", violation="VIO-7", check="SEG-1", reason="one person left"),
        ]
    )
    assert [(row.kind, row.what, row.who, row.ref) for row in rows] == [
        ("rule", "SEG-1, PQA-2: a write is held back", "", "run/1.1"),
        ("rule", "SEG-1: a write is let pass", "ada", "run/1.2"),
        ("rule", "SEG-1: broken (own work)", "", "VIO-7"),
        ("rule", "SEG-1: waived (one person left)", "noor", "VIO-7"),
    ]


@pytest.mark.parametrize("kind", AttemptKind)
def test_calls_of_each_kind_have_their_place(kind: AttemptKind) -> None:
    told = merge_timeline(attempts=[attempt(1, kind)], writes=[], deliveries=[delivery(1)])
    assert [row.kind for row in told] == ["delivery", kind.value]
