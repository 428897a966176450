"""Questions to humans and the ladder that each has climbed."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


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
