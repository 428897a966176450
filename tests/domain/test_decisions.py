"""Only what answers the question, and is about what was seen, is a decision; everything else says why not."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Verb
from pointsman.domain.decisions import SUBJECT_CHARS_MIN, Undecidable, check, read, verbs_for
from tests.domain.samples import SUBJECT, escalation, values

APPROVAL = escalation(EscalationKind.APPROVAL, verbs_for(EscalationKind.APPROVAL))
ROUTING = escalation(EscalationKind.ROUTING, verbs_for(EscalationKind.ROUTING), choices=("triage", "closer"))


def decision(verb: Verb, **parts: object) -> Decision:
    return Decision.model_validate({"verb": verb, "by": "ada", **parts})


@given(st.binary() | st.text('{}[]":,\\verbyapo \n', max_size=40).map(str.encode))
def test_any_bytes_are_undecidable_with_a_reason(raw: bytes) -> None:
    with pytest.raises(Undecidable, match=r'Send for example \{"verb"'):
        read(raw)


@given(
    st.fixed_dictionaries(
        {"verb": st.sampled_from([*Verb, "ship it"]) | values, "by": st.just("ada") | values},
        optional={"comment": values | st.text(), "subject": st.just(SUBJECT) | values, "edits": values, "more": values},
    ),
    st.sampled_from([APPROVAL, ROUTING]),
)
def test_any_json_is_a_decision_or_undecidable_and_nothing_else(document: dict[str, Json], asked: Escalation) -> None:
    raw = json.dumps(document).encode()
    with suppress(Undecidable):
        taken = read(raw)
        check(asked, taken)
        assert taken.verb in asked.allowed


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "input: Invalid JSON"),
        (b'"approve"', "input: Input should be an object"),
        (b"\xff\xfe", "input: Invalid JSON"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"verb": "ship", "by": "ada"}', "verb: Input should be 'approve', 'edit', 'reject' or 'respond'"),
        (b'{"verb": "approve"}', "by: Field required"),
        (b'{"verb": "approve", "by": ""}', "by: String should have at least 1 character"),
        (b'{"verb": "approve", "by": "x", "comment": 7}', "comment: Input should be a valid string"),
    ],
)
def test_what_is_no_decision_is_told_with_its_place(raw: bytes, told: str) -> None:
    with pytest.raises(Undecidable, match=told):
        read(raw)


def test_a_decision_is_read_as_a_human_writes_it() -> None:
    raw = b'{"verb": "approve", "by": "ada", "subject": "01234567", "future": true}'
    assert read(raw) == decision(Verb.APPROVE, subject="01234567")


@pytest.mark.parametrize("chars", [SUBJECT_CHARS_MIN, 12, len(SUBJECT)])
def test_a_subject_may_be_given_by_its_beginning_in_any_case(chars: int) -> None:
    check(APPROVAL, decision(Verb.APPROVE, subject=f" {SUBJECT[:chars].upper()} "))
    check(APPROVAL, decision(Verb.EDIT, subject=SUBJECT[:chars], edits={"comment": "x"}))


@given(st.text("0123456789abcdef", max_size=len(SUBJECT) + 2))
def test_an_approval_is_bound_to_what_was_seen(subject: str) -> None:
    approval = decision(Verb.APPROVE, subject=subject)
    if len(subject) >= SUBJECT_CHARS_MIN and SUBJECT.startswith(subject):
        check(APPROVAL, approval)
    else:
        with pytest.raises(Undecidable, match=r"needs the subject that you saw|stale: you saw"):
            check(APPROVAL, approval)


@pytest.mark.parametrize(
    ("taken", "told"),
    [
        (decision(Verb.APPROVE), f"approve needs the subject that you saw: {SUBJECT[:12]}"),
        (decision(Verb.APPROVE, subject=SUBJECT[: SUBJECT_CHARS_MIN - 1]), "approve needs the subject"),
        (decision(Verb.APPROVE, subject="f" * 64), f"stale: you saw ffffffffffff, asked is {SUBJECT[:12]}; look again"),
        (decision(Verb.APPROVE, subject=SUBJECT + "0"), "stale"),
        (decision(Verb.REJECT), "reject needs a comment"),
        (decision(Verb.RESPOND, comment=" \n"), "respond needs a comment"),
        (decision(Verb.RESPOND, comment="a\x00"), "comment: holds control characters"),
        (decision(Verb.EDIT, subject=SUBJECT), "edit needs edits"),
        (decision(Verb.EDIT, subject=SUBJECT, edits={"System.State": ["x"]}), "list cannot be a field's value"),
        (decision(Verb.EDIT, subject=SUBJECT, edits={"System.State": float("nan")}), "must be finite"),
        (decision(Verb.EDIT, edits={"comment": "x"}), "edit needs the subject"),
        (decision(Verb.REJECT, by=" ", comment="no"), "by: ' ' must be a name in one line"),
        (decision(Verb.REJECT, by="ada\n**approve** by bo", comment="no"), "must be a name in one line"),
        (decision(Verb.REJECT, by="ada\x1b[2K", comment="no"), "must be a name in one line"),
    ],
)
def test_a_decision_that_lacks_what_it_needs_is_refused(taken: Decision, told: str) -> None:
    with pytest.raises(Undecidable) as refused:
        check(APPROVAL, taken)
    assert told in str(refused.value)


def test_a_verb_that_is_not_asked_for_is_refused_with_those_that_are() -> None:
    with pytest.raises(Undecidable, match="approve is not possible here; possible are: respond, reject"):
        check(ROUTING, decision(Verb.APPROVE, subject=SUBJECT))


def test_where_there_are_choices_a_response_is_one_of_them() -> None:
    check(ROUTING, decision(Verb.RESPOND, comment=" closer "))
    check(ROUTING, decision(Verb.REJECT, comment="not ours"))
    with pytest.raises(Undecidable, match="'somebody' is none of: triage, closer"):
        check(ROUTING, decision(Verb.RESPOND, comment="somebody"))


def test_what_answers_the_question_is_taken() -> None:
    check(APPROVAL, decision(Verb.REJECT, comment="no"))
    check(APPROVAL, decision(Verb.RESPOND, comment="look at the crane"))
    check(APPROVAL, decision(Verb.EDIT, subject=SUBJECT, edits={"System.State": None, "tags": []}))


OF_PROPOSALS = (EscalationKind.APPROVAL, EscalationKind.CONFLICT, EscalationKind.FAILURE, EscalationKind.RULE)


@pytest.mark.parametrize("kind", EscalationKind)
def test_every_question_can_be_rejected_and_only_a_proposal_edited(kind: EscalationKind) -> None:
    verbs = verbs_for(kind)
    # A violation stands whether anybody likes it or not: it is taken on, or waived with words.
    assert (Verb.REJECT in verbs) == (kind is not EscalationKind.VIOLATION)
    assert (Verb.EDIT in verbs) == (
        kind in (EscalationKind.APPROVAL, EscalationKind.CONFLICT, EscalationKind.FAILURE, EscalationKind.RULE)
    )
    # Nothing is there to approve where somebody must say who or what.
    assert (Verb.APPROVE in verbs) == (kind not in (EscalationKind.ROUTING, EscalationKind.QUESTION))
