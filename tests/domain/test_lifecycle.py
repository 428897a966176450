"""Where an item goes next: only a decision leads on, silence parks, and every question says how to answer it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import EscalationKind, Resolution, Verb
from pointsman.contracts.lifecycle import Ask, End, FieldConflict, Stage
from pointsman.contracts.policy import Match, Policy, Route, RoutingDecision, ScopeRule, Severity
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import BrokenRule
from pointsman.contracts.turns import TurnEnd, TurnResult
from pointsman.contracts.work_items import EventKind, Facts, ProposalRef, Usage, WorkItemEvent, WorkItemState
from pointsman.domain.decisions import verbs_for
from pointsman.domain.lifecycle import (
    DEFAULT_RUNGS,
    SEEN_MAX,
    TOLD_MAX,
    after_decision,
    after_intake,
    after_turn,
    ask_conflict,
    ask_failure,
    ask_routing,
    covered,
    is_elsewhere,
    ladder_for,
    leads_elsewhere,
    question_hash,
    remember,
    tell_once,
)
from pointsman.domain.process.questions import ask_rule
from tests.domain.samples import AGENT, FACTS, KEY, POLICY

CAREFUL = ProposalRef(hash="a" * 64, fields=("System.State",), tags=("x",), summary="System.State = Resolved")
BROKEN = BrokenRule(check="C", title="t", practice="p", severity=CheckSeverity.MAJOR, evidence="e")
HARMLESS = ProposalRef(hash="b" * 64, fields=("Custom.x",), tags=("x",), summary="Custom.x = 1")


def event(kind: EventKind, rev: int, *changed: str) -> WorkItemEvent:
    return WorkItemEvent(
        delivery_id="d", idempotency_key="k", correlation_id="c", kind=kind, key=KEY, rev=rev, changed_fields=changed
    )


def asked(kind: EscalationKind) -> Ask:
    """A question of each kind as the rules ask it."""
    turn = TurnResult(end=TurnEnd.ANSWERED, proposal=CAREFUL)
    ask = {
        EscalationKind.APPROVAL: after_turn(AGENT, turn),
        EscalationKind.ROUTING: ask_routing(POLICY, RoutingDecision(reason="none of 3 rules matches"), FACTS),
        EscalationKind.LIMIT: after_turn(AGENT, TurnResult(end=TurnEnd.LIMIT, reason="steps reached 3 of 3")),
        EscalationKind.QUESTION: after_turn(AGENT, TurnResult(end=TurnEnd.QUESTION, reason="Which crane?")),
        EscalationKind.CONFLICT: ask_conflict([FieldConflict(field="f", base="a", ours="b", theirs="c")], CAREFUL),
        EscalationKind.FAILURE: ask_failure("publishing", "Rejected: no", Stage.PUBLISHING, CAREFUL),
        EscalationKind.RULE: ask_rule([BROKEN], CAREFUL),
    }[kind]
    assert ask is not None
    return ask


def resolved(verb: Verb | None, outcome: str = "decided") -> Resolution:
    return Resolution(escalation_id="ESC-1", verb=verb, by="ada", comment="because", outcome=outcome)


PARKED, FAILED, WITHDRAWN = WorkItemState.PARKED, WorkItemState.FAILED, WorkItemState.WITHDRAWN
WHERE: dict[tuple[EscalationKind, Verb], Stage | WorkItemState] = {
    (EscalationKind.APPROVAL, Verb.APPROVE): Stage.PUBLISHING,
    (EscalationKind.APPROVAL, Verb.EDIT): Stage.PUBLISHING,
    (EscalationKind.APPROVAL, Verb.REJECT): PARKED,
    (EscalationKind.APPROVAL, Verb.RESPOND): Stage.WORKING,
    (EscalationKind.ROUTING, Verb.RESPOND): Stage.WORKING,
    (EscalationKind.ROUTING, Verb.REJECT): PARKED,
    (EscalationKind.LIMIT, Verb.APPROVE): Stage.WORKING,
    (EscalationKind.LIMIT, Verb.RESPOND): Stage.WORKING,
    (EscalationKind.LIMIT, Verb.REJECT): PARKED,
    (EscalationKind.QUESTION, Verb.RESPOND): Stage.WORKING,
    (EscalationKind.QUESTION, Verb.REJECT): PARKED,
    (EscalationKind.CONFLICT, Verb.APPROVE): Stage.PUBLISHING,
    (EscalationKind.CONFLICT, Verb.EDIT): Stage.PUBLISHING,
    (EscalationKind.CONFLICT, Verb.RESPOND): Stage.WORKING,
    (EscalationKind.CONFLICT, Verb.REJECT): PARKED,
    (EscalationKind.FAILURE, Verb.APPROVE): Stage.PUBLISHING,
    (EscalationKind.FAILURE, Verb.EDIT): Stage.PUBLISHING,
    (EscalationKind.FAILURE, Verb.REJECT): FAILED,
    (EscalationKind.RULE, Verb.APPROVE): Stage.PUBLISHING,
    (EscalationKind.RULE, Verb.EDIT): Stage.PUBLISHING,
    (EscalationKind.RULE, Verb.RESPOND): Stage.WORKING,
    (EscalationKind.RULE, Verb.REJECT): PARKED,
}
# A violation is asked about by a run of its own, and leads no item anywhere.
KINDS = [kind for kind in EscalationKind if kind is not EscalationKind.VIOLATION]


@pytest.mark.parametrize("kind", KINDS)
def test_each_question_may_be_answered_with_the_verbs_that_lead_somewhere(kind: EscalationKind) -> None:
    assert set(asked(kind).allowed) == {verb for other, verb in WHERE if other is kind}
    assert set(asked(kind).allowed) <= set(verbs_for(kind))


@pytest.mark.parametrize(("kind", "verb"), WHERE)
def test_a_decision_leads_where_the_question_said(kind: EscalationKind, verb: Verb) -> None:
    move = after_decision(asked(kind), resolved(verb))
    wanted = WHERE[kind, verb]
    if isinstance(wanted, Stage):
        assert move is wanted
    else:
        assert move == End(state=wanted, reason=f"{kind} rejected by ada: because")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", [None, *Verb])
def test_without_a_decision_nothing_goes_on(kind: EscalationKind, verb: Verb | None) -> None:
    parked = End(state=PARKED, reason=f"nobody decided on the {kind}: all rungs passed")
    assert after_decision(asked(kind), resolved(verb, "expired")) == parked
    assert after_decision(asked(kind), resolved(None)) == parked
    withdrawn = after_decision(asked(kind), resolved(verb, "withdrawn"))
    assert withdrawn == End(state=WITHDRAWN, reason=f"the {kind} was withdrawn")


def test_the_reason_of_a_rejection_stays_short() -> None:
    resolution = resolved(Verb.REJECT).model_copy(update={"comment": "x" * 20_000})
    move = after_decision(asked(EscalationKind.QUESTION), resolution)
    assert isinstance(move, End)
    assert len(move.reason) == 500


def test_a_failed_turn_can_be_answered_with_words() -> None:
    ask = after_turn(AGENT, TurnResult(end=TurnEnd.FAILED, reason="AuthenticationError: no key"))
    assert ask is not None
    assert ask.allowed == verbs_for(EscalationKind.FAILURE)
    assert after_decision(ask, resolved(Verb.RESPOND)) is Stage.WORKING
    assert after_decision(ask, resolved(Verb.APPROVE)) is Stage.WORKING


def test_a_proposal_without_what_needs_approval_goes_out() -> None:
    assert after_turn(AGENT, TurnResult(end=TurnEnd.ANSWERED, proposal=HARMLESS)) is None


def test_a_proposal_with_what_needs_approval_waits_for_it() -> None:
    ask = after_turn(AGENT, TurnResult(end=TurnEnd.ANSWERED, proposal=CAREFUL, dropped=("System.AreaPath",)))
    assert ask is not None
    assert (ask.kind, ask.severity, ask.proposal) == (EscalationKind.APPROVAL, Severity.HIGH, CAREFUL)
    assert ask.summary.endswith("System.State = Resolved; a human must approve System.State.")
    assert ask.details == "Not allowed to it, and left out: System.AreaPath."


def test_a_limit_is_asked_about_with_what_was_done_so_far() -> None:
    used = Usage(model_calls=3, tool_calls=2, input_tokens=10, output_tokens=5, cost_usd="0.25")
    ask = after_turn(AGENT, TurnResult(end=TurnEnd.LIMIT, reason="steps reached 3 of 3", usage=used, seconds=7))
    assert ask is not None
    assert "steps reached 3 of 3" in ask.summary
    assert ask.details == "Done so far: 3 model calls, 2 tool calls, 15 tokens, 0.25 USD in 7 s."


@pytest.mark.parametrize(
    ("end", "reason", "told"),
    [
        (TurnEnd.INVALID, "the answer is empty", "The turn came to nothing: the answer is empty"),
        (TurnEnd.FAILED, "", "The turn came to nothing: failed"),
        (TurnEnd.ANSWERED, "", "The turn came to nothing: answered"),
    ],
)
def test_a_turn_that_came_to_nothing_is_a_failure(end: TurnEnd, reason: str, told: str) -> None:
    ask = after_turn(AGENT, TurnResult(end=end, reason=reason))
    assert ask is not None
    assert (ask.kind, ask.severity, ask.summary) == (EscalationKind.FAILURE, Severity.HIGH, told)


def test_routing_is_asked_with_the_agents_to_choose_from() -> None:
    ask = asked(EscalationKind.ROUTING)
    assert ask.choices == ("triage",)
    assert ask.summary == "Which agent takes Bug 41, 'Crane stops at noon'? none of 3 rules matches."
    assert ask.details == "Agents: `triage` sets priorities"


ADA: Json = {"displayName": "Ada", "uniqueName": "ada@x.example", "_links": {}}


def test_a_conflict_is_shown_as_a_table_that_no_value_can_break() -> None:
    conflicts = [
        FieldConflict(field="f", base=None, ours="a|b", theirs="c\n\nd"),
        FieldConflict(field="g", base="", ours="x" * 300, theirs=0),
        FieldConflict(field="h", base="Noor <noor@x.example>", ours="y" * 120, theirs=ADA),
    ]
    ask = ask_conflict(conflicts, CAREFUL)
    rows = ask.details.splitlines()
    assert rows[2] == "| f | (empty) | a\\|b | c d | escalate |"
    assert rows[3] == f"| g | (empty) | {'x' * 119}… | 0 | escalate |"
    assert rows[4] == f"| h | Noor <noor@x.example> | {'y' * 120} | ada@x.example | escalate |"
    assert ask.summary == "Somebody else changed f, g, h meanwhile. Approve: ours stands."
    assert ask.fields == ("f", "g", "h")


@pytest.mark.parametrize(
    ("kind", "rev", "changed", "is_covered"),
    [
        (EventKind.CREATED, 3, (), True),
        (EventKind.UPDATED, 2, ("System.State",), True),
        (EventKind.UPDATED, 4, ("System.State",), False),
        (EventKind.UPDATED, 0, ("System.State",), False),
        (EventKind.UPDATED, 3, ("System.History",), False),
        (EventKind.COMMENTED, 3, (), False),
        (EventKind.DELETED, 3, (), False),
        (EventKind.RESTORED, 3, (), False),
    ],
)
def test_reading_the_item_covers_plain_changes_up_to_its_revision(
    kind: EventKind, rev: int, changed: tuple[str, ...], is_covered: bool
) -> None:
    assert covered(event(kind, rev, *changed), 3) == is_covered


def test_an_item_in_scope_is_worked_on() -> None:
    assert after_intake(POLICY, FACTS) is None


def test_an_item_out_of_scope_or_deleted_is_withdrawn() -> None:
    deleted = after_intake(POLICY, FACTS.model_copy(update={"deleted": True}))
    assert deleted == End(state=WITHDRAWN, reason="the item is in the recycle bin")
    outside = after_intake(Policy(version="1"), FACTS)
    assert outside == End(state=WITHDRAWN, reason="out of scope of all 0 scope rules")


@pytest.mark.parametrize("severity", Severity)
def test_every_severity_has_a_ladder_even_if_policy_names_none(severity: Severity) -> None:
    ladder = ladder_for(POLICY, severity)
    assert ladder.severity is severity
    assert ladder.rungs == (POLICY.ladders[0].rungs if severity is Severity.HIGH else DEFAULT_RUNGS)


@given(st.integers(0, SEEN_MAX * 2))
def test_memory_of_events_keeps_the_latest_and_stays_bounded(count: int) -> None:
    seen: tuple[str, ...] = ()
    for number in range(count):
        seen = remember(seen, str(number))
    assert seen == tuple(str(number) for number in range(count))[-SEEN_MAX:]


@given(st.lists(st.lists(st.integers(0, 600).map(str), max_size=300), max_size=6))
def test_everything_is_told_and_what_is_told_is_remembered_within_bounds(batches: list[list[str]]) -> None:
    told: tuple[str, ...] = ()
    for news in batches:
        before = told
        fresh, told = tell_once(told, news)
        assert set(news) <= {*before, *fresh}
        assert len(fresh) == len(set(fresh))
        assert not set(fresh) & set(before)
        assert told == (*before, *fresh)[-TOLD_MAX:]


def test_the_second_event_of_a_comment_tells_nothing_while_fewer_than_the_bound_lie_between() -> None:
    _, told = tell_once((), ["comment"])
    for number in range(TOLD_MAX - 1):
        _, told = tell_once(told, [str(number)])
        assert tell_once(told, ["comment"])[0] == ()
    assert tell_once(tell_once(told, ["one more"])[1], ["comment"])[0] == ("comment",)


def test_two_questions_of_one_item_never_share_a_subject() -> None:
    first, second = asked(EscalationKind.QUESTION), asked(EscalationKind.LIMIT)
    hashes = {question_hash(first, 1), question_hash(first, 2), question_hash(second, 1)}
    assert len(hashes) == 3
    assert question_hash(first, 1) == question_hash(first, 1)


def place(project: str = "Web", area: str = "Web", kind: str = "Bug") -> Facts:
    key = KEY.model_copy(update={"project": project})
    return FACTS.model_copy(update={"key": key, "area_path": area, "type": kind})


@pytest.mark.parametrize(
    ("after", "moved"),
    [
        (place(), False),
        (place("web", "WEB", "bug"), False),
        (place(area="Web\\Login"), True),
        (place(project="Shop"), True),
        (place(kind="Task"), True),
        (place().model_copy(update={"tags": ("x",), "title": "Another", "rev": 9}), False),
    ],
)
def test_project_area_and_type_are_where_an_item_is(after: Facts, moved: bool) -> None:
    assert is_elsewhere(place(), after) is moved


def test_a_move_matters_where_scope_or_route_lead_elsewhere() -> None:
    rules = Policy(
        version="1",
        scope=(ScopeRule(name="bugs", match=Match(types=("Bug",))),),
        routes=(
            Route(name="shop", match=Match(area_paths=("Shop",)), agent="clerk"),
            Route(name="web", match=Match(area_paths=("Web",)), agent="triage"),
        ),
    )
    assert not leads_elsewhere(rules, place(area="Web\\Login"), "triage")
    assert leads_elsewhere(rules, place(area="Shop"), "triage")
    assert leads_elsewhere(rules, place(kind="Task"), "triage")
    assert leads_elsewhere(rules, place(area="Nowhere"), "triage")
    assert not leads_elsewhere(rules, place(area="Nowhere"), "")
