"""A report counts what happened in its time, by practice, and says what it does not know."""

from datetime import UTC, datetime, timedelta

from pointsman.contracts.matrix import Column, MatrixCoverage
from pointsman.contracts.process import Check, CheckSeverity, Filled, ProcessPolicy
from pointsman.contracts.process_report import Waiver
from pointsman.contracts.violations import Checked, CheckTally, ProcessViolation, ViolationState
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.matrix.reports import OTHER, Kept, Span, report, stands, trend

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
SPAN = Span(MONDAY, MONDAY + 10 * DAY)


def check(name: str, practice: str) -> Check:
    return Check(id=name, practice=practice, source="ours", title=name, rule=Filled(fields=("x",)))


POLICY = ProcessPolicy(
    name="ours", version="3", checks=(check("A", "Trace"), check("B", "Trace"), check("C", "Review"))
)


def violation(
    number: int,
    name: str,
    opened: float,
    resolved: float | None = None,
    state: ViolationState = ViolationState.OPEN,
    until: datetime | None = None,
) -> ProcessViolation:
    """Days are counted from the beginning of the time."""
    return ProcessViolation(
        id=f"VIO-{number}",
        tenant="default",
        process="ours",
        key=WorkItemKey(organisation="fabrikam", project="Web", id=number),
        check=name,
        severity=CheckSeverity.MAJOR,
        state=state if resolved is None else ViolationState.RESOLVED,
        opened_at=MONDAY + opened * DAY,
        resolved_at=None if resolved is None else MONDAY + resolved * DAY,
        until=until,
    )


VIOLATIONS = (
    violation(1, "A", -5, 1),  # resolved in the first week
    violation(2, "A", 2),
    violation(3, "B", 8, 9),  # in the second week, and gone in it
    violation(4, "C", 1, state=ViolationState.WAIVED, until=MONDAY + 90 * DAY),
    violation(5, "gone", 3),
    violation(6, "A", 11),  # behind the time
    violation(7, "C", -9, -8),  # before it
)
WAIVERS = (
    Waiver(violation="VIO-4", check="C", at=MONDAY + 2 * DAY, by="noor", reason="why"),
    Waiver(violation="VIO-4", check="C", at=MONDAY - 2 * DAY, by="noor"),
)


def test_violations_are_counted_by_practice() -> None:
    told = report("fabrikam", "Web", POLICY, SPAN, Kept(VIOLATIONS, WAIVERS), MONDAY + 20 * DAY)
    assert {p.practice: (p.opened, p.resolved, p.waived, p.standing) for p in told.practices} == {
        "Trace": (2, 2, 0, 1),
        "Review": (1, 0, 1, 0),
        OTHER: (1, 0, 0, 1),
    }
    assert told.practices[0].checks == ("A", "B")
    assert [one.by for one in told.waivers] == ["noor"]
    assert (told.severities[CheckSeverity.MAJOR], told.severities[CheckSeverity.CRITICAL]) == (2, 0)
    assert told.process == "ours 3"


def test_the_trend_goes_week_by_week_and_ends_with_the_time() -> None:
    first, second = trend([one for one in VIOLATIONS if one.id != "VIO-6"], SPAN)
    assert (first.opened, first.resolved, first.standing) == (3, 1, 3)
    assert (second.opened, second.resolved, second.standing) == (1, 1, 3)
    assert (second.since, second.until) == (MONDAY + 7 * DAY, SPAN.until)


def test_a_waiver_that_is_over_counts_no_more() -> None:
    waived = violation(4, "C", 1, state=ViolationState.WAIVED, until=MONDAY + 5 * DAY)
    assert not stands(waived, MONDAY + 4 * DAY)
    assert stands(waived, MONDAY + 6 * DAY)


def test_a_waiver_of_before_that_lets_something_stand_in_the_time_is_told() -> None:
    day = f"{MONDAY + 3 * DAY:%Y-%m-%d}"
    stood = violation(1, "A", -9, until=MONDAY + 3 * DAY)
    gone, taken = violation(2, "A", -9, -1, until=stood.until), violation(3, "A", -9)
    waivers = [Waiver(violation=f"VIO-{n}", check="A", at=MONDAY - 5 * DAY, by="noor", until=day) for n in (1, 2, 3)]
    past = Waiver(violation="VIO-1", check="A", at=MONDAY - 8 * DAY, by="noor", until=f"{MONDAY - 6 * DAY:%Y-%m-%d}")
    told = report("fabrikam", "Web", POLICY, SPAN, Kept((stood, gone, taken), (past, *waivers)), MONDAY)
    assert told.waivers == (waivers[0],)


def test_what_is_not_known_is_said() -> None:
    nothing = report("fabrikam", "Web", POLICY, SPAN, Kept((), ()), MONDAY)
    assert nothing.undecided == (
        "All of the project was not checked by then, so nothing is said of items that no event has touched.",
        "No matrix of the project was read, so nothing is said of how work is traced.",
    )
    coverage = MatrixCoverage(rows=5, covers={"outcome/no_data": 3, "code/no_data": 2, "epic/covered": 5})
    checked = Checked(
        tenant="t",
        organisation="fabrikam",
        project="Web",
        process="ours",
        version="3",
        at=MONDAY,
        tally=CheckTally(
            items=9, doubts={"A": 4}, values={"Bug/Microsoft.VSTS.CMMI.RootCause": {"Coding Error": 2, "Design": 3}}
        ),
        unknown={"C": "the audit log was not read"},
    )
    kept = Kept((), (), coverage, MONDAY, [Column.OUTCOME], checked)
    told = report("fabrikam", "Web", POLICY, SPAN, kept, MONDAY)
    assert (told.checked_at, told.checked_items) == (MONDAY, 9)
    assert [(one.field, one.value, one.items) for one in told.values] == [
        ("Root Cause", "Design", 3),
        ("Root Cause", "Coding Error", 2),
    ]
    assert told.undecided == (
        "Of 4 items it is not known whether A holds (A).",
        "Of the project as a whole it is not known whether C holds: the audit log was not read.",
        "Of 2 rows of the matrix it is not known whether there is code.",
        "Of 3 rows of the matrix it is not known how its test cases ended, which could not be read for the project "
        "as a whole.",
    )
