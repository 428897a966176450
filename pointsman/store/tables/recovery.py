"""How far events were looked for, what came back, when Pointsman was alive, and how its subscriptions are."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import UniqueConstraint
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class RecoveryWatermark(SQLModel, table=True):
    """An empty project stands for the whole organisation."""

    __tablename__: ClassVar[str] = "recovery_watermark"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    project: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """JSON of `Watermark`."""
    at: datetime = Field(sa_type=UtcTime)


class RecoveryRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "recovery"
    __table_args__ = (UniqueConstraint("workflow_id", "run_id"),)
    sequence: int | None = Field(default=None, primary_key=True, sa_type=RowNumber)
    workflow_id: str = Field(sa_type=CleanText)
    run_id: str = Field(sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    organisation: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """JSON of `RecoverResult`."""
    at: datetime = Field(sa_type=UtcTime)


class RecoveryGap(SQLModel, table=True):
    """What was named as not to be brought back, so that it is counted once."""

    __tablename__: ClassVar[str] = "recovery_gap"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    gap: str = Field(primary_key=True, sa_type=CleanText)
    since: str = Field(primary_key=True, sa_type=CleanText)
    """ISO 8601 as the service told it; empty: nobody knows."""
    tenant: str = Field(sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    """Of the recovery that found it last: only one of the same project tells that it is over."""
    lasts: bool
    at: datetime = Field(sa_type=UtcTime)
    """When it was first named."""


class Heartbeat(SQLModel, table=True):
    """When a part of Pointsman last said that it is alive."""

    __tablename__: ClassVar[str] = "heartbeat"
    name: str = Field(primary_key=True, sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)


class HookStateRow(SQLModel, table=True):
    """A subscription as it was last seen, so that only changes are told."""

    __tablename__: ClassVar[str] = "hook_state"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    subscription_id: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """JSON of `HookState`."""
    at: datetime = Field(sa_type=UtcTime)
