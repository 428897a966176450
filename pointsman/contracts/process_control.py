"""What policy wants done about rules of processes: which writes are held back, what is checked when, who is told."""

from datetime import timedelta

from pydantic import Field

from pointsman.contracts.base import Contract
from pointsman.contracts.process import CheckSeverity


class OnOpen(Contract):
    """What is done when a violation of at least this severity opens, or is open again after its waiver."""

    severity: CheckSeverity = CheckSeverity.CRITICAL
    notify: tuple[str, ...] = ()
    """Names of policy, as in ladders."""
    comment: bool = False
    """The item gets a comment that names what is broken."""
    escalate: bool = False
    """People are asked to take it on, rung by rung."""


class CheckedProject(Contract):
    """A project that is checked as a whole, and by which rules."""

    organisation: str
    project: str
    process: str


class ProcessControl(Contract):
    """The section `process` of policy. What it leaves out is not done."""

    enforce_from: CheckSeverity | None = None
    """A write of ours that would break a rule of at least this severity is not sent."""
    rewrites: int = Field(default=2, ge=0)
    """How often the agent is told to propose something else before people are asked."""
    on_events: bool = False
    """Items are checked as soon as something happens to them."""
    every: timedelta = timedelta()
    """Between two checks of all of a project; nothing: never, unless `cron` says when."""
    cron: str = ""
    """When all of a project is checked, in UTC, instead of `every`: `0 3 * * 1-5`."""
    projects: tuple[CheckedProject, ...] = ()
    on_open: tuple[OnOpen, ...] = ()


class Breach(Contract):
    """A check that a write would break, and by what, as people were shown it."""

    check: str
    evidence: str


class BrokenRule(Contract):
    """A rule that a write would break."""

    check: str
    title: str
    practice: str
    severity: CheckSeverity
    evidence: str
