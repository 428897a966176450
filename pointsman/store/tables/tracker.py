"""Azure DevOps: how fast an account may ask, and what was read and may be used again."""

from datetime import datetime
from typing import ClassVar

from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class TrackerPace(SQLModel, table=True):
    """An account at an organisation, and the moment before which the service wants no call of it."""

    __tablename__: ClassVar[str] = "tracker_pace"
    account: str = Field(primary_key=True, sa_type=CleanText)
    not_before: datetime = Field(sa_type=UtcTime)


class TrackerLease(SQLModel, table=True):
    """How many calls one process may have under way as an account, for how long, and how many it wanted."""

    __tablename__: ClassVar[str] = "tracker_lease"
    account: str = Field(primary_key=True, sa_type=CleanText)
    holder: str = Field(primary_key=True, sa_type=CleanText)
    urgent: int
    bulk: int
    places: int
    expires_at: datetime = Field(sa_type=UtcTime)


class TrackerAnswer(SQLModel, table=True):
    """What the service answered. `scope` is whose answer it is: tenant, organisation and account."""

    __tablename__: ClassVar[str] = "tracker_answer"
    scope: str = Field(primary_key=True, sa_type=CleanText)
    kind: str = Field(primary_key=True, sa_type=CleanText)
    name: str = Field(primary_key=True, sa_type=CleanText)
    rev: int = Field(sa_type=RowNumber)
    """Of an item; 0 for what has none."""
    read_at: datetime = Field(sa_type=UtcTime)
    """Before the call was made: the answer is no older."""
    expires_at: datetime = Field(sa_type=UtcTime, index=True)
    body: str = Field(sa_type=CleanText)
    """JSON; empty: there is no such thing."""
