"""The buffer of a stream: bounded, without gaps, and honest about what it no longer has."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starter.web.rpc.callers import Caller
from starter.web.rpc.protocol import RpcError
from starter.web.rpc.streams import Documents, Source, Stream, StreamRules, Streams
from tests.starter.rpc.rig import until

ADA = Caller("north", "ada", b"1")
BOUND = 10_000
RULES = StreamRules(buffer_bytes_max=BOUND)


class Counting:
    """A source of documents of 100 bytes that knows how many were taken, and whether it was closed."""

    def __init__(self, count: int) -> None:
        self.taken = 0
        self.is_closed = False
        self._count = count

    @property
    def source(self) -> Source:
        return Source(self._documents, b'"closed"')

    async def _documents(self, stream_id: str) -> Documents:
        try:
            for number in range(1, self._count + 1):
                self.taken = number
                yield str(number).encode().rjust(100)
                await asyncio.sleep(0)
        finally:
            self.is_closed = True


def numbers_of(frames: list[bytes]) -> list[int]:
    return [int(frame.partition(b"\n")[0].removeprefix(b"id: ")) for frame in frames]


async def taken(stream: Stream, after: int, count: int) -> list[bytes]:
    """That many frames; the connection breaks after them."""
    found: list[bytes] = []
    async with aclosing(stream.read(after)) as frames:
        async for frame in frames:
            found.append(frame)
            if len(found) == count:
                break
    return found


async def settled(counting: Counting) -> int:
    """How many were taken when no more are."""
    seen = -1
    while counting.taken != seen:
        seen = counting.taken
        for _ in range(5):
            await asyncio.sleep(0)
    return seen


async def test_a_source_of_100_mb_is_read_no_further_than_the_buffer() -> None:
    counting, streams = Counting(1_000_000), Streams(RULES)
    stream = streams.open(ADA, counting.source)
    waiting = await settled(counting)
    assert BOUND // 4 < waiting * 100 < BOUND
    frames = await taken(stream, 0, 500)
    assert numbers_of(frames) == list(range(1, 501))
    assert 500 <= await settled(counting) <= 500 + waiting + 1
    assert not counting.is_closed
    await streams.aclose()
    assert counting.is_closed


async def test_what_is_not_kept_any_more_is_said_to_be_gone() -> None:
    counting, streams = Counting(1_000), Streams(RULES)
    stream = streams.open(ADA, counting.source)
    await taken(stream, 0, 500)
    await settled(counting)
    with pytest.raises(RpcError, match="Events gone") as told:
        stream.read(1)
    assert "are not kept any more" in str(told.value.data["reason"])
    assert numbers_of(await taken(stream, 499, 3)) == [500, 501, 502]
    await streams.aclose()


async def test_who_reads_again_slowly_is_not_overtaken() -> None:
    counting, streams = Counting(1_000), Streams(RULES)
    stream = streams.open(ADA, counting.source)
    await taken(stream, 0, 60)
    again: list[bytes] = []
    async with aclosing(stream.read(20)) as frames:
        async for frame in frames:
            again.append(frame)
            await settled(counting)
            if len(again) == 200:
                break
    assert numbers_of(again) == list(range(21, 221))
    await streams.aclose()


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 30)), min_size=1, max_size=12))
async def test_no_order_of_breaks_and_returns_leaves_a_gap(legs: list[tuple[int, int]]) -> None:
    """Each leg reads so many frames, breaks, and comes back as if so many of them had not arrived."""
    counting, streams = Counting(200), Streams(RULES)
    stream = streams.open(ADA, counting.source)
    after = 0
    for count, lost in legs:
        await settled(counting)
        try:
            seen = numbers_of(await taken(stream, after, count))
        except RpcError:
            with pytest.raises(RpcError, match="Events gone"):
                stream.read(after)
            break
        assert seen == list(range(after + 1, after + 1 + len(seen)))
        assert len(seen) == min(count, 200 - after)
        after = max(0, after + len(seen) - lost)
    await streams.aclose()


async def test_a_stream_that_is_closed_says_so_last() -> None:
    counting, streams = Counting(1_000_000), Streams(RULES)
    stream = streams.open(ADA, counting.source)
    reading = asyncio.create_task(_all(stream))
    await until(lambda: counting.taken >= 300)
    await stream.close()
    await stream.close()
    frames = await reading
    assert frames[-1].endswith(b'data: "closed"\n\n')
    assert numbers_of(frames) == list(range(1, len(frames) + 1))
    with pytest.raises(RpcError, match="No such stream"):
        streams.find(stream.id, ADA)


async def _all(stream: Stream) -> list[bytes]:
    return [frame async for frame in stream.read(0)]


async def test_a_stream_that_nobody_reads_ends() -> None:
    counting, streams = Counting(1_000_000), Streams(StreamRules(linger=timedelta(0), buffer_bytes_max=BOUND))
    stream = streams.open(ADA, counting.source)
    await taken(stream, 0, 1)
    await until(lambda: counting.is_closed)
    with pytest.raises(RpcError, match="No such stream"):
        streams.find(stream.id, ADA)


async def test_a_process_has_so_many_streams_and_no_more() -> None:
    streams = Streams(StreamRules(streams_max=1))
    streams.open(ADA, Counting(1).source)
    with pytest.raises(RpcError, match="Too many streams") as told:
        streams.open(Caller("south", "", b"2"), Counting(1).source)
    assert told.value.data == {"reason": "1 stream of this process, the limit is 1", "retry_after": 15.0}
    await streams.aclose()
