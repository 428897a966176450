"""How fast one account may call one organisation: what the service asked for holds for all of the account's calls.

Calls share a number of places, and the moment before which the service wants no more. People's calls go before bulk.
With a `SharedPace` all of it holds for all processes that come as the account.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from enum import IntEnum
from heapq import heappop, heappush
from http import HTTPStatus
from itertools import count
from typing import Protocol

import httpx2

from pointsman.clients.azure_devops.errors import retry_after
from pointsman.clients.azure_devops.leases import EVERY, Leases, SharedPace, Wanted
from pointsman.ports import Unavailable

PATIENCE = timedelta(seconds=2)
"""How long a call waits because an earlier answer asked to slow down; a longer wait is the caller's to schedule."""
CALLS_MAX = 15  # beyond it the service begins to drop connections instead of answering 429
BLOCKED_PAUSE = timedelta(seconds=30)  # after a 429 that does not say for how long
HEARD_AGAIN = timedelta(seconds=0.1)  # a pause that is longer by less is the one that is known already
DROPPED_PAUSE, DROPPED_PAUSE_MAX = timedelta(seconds=0.25), timedelta(seconds=60)


class Priority(IntEnum):
    INTERACTIVE = 0
    BULK = 1


class PaceObserver(Protocol):
    """Hears what the service does to our pace, for metrics."""

    def answered(self, status: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def paused(self, reason: str, seconds: float) -> None:
        """`reason` is slowed (`Retry-After` on a success), blocked (429 and its like), dropped, or elsewhere: another
        process was told."""

    def remaining(self, units: float) -> None:
        """What is left of the service's own allowance; told only when it is near its end."""

    def under_way(self, calls: int) -> None: ...
    def places(self, count: int) -> None:
        """How many calls may be under way here at once."""


class Unobserved:
    def answered(self, status: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def paused(self, reason: str, seconds: float) -> None: ...
    def remaining(self, units: float) -> None: ...
    def under_way(self, calls: int) -> None: ...
    def places(self, count: int) -> None: ...


class Pace:
    """Belongs to one account at one organisation; hand one to several clients of the same account.

    Where it is shared, the first call after a while waits for one answer of the store, and `close` gives back.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        calls_max: int = CALLS_MAX,
        observer: PaceObserver | None = None,
        shared: SharedPace | None = None,
        renew_every: timedelta = EVERY,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._places = _Places(0 if shared else calls_max)
        self._leases = Leases(shared, self._places.wanted, self._granted, every=renew_every) if shared else None
        self._observer = observer or Unobserved()
        self._not_before = 0.0
        self._drops = 0

    @property
    def pause(self) -> timedelta:
        """How long from now the service wants no calls."""
        return max(timedelta(seconds=self._not_before - self._clock()), timedelta())

    @asynccontextmanager
    async def turn(self, what: str, priority: Priority = Priority.INTERACTIVE) -> AsyncGenerator[None]:
        """Wait for a place and for the end of a short pause.

        Raises:
            Unavailable: the pause is longer than `PATIENCE`; `retry_after` says by how much. Nothing was sent.
        """
        if self._leases is not None and self._places.are_taken:
            self._leases.want()
        await self._places.enter(priority)
        try:
            self._observer.under_way(self._places.taken)
            await self._wait(what)
            yield
        finally:
            self._places.leave(priority)
            self._observer.under_way(self._places.taken)

    def heed(self, response: httpx2.Response) -> None:
        """Take from an answer what it says of our pace.

        `Retry-After` on a success is how the service slows an account down before it blocks it.
        """
        self._drops = 0
        self._observer.answered(response.status_code)
        left = _number(response.headers.get("x-ratelimit-remaining", ""))
        if left is not None:
            self._observer.remaining(left)
        wait = retry_after(response)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._stop("blocked", wait or BLOCKED_PAUSE)
        elif wait:
            self._stop("slowed" if response.is_success else "blocked", wait)

    def dropped(self) -> timedelta:
        """Count a connection that ended without an answer, as the service does to whom it should have told to wait.

        Returns the pause that follows: it doubles with each one until something is answered.
        """
        pause = min(DROPPED_PAUSE * (1 << min(self._drops, 16)), DROPPED_PAUSE_MAX)
        self._drops += 1
        self._stop("dropped", pause)
        return pause

    async def rest(self, wait: timedelta) -> None:
        """Let time pass without a place."""
        await self._sleep(wait.total_seconds())

    async def close(self) -> None:
        """Give back the places of this process, where they are shared."""
        if self._leases is not None:
            await self._leases.close()

    def _stop(self, reason: str, wait: timedelta) -> None:
        self._not_before = max(self._not_before, self._clock() + wait.total_seconds())
        self._observer.paused(reason, wait.total_seconds())
        if self._leases is not None:
            self._leases.tell(wait)

    def _granted(self, places: int, pause: timedelta) -> None:
        if pause > self.pause + HEARD_AGAIN:
            self._not_before = self._clock() + pause.total_seconds()
            self._observer.paused("elsewhere", pause.total_seconds())
        self._observer.places(places)
        self._places.resize(places)

    async def _wait(self, what: str) -> None:
        waited = 0.0
        while left := self.pause:  # another answer may have asked for more meanwhile
            if left > PATIENCE - timedelta(seconds=waited):
                raise Unavailable(
                    f"{what}: not sent, the service asked to wait another {left.total_seconds():.0f} s",
                    retry_after=left,
                )
            await self._sleep(left.total_seconds())
            waited += left.total_seconds()
        if waited:
            self._observer.waited(waited)


class _Places:
    """A semaphore that lets the more urgent go first, and equals in the order they came. Its size may change."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._queue: list[tuple[Priority, int, asyncio.Future[None]]] = []
        self._arrival = count()
        self._taken = Counter[Priority]()

    @property
    def taken(self) -> int:
        return self._taken.total()

    @property
    def are_taken(self) -> bool:
        return self.taken >= self._size

    def wanted(self) -> Wanted:
        """By those who have a place and those who wait for one."""
        wanted = self._taken + Counter(priority for priority, _, called in self._queue if not called.done())
        return Wanted(wanted[Priority.INTERACTIVE], wanted[Priority.BULK], self.taken)

    def resize(self, size: int) -> None:
        """Those who are in stay in, also above the size."""
        self._size = size
        self._hand_on()

    async def enter(self, priority: Priority) -> None:
        if not self.are_taken:
            self._taken[priority] += 1
            return
        called = asyncio.get_running_loop().create_future()
        heappush(self._queue, (priority, next(self._arrival), called))
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled():
                self.leave(priority)  # the place was given to whom no longer wants it
            raise

    def leave(self, priority: Priority) -> None:
        self._taken[priority] -= 1
        self._hand_on()

    def _hand_on(self) -> None:
        while self._queue and not self.are_taken:
            priority, _, called = heappop(self._queue)
            if not called.done():
                self._taken[priority] += 1
                called.set_result(None)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
