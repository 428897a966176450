"""Inputs and outputs of `DeliverWorkItem` and its activities."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.escalations import EscalationKind, Verb
from pointsman.contracts.policy import Policy, Severity
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import Breach, BrokenRule
from pointsman.contracts.sync import FieldStrategy, SyncPolicy
from pointsman.contracts.work_items import (
    Facts,
    ProposalRef,
    Transition,
    Usage,
    WorkItemEvent,
    WorkItemKey,
    WorkItemState,
)


class Stage(StrEnum):
    """Where a run goes on. Between two stages no child is open, so a run may continue as new there."""

    INTAKE = "intake"
    ROUTING = "routing"
    WORKING = "working"
    WAITING = "waiting"
    PUBLISHING = "publishing"
    SETTLING = "settling"


class Ask(Contract):
    """What a human is to be asked, before it is an escalation."""

    kind: EscalationKind
    severity: Severity
    summary: str
    details: str = ""
    allowed: tuple[Verb, ...]
    proposal: ProposalRef | None = None
    choices: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    """Fields in conflict that are asked about."""
    checks: tuple[str, ...] = ()
    """Rules of the process that an approval lets be broken."""
    breaches: tuple[Breach, ...] = ()
    """By what it lets them be broken, and by nothing else."""
    leave_out: tuple[str, ...] = ()
    """Links of the proposal that an approval leaves out: they cannot be made."""
    retry: Stage = Stage.WORKING
    """Where an approval leads."""


class End(Contract):
    """A run ends in this state, for this reason."""

    state: WorkItemState
    reason: str


class FieldConflict(Contract):
    """One field that both sides changed, each to something else."""

    field: str
    base: Json = None
    ours: Json = None
    theirs: Json = None
    strategy: FieldStrategy = FieldStrategy.ESCALATE
    outcome: str = ""
    """What came of it, one of `conflicts.FieldOutcome`; empty while it is open."""
    reason: str = ""
    """Why the strategy could not settle it, where it is not simply to ask."""
    by: str = ""
    """Who decided, of one that people have decided on."""


class Carry(Contract):
    """Every bit of state that survives continue-as-new."""

    stage: Stage = Stage.INTAKE
    facts: Facts | None = None
    proposal: ProposalRef | None = None
    ask: Ask | None = None
    force: tuple[str, ...] = ()
    """Fields where a human decided that our value stands."""
    conflicts: tuple[FieldConflict, ...] = ()
    """What a human is asked to decide on, or has."""
    decided_by: str = ""
    decided: tuple[FieldConflict, ...] = ()
    """Conflicts of the proposal at hand that were decided on before: one write may take several questions."""
    quarantine: str = ""
    """Why nothing is written to the item, while a human is asked about it."""
    released_by: str = ""
    """Who let the item out of quarantine."""
    news_rev: int = 0
    """The highest revision of which an instruction tells."""
    heard_rev: int = 0
    """The highest revision of which the last turn has read."""
    proposed_at: datetime | None = None
    status_told: bool = False
    """The item carries a comment that says where the work stands."""
    approved_by: str = ""
    """Who let the proposal pass as it is: then it is people who are told why it is held back, and not the agent."""
    despite: str = ""
    """Who decided that it is written although it breaks rules of the process."""
    let_pass: tuple[str, ...] = ()
    """Those rules, where `despite` was decided before it was kept what breaks them."""
    allowed_breaches: tuple[Breach, ...] = ()
    """Those rules, each as people saw it broken. Empty with `let_pass` where neither was kept: all."""
    held_back: int = 0
    """Writes in a row that were held back because of such rules."""
    dropped: tuple[str, ...] = ()
    """Fields that the agent proposed and may not change."""
    unchanged: tuple[str, ...] = ()
    """What the agent proposed and the item said already, see `Narrowed`."""
    leave_out: tuple[str, ...] = ()
    """Links of the proposal that cannot be made, as people were told: they may let the rest be written."""
    told: tuple[str, ...] = ()
    """Content hashes of the last 200 instructions given in this run: the same comment arrives in two events, one
    close behind the other."""
    writes: int = 0
    written_rev: int = 0
    """Revision that our last write made."""
    moved_to: Facts | None = None
    """Where the item went since it was read, while nobody has looked where that leads."""
    restored: bool = False
    """The item came back from the recycle bin: it is to be worked on again."""
    end: End | None = None
    """How the run ends once what came in meanwhile is settled."""
    reason: str = ""
    state: WorkItemState | None = None
    seen: tuple[str, ...] = ()
    """Idempotency keys of the last 500 events."""
    queue: tuple[WorkItemEvent, ...] = ()
    unjudged: int = 0
    """So many at the head of the queue could not be judged."""
    transitions: int = 0
    turns: int = 0
    escalations: int = 0
    agent: str = ""
    open_elsewhere: tuple[str, ...] = ()
    """Agents elsewhere at whose services a task of this run may be open: at work, or waiting for us."""
    instructions: tuple[str, ...] = ()
    """Content hashes that the next turn is told."""
    usage: Usage = Usage()
    waited_seconds: float = 0.0
    started_at: datetime | None = None
    runs: int = 1


class DeliverRequest(Contract):
    key: WorkItemKey
    tenant: str
    correlation_id: str
    """Of the chain: the first delivery's."""
    policy: Policy
    carry: Carry = Carry()


