"""Answers that are streamed, each with a life of its own: a client that drops may come back and misses nothing.

A stream reads ahead of its client up to half of its buffer, then it stops reading from the provider. What was handed to
a connection is kept for those who come back, as long as the buffer has room. Without a client for `linger`, it ends.
"""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import structlog

from pointsman.domain.words import how_many
from starter.web.rpc.callers import Caller
from starter.web.rpc.codes import EVENTS_GONE, INVALID_PARAMS, NO_STREAM, TOO_MANY_STREAMS

LOG = structlog.get_logger(__name__)
ID_BYTES = 24
BEGINS_WITHIN = timedelta(seconds=15)
KEEP_ALIVE = b": still there\n\n"

Documents = AsyncGenerator[bytes]
"""JSON documents, one for each event. None of them holds a line break."""


class Source(NamedTuple):
    """What is streamed: documents, made for the id of the stream, and the last one if it is closed before its end."""

    documents: Callable[[str], Documents]
    farewell: bytes


@dataclass(frozen=True)
class StreamRules:
    linger: timedelta = timedelta(seconds=15)
    """A stream without a client ends after it, and so does the provider's call."""
    keep_alive: timedelta = timedelta(seconds=15)
    """Of silence; then a comment goes out, so that nobody between takes the connection for dead."""
    buffer_bytes_max: int = 4 * 1024 * 1024
    """Of one stream; one event more may be in it."""
    streams_max: int = 256
    """Of this process."""
    caller_streams_max: int = 64


class _Event(NamedTuple):
    number: int
    frame: bytes


class Stream:
    """One answer. Numbers of its events begin with 1 and have no gaps."""

    def __init__(self, source: Source, owner: Caller, rules: StreamRules, ended: Callable[["Stream"], None]) -> None:
        self.id = secrets.token_urlsafe(ID_BYTES)
        self.owner = owner
        self._rules = rules
        self._ended = ended
        self._events: deque[_Event] = deque()
        self._bytes = 0
        self._last = 0
        self._handed = 0
        """Number of the last event that the present connection took; those after it are never dropped."""
        self._unhanded_bytes = 0
        self._is_complete = False
        self._reader: object = None
        self._news = asyncio.Event()
        self._leaving = self._expect(BEGINS_WITHIN)
        self._pumping = asyncio.create_task(self._pump(source))

    def is_over_after(self, number: int) -> bool:
        """Whether nothing comes after that event."""
        return self._is_complete and number == self._last

    def read(self, after: int) -> Documents:
        """The frames after that number, as they come. Whoever read it before is let go.

        Raises:
            RpcError: frames after that number are not kept any more, or the number was never given.
        """
        if not 0 <= after <= self._last:
            raise INVALID_PARAMS.error(f"Last-Event-ID: {after} is no event of this stream, the last is {self._last}")
        if self._events and after + 1 < self._events[0].number:
            raise EVENTS_GONE.error(f"events up to {self._events[0].number - 1} are not kept any more")
        me = self._reader = object()
        self._handed = after
        self._unhanded_bytes = sum(len(event.frame) for event in self._events if event.number > after)
        self._leaving.cancel()
        self._leaving = self._expect(BEGINS_WITHIN)  # in case that nobody begins to read
        self._tell()
        return self._frames(me, after)

    async def close(self) -> None:
        """End it, and the provider's call. Idempotent."""
        self._leaving.cancel()
        self._pumping.cancel()
        await asyncio.wait([self._pumping])
        self._ended(self)

    async def _frames(self, me: object, after: int) -> Documents:
        self._leaving.cancel()
        try:
            while self._reader is me:
                news = self._news
                if found := self._next(after):
                    yield found.frame
                    after = found.number
                    self._hand(me, found)
                elif self._is_complete:
                    return
                elif not await _within(self._rules.keep_alive, news):
                    yield KEEP_ALIVE
        finally:
            if self._reader is me:
                self._reader = None
                self._leaving = self._expect(self._rules.linger)

    async def _pump(self, source: Source) -> None:
        try:
            async with aclosing(source.documents(self.id)) as documents:
                async for document in documents:
                    self._append(document)
                    await self._room()
        except asyncio.CancelledError:
            self._append(source.farewell)
            raise
        finally:
            self._is_complete = True
            self._tell()

    def _append(self, document: bytes) -> None:
        self._last += 1
        event = _Event(self._last, b"id: %d\ndata: %b\n\n" % (self._last, document))
        self._events.append(event)
        self._bytes += len(event.frame)
        self._unhanded_bytes += len(event.frame)
        while self._bytes > self._rules.buffer_bytes_max and self._events[0].number <= self._handed:
            self._bytes -= len(self._events.popleft().frame)
        self._tell()

    async def _room(self) -> None:
        while self._unhanded_bytes > self._rules.buffer_bytes_max // 2:
            await self._news.wait()

    def _next(self, after: int) -> _Event | None:
        place = after + 1 - self._events[0].number if self._events else 0
        assert place >= 0, "what a reader has not seen is kept"
        return self._events[place] if place < len(self._events) else None

    def _hand(self, me: object, event: _Event) -> None:
        if self._reader is me:
            self._handed = event.number
            self._unhanded_bytes -= len(event.frame)
            self._tell()

    def _tell(self) -> None:
        """Wake all who wait; what comes next is another piece of news."""
        self._news.set()
        self._news = asyncio.Event()

    def _expect(self, within: timedelta) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(within.total_seconds(), self._abandon)

    def _abandon(self) -> None:
        if not self._is_complete:
            LOG.info("stream ends, nobody came back for it")
        self._pumping.cancel()
        self._ended(self)


class Streams:
    """All streams of this process."""

    def __init__(self, rules: StreamRules | None = None) -> None:
        self.rules = rules or StreamRules()
        self._streams: dict[str, Stream] = {}

    def open(self, owner: Caller, source: Source) -> Stream:
        """A stream that begins now.

        Raises:
            RpcError: there are too many already.
        """
        own = sum(stream.owner == owner for stream in self._streams.values())
        for count, limit, whose in (
            (own, self.rules.caller_streams_max, "this token"),
            (len(self._streams), self.rules.streams_max, "this process"),
        ):
            if count >= limit:
                waits = self.rules.linger.total_seconds()
                raise TOO_MANY_STREAMS.error(
                    f"{how_many(count, 'stream')} of {whose}, the limit is {limit}", retry_after=waits
                )
        stream = Stream(source, owner, self.rules, self._forget)
        self._streams[stream.id] = stream
        return stream

    def find(self, stream_id: str, owner: Caller) -> Stream:
        """Raises `RpcError` alike for streams that are over and for those of others."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.owner != owner:
            raise NO_STREAM.error("there is none of that id for this token")
        return stream

    async def aclose(self) -> None:
        """End all of them."""
        for stream in list(self._streams.values()):
            await stream.close()

    def _forget(self, stream: Stream) -> None:
        self._streams.pop(stream.id, None)


async def _within(time: timedelta, news: asyncio.Event) -> bool:
    """Whether the news came in that time."""
    try:
        async with asyncio.timeout(time.total_seconds()):
            await news.wait()
    except TimeoutError:
        return False
    return True
