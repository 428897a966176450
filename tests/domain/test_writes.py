"""Which decisions of people on a proposal hold until it is written."""

import pytest

from pointsman.contracts.lifecycle import Carry, FieldConflict, Published
from pointsman.domain.writes import after, decided


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
