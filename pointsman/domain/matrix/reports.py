"""A report on the process of a project over a time, out of violations that were kept and a matrix that was counted."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pointsman.contracts.matrix import Column, MatrixCoverage
from pointsman.contracts.process import Check, CheckSeverity, ProcessPolicy
from pointsman.contracts.process_report import PracticeTold, ProcessReport, TrendPoint, ValueTold, Waiver, WholeTold
from pointsman.contracts.violations import Checked, ProcessViolation, ViolationState
from pointsman.domain.matrix.coverage import of_column
from pointsman.domain.process import naming
from pointsman.domain.process.violations import resolution
from pointsman.domain.words import how_many

WEEK = timedelta(days=7)
OTHER = "Checks that are no part of the process now"
SENTENCES = {
    Column.EPIC: "whether an epic is above",
    Column.FEATURE: "whether a feature is above",
    Column.REQUIREMENT: "whether a requirement is there",
    Column.WORK: "whether there is work",
    Column.CODE: "whether there is code",
    Column.BUILD: "whether it was built",
    Column.TEST: "whether a test case proves it",
    Column.OUTCOME: "how its test cases ended",
    Column.REVIEW: "whether it was reviewed",
    Column.CHANGE: "whether a change request is open",
}


@dataclass(frozen=True)
class Span:
    """From `since` on, before `until`."""

    since: datetime
    until: datetime

    def has(self, at: datetime | None) -> bool:
        return at is not None and self.since <= at < self.until


@dataclass(frozen=True)
class Kept:
    """What the books have: all violations of the project, and the waivers of the audit log."""

    violations: Sequence[ProcessViolation]
    waivers: Sequence[Waiver]
    coverage: MatrixCoverage | None = None
    read_at: datetime | None = None
    unknown: Sequence[Column] = ()
    checked: Checked | None = None
    """The last check of all of the project before the end of the time."""


def report(
    organisation: str, project: str, policy: ProcessPolicy, span: Span, kept: Kept, now: datetime
) -> ProcessReport:
    violations = [one for one in kept.violations if one.opened_at < span.until]
    waivers = tuple(_in_force(kept.waivers, violations, span))
    standing = [one for one in violations if stands(one, span.until)]
    severities = {
        severity: sum(one.severity is severity for one in standing) for severity in reversed(list(CheckSeverity))
    }
    return ProcessReport(
        organisation=organisation,
        project=project,
        process=f"{policy.name} {policy.version}",
        since=span.since,
        until=span.until,
        made_at=now,
        practices=tuple(_practices(policy.checks, violations, waivers, span)),
        severities=severities,
        waivers=waivers,
        whole=tuple(_whole(violations, span)),
        trend=tuple(trend(violations, span)),
        coverage=kept.coverage,
        read_at=kept.read_at,
        checked_at=kept.checked.at if kept.checked else None,
        checked_items=kept.checked.tally.items if kept.checked else 0,
        values=tuple(values(kept.checked)),
        undecided=(*_unchecked(policy.checks, kept.checked), *_undecided(kept)),
        unknown=tuple(kept.unknown),
    )


def there(violation: ProcessViolation, at: datetime) -> bool:
    """Whether it was not resolved at a moment."""
    return violation.opened_at < at and (violation.resolved_at is None or violation.resolved_at >= at)


def stands(violation: ProcessViolation, at: datetime) -> bool:
    """Whether it counts at a moment. Which of two states it had before now the books do not say: its last waiver counts
    from its beginning."""
    return there(violation, at) and not (violation.until is not None and violation.until >= at)


def _in_force(waivers: Sequence[Waiver], violations: Sequence[ProcessViolation], span: Span) -> Iterator[Waiver]:
    """Those that were given in the time, and those of before that let something stand in it."""
    waived = {
        one.id for one in violations if one.until is not None and not (one.resolved_at or span.until) < span.since
    }
    for one in waivers:
        is_of_before = one.at < span.since and one.until > f"{span.since:%Y-%m-%d}" and one.violation in waived
        if span.has(one.at) or is_of_before:
            yield one


def _practices(
    checks: Iterable[Check], violations: Sequence[ProcessViolation], waivers: Sequence[Waiver], span: Span
) -> Iterator[PracticeTold]:
    practice_of = {one.id: one.practice for one in checks}
    names = list(dict.fromkeys(practice_of.values()))
    if any(one.check not in practice_of for one in violations):
        names.append(OTHER)
    for name in names:
        own = [one for one in violations if practice_of.get(one.check, OTHER) == name]
        yield PracticeTold(
            practice=name,
            checks=tuple(one for one, practice in practice_of.items() if practice == name),
            opened=sum(span.has(one.opened_at) for one in own),
            resolved=sum(span.has(one.resolved_at) for one in own),
            waived=sum(practice_of.get(one.check, OTHER) == name for one in waivers),
            standing=sum(stands(one, span.until) for one in own),
        )


def _whole(violations: Sequence[ProcessViolation], span: Span) -> Iterator[WholeTold]:
    """What no item breaks but all of them together, or branches and people: oldest first."""
    for one in sorted(violations, key=lambda one: one.opened_at):
        if not one.key.id and (there(one, span.until) or span.has(one.resolved_at)):
            yield WholeTold(
                violation=one.id,
                check=one.check,
                severity=one.severity,
                state=_state(one, span.until),
                opened_at=one.opened_at,
                evidence=one.evidence,
            )


def _state(one: ProcessViolation, at: datetime) -> str:
    if one.state is ViolationState.RESOLVED:
        return "not resolved then" if there(one, at) else resolution(one)
    until = f" until {one.until:%Y-%m-%d}" if one.state is ViolationState.WAIVED and one.until else ""
    return f"{one.state.value}{until}"


def trend(violations: Sequence[ProcessViolation], span: Span) -> Iterator[TrendPoint]:
    since = span.since
    while since < span.until:
        week = Span(since, min(since + WEEK, span.until))
        yield TrendPoint(
            since=week.since,
            until=week.until,
            opened=sum(week.has(one.opened_at) for one in violations),
            resolved=sum(week.has(one.resolved_at) for one in violations),
            standing=sum(there(one, week.until) for one in violations),
        )
        since = week.until


def values(checked: Checked | None) -> Iterator[ValueTold]:
    """What items said in fields that are counted when the project was last checked, field by field."""
    for name, counts in sorted(checked.tally.values.items() if checked else ()):
        kind, _, field = name.partition("/")
        for value, items in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            yield ValueTold(type=kind, field=naming.field(field), value=value, items=items)


def _unchecked(checks: Iterable[Check], checked: Checked | None) -> Iterator[str]:
    if checked is None:
        yield "All of the project was not checked by then, so nothing is said of items that no event has touched."
        return
    for one in checks:
        if one.id in checked.unknown:
            yield f"Of the project as a whole it is not known whether {one.id} holds: {checked.unknown[one.id]}."
        elif items := checked.tally.doubts.get(one.id):
            yield f"Of {how_many(items, 'item')} it is not known whether {one.id} holds ({one.title})."


def _undecided(kept: Kept) -> Iterator[str]:
    if kept.coverage is None:
        yield "No matrix of the project was read, so nothing is said of how work is traced."
        return
    for column in Column:
        rows = of_column(kept.coverage, column)[2]
        if rows:
            why = ", which could not be read for the project as a whole" if column in kept.unknown else ""
            yield f"Of {how_many(rows, 'row')} of the matrix it is not known {SENTENCES[column]}{why}."
