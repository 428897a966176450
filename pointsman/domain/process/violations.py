"""The life of a violation: what an inspection opens, resolves and lets stand."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from pointsman.contracts.process import Finding, Standing
from pointsman.contracts.violations import Inspection, ProcessViolation, Settlement, ViolationState

RETURNED = {"state": ViolationState.OPEN, "until": None, "told": False}


class Steps(NamedTuple):
    """What is to be done. `kept` are violations as they are now; those that did not change are the same objects."""

    opened: Sequence[Finding]
    kept: Sequence[ProcessViolation]
    resolved: Sequence[ProcessViolation]
    returned: Sequence[ProcessViolation]


def settle(known: Sequence[ProcessViolation], inspection: Inspection) -> Steps:
    """Compare what stands (nothing that is resolved) with what was found.

    A check that said nothing because it does not apply any more resolves its violations; one that had no data, or was
    not made, leaves them. What an item broke in another project is resolved where the process here has no such check.
    """
    broken = {_name(one): one for one in inspection.findings if one.standing is Standing.VIOLATED}
    in_doubt = {one.check for one in inspection.findings if one.standing is Standing.NO_DATA}
    decided = set(inspection.checks) - in_doubt
    standing = {_name(one): one for one in known}
    here, made = inspection.key.project.casefold(), set(inspection.checks)
    decided |= {one.check for one in known if one.key.project.casefold() != here and one.check not in made}
    gone = [one for name, one in standing.items() if name not in broken and one.check in decided]
    there = [one for one in standing.values() if one not in gone]
    told = [_told(one, inspection, broken.get(_name(one))) for one in there]
    back = [one for one in told if _is_over(one, inspection.at)]
    return Steps(
        opened=[one for name, one in broken.items() if name not in standing],
        kept=[one for one in told if one not in back],
        resolved=[_resolved(one, inspection) for one in gone],
        returned=[one.model_copy(update=RETURNED) for one in back],
    )


def retired(known: Sequence[ProcessViolation], inspection: Inspection) -> list[ProcessViolation]:
    """Those of the same process whose check is none of its checks any more, resolved."""
    gone = [one for one in known if one.process == inspection.process and one.check not in inspection.checks]
    return [_resolved(one, inspection) for one in gone]


def retirement(resolved: Sequence[ProcessViolation]) -> Settlement:
    return Settlement(
        resolved=tuple(one.id for one in resolved),
        called_off=tuple(one.id for one in resolved if one.asked),
        changed=tuple(resolved),
    )


def opened_by(inspection: Inspection, finding: Finding, name: str = "") -> ProcessViolation:
    return ProcessViolation(
        id=name,
        tenant=inspection.tenant,
        process=inspection.process,
        key=inspection.key,
        check=finding.check,
        title=finding.title,
        practice=finding.practice,
        severity=finding.severity,
        update=finding.update,
        evidence=finding.evidence,
        opened_at=inspection.at,
        opened_rev=inspection.rev,
        about=finding.about,
    )


def settlement(opened: Sequence[ProcessViolation], steps: Steps) -> Settlement:
    """What comes of it once those that are to be opened have their names."""
    waived = sum(one.state is ViolationState.WAIVED for one in steps.kept)
    there = [*opened, *steps.returned, *steps.kept]
    return Settlement(
        opened=tuple(one.id for one in opened),
        resolved=tuple(one.id for one in steps.resolved),
        returned=tuple(one.id for one in steps.returned),
        standing=len(there) - waived,
        untold=tuple(one for one in there if one.state is ViolationState.OPEN and not one.told),
        called_off=tuple(one.id for one in steps.resolved if one.asked),
        changed=(*opened, *steps.resolved),
    )


def as_of(violation: ProcessViolation, now: datetime) -> ProcessViolation:
    """A waiver that has ended lets nothing stand any more, also before the next check brings the violation back."""
    return violation.model_copy(update={"state": ViolationState.OPEN}) if _is_over(violation, now) else violation


def resolution(violation: ProcessViolation) -> str:
    """How one that is resolved came to be: by a revision, or found no longer on a day."""
    if violation.resolved_rev:
        return f"resolved in revision {violation.resolved_rev}"
    return f"resolved on {violation.resolved_at:%Y-%m-%d}" if violation.resolved_at else "resolved"


def _name(one: Finding | ProcessViolation) -> tuple[str, int, str]:
    """What makes it the same violation the next time."""
    return one.check, one.update, one.about


def _told(violation: ProcessViolation, inspection: Inspection, finding: Finding | None) -> ProcessViolation:
    """With the evidence of today, and in the project that the item is in today."""
    if finding is None:
        return violation
    told = violation.model_copy(
        update={
            "key": inspection.key,
            "evidence": finding.evidence,
            "severity": finding.severity,
            "title": finding.title or violation.title,
            "practice": finding.practice or violation.practice,
        }
    )
    return violation if told == violation else told


def _is_over(violation: ProcessViolation, now: datetime) -> bool:
    waived = violation.state is ViolationState.WAIVED
    return waived and violation.until is not None and violation.until <= now


def _resolved(violation: ProcessViolation, inspection: Inspection) -> ProcessViolation:
    return violation.model_copy(
        update={
            "state": ViolationState.RESOLVED,
            "resolved_at": inspection.at,
            "resolved_rev": inspection.rev,
        }
    )
