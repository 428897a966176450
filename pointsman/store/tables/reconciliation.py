"""What comparisons of projects came to, and items in the recycle bin."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class ReconciliationRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "reconciliation"
    __table_args__ = (
        UniqueConstraint("workflow_id", "run_id", "project"),
        Index("ix_reconciliation_organisation_project", "organisation", "project", "sequence"),
    )
    sequence: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    workflow_id: str = Field(sa_type=CleanText)
    run_id: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """JSON of `ReconcileReport`."""
    at: datetime = Field(sa_type=UtcTime)


class TombstoneRow(SQLModel, table=True):
    """It stays when the item is back: then it has a moment when it was cleared."""

    __tablename__: ClassVar[str] = "tombstone"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    project: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    rev: int
    since: datetime = Field(sa_type=UtcTime)
    cleared_at: datetime | None = Field(default=None, sa_type=UtcTime)
