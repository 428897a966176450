"""The tables. Rows are written whole and mostly once; what a column means is said in `pointsman.contracts.records`.

Every row says whose it is (`tenant`) and which chain of events it belongs to (`correlation_id`), except contents:
those are named by their hash, and belong to whoever refers to them.
"""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, MetaData, UniqueConstraint, text
from sqlmodel import Field, SQLModel, col

from pointsman.store.columns import CleanText, RowNumber, UtcTime

__all__ = ["col"]

metadata: MetaData = SQLModel.metadata
metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}


class Setting(SQLModel, table=True):
    """What the store must remember about itself, for example the name of its log."""

    __tablename__: ClassVar[str] = "setting"
    name: str = Field(primary_key=True, sa_type=CleanText)
    value: str = Field(sa_type=CleanText)


class InboxRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "inbox"
    __table_args__ = (
        # Duplicates are kept under the same key, so only first deliveries are unique.
        Index(
            "uq_inbox_idempotency_key_tenant",
            "idempotency_key",
            "tenant",
            unique=True,
            sqlite_where=text("duplicate_of = ''"),
            postgresql_where=text("duplicate_of = ''"),
        ),
        Index("ix_inbox_state_sequence", "state", "sequence"),
        Index("ix_inbox_item_id_sequence", "item_id", "sequence"),
    )
    sequence: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    id: str = Field(unique=True, sa_type=CleanText)
    received_at: datetime = Field(sa_type=UtcTime)
    tenant: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    event_type: str = Field(sa_type=CleanText)
    event_id: str = Field(sa_type=CleanText)
    subscription_id: str = Field(sa_type=CleanText)
    notification_id: int = Field(sa_type=RowNumber)
    idempotency_key: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    project: str = Field(sa_type=CleanText)
    body: bytes = Field(sa_type=LargeBinary)
    traceparent: str = Field(sa_type=CleanText)
    state: str = Field(sa_type=CleanText)
    reason: str = Field(sa_type=CleanText)
    chain_id: str = Field(sa_type=CleanText)
    duplicate_of: str = Field(sa_type=CleanText)
    attempts: int
    next_at: datetime | None = Field(sa_type=UtcTime)
    dispatched_at: datetime | None = Field(sa_type=UtcTime)
    workflow_id: str = Field(sa_type=CleanText)
    replayed_by: str = Field(sa_type=CleanText)


class InboxChain(SQLModel, table=True):
    """The first delivery of each item gives its chain the id."""

    __tablename__: ClassVar[str] = "inbox_chain"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    tenant: str = Field(sa_type=CleanText)
    chain_id: str = Field(sa_type=CleanText)


class WorkItem(SQLModel, table=True):
    __tablename__: ClassVar[str] = "work_item"
    __table_args__ = (Index("ix_work_item_state_changed_at", "state", "changed_at"),)
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    project: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    workflow_id: str = Field(sa_type=CleanText)
    run_id: str = Field(sa_type=CleanText)
    state: str = Field(sa_type=CleanText)
    reason: str = Field(sa_type=CleanText)
    agent: str = Field(sa_type=CleanText)
    facts: str = Field(sa_type=CleanText)
    """JSON of `Facts`, or empty."""
    usage: str = Field(sa_type=CleanText)
    """JSON of `Usage`."""
    waited_seconds: float
    first_at: datetime = Field(sa_type=UtcTime)
    changed_at: datetime = Field(sa_type=UtcTime, index=True)


class TransitionRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "transition"
    __table_args__ = (
        UniqueConstraint("workflow_id", "run_id", "number"),
        Index("ix_transition_organisation_item_id_sequence", "organisation", "item_id", "sequence"),
    )
    sequence: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    workflow_id: str = Field(sa_type=CleanText)
    run_id: str = Field(sa_type=CleanText)
    number: int
    tenant: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    after: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """JSON of `Transition`."""
    usage: str = Field(sa_type=CleanText)
    waited_seconds: float


class Content(SQLModel, table=True):
    __tablename__: ClassVar[str] = "content"
    hash: str = Field(primary_key=True, sa_type=CleanText)
    encoding: str = Field(sa_type=CleanText)
    """`raw`, or `zlib+crc32` where that is smaller; `zlib` in rows of schema 0001."""
    data: bytes = Field(sa_type=LargeBinary)
    at: datetime = Field(sa_type=UtcTime)


class Message(SQLModel, table=True):
    __tablename__: ClassVar[str] = "message"
    __table_args__ = (
        UniqueConstraint("transcript", "slot"),
        ForeignKeyConstraint(["hash"], ["content.hash"]),
        Index("ix_message_organisation_item_id", "organisation", "item_id"),
    )
    transcript: str = Field(primary_key=True, sa_type=CleanText)
    position: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    slot: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    role: str = Field(sa_type=CleanText)
    hash: str = Field(sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)


class AttemptRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "attempt"
    __table_args__ = (Index("ix_attempt_organisation_item_id_started_at", "organisation", "item_id", "started_at"),)
    id: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    kind: str = Field(sa_type=CleanText)
    workflow_id: str = Field(sa_type=CleanText)
    run_id: str = Field(sa_type=CleanText)
    activity: str = Field(sa_type=CleanText)
    attempt: int
    target: str = Field(sa_type=CleanText)
    subject: str = Field(sa_type=CleanText)
    started_at: datetime = Field(sa_type=UtcTime)
    ended_at: datetime | None = Field(sa_type=UtcTime)
    outcome: str = Field(sa_type=CleanText)
    usage: str = Field(sa_type=CleanText)
    request_id: str = Field(sa_type=CleanText)
    provider: str = Field(default="", sa_type=CleanText, sa_column_kwargs={"server_default": text("''")})
    rationale: str = Field(default="", sa_type=CleanText, sa_column_kwargs={"server_default": text("''")})


class LedgerRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "ledger"
    __table_args__ = (Index("ix_ledger_organisation_item_id_intended_at", "organisation", "item_id", "intended_at"),)
    operation: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    base_rev: int
    fields: str = Field(sa_type=CleanText)
    """JSON of what was sent: `WriteIntent.values`."""
    intended_at: datetime = Field(sa_type=UtcTime)
    rev: int
    status: str = Field(sa_type=CleanText)
    settled_at: datetime | None = Field(sa_type=UtcTime)


