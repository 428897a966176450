"""What may be spent, by whom: reserved before a call at the price of the model that will bill, settled after it.

A reservation that is never settled (a process was killed) expires, and what it held counts as spent: the provider
may have billed it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

from pydantic import Field

from pointsman.llm.errors import BudgetExceededError
from pointsman.llm.types import LLMRequest, TokenUsage, Value

RESERVATION_LIFE = timedelta(minutes=15)


class Scope(StrEnum):
    TENANT = "tenant"
    USER = "user"
    SESSION = "session"
    WORK_ITEM = "work_item"


class Budget(Value):
    """A limit of one account, or of each account of a scope where it names none. None is no limit."""

    scope: Scope
    account: str = ""
    tokens: int | None = Field(default=None, ge=0)
    cost_usd: Decimal | None = Field(default=None, ge=0)
    hard: bool = True
    """A hard limit refuses the call, a soft one is noted in its response."""


class Claim(Value):
    """What a call may cost at most."""

    accounts: tuple[tuple[Scope, str], ...]
    tokens: int = Field(ge=0)
    cost_usd: Decimal = Field(ge=0)
    provider: str = ""
    model: str = ""


class Reservation(Value):
    """A claim that was granted. `notes` tell of soft limits that it passes."""

    id: str
    claim: Claim
    notes: tuple[str, ...] = ()


class Budgets(Protocol):
    """The books of spending."""

    async def reserve(self, claim: Claim) -> Reservation:
        """Hold the claim against every budget of its accounts, or against none.

        Raises:
            BudgetExceededError: a hard limit would be passed; names account, limit, spent, reserved and asked.
        """

    async def settle(self, reservation: Reservation, usage: TokenUsage | None, cost_usd: Decimal | None) -> None:
        """Replace the reservation by what was used; None for both where nothing was billed. Idempotent by its id."""


def accounts_of(request: LLMRequest) -> tuple[tuple[Scope, str], ...]:
    """Whom the call is charged to."""
    named = {
        Scope.TENANT: request.tenant,
        Scope.USER: request.user,
        Scope.SESSION: request.session_id,
        Scope.WORK_ITEM: request.work_item,
    }
    return tuple((scope, account) for scope, account in named.items() if account)


@dataclass
class Spending:
    """Of one account."""

    tokens: int = 0
    cost_usd: Decimal = Decimal(0)
    reserved_tokens: int = 0
    reserved_usd: Decimal = Decimal(0)


def passed(budget: Budget, account: str, spending: Spending, claim: Claim) -> str:
    """How the claim would pass the budget; empty where it fits."""
    where = f"{budget.scope.value} {account!r}"
    tokens = spending.tokens + spending.reserved_tokens
    if budget.tokens is not None and tokens + claim.tokens > budget.tokens:
        return (
            f"the token budget of {where} is {budget.tokens}: {spending.tokens} are spent, {spending.reserved_tokens} "
            f"reserved, and this call may take {claim.tokens}"
        )
    cost = spending.cost_usd + spending.reserved_usd
    if budget.cost_usd is not None and cost + claim.cost_usd > budget.cost_usd:
        return (
            f"the budget of {where} is {budget.cost_usd} USD: {spending.cost_usd} are spent, {spending.reserved_usd} "
            f"reserved, and this call may cost {claim.cost_usd}"
        )
    return ""


def exceeded(claim: Claim, why: str) -> BudgetExceededError:
    return BudgetExceededError(
        f"{why}. Nothing was sent. Ask for fewer tokens (max_tokens) or a cheaper model, or raise the budget.",
        provider=claim.provider,
        model=claim.model,
    )


class MemoryBudgets:
    """Budgets of one process. Nothing is awaited between check and reservation, so no interleaving passes a limit."""

    def __init__(self, budgets: Sequence[Budget] = (), now: Callable[[], float] = time.monotonic) -> None:
        self._budgets = tuple(budgets)
        self._now = now
        self._accounts: defaultdict[tuple[Scope, str], Spending] = defaultdict(Spending)
        self._open: dict[str, tuple[float, Claim]] = {}

    async def reserve(self, claim: Claim) -> Reservation:
        self._expire()
        notes: list[str] = []
        for scope, account in claim.accounts:
            for budget in self._budgets:
                if budget.scope is not scope or budget.account not in ("", account):
                    continue
                why = passed(budget, account, self._accounts[scope, account], claim)
                if why and budget.hard:
                    raise exceeded(claim, why)
                if why:
                    notes.append(f"soft limit: {why}")
        reservation = Reservation(id=uuid4().hex, claim=claim, notes=tuple(notes))
        for account_key in claim.accounts:
            spending = self._accounts[account_key]
            spending.reserved_tokens += claim.tokens
            spending.reserved_usd += claim.cost_usd
        self._open[reservation.id] = (self._now() + RESERVATION_LIFE.total_seconds(), claim)
        return reservation

    async def settle(self, reservation: Reservation, usage: TokenUsage | None, cost_usd: Decimal | None) -> None:
        if self._open.pop(reservation.id, None) is None:
            return
        self._close(reservation.claim, usage.total_tokens if usage else 0, cost_usd or Decimal(0))

    def spending(self, scope: Scope, account: str) -> Spending:
        """What the account has spent and holds."""
        self._expire()
        return self._accounts[scope, account]

    def _expire(self) -> None:
        now = self._now()
        # In order of reservation, and all live equally long: the first that lives ends the search.
        while self._open:
            reservation_id, (until, claim) = next(iter(self._open.items()))
            if until > now:
                return
            del self._open[reservation_id]
            self._close(claim, claim.tokens, claim.cost_usd)

    def _close(self, claim: Claim, tokens: int, cost_usd: Decimal) -> None:
        for account_key in claim.accounts:
            spending = self._accounts[account_key]
            spending.reserved_tokens -= claim.tokens
            spending.reserved_usd -= claim.cost_usd
            spending.tokens += tokens
            spending.cost_usd += cost_usd
