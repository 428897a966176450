"""The traceability matrix: items and what leads from one to another, no more of each than a row shows.

Read from Azure DevOps and at any time read again, so that nothing of it is in the audit log.
"""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class MatrixReading(SQLModel, table=True):
    """How far a project was read; `body` is the contract `MatrixMark`."""

    __tablename__: ClassVar[str] = "matrix_reading"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    project: str = Field(primary_key=True, sa_type=CleanText)
    """In lower case."""
    tenant: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)


class MatrixItemRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "matrix_item"
    __table_args__ = (
        Index("ix_matrix_item_project", "organisation", "project", "item_id"),
        Index("ix_matrix_item_unread", "organisation", "code_read", "item_id"),
    )
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    project: str = Field(sa_type=CleanText)
    """In lower case; empty where the item may not be seen."""
    kind: str = Field(sa_type=CleanText)
    state: str = Field(sa_type=CleanText)
    title: str = Field(sa_type=CleanText)
    rev: int
    is_deleted: bool
    code_read: bool
    """Whether its links to code are those that are kept."""
    generation: int


class MatrixLinkRow(SQLModel, table=True):
    __tablename__: ClassVar[str] = "matrix_link"
    __table_args__ = (Index("ix_matrix_link_target", "organisation", "target_id", "kind"),)
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    source_id: int = Field(primary_key=True, sa_type=RowNumber)
    kind: str = Field(primary_key=True, sa_type=CleanText)
    target_id: int = Field(primary_key=True, sa_type=RowNumber)
    project: str = Field(sa_type=CleanText)
    """In whose stream it was told."""
    generation: int


class MatrixCodeRow(SQLModel, table=True):
    """A link of an item to a pull request, a commit or a build."""

    __tablename__: ClassVar[str] = "matrix_code"
    __table_args__ = (Index("ix_matrix_code_name", "organisation", "kind", "name"),)
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    item_id: int = Field(primary_key=True, sa_type=RowNumber)
    kind: str = Field(primary_key=True, sa_type=CleanText)
    name: str = Field(primary_key=True, sa_type=CleanText)
    place: str = Field(sa_type=CleanText)


class MatrixProofRow(SQLModel, table=True):
    """What became of a pull request or a build, or how a test case ended last; `body` is its contract."""

    __tablename__: ClassVar[str] = "matrix_proof"
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    kind: str = Field(primary_key=True, sa_type=CleanText)
    name: str = Field(primary_key=True, sa_type=CleanText)
    project: str = Field(sa_type=CleanText)
    body: str = Field(sa_type=CleanText)
    """Empty: it may not be seen."""
    is_over: bool
    """It will not change any more."""


class MatrixCommitRow(SQLModel, table=True):
    """A commit that a pull request brings or makes, or that a build is of."""

    __tablename__: ClassVar[str] = "matrix_commit"
    __table_args__ = (Index("ix_matrix_commit_name", "organisation", "kind", "name"),)
    organisation: str = Field(primary_key=True, sa_type=CleanText)
    commit_id: str = Field(primary_key=True, sa_type=CleanText)
    kind: str = Field(primary_key=True, sa_type=CleanText)
    name: str = Field(primary_key=True, sa_type=CleanText)
