"""How one process keeps to a pace that it shares with others: it leases places, and asks anew while it uses them.

No call waits for the store as long as the lease has a place left. What another process was told is heard with the next
renewal; so is that others want places, too.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple, Protocol

from pointsman.ports import Unavailable

LOG = logging.getLogger(__name__)
EVERY = timedelta(milliseconds=250)
"""Between renewals: that late does a process hear what another was told."""
GAP = timedelta(milliseconds=20)  # between renewals that are wanted at once
IDLE = timedelta(seconds=2)  # without a call, after which all places are given back
LAPSE = timedelta(seconds=4)  # a little less than the store gives, so that nobody counts on places that others have
ALONE = 1
"""Places of a process that cannot reach the store: it must not stop, and others may have all of them."""


class SharedPace(Protocol):
    """One account's pace, as one of the processes that share it. Both methods raise `Unavailable`."""

    async def renew(self, urgent: int, bulk: int, taken: int) -> tuple[int, timedelta]:
        """Lease places for some seconds: so many are wanted, so many taken. Zeros give all back.

        Returns how many are ours now, and for how long from now the service wants no call.
        """

    async def told(self, pause: timedelta) -> None:
        """The service wants no call for so long: all processes are to wait."""


class Wanted(NamedTuple):
    """Places that calls want, those under way included, which are `taken`."""

    urgent: int
    bulk: int
    taken: int

    @property
    def all(self) -> int:
        return self.urgent + self.bulk


class Leases:
    """Renews in the background while there are calls. `granted` gets what each renewal gave."""

    def __init__(
        self,
        shared: SharedPace,
        wanted: Callable[[], Wanted],
        granted: Callable[[int, timedelta], None],
        *,
        every: timedelta = EVERY,
        idle: timedelta = IDLE,
    ) -> None:
        self._shared = shared
        self._wanted = wanted
        self._granted = granted
        self._every = every
        self._idle = idle
        self._hurry = asyncio.Event()
        self._keeping: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()
        self._asked = 0
        self._places = 0
        self._renewed_at = float("-inf")
        self._is_away = False

    def want(self) -> None:
        """A call finds no place: ask for more now, unless as many were asked for already."""
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        elif self._wanted().all > self._asked:
            self._hurry.set()

    def tell(self, pause: timedelta) -> None:
        """Let the others know, without making anybody wait for it."""
        task = asyncio.create_task(self._told(pause))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def close(self) -> None:
        """Give back what is leased, once what was told is kept."""
        keeping, self._keeping = self._keeping, None
        if keeping is not None:
            keeping.cancel()
            await asyncio.wait([keeping])
            await self._renew(Wanted(0, 0, 0))
        await asyncio.gather(*self._telling)

    async def _keep(self) -> None:
        unused_since = time.monotonic()
        while True:
            self._hurry.clear()
            wanted = self._wanted()
            if wanted.all:
                unused_since = time.monotonic()
            if time.monotonic() - unused_since < self._idle.total_seconds():
                await self._renew(wanted if wanted.all else Wanted(1, 0, 0))
                await asyncio.sleep(GAP.total_seconds())
                await self._rest()
                continue
            await self._renew(Wanted(0, 0, 0))
            if not self._wanted().all:
                self._keeping = None
                return

    async def _rest(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._every.total_seconds()):
                await self._hurry.wait()

    async def _renew(self, wanted: Wanted) -> None:
        self._asked = wanted.all
        pause = timedelta()
        try:
            self._places, pause = await self._shared.renew(*wanted)
            self._renewed_at, self._is_away = time.monotonic(), False
        except Exception as error:  # whatever keeps the store from answering: calls must not wait for ever
            if not self._is_away:
                LOG.error("the pace is not shared while the store cannot: %s: %s", type(error).__name__, error)
            self._is_away = True
            if time.monotonic() - self._renewed_at > LAPSE.total_seconds():
                self._places = ALONE
        self._granted(self._places, pause)

    async def _told(self, pause: timedelta) -> None:
        try:
            await self._shared.told(pause)
        except Unavailable as error:
            LOG.error("other processes do not hear that Azure DevOps wants no call for %s: %s", pause, error)
