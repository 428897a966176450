"""The audit log: events, their Merkle tree, signed checkpoints."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, LargeBinary
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


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
