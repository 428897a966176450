"""What may be spent, by whom: reserved before a call at the price of the model that will bill, settled after it.

A reservation that is never settled (a process was killed) expires, and what it held counts as spent: the provider
may have billed it.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Protocol
from uuid import uuid4

from pydantic import Field

from pointsman.llm.errors import BudgetExceededError
from pointsman.llm.types import LLMRequest, TokenUsage, Value

RESERVATION_LIFE = timedelta(minutes=15)
SUCCESS = "success"


class Scope(StrEnum):
    TENANT = "tenant"
    USER = "user"
    SESSION = "session"
    WORK_ITEM = "work_item"
    BUDGET = "budget"
    """A budget that calls are charged to by its name."""
    HOSTED_TENANT = "hosted_tenant"
    """A tenant, as far as the operator's key pays."""
    HOSTED_USER = "hosted_user"
    """A user, by `tenant/user`, as far as the operator's key pays."""


OF_TENANTS = (Scope.USER, Scope.SESSION, Scope.WORK_ITEM, Scope.BUDGET)
"""Accounts of these have names that only their tenant gives them: another's of the same name is another account."""


class Period(StrEnum):
    """What a budget is for: months and days of the calendar, in UTC. A call counts when it is settled."""

    EVER = "ever"
    MONTH = "month"
    DAY = "day"


class Budget(Value):
    """A limit of one account, or of each account of a scope where it names none. None is no limit."""

    scope: Scope
    account: str = ""
    """Name of the tenant, user, session, work item or budget."""
    tenant: str = ""
    """Whose user, session, work item or budget it is; empty: the one of each tenant."""
    tokens: int | None = Field(default=None, ge=0)
    cost_usd: Decimal | None = Field(default=None, ge=0)
    hard: bool = True
    """A hard limit refuses the call, a soft one is noted in its response."""
    but: tuple[str, ...] = ()
    """Accounts that it leaves out, because they have one of their own."""
    period: Period = Period.EVER

    def applies(self, scope: Scope, account: str) -> bool:
        if self.scope is not scope or account in self.but:
            return False
        tenant, name = parts_of(scope, account)
        return self.account in ("", name) and self.tenant in ("", tenant)

    @property
    def told(self) -> str:
        """The account that it names, with its tenant; empty where it names none."""
        return f"{self.tenant}/{self.account}" if self.tenant and self.account else self.account


def account_of(tenant: str, name: str) -> str:
    """What the books call a name that `tenant` gave; without a tenant, it begins with a slash."""
    return f"{tenant.replace('/', '%2F')}/{name}"


def parts_of(scope: Scope, account: str) -> tuple[str, str]:
    """Tenant and name of an account; no tenant where the scope has none."""
    if scope not in OF_TENANTS:
        return "", account
    tenant, slash, name = account.partition("/")
    return (tenant.replace("%2F", "/"), name) if slash else ("", account)


class Claim(Value):
    """What a call may cost at most."""

    accounts: tuple[tuple[Scope, str], ...]
    tokens: int = Field(ge=0)
    cost_usd: Decimal = Field(ge=0)
    provider: str = ""
    model: str = ""
    price_version: str = ""
    trace_id: str = ""
    source_agent: str = ""


class BudgetUse(Value):
    """How far a budget is used with a claim that was granted: 1.0 is its limit, a soft one may be passed."""

    scope: Scope
    account: str = ""
    """Empty where the budget is one of each account of the scope."""
    share: float = Field(ge=0)


class Reservation(Value):
    """A claim that was granted. `notes` tell of soft limits that it passes."""

    id: str
    claim: Claim
    notes: tuple[str, ...] = ()
    uses: tuple[BudgetUse, ...] = ()
    """Of each budget that it was held against."""


