"""No interleaving spends more than a hard limit, and what is not settled counts as spent."""

import asyncio
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.llm.budgets import (
    OF_TENANTS,
    RESERVATION_LIFE,
    Budget,
    Claim,
    MemoryBudgets,
    Period,
    Scope,
    account_of,
    accounts_of,
    parts_of,
)
from pointsman.llm.errors import BudgetExceededError
from pointsman.llm.types import LLMRequest, Role, TokenUsage, text_message

ADA = (Scope.USER, "ada")
RAIL = (Scope.TENANT, "rail")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def claim(tokens: int, cost: str = "0", *accounts: tuple[Scope, str]) -> Claim:
    return Claim(
        accounts=accounts or (ADA,), tokens=tokens, cost_usd=Decimal(cost), provider="openai", model="gpt-6-luna"
    )


def used(tokens: int) -> TokenUsage:
    return TokenUsage(total_tokens=tokens)


def test_accounts_are_those_that_the_request_names() -> None:
    hello = (text_message(Role.USER, "hello"),)
    asked = LLMRequest(
        messages=hello, tenant="rail", user="ada", session_id="s", work_item="fabrikam/rail/7", budget="trial"
    )
    assert set(accounts_of(asked)) == {
        RAIL,
        (Scope.USER, "rail/ada"),
        (Scope.SESSION, "rail/s"),
        (Scope.WORK_ITEM, "rail/fabrikam/rail/7"),
        (Scope.BUDGET, "rail/trial"),
    }
    assert accounts_of(LLMRequest(messages=hello)) == ()
    assert accounts_of(LLMRequest(messages=hello, user="rail/ada")) == ((Scope.USER, "/rail/ada"),)


@given(
    st.text(alphabet="ab/", max_size=5), st.text(alphabet="ab/%", min_size=1, max_size=5), st.sampled_from(OF_TENANTS)
)
def test_an_account_is_of_one_tenant_and_one_name(tenant: str, name: str, scope: Scope) -> None:
    assert parts_of(scope, account_of(tenant, name)) == (tenant, name)


async def test_equal_names_of_two_tenants_do_not_share_a_budget() -> None:
    books = MemoryBudgets([Budget(scope=scope, tokens=100) for scope in OF_TENANTS])
    for tenant in ("rail", "road", ""):
        named = of(tenant)
        await books.reserve(claim(100, "0", *accounts_of(named)))
        for scope, account in accounts_of(named)[-len(OF_TENANTS) :]:
            with pytest.raises(BudgetExceededError, match=f"{scope.value} .*is 100: 0 are spent, 100 reserved"):
                await books.reserve(claim(1, "0", (scope, account)))


async def test_a_budget_of_a_tenants_user_is_of_nobody_elses() -> None:
    books = MemoryBudgets([Budget(scope=Scope.USER, tenant="rail", account="ada", tokens=10)])
    assert (await books.reserve(claim(11, "0", *accounts_of(of("road"))))).uses == ()
    with pytest.raises(BudgetExceededError, match="user 'rail/ada' is 10"):
        await books.reserve(claim(11, "0", *accounts_of(of("rail"))))
    (use,) = (await books.reserve(claim(10, "0", *accounts_of(of("rail"))))).uses
    assert use.account == "rail/ada"


async def test_a_budget_that_a_call_names_holds_and_one_without_a_limit_is_told() -> None:
    books = MemoryBudgets([Budget(scope=Scope.BUDGET, account="trial", tokens=10)])
    with pytest.raises(BudgetExceededError, match="budget 'rail/trial' is 10"):
        await books.reserve(claim(11, "0", (Scope.BUDGET, "rail/trial")))
    (note,) = (await books.reserve(claim(11, "0", (Scope.BUDGET, "rail/trail")))).notes
    assert note == "budget 'trail' has no limit: the call is written down under its name"


def of(tenant: str) -> LLMRequest:
    hello = (text_message(Role.USER, "hello"),)
    return LLMRequest(messages=hello, tenant=tenant, user="ada", session_id="s", work_item="7", budget="trial")


async def test_a_hard_limit_refuses_and_says_every_number() -> None:
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=1_000)])
    spent = await books.reserve(claim(300))
    await books.settle(spent, used(250), Decimal(0))
    await books.reserve(claim(400))
    with pytest.raises(BudgetExceededError) as caught:
        await books.reserve(claim(351))
    for told in ("user 'ada' is 1000", "250 are spent", "400 reserved", "may take 351", "Nothing was sent"):
        assert told in str(caught.value)
    assert not caught.value.retryable
    assert (await books.reserve(claim(350))).notes == ()


