"""What a check counts while items go by: what each adds, and nothing that grows with their number."""

from pointsman.contracts.process import (
    Check,
    CheckSeverity,
    Complete,
    Finding,
    ItemFacts,
    ProcessPolicy,
    Standing,
)
from pointsman.contracts.violations import CheckTally, Settlement
from pointsman.domain.process.tallies import OTHERS, VALUES_MAX, counted, project_facts, settled

POLICY = ProcessPolicy(
    name="ours",
    version="1",
    checks=(
        Check(
            id="MC-1",
            practice="MC",
            source="ours",
            title="effort is known",
            severity=CheckSeverity.MAJOR,
            types=("Task",),
            rule=Complete(fields=("Effort", "Owner"), percent=90),
        ),
    ),
)


def task(number: int, **fields: str) -> ItemFacts:
    return ItemFacts(id=number, type="Task", state="Doing", fields=dict(fields))


def found(check: str, standing: Standing) -> Finding:
    return Finding(check=check, standing=standing, severity=CheckSeverity.MAJOR)


def test_items_are_counted_with_the_fields_that_are_asked_for() -> None:
    tally = CheckTally()
    for one in (task(1, Effort="3"), task(2, Effort="5", Owner="ada", Other="x"), task(3, Owner="")):
        tally = counted(POLICY, tally, one, ())
    assert (tally.items, tally.counts, tally.filled) == (3, {"Task": 3}, {"Task/Effort": 2, "Task/Owner": 1})
    assert project_facts(POLICY, tally, "Web").filled == {"Task/Effort": (2, 3), "Task/Owner": (1, 3)}


def test_values_are_counted_where_that_is_asked_for_and_only_so_many_by_name() -> None:
    (check,) = POLICY.checks
    rule = Complete(fields=("Cause",), percent=90, by_value=True)
    policy = POLICY.model_copy(update={"checks": (check, check.model_copy(update={"id": "MC-2", "rule": rule}))})
    tally = CheckTally()
    causes = ["Design", "Code", "Code", "", *(f"cause {number}" for number in range(VALUES_MAX))]
    for number, cause in enumerate(causes):
        tally = counted(policy, tally, task(number, Cause=cause, Owner="ada"), ())
    assert list(tally.values) == ["Task/Cause"]
    counts = tally.values["Task/Cause"]
    assert (counts["Code"], counts["Design"], counts[OTHERS], len(counts)) == (2, 1, 2, VALUES_MAX + 1)


def test_a_check_that_cannot_decide_is_counted_once_for_each_item() -> None:
    findings = [found("a", Standing.NO_DATA), found("a", Standing.NO_DATA), found("b", Standing.HELD)]
    tally = counted(POLICY, counted(POLICY, CheckTally(), task(1), findings), task(2), findings)
    assert tally.doubts == {"a": 2}
    assert tally.standings == {Standing.NO_DATA.value: 4, Standing.HELD.value: 2}


def test_what_inspections_changed_adds_up() -> None:
    settlement = Settlement(opened=("VIO-1", "VIO-2"), resolved=("VIO-3",), returned=("VIO-4",), standing=5)
    tally = settled(settled(CheckTally(items=1), settlement), settlement)
    assert tally == CheckTally(items=1, opened=4, resolved=2, returned=2, standing=10)
