"""The life of a violation: opened once, open while it is found, resolved when it is not, back when a waiver ends."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.process import CheckSeverity, Finding, Standing
from pointsman.contracts.violations import Inspection, ProcessViolation, ViolationState
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.questions import told
from pointsman.domain.process.violations import settle
from tests.domain.process.items import NOW

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)
CHECKS = ("A", "B", "C")


def finding(check: str, standing: Standing = Standing.VIOLATED, update: int = 0, evidence: str = "") -> Finding:
    return Finding(check=check, standing=standing, severity=CheckSeverity.MAJOR, update=update, evidence=evidence)


def inspection(*findings: Finding, checks: tuple[str, ...] = CHECKS, rev: int = 7) -> Inspection:
    return Inspection(tenant="t", process="cmmi", key=KEY, rev=rev, at=NOW, checks=checks, findings=findings)


def standing(
    check: str, update: int = 0, state: ViolationState = ViolationState.OPEN, days: int = 0
) -> ProcessViolation:
    return ProcessViolation(
        id=f"VIO-{check}{update}",
        tenant="t",
        process="cmmi",
        key=KEY,
        check=check,
        severity=CheckSeverity.MAJOR,
        update=update,
        state=state,
        opened_at=NOW - timedelta(days=9),
        until=NOW + timedelta(days=days) if state is ViolationState.WAIVED else None,
    )


def test_what_is_found_for_the_first_time_is_opened_and_what_is_there_stays() -> None:
    steps = settle([standing("A")], inspection(finding("A"), finding("B")))
    assert [one.check for one in steps.opened] == ["B"]
    assert [one.id for one in steps.kept] == ["VIO-A0"]
    assert not steps.resolved


def test_what_is_found_no_longer_is_resolved_with_the_revision() -> None:
    (resolved,) = settle([standing("A")], inspection(finding("A", Standing.HELD), rev=9)).resolved
    assert (resolved.state, resolved.resolved_rev, resolved.resolved_at) == (ViolationState.RESOLVED, 9, NOW)
    assert settle([standing("A")], inspection()).resolved, "a check that does not apply any more finds nothing"


def test_what_an_item_broke_in_a_project_that_it_has_left_is_resolved_where_no_such_check_is_made() -> None:
    left = KEY.model_copy(update={"project": "App"})
    known = [standing(name).model_copy(update={"key": left}) for name in ("A", "B")]
    steps = settle(known, inspection(finding("B"), checks=("B",)))
    assert ([one.check for one in steps.resolved], [one.key for one in steps.kept]) == (["A"], [KEY])


def test_without_data_and_without_the_check_it_stays() -> None:
    assert not settle([standing("A")], inspection(finding("A", Standing.NO_DATA))).resolved
    assert not settle([standing("A")], inspection(checks=("B",))).resolved


def test_each_entry_of_the_history_that_broke_a_rule_is_a_violation_of_its_own() -> None:
    steps = settle([standing("A", 3)], inspection(finding("A", update=3), finding("A", update=5)))
    assert [(one.check, one.update) for one in steps.opened] == [("A", 5)]


def test_a_waiver_holds_until_its_end() -> None:
    still = settle([standing("A", state=ViolationState.WAIVED, days=1)], inspection(finding("A")))
    assert [one.state for one in still.kept] == [ViolationState.WAIVED]
    over = settle([standing("A", state=ViolationState.WAIVED, days=0)], inspection(finding("A")))
    assert [(one.state, one.until) for one in over.returned] == [(ViolationState.OPEN, None)]
    assert not over.kept


def test_of_a_project_each_thing_that_breaks_a_check_is_a_violation_of_its_own() -> None:
    waived = standing("A", state=ViolationState.WAIVED, days=1).model_copy(update={"about": "web"})
    both = [finding("A").model_copy(update={"about": name}) for name in ("web", "docs")]
    steps = settle([waived], inspection(*both))
    assert ([one.about for one in steps.opened], steps.kept[0].state) == (["docs"], ViolationState.WAIVED)
    assert settle([waived], inspection(both[1])).resolved[0].about == "web"
    assert not settle([waived], inspection(finding("A", Standing.NO_DATA))).resolved


def test_a_violation_goes_with_its_item_into_another_project() -> None:
    moved = KEY.model_copy(update={"project": "App"})
    (kept,) = settle([standing("A")], inspection(finding("A")).model_copy(update={"key": moved})).kept
    assert kept.key == moved


def test_evidence_is_that_of_today() -> None:
    (kept,) = settle([standing("A")], inspection(finding("A", evidence="15 days"))).kept
    assert kept.evidence == "15 days"


FINDINGS = st.lists(
    st.builds(finding, st.sampled_from(CHECKS), st.sampled_from(Standing), st.integers(0, 2)), max_size=6
)
STANDING = st.sampled_from([ViolationState.OPEN, ViolationState.ACKNOWLEDGED, ViolationState.WAIVED])
KNOWN = st.lists(
    st.builds(
        standing,
        st.sampled_from(CHECKS),
        st.integers(0, 2),
        st.sampled_from(list(ViolationState)[:3]),
        st.integers(-1, 1),
    ),
    max_size=6,
    unique_by=lambda one: (one.check, one.update),
)


@given(KNOWN, FINDINGS)
def test_an_inspection_settles_once_and_again_changes_nothing(
    known: list[ProcessViolation], findings: list[Finding]
) -> None:
    steps = settle(known, inspection(*findings))
    ended = [*steps.kept, *steps.resolved, *steps.returned]
    assert {one.id for one in ended} == {one.id for one in known}
    assert len(ended) == len(known)
    opened = [standing(one.check, one.update) for one in steps.opened]
    after = [*steps.kept, *steps.returned, *opened]
    again = settle(after, inspection(*findings))
    assert not again.opened
    assert not again.resolved
    assert not again.returned


def test_a_decision_is_told_with_who_why_and_until_when() -> None:
    waived = standing("READY-1", 3, ViolationState.WAIVED).model_copy(update={"by": "ada", "reason": "the *supplier*"})
    shown = told(waived)
    assert shown.startswith("### VIO-READY-13: READY-1, major\n**waived**, until ")
    assert "by ada: the \\*supplier\\*" in shown
