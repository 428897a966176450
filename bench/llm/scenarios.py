"""What a contender is measured at. Only the standard library: this runs in the peers' environments too.

Processor time is that of the whole process, so that no thread of a library goes uncounted.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import perf_counter, process_time
from typing import Any

Call = Callable[[], Awaitable[str]]
Stream = Callable[[], AsyncIterator[str]]
Found = dict[str, Any]


async def one_by_one(call: Call, count: int) -> Found:
    """Calls in turn: the wall time of each in ms, and the processor time of one."""
    walls: list[float] = []
    cpu = process_time()
    for _ in range(count):
        begun = perf_counter()
        await call()
        walls.append(round((perf_counter() - begun) * 1000, 4))
    return {"wall_ms": walls, "cpu_ms": (process_time() - cpu) * 1000 / count}


async def at_once(call: Call, count: int, in_flight: int) -> Found:
    """So many calls, never more than `in_flight` of them under way; failures by the name of their error."""
    left, walls, failures = count, list[float](), dict[str, int]()

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            begun = perf_counter()
            try:
                await call()
            except Exception as error:
                _count(error, failures)
            else:
                walls.append(round((perf_counter() - begun) * 1000, 3))

    cpu, begun = process_time(), perf_counter()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    seconds = perf_counter() - begun
    cpu_ms = (process_time() - cpu) * 1000 / count
    return {"wall_ms": walls, "per_second": len(walls) / seconds, "cpu_ms": cpu_ms, "failures": failures}


async def streams(stream: Stream, count: int, in_flight: int) -> Found:
    """Streams read to their end: processor time of one in ms, the time to each one's first text, and all pieces."""
    left, firsts, pieces, failures = count, list[float](), 0, dict[str, int]()

    async def read() -> None:
        nonlocal pieces
        begun, is_first = perf_counter(), True
        async for text in stream():
            if text:
                pieces += 1
                if is_first:
                    firsts.append(round((perf_counter() - begun) * 1000, 4))
                    is_first = False

    async def reader() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            try:
                await read()
            except Exception as error:
                _count(error, failures)

    cpu = process_time()
    await asyncio.gather(*(reader() for _ in range(in_flight)))
    cpu_ms = (process_time() - cpu) * 1000 / count
    return {"first_ms": firsts, "cpu_ms": cpu_ms, "pieces": pieces, "failures": failures}


def _count(error: Exception, failures: dict[str, int]) -> None:
    name = type(error).__name__
    failures[name] = failures.get(name, 0) + 1
