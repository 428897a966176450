"""Rate limits in the store hold for all processes together, and say the same as those in memory."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from pointsman.llm.errors import BooksUnavailableError
from pointsman.llm.limits import MemoryRateLimits, RateLimit
from pointsman.store.engine import Store
from pointsman.store.llm_limits import AGAIN_SECONDS, StoreRateLimits
from pointsman.store.tables import LlmRate
from tests.store.llm_books import START, Clock

SIXTY = {"openai": RateLimit(requests_per_minute=60, tokens_per_minute=6_000)}


def limits(store: Store, clock: Clock, given: dict[str, RateLimit] | None = None) -> StoreRateLimits:
    return StoreRateLimits(store, given, clock, lambda: (clock.now - START).total_seconds())


async def test_without_a_limit_nobody_waits(store: Store) -> None:
    kept = limits(store, Clock())
    assert [await kept.take("openai", 1_000_000) for _ in range(1_000)] == [0.0] * 1_000


async def test_requests_of_a_minute_are_spread_over_it_for_all_processes(store: Store) -> None:
    clock = Clock()
    one, other = limits(store, clock, SIXTY), limits(store, clock, SIXTY)
    taken = await asyncio.gather(*(kept.take("openai", 0) for kept in (one, other) for _ in range(31)))
    assert sorted(taken)[:60] == [0.0] * 60
    assert sorted(taken)[60:] == [pytest.approx(1.0)] * 2
    clock.move(seconds=1)
    assert await other.take("openai", 0) == 0.0
    assert await one.take("openai", 0) == pytest.approx(1.0)
    assert await one.take("anthropic", 0) == 0.0


async def test_tokens_of_a_minute_are_limited_too(store: Store) -> None:
    clock = Clock()
    kept = limits(store, clock, SIXTY)
    assert await kept.take("openai", 6_000) == 0.0
    assert await kept.take("openai", 100) == pytest.approx(1.0)
    clock.move(seconds=1)
    assert await kept.take("openai", 100) == 0.0


async def test_a_call_larger_than_the_limit_waits_for_a_whole_minute_and_goes(store: Store) -> None:
    clock = Clock()
    kept = limits(store, clock, {"openai": RateLimit(tokens_per_minute=600)})
    assert await kept.take("openai", 5_000) == 0.0
    assert await kept.take("openai", 5_000) == pytest.approx(60.0)
    clock.move(seconds=60)
    assert await kept.take("openai", 5_000) == 0.0


@pytest.mark.parametrize("given", [{}, SIXTY], ids=["unlimited", "limited"])
async def test_what_the_provider_asks_for_is_heard_by_all_and_kept(store: Store, given: dict[str, RateLimit]) -> None:
    clock = Clock()
    told, other = limits(store, clock, given), limits(store, clock, given)
    assert await other.take("openai", 1) == 0.0
    await told.limited("openai", timedelta(seconds=7))
    await told.limited("openai", timedelta(seconds=3))
    assert await told.take("openai", 1) == 7.0
    clock.move(seconds=AGAIN_SECONDS)
    assert await other.take("openai", 1) == 6.0
    assert await limits(store, clock, given).take("openai", 1) == 6.0
    assert await other.take("anthropic", 1) == 0.0
    clock.move(seconds=6)
    assert await told.take("openai", 1) == 0.0
    assert await other.take("openai", 1) == 0.0


async def test_without_a_database_a_process_knows_what_it_was_told_itself(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store, clock = Store.open(url), Clock()
    kept = limits(store, clock, SIXTY)
    await store.close()
    with pytest.raises(BooksUnavailableError, match="whether openai may be asked now"):
        await kept.take("openai", 1)
    await kept.limited("openai", timedelta(seconds=7))
    assert "other processes do not hear that openai wants no call" in caplog.text
    assert await kept.take("openai", 1) == 7.0


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(1, 90),
    st.integers(1, 900),
    st.lists(st.tuples(st.integers(0, 1_200), st.integers(0, 20)), max_size=40),
)
def test_the_store_says_what_memory_says(
    sqlite_url: str, requests: int, tokens: int, calls: list[tuple[int, int]]
) -> None:
    async def run() -> None:
        clock = Clock()
        limit = {"p": RateLimit(requests_per_minute=requests, tokens_per_minute=tokens)}
        memory = MemoryRateLimits(limit, now=lambda: (clock.now - START).total_seconds())
        async with Store.open(sqlite_url) as store:
            await store.write(lambda session: session.execute(delete(LlmRate)))
            kept = limits(store, clock, limit)
            for amount, later in calls:
                expected = await memory.take("p", amount)
                assert await kept.take("p", amount) == pytest.approx(expected, abs=1e-3)
                clock.move(seconds=later)

    asyncio.run(run())
