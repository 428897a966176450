"""Rows of our own books as they are said outside the store: ledger, transcript, attempts, audit, inbox."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.chains import Edge
from pointsman.contracts.escalations import Decision, Escalation, Resolution
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.work_items import Facts, Transition, Usage, WorkItemKey, WorkItemState


class Caller(Contract):
    """Who asks: the workflow, its run, and the attempt. Names an effect for ever."""

    workflow_id: str
    run_id: str
    activity: str = ""
    attempt: int = 1


class Chain(Contract):
    """What every row carries: whose it is, and the chain of events that it belongs to."""

    tenant: str
    correlation_id: str
    key: WorkItemKey | None = None


class WriteIntent(Contract):
    """What we are about to write, recorded before the call. Idempotent by `operation`."""

    operation: str
    chain: Chain
    base_rev: int
    values: dict[str, Json]
    """Reference name to value, tags and comment included, as sent."""


class WriteRecord(Contract):
    operation: str
    key: WorkItemKey
    base_rev: int
    values: dict[str, Json]
    intended_at: datetime
    rev: int = 0
    """The revision that our write made; 0 while in doubt."""
    status: str = "intended"
    """intended | written | abandoned"""


class StoredMessage(Contract):
    """One message of a transcript. `slot` names its place, so that a repeated step finds it."""

    slot: str
    position: int
    role: str
    hash: str
    body: bytes
    at: datetime


class AttemptKind(StrEnum):
    MODEL = "model"
    TOOL = "tool"
    WRITE = "write"
    AGENT = "agent"


class Chosen(Contract):
    """Whose model is asked, and why that one."""

    provider: str = ""
    rationale: str = ""


class Attempt(Contract):
    """A call to the outside: a row before it, its outcome after. Without outcome it is in doubt."""

    id: str
    kind: AttemptKind
    chain: Chain
    caller: Caller
    target: str
    """Model, tool, operation or remote agent."""
    subject: str = ""
    """Transcript slot or ledger operation."""
    started_at: datetime
    ended_at: datetime | None = None
    outcome: str = ""
    """ok, or the error's type; empty while in doubt."""
    usage: Usage = Usage()
    request_id: str = ""
    chosen: Chosen = Chosen()
    """Of a model call."""


class AuditEvent(Contract):
    """One line of the log. `data` holds no personal text and no secret: names, numbers, hashes."""

    id: str
    """UUIDv7, or derived from what it tells where the event must be idempotent."""
    action: str
    """What happened, dotted: `delivery.accepted`, `item.routed`, `escalation.decided`."""
    actor: str
    at: datetime
    chain: Chain
    data: dict[str, Json] = Field(default_factory=dict)


class EscalationRow(Contract):
    id: str
    workflow_id: str
    escalation: Escalation
    opened_at: datetime
    rungs: tuple[str, ...] = ()
    """One line for each rung reached: whom it told, when."""
    decision: Decision | None = None
    resolution: Resolution | None = None
    closed_at: datetime | None = None


class ItemRow(Contract):
    """Where an item stands, as the last transition told it; `usage` and `waited_seconds` are those of all its runs."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    workflow_id: str
    run_id: str
    state: WorkItemState
    reason: str = ""
    agent: str = ""
    facts: Facts | None = None
    usage: Usage = Usage()
    waited_seconds: float = 0.0
    first_at: datetime
    changed_at: datetime


class ItemTransition(Contract):
    run_id: str
    transition: Transition


class DeliveryState(StrEnum):
    PENDING = "pending"
    DISPATCHED = "dispatched"
    DUPLICATE = "duplicate"
    ECHO = "echo"
    OUT_OF_SCOPE = "out_of_scope"
    UNKNOWN = "unknown"
    """An event that concerns no work item, or of a type that we do not know: kept, no effect."""
    DEAD = "dead"


class NewDelivery(Contract):
    """What the receiver knows of one call, before anything is understood of it."""

    id: str
    received_at: datetime
    tenant: str
    organisation: str = ""
    event_type: str = ""
    event_id: str = ""
    subscription_id: str = ""
    notification_id: int = 0
    idempotency_key: str
    item_id: int = 0
    """0 where it concerns no work item."""
    project: str = ""
    body: bytes
    traceparent: str = ""
    state: DeliveryState = DeliveryState.PENDING
    reason: str = ""
    edges: tuple[Edge, ...] = ()
    """What it connects besides itself and its item: `domain.chains.edges_told`. Kept with it."""
    recovered_from: str = ""
    """Where it came back from, one of `recovery.RecoveredFrom`; empty where it was delivered."""


class Delivery(NewDelivery):
    """One row of the inbox."""

    sequence: int
    """Order of arrival, over all."""
    correlation_id: str
    """Of this delivery: its own id. The chain's is in `chain_id`."""
    chain_id: str
    """Of the item's first delivery."""
    attempts: int = 0
    next_at: datetime | None = None
    dispatched_at: datetime | None = None
    workflow_id: str = ""
    replayed_by: str = ""


class Selection(Contract):
    """Which deliveries are meant, as far as columns tell; empty says nothing."""

    organisation: str = ""
    item_id: int = 0
    event_type: str = ""
    """Its name, or how that begins: `workitem.`"""
    states: tuple[DeliveryState, ...] = ()
    correlation_id: str = ""
    """Of the delivery, or of its chain."""
    since: datetime | None = None
    until: datetime | None = None
    """The first moment that is no longer meant."""
    tenant: str = ""


class Receipt(Contract):
    """Answer to an accepted delivery."""

    id: str
    chain_id: str
    duplicate_of: str = ""


class ViolationCount(Contract):
    """Violations that stand, of one check in one project."""

    organisation: str
    project: str
    check: str
    practice: str = ""
    severity: CheckSeverity
    state: str
    count: int


class ReconciledCount(Contract):
    """How a project was found when it was last compared with our books."""

    organisation: str
    project: str
    counts: dict[str, int] = Field(default_factory=dict)
    """Items by `reconciliation.SyncStanding`."""
    trouble: int = 0
    """Of them those that somebody has to look at."""
    at: datetime


class Tally(Contract):
    """Where the books stand, for gauges and pages."""

    inbox: dict[str, int] = Field(default_factory=dict)
    """Rows that somebody may have to look at: pending and dead, by state."""
    oldest_pending_at: datetime | None = None
    escalations: dict[str, int] = Field(default_factory=dict)
    """Open ones by severity."""
    hooks: dict[str, int] = Field(default_factory=dict)
    """Subscriptions in trouble, by `recovery.HookProblem`."""
    violations: tuple[ViolationCount, ...] = ()
    sync_conflicts: int = 0
    """Fields that both sides changed, and nobody has decided on."""
    sync_quarantined: int = 0
    """Items that nothing is written to."""
    reconciled: tuple[ReconciledCount, ...] = ()
    audit_pending: int = 0
    """Events that are not in the tree yet."""
    audit_size: int = 0
    """Events that the last checkpoints cover."""
