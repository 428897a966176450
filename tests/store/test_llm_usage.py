"""Sums of the ledger: each attempt once, under every name that it has, on both databases."""

from datetime import timedelta
from decimal import Decimal

from pointsman.llm.budgets import RESERVATION_LIFE, Scope, account_of
from pointsman.llm.types import TokenUsage
from pointsman.store.engine import Store
from pointsman.store.llm_budgets import StoreBudgets
from pointsman.store.llm_usage import By, UsageBook, Used, Wanted
from tests.store.llm_books import START, Clock, claim

ADA, BOB = (Scope.USER, "ada"), (Scope.USER, "bob")
RAIL, ROAD = (Scope.TENANT, "rail"), (Scope.TENANT, "road")
SPENT = TokenUsage(prompt_tokens=70, completion_tokens=30, total_tokens=100, cached_tokens=40)


async def filled(store: Store) -> None:
    """Three calls of two tenants on two days: one of them failed, one begins half an hour later and is of another
    provider."""
    clock = Clock()
    kept = StoreBudgets(store, now=clock)
    first = await kept.reserve(claim(500, "1", RAIL, ADA, source_agent="triage"))
    await kept.settle(first, SPENT, Decimal("0.25"), "success")
    failed = await kept.reserve(claim(500, "1", RAIL, BOB))
    await kept.settle(failed, None, None, "RateLimitedError")
    clock.move(days=1)
    other = await kept.reserve(claim(500, "1", ROAD, ADA, provider="mistral", model="mistral-large-4"))
    await kept.settle(other, SPENT, Decimal("0.000000001"), "success")


def used(*by: str, attempts: int = 1, failed: int = 0, calls: int = 1, cost: str = "0") -> Used:
    """The sum of `calls` that were answered."""
    return Used(
        by, attempts, failed, 70 * calls, 30 * calls, 40 * calls, 100 * calls, Decimal(cost), 0, Decimal(0)
    )  # fmt: skip


async def sums(store: Store, *by: By, wanted: Wanted | None = None, limit: int = 10) -> list[Used]:
    return list(await UsageBook(store).sums(by, wanted or Wanted(), limit))


async def test_an_empty_ledger_has_no_sums(store: Store) -> None:
    assert await sums(store) == await sums(store, By.DAY, By.MODEL) == []


async def test_each_attempt_counts_once_by_each_of_its_names(store: Store) -> None:
    await filled(store)
    all_of_rail = used("rail", attempts=2, failed=1, cost="0.25")
    assert await sums(store) == [used(attempts=3, failed=1, calls=2, cost="0.250000001")]
    assert await sums(store, By.TENANT) == [all_of_rail, used("road", cost="1E-9")]
    assert await sums(store, By.TENANT, limit=1) == [all_of_rail]
    assert await sums(store, By.PROVIDER, By.MODEL) == [
        used("openai", "gpt-6-luna", attempts=2, failed=1, cost="0.25"),
        used("mistral", "mistral-large-4", cost="1E-9"),
    ]
    assert await sums(store, By.USER) == [
        used("ada", attempts=2, calls=2, cost="0.250000001"),
        used("bob", failed=1, calls=0),
    ]
    assert [one.by for one in await sums(store, By.AGENT, wanted=Wanted(only=((By.USER, "ada"),)))] == [
        ("triage",),
        ("",),
    ]


async def test_days_are_of_utc_and_the_newest_comes_first(store: Store) -> None:
    await filled(store)
    assert await sums(store, By.DAY) == [
        used("2026-11-22", cost="1E-9"),
        used("2026-11-21", attempts=2, failed=1, cost="0.25"),
    ]


async def test_times_are_from_the_first_moment_and_before_the_last(store: Store) -> None:
    await filled(store)
    later = START + timedelta(days=1)
    assert [one.attempts for one in await sums(store, wanted=Wanted(since=START, until=later))] == [2]
    assert [one.attempts for one in await sums(store, wanted=Wanted(since=later))] == [1]
    assert await sums(store, wanted=Wanted(until=START)) == []


async def test_what_is_under_way_is_held_and_what_was_never_heard_of_again_is_spent(store: Store) -> None:
    clock = Clock()
    kept = StoreBudgets(store, now=clock)
    await kept.reserve(claim(500, "1.5", RAIL))
    await StoreBudgets(store, now=clock, life=2 * RESERVATION_LIFE).reserve(claim(400, "0.5", ROAD))
    clock.now += RESERVATION_LIFE
    book = UsageBook(store, clock)
    lost, held = await book.sums([By.TENANT], Wanted(), 10)
    assert (lost.by, lost.failed, lost.total_tokens, lost.cost_usd) == (("rail",), 1, 500, Decimal("1.5"))
    assert (held.by, held.failed, held.held_tokens, held.held_usd) == (("road",), 0, 400, Decimal("0.5"))
    before = await book.sums([], Wanted(), 10)
    assert await kept.expire() == 1
    assert await book.sums([], Wanted(), 10) == before


async def test_accounts_stand_as_their_calls_left_them(store: Store) -> None:
    await filled(store)
    book = UsageBook(store)
    assert [name for name, _ in await book.accounts(Scope.TENANT, 10)] == ["rail", "road"]
    ((name, spending),) = await book.accounts(Scope.USER, 10, "ada")
    assert (name, spending.tokens, spending.cost_usd) == ("ada", 200, Decimal("0.250000001"))
    assert len(await book.accounts(Scope.TENANT, 1)) == 1
    for tenant, name in (("rail", "eve"), ("road", "eve"), ("road", "ev_")):
        await StoreBudgets(store).reserve(claim(1, "0", (Scope.USER, account_of(tenant, name))))
    assert {name for name, _ in await book.accounts(Scope.USER, 10, "eve")} == {"rail/eve", "road/eve"}
    assert {name for name, _ in await book.accounts(Scope.USER, 10, tenant="road")} == {"road/eve", "road/ev_"}
    assert [name for name, _ in await book.accounts(Scope.USER, 10, "ev_", "road")] == ["road/ev_"]
    assert await book.accounts(Scope.SESSION, 10) == []


async def test_a_named_budget_has_sums_of_its_own(store: Store) -> None:
    kept = StoreBudgets(store, now=Clock())
    trial = (Scope.BUDGET, account_of("rail", "trial"))
    await kept.settle(await kept.reserve(claim(500, "1", RAIL, trial)), SPENT, Decimal("0.25"), "success")
    await kept.settle(await kept.reserve(claim(500, "1", RAIL)), SPENT, Decimal("0.5"), "success")
    assert await sums(store, By.BUDGET) == [used("", cost="0.5"), used("trial", cost="0.25")]
    assert await sums(store, wanted=Wanted(only=((By.BUDGET, "trial"),))) == [used(cost="0.25")]
