"""A violation of a process rule and what became of it: open, acknowledged, waived, resolved."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract
from pointsman.contracts.policy import Ladder
from pointsman.contracts.process import CheckSeverity, Finding, ProcessPolicy
from pointsman.contracts.process_control import OnOpen
from pointsman.contracts.sync import LoopBreaker
from pointsman.contracts.work_items import OfItemOrProject, WorkItemKey


class ViolationState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """Somebody has it. It stays until it is resolved."""
    WAIVED = "waived"
    """Allowed by somebody for a reason, until a day at most."""
    RESOLVED = "resolved"


class ProcessViolation(OfItemOrProject):
    """One rule, broken by one item, or by a project as a whole (`ProjectKey`). `update` is the entry of the history
    that broke it, 0 where it is about how things stand."""

    id: str
    """`VIO-n`."""
    tenant: str
    process: str
    key: WorkItemKey
    check: str
    title: str = ""
    practice: str = ""
    """Both of the check."""
    severity: CheckSeverity
    update: int = 0
    evidence: str = ""
    state: ViolationState = ViolationState.OPEN
    opened_at: datetime
    opened_rev: int = 0
    by: str = ""
    """Who acknowledged or waived it."""
    reason: str = ""
    until: datetime | None = None
    """When a waiver ends."""
    resolved_at: datetime | None = None
    resolved_rev: int = 0
    """The revision of the item in which it was found no longer."""
    told: bool = False
    """What policy wants done when it opens was done."""
    asked: bool = False
    """People were asked to take it on."""
    about: str = ""
    """What of the project breaks it, see `Finding`."""


class Inspection(OfItemOrProject):
    """What the checks of a process said of an item at a revision, or of a project as a whole. Only checks that are
    named in `checks` were made."""

    tenant: str
    process: str
    key: WorkItemKey
    rev: int
    at: datetime
    checks: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


class Settlement(Contract):
    """What an inspection changed: ids of violations, and how many are still there."""

    opened: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    """Open again, because their waiver has ended."""
    standing: int = 0
    """Open or acknowledged after it."""
    untold: tuple[ProcessViolation, ...] = ()
    """Open, and nobody was told yet."""
    called_off: tuple[str, ...] = ()
    """Resolved while people were asked to take them on."""
    changed: tuple[ProcessViolation, ...] = ()
    """Those that opened and those that were resolved."""


class CheckScope(Contract):
    """Which project is checked, by which rules. The rules travel with the run: they are those of its start."""

    tenant: str
    organisation: str
    project: str
    policy: ProcessPolicy
    reason: str = "on schedule"
    by: str = ""
    on_open: tuple[OnOpen, ...] = ()
    ladders: tuple[Ladder, ...] = ()


class CheckTally(Contract):
    """What was counted on the way: nothing that grows with the number of items."""

    items: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    """Items by type."""
    filled: dict[str, int] = Field(default_factory=dict)
    """Items that have a field, by `TYPE/FIELD`."""
    values: dict[str, dict[str, int]] = Field(default_factory=dict)
    """And what they say there: items by value, for as many values as `tallies.VALUES_MAX`."""
    standings: dict[str, int] = Field(default_factory=dict)
    """Findings by how they stand."""
    doubts: dict[str, int] = Field(default_factory=dict)
    """By check: items of which it could not decide anything."""
    opened: int = 0
    resolved: int = 0
    returned: int = 0
    standing: int = 0


class CheckCarry(Contract):
    """How far a check is: all items up to this id were inspected."""

    after: int = 0
    done: bool = False
    tally: CheckTally = CheckTally()
    whole: tuple[Finding, ...] = ()
    """What only the whole of the project tells, once it is done; of each check a few, the books have all."""
    act_on: tuple[int, ...] = ()
    """Items of the last batch with violations that people are to be told of; 0 is the project as a whole."""
    called_off: tuple[str, ...] = ()
    """See `Settlement`; of the last batch."""


class Checked(Contract):
    """A check of all of a project that has come to its end."""

    tenant: str
    organisation: str
    project: str
    process: str
    version: str
    by: str = ""
    at: datetime
    tally: CheckTally
    unknown: dict[str, str] = Field(default_factory=dict)
    """By check of the project as a whole of which nothing is known: why."""


class CheckStep(Contract):
    scope: CheckScope
    carry: CheckCarry = CheckCarry()


class CheckResult(Contract):
    scope: str
    """`organisation/project`."""
    process: str
    tally: CheckTally
    whole: tuple[Finding, ...] = ()
    """What only the whole of the project tells."""


class ViolationVerb(StrEnum):
    ACKNOWLEDGE = "acknowledge"
    WAIVE = "waive"


class ViolationDecision(Contract):
    """What somebody decides of a violation. A waiver has a reason and an end."""

    violation_id: str
    verb: ViolationVerb
    by: str
    reason: str = ""
    until: datetime | None = None


class InspectItem(Contract):
    """Check one item because something happened to it."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    on_open: tuple[OnOpen, ...] = ()
    gone: bool = False
    """It was deleted, as somebody told: where it cannot be read, what it broke is resolved by that."""


class CheckItem(Contract):
    """Check one item against the rules of its process, and do what policy wants about what opens."""

    item: InspectItem
    ladders: tuple[Ladder, ...] = ()
    breaker: LoopBreaker = LoopBreaker()


class Inspected(Contract):
    """`process` is empty where there are no rules for the item's project."""

    process: str = ""
    rev: int = 0
    opened: int = 0
    resolved: int = 0
    act: bool = False
    """People are to be told of violations of the item."""
    called_off: tuple[str, ...] = ()


class ActOn(Contract):
    """Do what policy wants when violations open, for all of these items that nobody was told of; 0 is the project as
    a whole."""

    tenant: str
    correlation_id: str
    organisation: str
    project: str
    items: tuple[int, ...]
    on_open: tuple[OnOpen, ...]
    breaker: LoopBreaker = LoopBreaker()


class QuestionAbout(Contract):
    """Ask people to take a violation on. `number` names the question among those of the item."""

    violation: ProcessViolation
    ladder: Ladder


class Called(Contract):
    """What was done about violations that had opened: who was told, which items were commented, which violations
    people are to be asked about."""

    told: tuple[str, ...] = ()
    commented: int = 0
    ask: tuple[ProcessViolation, ...] = ()
    uncommented: tuple[str, ...] = ()
    """Violations of a project as a whole on which policy wants a comment: there is nowhere to write it."""
