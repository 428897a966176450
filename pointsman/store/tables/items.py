"""Work items, what happened to them, what their agents said and what was written."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


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