class EscalationEntry(SQLModel, table=True):
    __tablename__: ClassVar[str] = "escalation"
    __table_args__ = (
        UniqueConstraint("workflow_id", "run_id"),
        Index("ix_escalation_organisation_item_id", "organisation", "item_id"),
        Index(
            "ix_escalation_pending",
            "number",
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )
    number: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    """The n of `ESC-n`."""
    workflow_id: str = Field(sa_type=CleanText)
    run_id: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    body: str = Field(sa_type=CleanText)
    """JSON of `Escalation`."""
    opened_at: datetime = Field(sa_type=UtcTime)
    decision: str = Field(sa_type=CleanText)
    """JSON of `Decision`, or empty."""
    resolution: str = Field(sa_type=CleanText)
    """JSON of `Resolution`, or empty."""
    closed_at: datetime | None = Field(sa_type=UtcTime)


class EscalationRung(SQLModel, table=True):
    """A rung of the ladder that was reached."""

    __tablename__: ClassVar[str] = "escalation_rung"
    __table_args__ = (ForeignKeyConstraint(["escalation"], ["escalation.number"]),)
    escalation: int = Field(primary_key=True, sa_type=RowNumber, sa_column_kwargs={"autoincrement": False})
    rung: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    tenant: str = Field(sa_type=CleanText)
    line: str = Field(sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)


class AuditEntry(SQLModel, table=True):
    """An audit event. Never updated, never deleted: triggers see to it. `body` is what the Merkle leaf is made of;
    the other columns repeat what is in it, for queries."""

    __tablename__: ClassVar[str] = "audit_event"
    __table_args__ = (Index("ix_audit_event_action_sequence", "action", "sequence"),)
    sequence: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    id: str = Field(unique=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    action: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    body: bytes = Field(sa_type=LargeBinary)
    """RFC 8785 canonical JSON."""


class AuditPending(SQLModel, table=True):
    """An event that is not in the tree yet."""

    __tablename__: ClassVar[str] = "audit_pending"
    sequence: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    tenant: str = Field(sa_type=CleanText)
    event_id: str = Field(sa_type=CleanText)
    leaf_hash: bytes = Field(sa_type=LargeBinary)
    added_at: datetime = Field(sa_type=UtcTime)


class AuditLeaf(SQLModel, table=True):
    __tablename__: ClassVar[str] = "audit_leaf"
    tenant: str = Field(primary_key=True, sa_type=CleanText)
    position: int = Field(primary_key=True, sa_type=RowNumber, sa_column_kwargs={"autoincrement": False})
    event_id: str = Field(unique=True, sa_type=CleanText)
    leaf_hash: bytes = Field(sa_type=LargeBinary)


class AuditSubject(SQLModel, table=True):
    """`pointsman.store.subjects`: a correlation id or an item, and the sequence of an event in the tree about it."""

    __tablename__: ClassVar[str] = "audit_subject"
    __table_args__ = ({"sqlite_with_rowid": False},)
    subject: str = Field(primary_key=True, sa_type=CleanText)
    sequence: int = Field(primary_key=True, sa_type=RowNumber, sa_column_kwargs={"autoincrement": False})


class AuditTile(SQLModel, table=True):
    """`pointsman.domain.tiles`. The last of a level is rewritten as it grows."""

    __tablename__: ClassVar[str] = "audit_tile"
    tenant: str = Field(primary_key=True, sa_type=CleanText)
    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    number: int = Field(primary_key=True, sa_type=RowNumber, sa_column_kwargs={"autoincrement": False})
    data: bytes = Field(sa_type=LargeBinary)


class AuditCheckpoint(SQLModel, table=True):
    __tablename__: ClassVar[str] = "audit_checkpoint"
    tenant: str = Field(primary_key=True, sa_type=CleanText)
    size: int = Field(primary_key=True, sa_type=RowNumber, sa_column_kwargs={"autoincrement": False})
    note: str = Field(sa_type=CleanText)
    """Signed note, C2SP. When it was made is told by its last event: nothing here is outside the signature."""


class LlmLedgerRow(SQLModel, table=True):
    """One attempt at a model provider. Money is in billionths of a USD: whole numbers, which add up exactly."""

    __tablename__: ClassVar[str] = "llm_ledger"
    __table_args__ = (
        Index("ix_llm_ledger_at", "at"),
        Index(
            "ix_llm_ledger_open",
            "expires_at",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )
    id: str = Field(primary_key=True, sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime)
    ended_at: datetime | None = Field(sa_type=UtcTime)
    state: str = Field(sa_type=CleanText)
    """open | settled | expired"""
    outcome: str = Field(sa_type=CleanText)
    """success | cancelled | expired | the name of the error"""
    accounts: str = Field(sa_type=CleanText)
    """JSON of the accounts that it is charged to: pairs of scope and account."""
    tenant: str = Field(sa_type=CleanText)
    user_id: str = Field(sa_type=CleanText)
    session_id: str = Field(sa_type=CleanText)
    work_item: str = Field(sa_type=CleanText)
    correlation_id: str = Field(sa_type=CleanText)
    source_agent: str = Field(sa_type=CleanText)
    provider: str = Field(sa_type=CleanText)
    model: str = Field(sa_type=CleanText)
    price_version: str = Field(sa_type=CleanText)
    reserved_tokens: int = Field(sa_type=RowNumber)
    reserved_nano_usd: int = Field(sa_type=RowNumber)
    prompt_tokens: int = Field(sa_type=RowNumber)
    completion_tokens: int = Field(sa_type=RowNumber)
    total_tokens: int = Field(sa_type=RowNumber)
    cached_tokens: int = Field(sa_type=RowNumber)
    cache_write_tokens: int = Field(sa_type=RowNumber)
    reasoning_tokens: int = Field(sa_type=RowNumber)
    nano_usd: int = Field(sa_type=RowNumber)


class LlmAccount(SQLModel, table=True):
    """Sums over the ledger, so that a budget is checked by looking at one row: what is reserved, and what was spent
    ever, in the month (year times 12 plus month) and on the day (number since 0001-01-01) that it was last used."""

    __tablename__: ClassVar[str] = "llm_account"
    scope: str = Field(primary_key=True, sa_type=CleanText)
    account: str = Field(primary_key=True, sa_type=CleanText)
    reserved_tokens: int = Field(sa_type=RowNumber)
    reserved_nano_usd: int = Field(sa_type=RowNumber)
    tokens: int = Field(sa_type=RowNumber)
    nano_usd: int = Field(sa_type=RowNumber)
    month: int
    month_tokens: int = Field(sa_type=RowNumber)
    month_nano_usd: int = Field(sa_type=RowNumber)
    day: int
    day_tokens: int = Field(sa_type=RowNumber)
    day_nano_usd: int = Field(sa_type=RowNumber)


class LlmRate(SQLModel, table=True):
    """How far a provider is used up. A bucket is the moment at which it will be full again."""

    __tablename__: ClassVar[str] = "llm_rate"
    provider: str = Field(primary_key=True, sa_type=CleanText)
    requests_full_at: datetime = Field(sa_type=UtcTime)
    tokens_full_at: datetime = Field(sa_type=UtcTime)
    not_before: datetime = Field(sa_type=UtcTime)
    """The provider itself wants no call until then."""


class LlmAnswer(SQLModel, table=True):
    """A whole answer, by the hash of what was asked, which binds the tenant."""

    __tablename__: ClassVar[str] = "llm_answer"
    key: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime, index=True)
    body: str = Field(sa_type=CleanText)
    """JSON of `LLMResponse`."""
