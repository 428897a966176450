"""The books of the model service: attempts, budgets, rates, answers."""

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

from pointsman.store.columns import CleanText, RowNumber, UtcTime


class LlmLedgerRow(SQLModel, table=True):
    """One attempt at a model provider. Money is in billionths of a USD: whole numbers, which add up exactly."""

    __tablename__: ClassVar[str] = "llm_ledger"
    __table_args__ = (
        Index("ix_llm_ledger_at", "at"),
        Index(
            "ix_llm_ledger_open",
            "expires_at",
            sqlite_where=text("state = 'open'"),
            postgresql_where=text("state = 'open'"),
        ),
    )
    id: str = Field(primary_key=True, sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime)
    ended_at: datetime | None = Field(sa_type=UtcTime)
    state: str = Field(sa_type=CleanText)
    """open | settled | expired"""
    outcome: str = Field(sa_type=CleanText)
    """success | cancelled | expired | the name of the error"""
    accounts: str = Field(sa_type=CleanText)
    """JSON of the accounts that it is charged to: pairs of scope and account."""
    tenant: str = Field(sa_type=CleanText)
    user_id: str = Field(sa_type=CleanText)
    session_id: str = Field(sa_type=CleanText)
    work_item: str = Field(sa_type=CleanText)
    budget: str = Field(default="", sa_type=CleanText, sa_column_kwargs={"server_default": text("''")})
    """The name of the tenant's budget that the call was charged to as well."""
    correlation_id: str = Field(sa_type=CleanText)
    source_agent: str = Field(sa_type=CleanText)
    provider: str = Field(sa_type=CleanText)
    model: str = Field(sa_type=CleanText)
    price_version: str = Field(sa_type=CleanText)
    reserved_tokens: int = Field(sa_type=RowNumber)
    reserved_nano_usd: int = Field(sa_type=RowNumber)
    prompt_tokens: int = Field(sa_type=RowNumber)
    completion_tokens: int = Field(sa_type=RowNumber)
    total_tokens: int = Field(sa_type=RowNumber)
    cached_tokens: int = Field(sa_type=RowNumber)
    cache_write_tokens: int = Field(sa_type=RowNumber)
    reasoning_tokens: int = Field(sa_type=RowNumber)
    nano_usd: int = Field(sa_type=RowNumber)


class LlmAccount(SQLModel, table=True):
    """Sums over the ledger, so that a budget is checked by looking at one row: what is reserved, and what was spent
    ever, in the month (year times 12 plus month) and on the day (number since 0001-01-01) that it was last used."""

    __tablename__: ClassVar[str] = "llm_account"
    scope: str = Field(primary_key=True, sa_type=CleanText)
    account: str = Field(primary_key=True, sa_type=CleanText)
    reserved_tokens: int = Field(sa_type=RowNumber)
    reserved_nano_usd: int = Field(sa_type=RowNumber)
    tokens: int = Field(sa_type=RowNumber)
    nano_usd: int = Field(sa_type=RowNumber)
    month: int
    month_tokens: int = Field(sa_type=RowNumber)
    month_nano_usd: int = Field(sa_type=RowNumber)
    day: int
    day_tokens: int = Field(sa_type=RowNumber)
    day_nano_usd: int = Field(sa_type=RowNumber)


class LlmRate(SQLModel, table=True):
    """How far a provider is used up. A bucket is the moment at which it will be full again."""

    __tablename__: ClassVar[str] = "llm_rate"
    provider: str = Field(primary_key=True, sa_type=CleanText)
    requests_full_at: datetime = Field(sa_type=UtcTime)
    tokens_full_at: datetime = Field(sa_type=UtcTime)
    not_before: datetime = Field(sa_type=UtcTime)
    """The provider itself wants no call until then."""


class LlmAnswer(SQLModel, table=True):
    """A whole answer, by the hash of what was asked, which binds the tenant."""

    __tablename__: ClassVar[str] = "llm_answer"
    key: str = Field(primary_key=True, sa_type=CleanText)
    tenant: str = Field(sa_type=CleanText)
    at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime, index=True)
    body: str = Field(sa_type=CleanText)
    """JSON of `LLMResponse`."""
