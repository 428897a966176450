"""What came in: deliveries, and the chains of events that they began."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, LargeBinary, text
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


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
    recovered_from: str = Field(default="", sa_type=CleanText, sa_column_kwargs={"server_default": text("''")})


class InboxChain(SQLModel, table=True):
    """The first delivery of each item gives its chain the id."""

    __tablename__: ClassVar[str] = "inbox_chain"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    tenant: str = Field(sa_type=CleanText)
    chain_id: str = Field(sa_type=CleanText)
