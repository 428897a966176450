"""Where a call of ours spends its time, and what it leaves in memory.

    python -m bench.llm.profiling URL

Prints one JSON object. Shares are those that the standard library's profiler sees: it slows Python's own functions
more than those of C, so the layers that are written in Python look dearer than they are.
"""

import asyncio
import cProfile
import gc
import json
import pstats
import sys
import tracemalloc
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.llm.cold import resident_mb
from bench.llm.ours import Pointsman

CALLS, MEMORY_CALLS = 500, 4_000
Function = tuple[str, int, str]
_STANDARD = "Python's library"
_OURS = ("pointsman", "bench")


def layer_of(file: str) -> str:
    """The package that a source file belongs to; parts of ours by module; empty for functions of C."""
    parts = Path(file).parts
    if file in ("~", ""):
        return ""
    if "site-packages" in parts:
        return Path(parts[parts.index("site-packages") + 1]).stem
    for package in _OURS:
        if package in parts:
            return ".".join(parts[parts.index(package) :]).removesuffix(".py")
    return _STANDARD


def by_layer(stats: Mapping[Function, tuple[int, int, float, float, Any]]) -> dict[str, float]:
    """Seconds of each layer. Functions of C count for whoever calls them."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for (file, _, _), (_, _, own, _, callers) in stats.items():
        if layer := layer_of(file):
            seconds[layer] += own
            continue
        for (caller, _, _), (_, _, share, _) in callers.items():
            seconds[layer_of(caller) or _STANDARD] += share
    return dict(seconds)


async def processor(url: str) -> dict[str, float]:
    """Share of each layer in a call."""
    ours = Pointsman(url)
    for _ in range(20):
        await ours.call()
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(CALLS):
        await ours.call()
    profile.disable()
    found = by_layer(pstats.Stats(profile).stats)  # type: ignore[attr-defined]  # typeshed leaves it out
    total = sum(found.values())
    return {layer: seconds / total for layer, seconds in sorted(found.items(), key=lambda item: -item[1])}


async def memory(url: str) -> dict[str, float]:
    """Bytes that a call leaves behind for good, and how much larger the process is after some thousands."""
    ours = Pointsman(url)
    for _ in range(200):
        await ours.call()
    before_mb = resident_mb()
    for _ in range(MEMORY_CALLS):
        await ours.call()
    grown_mb = resident_mb() - before_mb
    gc.collect()
    tracemalloc.start()
    for _ in range(100):
        await ours.call()
    gc.collect()
    begun, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    for _ in range(CALLS):
        await ours.call()
    gc.collect()
    ended, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "calls": MEMORY_CALLS,
        "resident_mb": before_mb + grown_mb,
        "grown_mb": grown_mb,
        "left_bytes": (ended - begun) / CALLS,
        "peak_kb": (peak - begun) / 1000,
    }


async def main(url: str) -> None:
    print(json.dumps({"processor": await processor(url), "memory": await memory(url)}))


if __name__ == "__main__":
    asyncio.run(main(f"{sys.argv[1]}/d0-n0-p0/v1"))
