"""Violations of process rules."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class ViolationRow(SQLModel, table=True):
    """One rule, broken by one item, or by a project as a whole (item 0); `body` is the contract."""

    __tablename__: ClassVar[str] = "process_violation"
    __table_args__ = (
        Index(
            "uq_process_violation_standing",
            "organisation",
            "item_id",
            "check_id",
            "update_number",
            "whole",
            "about",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
        Index("ix_process_violation_organisation_project", "organisation", "project"),
    )
    number: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    """The n of `VIO-n`."""
    tenant: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    item_id: int
    check_id: str = Field(sa_type=CleanText)
    update_number: int
    """The entry of the item's history that broke it; 0 where it is about how things stand."""
    whole: str = Field(default="", sa_type=CleanText, sa_column_kwargs={"server_default": text("''")})
    """Name of the project that breaks it as a whole, in small letters; empty where an item does."""
    about: str = Field(default="", sa_type=CleanText, sa_column_kwargs={"server_default": text("''")})
    """What of the project breaks it."""
    state: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    opened_at: datetime = Field(sa_type=UtcTime)
    closed_at: datetime | None = Field(sa_type=UtcTime)
