"""Nothing queues while nothing limits; what is limited waits in order, and the queue has an end."""

import asyncio
from datetime import timedelta

import pytest

from pointsman.llm.errors import QueueFullError
from pointsman.llm.limits import Gate, MemoryRateLimits, RateLimit


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_without_a_limit_nobody_waits() -> None:
    limits = MemoryRateLimits()
    assert [await limits.take("openai", 1_000_000) for _ in range(1_000)] == [0.0] * 1_000


async def test_requests_of_a_minute_are_spread_over_it() -> None:
    clock = Clock()
    limits = MemoryRateLimits({"openai": RateLimit(requests_per_minute=60)}, now=clock)
    assert [await limits.take("openai", 0) for _ in range(60)] == [0.0] * 60
    assert await limits.take("openai", 0) == pytest.approx(1.0)
    clock.now = 1.0
    assert await limits.take("openai", 0) == 0.0
    assert await limits.take("openai", 0) == pytest.approx(1.0)
    assert await limits.take("anthropic", 0) == 0.0


async def test_tokens_of_a_minute_are_limited_too() -> None:
    clock = Clock()
    limits = MemoryRateLimits({"openai": RateLimit(requests_per_minute=60, tokens_per_minute=6_000)}, now=clock)
    assert await limits.take("openai", 6_000) == 0.0
    assert await limits.take("openai", 100) == pytest.approx(1.0)
    clock.now = 1.0
    assert await limits.take("openai", 100) == 0.0


async def test_a_call_larger_than_the_limit_waits_for_a_whole_minute_and_goes() -> None:
    clock = Clock()
    limits = MemoryRateLimits({"openai": RateLimit(tokens_per_minute=600)}, now=clock)
    assert await limits.take("openai", 5_000) == 0.0
    assert await limits.take("openai", 5_000) == pytest.approx(60.0)
    clock.now = 60.0
    assert await limits.take("openai", 5_000) == 0.0


async def test_what_the_provider_asks_for_is_kept() -> None:
    clock = Clock()
    limits = MemoryRateLimits(now=clock)
    await limits.limited("openai", timedelta(seconds=7))
    await limits.limited("openai", timedelta(seconds=3))
    assert await limits.take("openai", 1) == 7.0
    clock.now = 7.0
    assert await limits.take("openai", 1) == 0.0


async def test_who_waits_goes_in_order() -> None:
    clock = Clock()
    gate = Gate(MemoryRateLimits(now=clock))
    await gate.limited("openai", timedelta(milliseconds=30))
    went: list[int] = []

    async def call(number: int) -> None:
        await gate.enter("openai", 1)
        went.append(number)

    calls = [asyncio.create_task(call(number)) for number in range(20)]
    await asyncio.sleep(0)
    assert gate.waiting("openai") == 20
    clock.now = 0.03
    await asyncio.gather(*calls)
    assert went == list(range(20))
    assert gate.waiting("openai") == 0


async def test_beyond_the_queue_a_call_is_refused_with_length_and_wait() -> None:
    gate = Gate(MemoryRateLimits(now=Clock()), queue_max=100)
    await gate.limited("openai", timedelta(seconds=90))
    waiting = [asyncio.create_task(gate.enter("openai", 1)) for _ in range(100)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFullError, match=r"100 calls wait for openai already.*Try again in 90 s") as caught:
        await gate.enter("openai", 1)
    assert caught.value.retry_after is not None
    assert 80 < caught.value.retry_after.total_seconds() <= 90
    await gate.enter("anthropic", 1)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert gate.waiting("openai") == 0
