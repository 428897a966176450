"""What all tables share: how their keys and indexes are named, and what the store remembers about itself."""

from typing import ClassVar

from sqlalchemy import MetaData
from sqlmodel import Field, SQLModel, col

from pointsman.store.columns import CleanText

__all__ = ["col"]

metadata: MetaData = SQLModel.metadata
metadata.naming_convention = {
    "pk": "pk_%(table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
}


class Setting(SQLModel, table=True):
    """What the store must remember about itself, for example the name of its log."""

    __tablename__: ClassVar[str] = "setting"
    name: str = Field(primary_key=True, sa_type=CleanText)
    value: str = Field(sa_type=CleanText)