class Budgets(Protocol):
    """The books of spending."""

    async def reserve(self, claim: Claim) -> Reservation:
        """Hold the claim against every budget of its accounts, or against none.

        Raises:
            BudgetExceededError: a hard limit would be passed; names account, limit, spent, reserved and asked.
        """

    async def settle(
        self, reservation: Reservation, usage: TokenUsage | None, cost_usd: Decimal | None, outcome: str = ""
    ) -> None:
        """Replace the reservation by what was used; None for both where nothing was billed. Idempotent by its id.

        `outcome` is `success`, `cancelled`, or the name of the error.
        """


def accounts_of(request: LLMRequest) -> tuple[tuple[Scope, str], ...]:
    """Whom the call is charged to."""
    names = (request.user, request.session_id, request.work_item, request.budget)
    tenant = request.tenant
    named = [(scope, account_of(tenant, name)) for scope, name in zip(OF_TENANTS, names, strict=True) if name]
    return ((Scope.TENANT, tenant), *named) if tenant else tuple(named)


def hosted_accounts_of(request: LLMRequest) -> tuple[tuple[Scope, str], ...]:
    """Whom a call with the operator's key is charged to beside that."""
    if not request.tenant:
        return ()
    whole = ((Scope.HOSTED_TENANT, request.tenant),)
    return (*whole, (Scope.HOSTED_USER, account_of(request.tenant, request.user))) if request.user else whole


@dataclass
class Spent:
    tokens: int = 0
    cost_usd: Decimal = Decimal(0)


def _nothing() -> dict[Period, Spent]:
    return {period: Spent() for period in Period}


@dataclass
class Spending:
    """Of one account. What is reserved counts against every period: nobody knows yet when it ends."""

    spent: dict[Period, Spent] = field(default_factory=_nothing)
    reserved_tokens: int = 0
    reserved_usd: Decimal = Decimal(0)
    on: date = date.min
    """The day that `spent` is told for."""

    @property
    def tokens(self) -> int:
        return self.spent[Period.EVER].tokens

    @property
    def cost_usd(self) -> Decimal:
        return self.spent[Period.EVER].cost_usd

    def turn(self, today: date) -> None:
        """Begin the periods that `today` is the first to be seen of."""
        if today <= self.on:
            return
        self.spent[Period.DAY] = Spent()
        if (today.year, today.month) != (self.on.year, self.on.month):
            self.spent[Period.MONTH] = Spent()
        self.on = today

    def hold(self, tokens: int, cost_usd: Decimal) -> None:
        self.reserved_tokens += tokens
        self.reserved_usd += cost_usd

    def spend(self, tokens: int, cost_usd: Decimal) -> None:
        for spent in self.spent.values():
            spent.tokens += tokens
            spent.cost_usd += cost_usd


_WHEN = {Period.EVER: "", Period.MONTH: " for this month", Period.DAY: " for today"}


def passed(budget: Budget, account: str, spending: Spending, claim: Claim) -> str:
    """How the claim would pass the budget; empty where it fits."""
    spent, limit, cost_limit = spending.spent[budget.period], budget.tokens, budget.cost_usd
    if limit is not None and spent.tokens + spending.reserved_tokens + claim.tokens > limit:
        return (
            f"the token budget of {_whose(budget, account)} is {limit}: {spent.tokens} are spent, "
            f"{spending.reserved_tokens} reserved, and this call may take {claim.tokens}"
        )
    if cost_limit is not None and spent.cost_usd + spending.reserved_usd + claim.cost_usd > cost_limit:
        return (
            f"the budget of {_whose(budget, account)} is {cost_limit} USD: {spent.cost_usd} are spent, "
            f"{spending.reserved_usd} reserved, and this call may cost {claim.cost_usd}"
        )
    return ""


def _whose(budget: Budget, account: str) -> str:
    return f"{budget.scope.value} {account.removeprefix('/')!r}{_WHEN[budget.period]}"


Applying = Sequence[tuple[tuple[Scope, str], Sequence[Budget]]]
"""The accounts of a claim, each with the budgets that apply to it."""


def applying(budgets: Sequence[Budget], account: tuple[Scope, str]) -> tuple[Budget, ...]:
    return tuple(budget for budget in budgets if budget.applies(*account))


