"""What both sides agreed on last, where they differ, and what is not written to."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, text
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class AgreementRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "agreement"
    __table_args__ = (
        ForeignKeyConstraint(["snapshot"], ["content.hash"]),
        Index("ix_agreement_organisation_project", "organisation", "project"),
    )
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    project: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    rev: int
    snapshot: str = Field(sa_type=CleanText)
    """All fields as canonical JSON."""
    body: str = Field(sa_type=CleanText)
    """JSON of `Agreed` without the fields."""
    at: datetime = Field(sa_type=UtcTime)


class ConflictRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "sync_conflict"
    __table_args__ = (
        Index(
            "uq_sync_conflict_standing",
            "organisation",
            "item_id",
            "field",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_sync_conflict_organisation_project", "organisation", "project"),
    )
    number: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    """The n of `CON-n`."""
    tenant: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    field: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """JSON of `SyncConflict`."""
    opened_at: datetime = Field(sa_type=UtcTime)
    closed_at: datetime | None = Field(sa_type=UtcTime)


class QuarantineRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "sync_quarantine"
    __table_args__ = (
        Index(
            "uq_sync_quarantine_standing",
            "organisation",
            "item_id",
            unique=True,
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )
    number: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    tenant: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    item_id: int = Field(sa_type=RowNumber)
    body: str = Field(sa_type=CleanText)
    """JSON of `Quarantine`."""
    at: datetime = Field(sa_type=UtcTime)
    released_at: datetime | None = Field(sa_type=UtcTime)
