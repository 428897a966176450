"""Requests and tokens per minute and provider, and the queue of those who wait for them.

A limit comes from policy, or from the provider itself: while it answers 429, calls wait instead of being refused by
it one after another. When nothing limits, nothing queues.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from pydantic import Field

from pointsman.llm.errors import QueueFullError, RateLimitedError
from pointsman.llm.types import Value

QUEUE_MAX = 100
MINUTE = 60.0


class RateLimit(Value):
    """None is no limit of ours."""

    requests_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)


class RateLimits(Protocol):
    """Shared by all that call a provider under one key. For an own key, `provider` is `provider/key`: see `limit_of`
    of `keys`. Limits of policy are those of the operator's key."""

    async def take(self, provider: str, tokens: int) -> float:
        """Take a place: 0 where the call may go out now, else the seconds after which to ask again."""

    async def limited(self, provider: str, wait: timedelta) -> None:
        """The provider itself wants no call for so long."""


class _Bucket:
    """Fills by `per_minute` a minute, holds as much as one minute gives. A call larger than it takes all of it."""

    def __init__(self, per_minute: int, now: float) -> None:
        self._rate = per_minute / MINUTE
        self._size = float(per_minute)
        self._level = self._size
        self._at = now

    def wait(self, amount: float, now: float) -> float:
        self._level = min(self._size, self._level + (now - self._at) * self._rate)
        self._at = now
        lacks = min(amount, self._size) - self._level
        return max(0.0, lacks / self._rate)

    def take(self, amount: float) -> None:
        self._level -= min(amount, self._size)


class MemoryRateLimits:
    """Limits of one process."""

    def __init__(
        self, limits: Mapping[str, RateLimit] | None = None, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._until: dict[str, float] = {}
        self._buckets: dict[str, list[tuple[_Bucket, bool]]] = {}
        for provider, limit in (limits or {}).items():
            kinds = ((limit.requests_per_minute, False), (limit.tokens_per_minute, True))
            self._buckets[provider] = [(_Bucket(size, now()), by_tokens) for size, by_tokens in kinds if size]

    async def take(self, provider: str, tokens: int) -> float:
        now = self._now()
        if (wait := self._until.get(provider, 0.0) - now) > 0:
            return wait
        buckets = self._buckets.get(provider, [])
        amounts = [(bucket, float(tokens) if by_tokens else 1.0) for bucket, by_tokens in buckets]
        if wait := max((bucket.wait(amount, now) for bucket, amount in amounts), default=0.0):
            return wait
        for bucket, amount in amounts:
            bucket.take(amount)
        return 0.0

    async def limited(self, provider: str, wait: timedelta) -> None:
        self._until[provider] = max(self._until.get(provider, 0.0), self._now() + wait.total_seconds())


class Gate:
    """Lets calls out one after another while a provider is limited; at most `queue_max` wait for each."""

    def __init__(self, limits: RateLimits, queue_max: int = QUEUE_MAX) -> None:
        self._limits = limits
        self._queue_max = queue_max
        self._waiting: dict[str, int] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def waiting(self, provider: str) -> int:
        """How many wait for the provider."""
        return self._waiting.get(provider, 0)

    def waiting_for(self, provider: str) -> int:
        """How many wait for the provider, under any key."""
        return sum(count for name, count in self._waiting.items() if name.partition("/")[0] == provider)

    async def enter(self, provider: str, tokens: int, longest: timedelta = timedelta.max) -> None:
        """Return when the call may go out.

        Raises:
            QueueFullError: too many wait already; names their number and the wait.
            RateLimitedError: it could not go out within `longest`; names the wait.
        """
        ends = asyncio.get_running_loop().time() + longest.total_seconds()
        waiting = self.waiting(provider)
        wait = 0.0 if waiting else await self._limits.take(provider, tokens)
        if not waiting and not wait:
            return
        if waiting >= self._queue_max:
            wait = wait or await self._limits.take(provider, tokens)
            raise QueueFullError(
                f"{waiting} calls wait for {provider} already, the limit is {self._queue_max}. Nothing was sent. "
                f"Try again in {wait:.0f} s, or ask another provider.",
                provider=provider.partition("/")[0],
                retry_after=timedelta(seconds=wait),
            )
        _check_wait(provider, wait, ends)
        async with self._queued(provider):
            while wait := await self._limits.take(provider, tokens):
                _check_wait(provider, wait, ends)
                await asyncio.sleep(wait)

    async def limited(self, provider: str, wait: timedelta) -> None:
        await self._limits.limited(provider, wait)

    @asynccontextmanager
    async def _queued(self, provider: str) -> AsyncGenerator[None]:
        """First come, first served: an asyncio lock hands itself on in order."""
        self._waiting[provider] = self.waiting(provider) + 1
        try:
            async with self._turns.setdefault(provider, asyncio.Lock()):
                yield
        finally:
            self._waiting[provider] -= 1
            if not self._waiting[provider]:
                # A lock belongs to the loop in which somebody waited for it; the next queue may be in another.
                self._turns.pop(provider, None)


def _check_wait(provider: str, wait: float, ends: float) -> None:
    if asyncio.get_running_loop().time() + wait > ends:
        raise RateLimitedError(
            f"{provider} is limited for {wait:.0f} s more, longer than this call may wait. Nothing was sent.",
            provider=provider.partition("/")[0],
            retry_after=timedelta(seconds=wait),
        )
