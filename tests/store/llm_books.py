"""What tests of the books of the model service claim and use."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

from sqlalchemy import select

from pointsman.llm.budgets import Claim, Scope, Spending
from pointsman.llm.types import TokenUsage
from pointsman.store.engine import Store
from pointsman.store.llm_ledger import spending
from pointsman.store.tables import LlmLedgerRow, col, metadata

START = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = START.date()
_ACCOUNT = metadata.tables["llm_account"]

Account = tuple[Scope, str]


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


def user() -> Account:
    """One whom nobody has heard of."""
    return Scope.USER, uuid4().hex


def claim(tokens: int, cost: str = "0", *accounts: Account, **told: str) -> Claim:
    named = {"provider": "openai", "model": "gpt-6-luna", **told}
    return Claim(accounts=accounts, tokens=tokens, cost_usd=Decimal(cost), **named)


def used(tokens: int) -> TokenUsage:
    return TokenUsage(prompt_tokens=tokens // 2, completion_tokens=tokens - tokens // 2, total_tokens=tokens)


async def rows(store: Store) -> list[LlmLedgerRow]:
    """The ledger, in order of its ids."""
    query = select(LlmLedgerRow).order_by(col(LlmLedgerRow.id))
    return await store.read(lambda session: list(session.scalars(query)))


async def standing(store: Store, account: Account, on: datetime = START) -> Spending:
    query = select(_ACCOUNT).where(_ACCOUNT.c.scope == account[0].value, _ACCOUNT.c.account == account[1])
    found = await store.read(lambda session: session.execute(query).one_or_none())
    return Spending() if found is None else spending(found[2:], on.date())
