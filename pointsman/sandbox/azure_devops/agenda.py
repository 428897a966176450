"""What the service does later: in its time by itself, or at once when the clock is moved over it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta

from pointsman.sandbox.azure_devops.clock import Clock

Work = Callable[[], Awaitable[None]]


@dataclass(eq=False)
class _Entry:
    due: datetime
    work: Work
    alarm: asyncio.TimerHandle


class Agenda:
    """Entries of work by the moment when they are due. `scale` shortens all waits that nobody moves the clock over."""

    def __init__(self, clock: Clock, scale: float) -> None:
        self._clock = clock
        self._scale = scale
        self._entries: list[_Entry] = []
        self._tasks: set[asyncio.Task[None]] = set()

    def after(self, seconds: float, work: Work) -> None:
        due = self._clock.moment() + timedelta(seconds=seconds)
        self._entries.append(entry := _Entry(due, work, self._alarm(seconds, lambda: self._run(entry))))

    def start(self, work: Coroutine[None, None, None]) -> None:
        """Work of now. It ends with the agenda at the latest."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def advance(self, span: timedelta) -> None:
        """Move the clock ahead, and do on the way what becomes due, in its order, each to its end."""
        target = self._clock.moment() + span
        while due := [entry for entry in self._entries if entry.due <= target]:
            entry = min(due, key=lambda one: one.due)
            self._take(entry)
            self._clock.move(max(entry.due - self._clock.moment(), timedelta()))
            await entry.work()
        self._clock.move(max(target - self._clock.moment(), timedelta()))
        for entry in self._entries:
            entry.alarm.cancel()
            rest = (entry.due - self._clock.moment()).total_seconds()
            entry.alarm = self._alarm(rest, lambda entry=entry: self._run(entry))  # type: ignore[misc]  # bound now

    async def close(self) -> None:
        for entry in list(self._entries):
            self._take(entry)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _alarm(self, seconds: float, ring: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(seconds, 0.0) * self._scale, ring)

    def _run(self, entry: _Entry) -> None:
        self._take(entry)
        self.start(self._done(entry.work))

    def _take(self, entry: _Entry) -> None:
        entry.alarm.cancel()
        self._entries.remove(entry)

    async def _done(self, work: Work) -> None:
        await work()
