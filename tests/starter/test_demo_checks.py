"""Each check of the demo holds on true evidence, and fails on evidence that was doctored in one place."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    Caller,
    Chain,
    Delivery,
    DeliveryState,
    EscalationRow,
    ItemRow,
    ItemTransition,
    StoredMessage,
    WriteRecord,
)
from pointsman.contracts.work_items import Transition, WorkItemKey, WorkItemState
from pointsman.store.verification import Finding, LogState, Report
from starter.demo import checks
from starter.demo.checks import Check, Evidence, all_checks
from starter.demo.inside import Told

START = datetime(2026, 1, 5, 9, tzinfo=UTC)
BUG, CLOSING, STORY = 6, 7, 8
TRIAGED: Mapping[str, Json] = {
    "Microsoft.VSTS.Common.Priority": 1,
    "Microsoft.VSTS.Common.Severity": "2 - High",
    "System.Tags": "triaged",
    "System.History": "Like #1.",
    "+links": ["System.LinkTypes.Duplicate-Reverse 1"],
    "+by": "pointsman@fabrikam.example",
}
Doctor = Callable[[Evidence], Evidence]


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def key(item: int) -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project="Fabrikam", id=item)


def chain(item: int) -> Chain:
    return Chain(tenant="default", correlation_id=f"c-{item}", key=key(item))


def delivery(sequence: int, item: int, event: str, state: DeliveryState = DeliveryState.DISPATCHED) -> Delivery:
    return Delivery(
        id=f"d-{sequence}",
        received_at=at(sequence),
        tenant="default",
        event_type=f"workitem.{event}",
        idempotency_key=f"k-{sequence}",
        item_id=item,
        body=b"{}",
        state=state,
        sequence=sequence,
        correlation_id=f"d-{sequence}",
        chain_id=f"c-{item}",
    )


def attempt(item: int, kind: AttemptKind, subject: str, seconds: float, outcome: str = "ok") -> Attempt:
    return Attempt(
        id=f"{item}-{subject}",
        kind=kind,
        chain=chain(item),
        caller=Caller(workflow_id=f"ado/{item}", run_id="r"),
        target="search" if kind is AttemptKind.TOOL else "gpt",
        subject=subject,
        started_at=at(seconds),
        ended_at=at(seconds + 2) if outcome else None,
        outcome=outcome,
    )


def told(item: int, agent: str, values: Mapping[str, Json], *attempts: Attempt) -> Told:
    rule = {BUG: "rule 'bugs': type Bug"}.get(item, "rule 'stories'")
    routed = Transition(
        number=3, before=WorkItemState.ANALYSED, after=WorkItemState.ROUTED, reason=rule, at=at(1), agent=agent
    )
    row = ItemRow(
        key=key(item),
        tenant="default",
        correlation_id=f"c-{item}",
        workflow_id=f"ado/{item}",
        run_id="r",
        state=WorkItemState.DONE,
        agent=agent,
        first_at=at(0),
        changed_at=at(30),
    )
    write = WriteRecord(
        operation=f"{item}/1",
        key=key(item),
        base_rev=1,
        values=dict(values),
        intended_at=at(20),
        rev=2,
        status="written",
    )
    return Told(row, [ItemTransition(run_id="r", transition=routed)], attempts, [write], [], [])


def bug() -> Told:
    calls = (attempt(BUG, AttemptKind.TOOL, "1/1/1", 3), attempt(BUG, AttemptKind.TOOL, "1/1/2", 3.5))
    body = b'{"text": "{\\"id\\": 1, \\"title\\": \\"Cards\\"}"}'
    found = StoredMessage(slot="1/1/1", position=1, role="tool", hash="h", body=body, at=at(4))
    return replace(told(BUG, "triage", TRIAGED, *calls), messages=[found])


def closing() -> Told:
    question = Escalation(
        key=key(CLOSING),
        tenant="default",
        correlation_id="c-7",
        number=1,
        kind=EscalationKind.APPROVAL,
        severity=Severity.MEDIUM,
        summary="Close it?",
        allowed=(Verb.APPROVE,),
        subject="ab" * 32,
        ladder=Ladder(severity=Severity.MEDIUM, rungs=(Rung(notify=("team",), wait=timedelta(hours=2)),)),
    )
    decision = Decision(verb=Verb.APPROVE, by="ada", channel="temporal")
    row = EscalationRow(
        id="ESC-1", workflow_id="w", escalation=question, opened_at=at(5), decision=decision, closed_at=at(19)
    )
    return replace(told(CLOSING, "closer", {"System.State": "Resolved"}), escalations=[row])


def request(step: str, outcome: str, digest: str) -> Mapping[str, Json]:
    return {"body_sha256": digest, "outcome": outcome, "metadata": {"step": step}}


def answered(status: int, *, repeated: bool) -> Mapping[str, Json]:
    return {"status": status, "repeated": repeated}


def story() -> Told:
    return told(STORY, "refiner", {"System.Tags": "refined"}, attempt(STORY, AttemptKind.MODEL, "1/2", 5, outcome=""))


def evidence() -> Evidence:
    inbox = [
        delivery(1, STORY, "updated"),
        delivery(2, BUG, "created"),
        delivery(3, BUG, "created", DeliveryState.DUPLICATE),
        delivery(4, STORY, "created"),
        delivery(5, BUG, "updated", DeliveryState.ECHO),
    ]
    return Evidence(
        bug=bug(),
        closing=closing(),
        story=story(),
        inbox=inbox,
        delivered=[answered(202, repeated=number == 3) for number in range(1, 6)],
        writes=[{"item_id": item, "count": 1, "by": "pointsman@fabrikam"} for item in (BUG, CLOSING, STORY)],
        requests=[request("1/1", "answered", "a"), request("1/2", "aborted", "b"), request("1/2", "answered", "b")],
        comments={BUG: ["Like #1."], CLOSING: [], STORY: []},
        runs={BUG: 1, CLOSING: 1, STORY: 1},
        swapped=STORY,
        killed=STORY,
        audit=Report((LogState("default", 40, "root", 3, "note"),), 0, (), 0.1),
    )


def called(*attempts: Attempt) -> Doctor:
    return lambda seen: replace(seen, bug=replace(seen.bug, attempts=attempts))


def wrote(values: Mapping[str, Json]) -> Doctor:
    return lambda seen: replace(
        seen, bug=replace(seen.bug, writes=[seen.bug.writes[0].model_copy(update={"values": values})])
    )


def decided(**changes: object) -> Doctor:
    return lambda seen: replace(
        seen,
        closing=replace(seen.closing, escalations=[seen.closing.escalations[0].model_copy(update=changes)]),
    )


def test_all_checks_hold_on_true_evidence() -> None:
    held = all_checks(evidence())
    assert len(held) == 12
    assert len({check.name for check in held}) == 12
    assert [check for check in held if not check.ok] == []


def test_evidence_of_a_write_says_what_it_changes_and_no_mark_of_the_ledger() -> None:
    told = checks.answer_from_tools(evidence()).evidence
    assert '"+links": ["System.LinkTypes.Duplicate-Reverse 1"]}' in told
    assert "pointsman@" not in told


def test_without_a_kill_no_request_may_be_repeated() -> None:
    calm = replace(evidence(), killed=0, story=replace(evidence().story, attempts=[]))
    assert not checks.one_request_repeated(calm).ok
    assert checks.one_request_repeated(replace(calm, requests=calm.requests[:2])).ok


DOCTORED: list[tuple[Callable[[Evidence], Check], str, Doctor]] = [
    (checks.delivered_over_http, "lost from the inbox", lambda seen: replace(seen, inbox=seen.inbox[1:])),
    (checks.delivered_over_http, "nothing came", lambda seen: replace(seen, inbox=[], delivered=[])),
    (checks.delivered_over_http, "not over HTTP", lambda seen: replace(seen, delivered=seen.delivered[1:])),
    (
        checks.repeats_recognised,
        "not recognised",
        lambda seen: replace(seen, inbox=[row for row in seen.inbox if row.state is not DeliveryState.DUPLICATE]),
    ),
    (
        checks.repeats_recognised,
        "none repeated",
        lambda seen: replace(
            seen,
            delivered=[answered(202, repeated=False)],
            inbox=[row for row in seen.inbox if row.state is not DeliveryState.DUPLICATE],
        ),
    ),
    (checks.order_restored, "two runs", lambda seen: replace(seen, runs={**seen.runs, STORY: 2})),
    (
        checks.order_restored,
        "in order",
        lambda seen: replace(seen, inbox=[delivery(1, STORY, "created"), delivery(2, STORY, "updated")]),
    ),
    (checks.bug_routed, "no route", lambda seen: replace(seen, bug=replace(seen.bug, transitions=[]))),
    (
        checks.bug_routed,
        "another agent",
        lambda seen: replace(seen, bug=replace(seen.bug, row=seen.bug.row.model_copy(update={"agent": "closer"}))),
    ),
    (
        checks.tools_together,
        "one after another",
        called(attempt(BUG, AttemptKind.TOOL, "1/1/1", 3), attempt(BUG, AttemptKind.TOOL, "1/1/2", 5)),
    ),
    (checks.tools_together, "only one", called(attempt(BUG, AttemptKind.TOOL, "1/1/1", 3))),
    (
        checks.answer_from_tools,
        "cites what no tool returned",
        lambda seen: replace(seen, comments={**seen.comments, BUG: ["Like #12."]}),
    ),
    (checks.answer_from_tools, "cites nothing", lambda seen: replace(seen, comments={**seen.comments, BUG: ["Hm."]})),
    (checks.answer_from_tools, "writes less", wrote({"System.History": "Like #1."})),
    (checks.echo_recognised, "a second run", lambda seen: replace(seen, runs={**seen.runs, BUG: 2})),
    (checks.echo_recognised, "no echo", lambda seen: replace(seen, inbox=seen.inbox[:4])),
    (checks.human_decided, "nobody asked", lambda seen: replace(seen, closing=replace(seen.closing, escalations=[]))),
    (checks.human_decided, "nobody decided", decided(decision=None)),
    (checks.human_decided, "written before", decided(closed_at=at(21))),
    (
        checks.written_once,
        "written twice",
        lambda seen: replace(seen, writes=[{**seen.writes[0], "count": 2}, *seen.writes[1:]]),
    ),
    (checks.written_once, "not in our ledger", lambda seen: replace(seen, bug=replace(seen.bug, writes=[]))),
    (checks.written_once, "by nobody of ours", lambda seen: replace(seen, writes=seen.writes[1:])),
    (
        checks.one_request_repeated,
        "another one repeated",
        lambda seen: replace(seen, requests=[*seen.requests, request("1/1", "answered", "a")]),
    ),
    (checks.one_request_repeated, "none repeated", lambda seen: replace(seen, requests=seen.requests[:2])),
    (
        checks.one_request_repeated,
        "nothing in doubt",
        lambda seen: replace(seen, story=replace(seen.story, attempts=[])),
    ),
    (
        checks.nothing_else_repeated,
        "a tool called twice",
        lambda seen: replace(seen, bug=replace(seen.bug, attempts=[*seen.bug.attempts, seen.bug.attempts[0]])),
    ),
    (checks.nothing_else_repeated, "no tool called", called()),
    (
        checks.audit_verified,
        "a forged event",
        lambda seen: replace(seen, audit=replace(seen.audit, findings=(Finding("default", "entry 3", "changed"),))),
    ),
    (checks.audit_verified, "an empty log", lambda seen: replace(seen, audit=replace(seen.audit, logs=()))),
]


@pytest.mark.parametrize(
    ("check", "doctor"),
    [pytest.param(check, doctor, id=f"{check.__name__}: {what}") for check, what, doctor in DOCTORED],
)
def test_a_check_fails_on_doctored_evidence(check: Callable[[Evidence], Check], doctor: Doctor) -> None:
    assert check(evidence()).ok
    assert not check(doctor(evidence())).ok


def test_every_check_is_seen_to_fail() -> None:
    names = {check(evidence()).name for check, _, _ in DOCTORED}
    assert names == {check.name for check in all_checks(evidence())}
