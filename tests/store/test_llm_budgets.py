"""Budgets in the store: no interleaving passes a hard limit, nothing counts twice, nothing billed is lost."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pointsman.llm.budgets import RESERVATION_LIFE, Budget, Period, Reservation, Scope, accounts_of
from pointsman.llm.errors import BooksUnavailableError, BudgetExceededError
from pointsman.llm.types import LLMRequest, Role, TokenUsage, text_message
from pointsman.ports import Unavailable
from pointsman.store import llm_ledger
from pointsman.store.engine import Store
from pointsman.store.llm_budgets import StoreBudgets
from pointsman.store.llm_ledger import nano_usd, usd
from tests.store.llm_books import START, Clock, claim, rows, standing, used, user

ROOT = Path(__file__).parents[2]
RAIL = (Scope.TENANT, "rail")


def books(store: Store, *budgets: Budget, clock: Clock | None = None) -> StoreBudgets:
    return StoreBudgets(store, budgets, now=clock or Clock())


async def test_a_row_tells_the_attempt_from_claim_to_cost(store: Store) -> None:
    clock, ada = Clock(), user()
    kept = books(store, clock=clock)
    named = LLMRequest(
        messages=(text_message(Role.USER, "hello"),),
        tenant="rail", user=ada[1], session_id="s-1", work_item="fabrikam/rail/7", budget="trial",
    )  # fmt: skip
    accounts = (*accounts_of(named), (Scope.HOSTED_TENANT, "rail"))
    told = {"price_version": "genai-prices 0.2", "trace_id": "t-1", "source_agent": "triage"}
    held = await kept.reserve(claim(1_000, "0.0123", *accounts, **told))
    (row,) = await rows(store)
    assert (row.id, row.state, row.at, row.expires_at) == (held.id, "open", START, START + RESERVATION_LIFE)
    assert (row.tenant, row.user_id, row.session_id, row.work_item) == ("rail", ada[1], "s-1", "fabrikam/rail/7")
    assert (row.provider, row.model, row.reserved_tokens) == ("openai", "gpt-6-luna", 1_000)
    assert (row.price_version, row.correlation_id, row.source_agent) == ("genai-prices 0.2", "t-1", "triage")
    assert usd(row.reserved_nano_usd) == Decimal("0.0123")
    clock.move(seconds=3)
    usage = TokenUsage(
        prompt_tokens=300, completion_tokens=50, total_tokens=350, cached_tokens=200, cache_write_tokens=20,
        reasoning_tokens=30,
    )  # fmt: skip
    await kept.settle(held, usage, Decimal("0.00045"), "success")
    (row,) = await rows(store)
    assert (row.state, row.outcome, row.ended_at) == ("settled", "success", START + timedelta(seconds=3))
    assert (row.prompt_tokens, row.completion_tokens, row.total_tokens) == (300, 50, 350)
    assert (row.cached_tokens, row.cache_write_tokens, row.reasoning_tokens) == (200, 20, 30)
    assert usd(row.nano_usd) == Decimal("0.00045")
    for account in accounts:
        spent = await standing(store, account)
        assert (spent.tokens, spent.cost_usd, spent.reserved_tokens) == (350, Decimal("0.00045"), 0)
        assert {one.tokens for one in spent.spent.values()} == {350}


async def test_a_hard_limit_refuses_and_leaves_no_trace(store: Store) -> None:
    ada = user()
    kept = books(store, Budget(scope=Scope.USER, tokens=1_000))
    await kept.settle(await kept.reserve(claim(300, "0", ada)), used(250), Decimal(0))
    await kept.reserve(claim(400, "0", ada))
    with pytest.raises(BudgetExceededError) as caught:
        await kept.reserve(claim(351, "0", ada, RAIL))
    for told in (f"user '{ada[1]}' is 1000", "250 are spent", "400 reserved", "may take 351", "Nothing was sent"):
        assert told in str(caught.value)
    assert len(await rows(store)) == 2
    assert (await standing(store, RAIL)).reserved_tokens == 0
    assert (await kept.reserve(claim(350, "0", ada))).notes == ()


async def test_equal_names_of_two_tenants_do_not_share_a_budget(store: Store) -> None:
    _, name = user()
    kept = books(store, Budget(scope=Scope.USER, tokens=100), Budget(scope=Scope.BUDGET, account=name, tokens=100))
    for tenant in ("rail", "road", ""):
        for scope in (Scope.USER, Scope.BUDGET):
            await kept.reserve(claim(100, "0", (scope, f"{tenant}/{name}")))
            with pytest.raises(BudgetExceededError, match="100 reserved"):
                await kept.reserve(claim(1, "0", (scope, f"{tenant}/{name}")))


async def test_a_limit_in_usd_is_held_to_the_billionth(store: Store) -> None:
    kept = books(store, Budget(scope=Scope.TENANT, account="rail", cost_usd=Decimal("0.1")))
    await kept.reserve(claim(1, "0.099999998", RAIL))
    with pytest.raises(BudgetExceededError, match=r"'rail' is 0\.1 USD: 0 are spent, 0\.099999998 reserved"):
        await kept.reserve(claim(1, "0.0000000021", RAIL))
    await kept.reserve(claim(1, "0.000000002", RAIL))
    await kept.reserve(claim(1, "5", (Scope.TENANT, "road")))


async def test_a_soft_limit_is_noted_only(store: Store) -> None:
    ada = user()
    (note,) = (await books(store, Budget(scope=Scope.USER, tokens=10, hard=False)).reserve(claim(11, "0", ada))).notes
    assert note.startswith(f"soft limit: the token budget of user '{ada[1]}' is 10")


async def test_a_reservation_says_how_far_it_uses_each_budget(store: Store) -> None:
    ada = user()
    limits = (Budget(scope=Scope.USER, account=ada[1], tokens=100), Budget(scope=Scope.USER, cost_usd=Decimal(10)))
    kept = books(store, *limits)
    await kept.reserve(claim(30, "1", ada))
    uses = (await kept.reserve(claim(60, "1.5", ada))).uses
    assert [(use.account, use.share) for use in uses] == [(ada[1], 0.9), ("", 0.25)]


@pytest.mark.parametrize(("period", "later"), [(Period.DAY, {"hours": 12}), (Period.MONTH, {"days": 10})])
async def test_a_budget_of_a_period_begins_again_with_the_next(
    store: Store, period: Period, later: dict[str, float]
) -> None:
    clock, ada = Clock(), user()
    kept = books(store, Budget(scope=Scope.USER, tokens=100, period=period), clock=clock)
    await kept.settle(await kept.reserve(claim(80, "0", ada)), used(80), Decimal(0))
    with pytest.raises(BudgetExceededError):
        await kept.reserve(claim(21, "0", ada))
    clock.move(**later)
    held = await kept.reserve(claim(90, "0", ada))
    await kept.settle(held, used(90), Decimal(0))
    spent = await standing(store, ada, clock.now)
    assert (spent.spent[period].tokens, spent.tokens) == (90, 170)


async def test_a_clock_that_is_behind_does_not_bring_a_day_back(store: Store) -> None:
    ada, ahead, behind = user(), Clock(), Clock()
    ahead.move(days=1)
    budget = Budget(scope=Scope.USER, tokens=100, period=Period.DAY)
    first, second = books(store, budget, clock=ahead), books(store, budget, clock=behind)
    await first.settle(await first.reserve(claim(60, "0", ada)), used(60), Decimal(0))
    await second.settle(await second.reserve(claim(30, "0", ada)), used(30), Decimal(0))
    assert (await standing(store, ada, ahead.now)).spent[Period.DAY].tokens == 90


async def test_settling_twice_counts_once(store: Store) -> None:
    ada, kept = user(), books(store)
    held = await kept.reserve(claim(100, "1", ada))
    await asyncio.gather(*(kept.settle(held, used(40), Decimal("0.4"), "success") for _ in range(5)))
    await books(store).settle(held, used(90), Decimal("0.9"), "success")
    spent = await standing(store, ada)
    assert (spent.tokens, spent.cost_usd) == (40, Decimal("0.4"))
    assert (spent.reserved_tokens, spent.reserved_usd) == (0, Decimal(0))


async def test_what_nothing_was_billed_for_is_given_back(store: Store) -> None:
    ada, kept = user(), books(store)
    await kept.settle(await kept.reserve(claim(100, "1", ada)), None, None, "RateLimitedError")
    spent = await standing(store, ada)
    assert (spent.tokens, spent.cost_usd, spent.reserved_tokens) == (0, Decimal(0), 0)
    assert [(row.state, row.outcome) for row in await rows(store)] == [("settled", "RateLimitedError")]


async def test_what_is_never_settled_expires_as_spent(store: Store) -> None:
    clock, ada = Clock(), user()
    kept = books(store, Budget(scope=Scope.USER, tokens=100), clock=clock)
    lost = await kept.reserve(claim(60, "2", ada))
    clock.now += RESERVATION_LIFE - timedelta(microseconds=1)
    assert await kept.expire() == 0
    clock.now += timedelta(microseconds=1)
    assert await kept.expire() == 1
    await kept.settle(lost, used(1), Decimal(0), "success")
    spent = await standing(store, ada)
    assert (spent.tokens, spent.cost_usd, spent.reserved_tokens) == (60, Decimal(2), 0)
    (row,) = await rows(store)
    assert (row.state, row.outcome, row.total_tokens, row.ended_at) == ("expired", "expired", 60, row.expires_at)
    with pytest.raises(BudgetExceededError):
        await kept.reserve(claim(41, "0", ada))


async def test_reservations_of_others_expire_when_the_next_call_is_made(store: Store) -> None:
    clock, ada = Clock(), user()
    before = books(store, clock=clock)
    count = llm_ledger.EXPIRED_AT_ONCE_MAX + 5
    await asyncio.gather(*(before.reserve(claim(1, "0", ada)) for _ in range(count)))
    clock.now += RESERVATION_LIFE
    await books(store, clock=clock).reserve(claim(1, "0", user()))
    spent = await standing(store, ada)
    assert (spent.tokens, spent.reserved_tokens) == (count, 0)


async def test_two_hundred_at_once_against_a_budget_for_one_hundred(store: Store) -> None:
    ada = user()
    kept = books(store, Budget(scope=Scope.USER, tokens=1_000))
    assert sum(await asyncio.gather(*(call(kept, ada) for _ in range(200)))) == 100
    spent = await standing(store, ada)
    assert (spent.tokens, spent.reserved_tokens) == (1_000, 0)


async def test_who_is_refused_fails_nobody_that_asks_at_the_same_time(store: Store) -> None:
    """However near to their limits they are, and whoever shares a transaction with them."""
    kept = books(store, Budget(scope=Scope.USER, tokens=100))
    people = [user() for _ in range(4)]
    for tokens in (50, 50, 1):
        asked = [(account, 101 if number == 1 else tokens) for number, account in enumerate(people)]
        claims = [kept.reserve(claim(wanted, "0", RAIL, account)) for account, wanted in asked]
        answers = await asyncio.gather(*claims, return_exceptions=True)
        refused = [isinstance(answer, BudgetExceededError) for answer in answers]
        assert refused == ([True] * 4 if tokens == 1 else [False, True, False, False])
    standings = [await standing(store, account) for account in (*people, RAIL)]
    assert [one.reserved_tokens for one in standings] == [100, 0, 100, 100, 300]
    assert len(await rows(store)) == 6


async def call(kept: StoreBudgets, account: tuple[Scope, str]) -> bool:
    """Whether a call for 10 tokens was let through."""
    try:
        held = await kept.reserve(claim(10, "0.001", account))
    except BudgetExceededError:
        return False
    await kept.settle(held, used(10), Decimal("0.001"), "success")
    return True


async def test_who_leaves_while_it_is_written_holds_nothing(store: Store) -> None:
    ada, kept = user(), books(store)
    await kept.expire()
    leaving = asyncio.create_task(kept.reserve(claim(100, "1", ada)))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    async with asyncio.timeout(60):
        while [row.state for row in await rows(store)] != ["settled"]:  # noqa: ASYNC110 - it is settled behind our back
            await asyncio.sleep(0.01)
    spent = await standing(store, ada)
    assert (spent.tokens, spent.reserved_tokens) == (0, 0)


async def test_text_that_no_database_holds_is_kept_as_far_as_it_can_be(store: Store) -> None:
    name = (Scope.USER, "a\x00\ud800da")
    held = await books(store).reserve(claim(1, "0", name, name, trace_id="\x00"))
    await books(store).settle(held, used(1), Decimal(0), "\x00")
    (row,) = await rows(store)
    assert row.user_id == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}da"
    assert (await standing(store, (Scope.USER, row.user_id))).tokens == 1


async def test_numbers_that_no_sum_can_hold_are_cut(store: Store) -> None:
    ada, kept = user(), books(store)
    held = await kept.reserve(claim(10**30, "1e30", ada))
    await kept.settle(held, TokenUsage(total_tokens=10**30), Decimal("1e30"), "success")
    assert (await standing(store, ada)).tokens == llm_ledger.TOKENS_MAX


async def test_without_a_database_no_call_is_made_and_no_answer_is_lost(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store.open(url)
    kept = books(store)
    held = await kept.reserve(claim(1, "0", user()))
    await store.close()
    with pytest.raises(BooksUnavailableError, match="Nothing was sent") as caught:
        await kept.reserve(claim(1, "0", user()))
    assert caught.value.retryable
    assert isinstance(caught.value.__cause__, Unavailable)
    await kept.settle(held, used(1), Decimal(0), "success")
    assert f"reservation {held.id} of a model call is not settled" in caplog.text


@pytest.mark.parametrize(
    ("cost", "nano", "back"), [("0", 0, "0"), ("0.0000000001", 1, "1E-9"), ("12.50", 12_500_000_000, "12.5")]
)
def test_money_is_whole_billionths_rounded_up(cost: str, nano: int, back: str) -> None:
    assert nano_usd(Decimal(cost)) == nano
    assert usd(nano) == Decimal(back)


Calls = st.lists(
    st.tuples(st.sampled_from(["reserve", "settle", "settle again", "wait"]), st.integers(0, 40), st.integers(0, 40)),
    max_size=25,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(Calls, min_size=1, max_size=4))
def test_no_interleaving_passes_a_hard_limit_or_counts_twice(
    url: str, callers: list[list[tuple[str, int, int]]]
) -> None:
    """Several callers at once, each with its own order of claims, settlements, repetitions and losses."""

    async def run(store: Store) -> None:
        clock, ada, settled = Clock(), user(), dict[str, int]()

        async def caller(steps: list[tuple[str, int, int]]) -> None:
            kept = books(store, Budget(scope=Scope.USER, tokens=100), clock=clock)
            held: list[Reservation] = []
            ended: list[Reservation] = []
            for step, asked, wanted in steps:
                if step == "reserve":
                    try:
                        held.append(await kept.reserve(claim(asked, "0", ada)))
                    except BudgetExceededError:
                        continue
                elif step == "settle" and held:
                    ended.append(held.pop(0))
                    tokens = min(ended[-1].claim.tokens, wanted)
                    await kept.settle(ended[-1], used(tokens), Decimal(0), "success")
                    settled[ended[-1].id] = tokens
                elif step == "settle again" and ended:
                    await kept.settle(ended[0], used(asked), Decimal(0), "success")
                elif step == "wait":
                    clock.move(minutes=asked)
                    await kept.expire()
                spent = await standing(store, ada)
                assert spent.tokens + spent.reserved_tokens <= 100
                assert spent.reserved_tokens >= 0

        await asyncio.gather(*(caller(steps) for steps in callers))
        clock.now += RESERVATION_LIFE
        await books(store, clock=clock).expire()
        mine = [row for row in await rows(store) if row.user_id == ada[1]]
        assert all(row.state != "open" for row in mine)
        assert all(row.total_tokens == settled[row.id] for row in mine if row.state == "settled")
        assert all(row.total_tokens == row.reserved_tokens for row in mine if row.state == "expired")
        spent = await standing(store, ada)
        assert (spent.tokens, spent.reserved_tokens) == (sum(row.total_tokens for row in mine), 0)

    async def opened() -> None:
        async with Store.open(url) as store:
            await run(store)

    asyncio.run(opened())


async def until_killed(url: str, account: tuple[Scope, str]) -> tuple[int, int]:
    """Another process makes 100 calls at once, then holds reservations until SIGKILL meets it: calls that it was
    let make, and reservations that it was killed with."""
    command = (sys.executable, "-m", "tests.store.llm_calling", url, account[1])
    child = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        assert await child.stdout.readline() == b"ready\n"
        child.stdin.write(b"go\n")
        ours = await spent_here(url, account) if url.startswith("postgresql") else 0
        theirs = int(await child.stdout.readline())
        held = int(await child.stdout.readline())
    finally:
        child.kill()
        await child.wait()
    return ours + theirs, held


async def spent_here(url: str, account: tuple[Scope, str]) -> int:
    """Of 100 calls at once from this process, those that were let through."""
    async with Store.open(url) as store:
        kept = StoreBudgets(store, [Budget(scope=Scope.USER, tokens=1_000)])
        return sum(await asyncio.gather(*(call(kept, account) for _ in range(100))))


@pytest.mark.slow(6)
async def test_killed_processes_leave_reservations_that_expire_as_spent(url: str) -> None:
    """On PostgreSQL this process spends at the same time."""
    ada = user()
    made, held = await until_killed(url, ada)
    async with Store.open(url) as store:
        now = datetime.now(UTC)
        spent = await standing(store, ada, now)
        assert (spent.tokens, spent.reserved_tokens) == (made * 10, held * 10)
        assert spent.tokens + spent.reserved_tokens == 1_000
        later = StoreBudgets(store, [Budget(scope=Scope.USER, tokens=1_000)], now=lambda: now + RESERVATION_LIFE)
        with pytest.raises(BudgetExceededError):
            await later.reserve(claim(1, "0", ada))
        spent = await standing(store, ada, now)
        assert (spent.tokens, spent.reserved_tokens) == (1_000, 0)
        assert sum(row.total_tokens for row in await rows(store)) == 1_000