def check(limits: Applying, claim: Claim, spendings: Mapping[tuple[Scope, str], Spending]) -> tuple[str, ...]:
    """Notes of the soft limits that the claim would pass. Only accounts that have budgets are looked up.

    Raises:
        BudgetExceededError: it would pass a hard one.
    """
    notes: list[str] = []
    for (scope, account), budgets in limits:
        if scope is Scope.BUDGET and not budgets:
            notes.append(
                f"budget {parts_of(scope, account)[1]!r} has no limit: the call is written down under its name"
            )
        for budget in budgets:
            why = passed(budget, account, spendings[scope, account], claim)
            if why and budget.hard:
                raise exceeded(claim, why)
            if why:
                notes.append(f"soft limit: {why}")
    return tuple(notes)


def uses_of(limits: Applying, claim: Claim, spendings: Mapping[tuple[Scope, str], Spending]) -> tuple[BudgetUse, ...]:
    """How far the claim would use each budget. Asked before it is held."""
    return tuple(
        BudgetUse(scope=account[0], account=budget.told, share=_share(budget, spendings[account], claim))
        for account, budgets in limits
        for budget in budgets
    )


def _share(budget: Budget, spending: Spending, claim: Claim) -> float:
    """Of tokens or money, whichever is nearer to its limit. A limit of zero is passed by anything."""
    spent, share = spending.spent[budget.period], 0.0
    if budget.tokens is not None:
        share = _part(spent.tokens + spending.reserved_tokens + claim.tokens, budget.tokens)
    if budget.cost_usd is not None:
        cost = spent.cost_usd + spending.reserved_usd + claim.cost_usd
        share = max(share, _part(float(cost), float(budget.cost_usd)))
    return share


def _part(used: float, limit: float) -> float:
    return used / limit if limit else 2.0 * bool(used)


def exceeded(claim: Claim, why: str) -> BudgetExceededError:
    return BudgetExceededError(
        f"{why}. Nothing was sent. Ask for fewer tokens (max_tokens) or a cheaper model, or raise the budget.",
        provider=claim.provider,
        model=claim.model,
    )


def _today() -> date:
    return datetime.now(UTC).date()


class MemoryBudgets:
    """Budgets of one process. Nothing is awaited between check and reservation, so no interleaving passes a limit."""

    def __init__(
        self,
        budgets: Sequence[Budget] = (),
        now: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = _today,
    ) -> None:
        self._budgets = tuple(budgets)
        self._now = now
        self._today = today
        self._accounts: defaultdict[tuple[Scope, str], Spending] = defaultdict(Spending)
        self._open: dict[str, tuple[float, Claim]] = {}

    async def reserve(self, claim: Claim) -> Reservation:
        self._expire()
        spendings = {key: self._spending(key) for key in claim.accounts}
        limits = [(key, applying(self._budgets, key)) for key in claim.accounts]
        notes = check(limits, claim, spendings)
        uses = uses_of(limits, claim, spendings)
        reservation = Reservation(id=uuid4().hex, claim=claim, notes=notes, uses=uses)
        for key in claim.accounts:
            self._spending(key).hold(claim.tokens, claim.cost_usd)
        self._open[reservation.id] = (self._now() + RESERVATION_LIFE.total_seconds(), claim)
        return reservation

    async def settle(
        self, reservation: Reservation, usage: TokenUsage | None, cost_usd: Decimal | None, outcome: str = ""
    ) -> None:
        if self._open.pop(reservation.id, None) is None:
            return
        self._close(reservation.claim, usage.total_tokens if usage else 0, cost_usd or Decimal(0))

    def spending(self, scope: Scope, account: str) -> Spending:
        """What the account has spent and holds."""
        self._expire()
        return self._spending((scope, account))

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
        for key in claim.accounts:
            spending = self._spending(key)
            spending.hold(-claim.tokens, -claim.cost_usd)
            spending.spend(tokens, cost_usd)

    def _spending(self, key: tuple[Scope, str]) -> Spending:
        spending = self._accounts[key]
        spending.turn(self._today())
        return spending