class DeliverResult(Contract):
    key: WorkItemKey
    state: WorkItemState
    reason: str
    agent: str = ""
    turns: int = 0
    usage: Usage = Usage()
    waited_seconds: float = 0.0
    seconds: float = 0.0
    rev: int = 0


class TakeIn(Contract):
    """Ask for the item as it is now. A repeated attempt reads again and stores the same snapshot once."""

    key: WorkItemKey
    tenant: str
    correlation_id: str


class Intake(Contract):
    """The item as read, and what earlier runs of it left behind."""

    facts: Facts
    escalations: int = 0
    turns: int = 0


class Classify(Contract):
    """Judge events that arrived. `known_rev` is the last revision that the run has taken into account."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    known_rev: int
    events: tuple[WorkItemEvent, ...]
    reread: bool = False
    """What happened is read through REST, and not from the delivery, see `HookPolicy.reread`."""
    fresh: bool = False
    """Nobody has worked on the item yet: whatever is heard of it is a reason to."""


class TellStatus(Contract):
    """Say on the item where the work on it stands. `operation` is unique for each thing that is said."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    operation: str
    text: str
    """Plain text."""


class RecordTransition(Contract):
    key: WorkItemKey
    tenant: str
    correlation_id: str
    transition: Transition
    usage: Usage = Usage()
    waited_seconds: float = 0.0


class Narrow(Contract):
    """Take out of a proposal what the item says already. `proposal` is its content hash."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    proposal: str


class Narrowed(Contract):
    """What is left of a proposal, and what is `unchanged`: fields by name, `tag triaged`, `link Related 7`."""

    proposal: ProposalRef
    unchanged: tuple[str, ...] = ()


class Publish(Contract):
    """Write a proposal. `operation` is unique per intended write: repeated attempts find its ledger row."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    operation: str
    proposal: str
    """Content hash."""
    base: str
    """Content hash of the snapshot that the proposal was made from."""
    base_rev: int
    agent: str = ""
    force: tuple[str, ...] = ()
    """Fields where a human decided that our value stands over somebody else's."""
    decided: tuple[FieldConflict, ...] = ()
    """Conflicts that a human has decided on: what stood there then may be overwritten, and nothing later."""
    decided_by: str = ""
    """Who decided on those of them that do not say it themselves."""
    heard_rev: int = 0
    """Up to this revision the agent was told what happened, beyond `base_rev`."""
    proposed_at: datetime | None = None
    """When the proposal was made: for policy where the newest change counts."""
    sync: SyncPolicy = SyncPolicy()
    released_by: str = ""
    """Who lets the item out of quarantine."""
    enforce_from: CheckSeverity | None = None
    """A write that would break a rule of the process of at least this severity is not sent."""
    despite: str = ""
    """Who decided that it is written nevertheless."""
    let_pass: tuple[str, ...] = ()
    """Checks of which `despite` knew, where it is not kept what broke them."""
    allowed_breaches: tuple[Breach, ...] = ()
    """What `despite` was shown. Empty with `let_pass`: all."""
    leave_out: tuple[str, ...] = ()
    """Links of the proposal, each as `relation target`, that a human decided to leave out: they cannot be made."""


class ImpossibleLink(Contract):
    """A link of a proposal, as `relation target`, and why it cannot be made."""

    link: str
    why: str


class Published(Contract):
    """`status`: written | unchanged (nothing was left to write) | conflict | held_back | quarantined | gone (it is in
    the recycle bin): not written."""

    status: str
    rev: int = 0
    conflicts: tuple[FieldConflict, ...] = ()
    settled: tuple[FieldConflict, ...] = ()
    """What both sides had changed, and policy settled."""
    quarantine: str = ""
    """Why nothing is written to the item at all."""
    broken: tuple[BrokenRule, ...] = ()
    """Rules of the process that the write would break, where it was held back."""
    impossible: tuple[ImpossibleLink, ...] = ()
    """Links that cannot be made, where it was held back for them."""
    recovered: bool = Field(default=False)
    """True when an earlier attempt had written, and its answer was lost."""
