"""What a thread reads, for the event loop, bounded: where the loop does not take it, the thread waits."""

import asyncio
from collections import deque
from threading import Condition
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class PipeClosed(Exception):
    """Nobody takes anything any more."""


class Pipe(Generic[T]):
    """Made in the event loop. `put` and `finish` are for the thread, all else is for the loop."""

    def __init__(self, pieces_max: int) -> None:
        self._pieces_max = pieces_max
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self._room = Condition()
        self._put: deque[T] = deque()
        self._taken: deque[T] = deque()
        self._finished = False
        self._closed = False
        self._error: Exception | None = None

    def put(self, piece: T) -> None:
        """Waits while there is no room. Raises `PipeClosed` when there is nobody to take it."""
        with self._room:
            while len(self._put) >= self._pieces_max and not self._closed:
                self._room.wait()
            if self._closed:
                raise PipeClosed
            self._put.append(piece)
            is_first = len(self._put) == 1
        if is_first:  # whoever is told once takes all that is there
            self._tell()

    def finish(self, error: Exception | None = None) -> None:
        """Nothing more comes; with an error, the loop gets it after all that came before."""
        with self._room:
            self._finished, self._error = True, error
        self._tell()

    def close(self) -> None:
        """Nothing more is taken."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while not self._taken:
            await self._ready.wait()
            if not self._take():
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
        return self._taken.popleft()

    def _take(self) -> bool:
        """Whether there is something, or will be."""
        with self._room:
            self._taken, self._put = self._put, self._taken
            if not self._finished:
                self._ready.clear()
            self._room.notify()
            return bool(self._taken) or not self._finished

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop is closed, and everybody in it gone
            self.close()
