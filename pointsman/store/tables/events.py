"""Which thing led to which: what no other row says."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, UtcTime


class ChainEdge(SQLModel, table=True):
    """`pointsman.contracts.chains.Edge`. Rows are only added; of several that tell the same, the latest counts."""

    __tablename__: ClassVar[str] = "chain_edge"
    __table_args__ = (Index("ix_chain_edge_effect_tenant", "effect", "tenant"), {"sqlite_with_rowid": False})
    cause: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(primary_key=True, sa_type=CleanText)
    effect: str = Field(primary_key=True, sa_type=CleanText)
    kind: str = Field(primary_key=True, sa_type=CleanText)
    evidence: str = Field(primary_key=True, sa_type=CleanText)
    removed: bool = Field(primary_key=True)
    at: datetime = Field(sa_type=UtcTime)
