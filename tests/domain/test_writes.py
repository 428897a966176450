"""Which decisions of people on a proposal hold until it is written."""

import pytest

from pointsman.contracts.escalations import EscalationKind
from pointsman.contracts.lifecycle import Ask, Carry, DeliverRequest, FieldConflict, Published
from pointsman.contracts.policy import Severity
from pointsman.contracts.process_control import Breach
from pointsman.contracts.work_items import ProposalRef
from pointsman.domain.writes import UNDECIDED, after, allowed, decided, write_of
from tests.domain.samples import FACTS, KEY, POLICY, SUBJECT


def test_the_last_decision_on_each_field_counts_and_says_whose_it_is() -> None:
    first, second = FieldConflict(field="f", theirs=1, by="ada"), FieldConflict(field="g", theirs=2, by="ada")
    carry = Carry(decided=(first, second), conflicts=(FieldConflict(field="f", theirs=3),), decided_by="grace")
    assert [(one.field, one.theirs, one.by) for one in decided(carry)] == [("f", 3, "grace"), ("g", 2, "ada")]
    assert decided(carry.model_copy(update={"decided_by": ""})) == (first, second)


@pytest.mark.parametrize(
    ("status", "holds"), [("conflict", True), ("held_back", True), ("quarantined", False), ("written", False)]
)
def test_a_release_holds_until_the_write_has_come_as_far_as_the_quarantine(status: str, holds: bool) -> None:
    carry = after(Carry(released_by="ada"), Published(status=status))
    assert (carry.released_by == "ada", carry.writes) == (holds, 1)


def test_no_decision_on_an_unwritten_proposal_is_one_on_that_of_the_next_turn() -> None:
    proposal = ProposalRef(hash=SUBJECT, summary="Close it")
    conflict = FieldConflict(field="f", theirs=1, by="ada")
    fresh = Carry(turns=2, facts=FACTS, proposal=proposal, conflicts=(conflict,))
    given = {"decided": (conflict,), "decided_by": "ada", "force": ("f",), "despite": "ada", "let_pass": ("a-check",)}
    given["allowed_breaches"] = (Breach(check="a-check", evidence="as it was"),)
    stale = fresh.model_copy(update={**given, "leave_out": ("Related 7",), "approved_by": "ada"})
    request = DeliverRequest(key=KEY, tenant="default", correlation_id="c-1", policy=POLICY)
    assert write_of(request, stale, "a-run") != write_of(request, fresh, "a-run")
    assert write_of(request, stale.model_copy(update=UNDECIDED), "a-run") == write_of(request, fresh, "a-run")


def test_what_is_let_pass_is_what_was_shown_or_the_checks_where_that_was_not_kept() -> None:
    shown = Breach(check="FLOW", evidence="it went from Active to Done")
    ask = Ask(kind=EscalationKind.RULE, severity=Severity.HIGH, summary="Write?", allowed=(), checks=("FLOW",))
    earlier = allowed(Carry(), ask, "ada")
    later = allowed(earlier, ask.model_copy(update={"breaches": (shown,)}), "grace")
    assert (earlier.despite, earlier.let_pass, earlier.allowed_breaches) == ("ada", ("FLOW",), ())
    assert (later.despite, later.let_pass, later.allowed_breaches) == ("grace", ("FLOW",), (shown,))