async def test_a_limit_in_usd_counts_the_price() -> None:
    books = MemoryBudgets([Budget(scope=Scope.TENANT, account="rail", cost_usd=Decimal("0.10"))])
    await books.reserve(claim(1, "0.06", RAIL))
    with pytest.raises(BudgetExceededError, match=r"tenant 'rail' is 0\.10 USD: 0 are spent, 0\.06 reserved"):
        await books.reserve(claim(1, "0.05", RAIL))
    await books.reserve(claim(1, "5", (Scope.TENANT, "road")))


async def test_a_soft_limit_is_noted_only() -> None:
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=10, hard=False)])
    (note,) = (await books.reserve(claim(11))).notes
    assert note.startswith("soft limit: the token budget of user 'ada' is 10")


@pytest.mark.parametrize(("period", "begins"), [(Period.DAY, date(2026, 11, 22)), (Period.MONTH, date(2026, 12, 1))])
async def test_a_budget_of_a_period_begins_again_with_the_next(period: Period, begins: date) -> None:
    today = [date(2026, 11, 21)]
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=100, period=period)], today=lambda: today[0])
    await books.settle(await books.reserve(claim(80)), used(80), Decimal(0))
    held = await books.reserve(claim(15))
    with pytest.raises(BudgetExceededError, match="80 are spent, 15 reserved"):
        await books.reserve(claim(6))
    today[0] = begins
    with pytest.raises(BudgetExceededError, match="0 are spent, 15 reserved"):
        await books.reserve(claim(86))
    await books.settle(held, used(15), Decimal(0))
    assert books.spending(*ADA).spent[period].tokens == 15
    assert books.spending(*ADA).tokens == 95


async def test_a_budget_of_a_month_lasts_longer_than_a_day() -> None:
    today = [date(2026, 11, 21)]
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=100, period=Period.MONTH)], today=lambda: today[0])
    await books.settle(await books.reserve(claim(80)), used(80), Decimal(0))
    today[0] = date(2026, 11, 30)
    with pytest.raises(BudgetExceededError, match="'ada' for this month is 100: 80 are spent"):
        await books.reserve(claim(21))


async def test_a_claim_is_held_against_all_of_its_accounts_or_none() -> None:
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=100), Budget(scope=Scope.TENANT, tokens=50)])
    with pytest.raises(BudgetExceededError):
        await books.reserve(claim(60, "0", ADA, RAIL))
    assert books.spending(*ADA).reserved_tokens == 0
    await books.reserve(claim(100))


async def test_settling_twice_counts_once() -> None:
    books = MemoryBudgets()
    held = await books.reserve(claim(100, "1"))
    await books.settle(held, used(40), Decimal("0.4"))
    await books.settle(held, used(40), Decimal("0.4"))
    spending = books.spending(*ADA)
    assert (spending.tokens, spending.cost_usd) == (40, Decimal("0.4"))
    assert (spending.reserved_tokens, spending.reserved_usd) == (0, Decimal(0))


async def test_what_is_never_settled_expires_as_spent() -> None:
    clock = Clock()
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=100)], now=clock)
    lost = await books.reserve(claim(60, "2"))
    clock.now = RESERVATION_LIFE.total_seconds() - 1
    assert books.spending(*ADA).reserved_tokens == 60
    clock.now += 1
    spending = books.spending(*ADA)
    assert (spending.tokens, spending.cost_usd, spending.reserved_tokens) == (60, Decimal(2), 0)
    await books.settle(lost, used(1), Decimal(0))
    assert books.spending(*ADA).tokens == 60
    with pytest.raises(BudgetExceededError):
        await books.reserve(claim(41))


async def test_two_hundred_at_once_against_a_budget_for_one_hundred() -> None:
    books = MemoryBudgets([Budget(scope=Scope.USER, tokens=1_000)])

    async def call() -> bool:
        try:
            held = await books.reserve(claim(10))
        except BudgetExceededError:
            return False
        await asyncio.sleep(0)
        await books.settle(held, used(10), Decimal(0))
        return True

    assert sum(await asyncio.gather(*(call() for _ in range(200)))) == 100
    assert books.spending(*ADA).tokens == 1_000


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(0, 3)), max_size=60))
def test_no_order_of_calls_passes_a_hard_limit(calls: list[tuple[int, int, int]]) -> None:
    """Each call claims, uses at most its claim, and ends some calls later or never."""

    async def run() -> None:
        clock = Clock()
        books = MemoryBudgets([Budget(scope=Scope.USER, tokens=100)], now=clock)
        open_calls = []
        for asked, wanted, later in calls:
            clock.now += 60
            try:
                open_calls.append((await books.reserve(claim(asked)), min(asked, wanted)))
            except BudgetExceededError:
                continue
            if later and len(open_calls) >= later:
                held, tokens = open_calls.pop(0)
                await books.settle(held, used(tokens), Decimal(0))
            spending = books.spending(*ADA)
            assert spending.tokens + spending.reserved_tokens <= 100
            assert spending.reserved_tokens >= 0

    asyncio.run(run())
