"""What a report on the process of a project says of a time: violations by practice, their trend, how work is traced."""

from datetime import datetime

from pydantic import Field

from pointsman.contracts.base import Contract
from pointsman.contracts.matrix import Column, MatrixCoverage
from pointsman.contracts.process import CheckSeverity


class Waiver(Contract):
    """A violation that was waived in the time, or let stand in it by a waiver of before: by whom, why, until when."""

    violation: str
    check: str
    at: datetime
    by: str
    reason: str = ""
    until: str = ""


class PracticeTold(Contract):
    """Violations of one practice in the time; `standing` are those that are open or acknowledged at its end."""

    practice: str
    checks: tuple[str, ...] = ()
    opened: int = 0
    resolved: int = 0
    waived: int = 0
    standing: int = 0


class WholeTold(Contract):
    """A violation of the project as a whole that stood in the time, or was resolved in it."""

    violation: str
    check: str
    severity: CheckSeverity
    state: str
    opened_at: datetime
    evidence: str = ""


class TrendPoint(Contract):
    """A week, or what the time has of it. `standing` counts what is not resolved at its end, waived or not."""

    since: datetime
    until: datetime
    opened: int = 0
    resolved: int = 0
    standing: int = 0


class ValueTold(Contract):
    """How many items of a type say this in a field of which a check asks that it is filled."""

    type: str
    field: str
    value: str
    items: int


class ProcessReport(Contract):
    organisation: str
    project: str
    process: str
    since: datetime
    until: datetime
    made_at: datetime
    practices: tuple[PracticeTold, ...] = ()
    """All of the process, those without a violation too."""
    severities: dict[CheckSeverity, int] = Field(default_factory=dict)
    """Standing at the end, by severity."""
    waivers: tuple[Waiver, ...] = ()
    whole: tuple[WholeTold, ...] = ()
    trend: tuple[TrendPoint, ...] = ()
    coverage: MatrixCoverage | None = None
    """None: no matrix of the project is kept."""
    read_at: datetime | None = None
    """As of when the matrix is."""
    checked_at: datetime | None = None
    """When all of the project was checked last before the end; None: never."""
    checked_items: int = 0
    values: tuple[ValueTold, ...] = ()
    """As of then, for example defects by root cause: most items first."""
    undecided: tuple[str, ...] = ()
    """What could not be decided, in sentences."""
    unknown: tuple[Column, ...] = ()
