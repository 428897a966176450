"""A run: one server, one process for each contender, and each measurement at all of them in turn before the next.

What one slice measured is kept as percentiles; latencies of all slices are added up in a histogram.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from math import log10
from pathlib import Path
from typing import Any

from bench.llm.contenders import OURS, PEERS
from bench.llm.environments import ROOT, environment_variables, python_of
from bench.llm.wire import Mode
from bench.results import quantile

CONTENDERS = ("sdk", "sdk-aiohttp", "pointsman", "litellm", "pydantic-ai", "langchain", "any-llm")
RESPONSES = ("sdk-responses", "pointsman-responses")
ANSWER_PATIENCE_SECONDS = 180.0
QUANTILES = (0.5, 0.9, 0.95, 0.99)
BUCKETS_PER_DECADE = 20
assert {*CONTENDERS, *RESPONSES} == {*PEERS, *OURS}


@dataclass(frozen=True)
class Scenario:
    """One kind of measurement. `times` of it are made in each round."""

    name: str
    what: str
    mode: Mode
    count: int
    in_flight: int = 1
    times: int = 1
    contenders: Sequence[str] = (*CONTENDERS, *RESPONSES)

    def small(self) -> "Scenario":
        """As `--quick` does it: it shows that it runs, and little else."""
        return replace(self, count=max(2, self.count // 20), times=1, in_flight=min(self.in_flight, 50))


SCENARIOS = (
    Scenario("calls", "one_by_one", Mode(), 200, times=2),
    Scenario("short streams", "streams", Mode(pieces=20, pace=5), 8, in_flight=8),
    Scenario("long streams", "streams", Mode(pieces=220, pace=5), 8, in_flight=8),
    Scenario("first token", "streams", Mode(delay=10, pieces=3, pace=1), 40),
    Scenario("16 in flight", "at_once", Mode(delay=50), 160, in_flight=16, times=3, contenders=CONTENDERS),
    Scenario("100 in flight", "at_once", Mode(delay=50), 400, in_flight=100, times=3, contenders=CONTENDERS),
    Scenario("1000 in flight", "at_once", Mode(delay=50), 1_500, in_flight=1_000, contenders=CONTENDERS),
)


@dataclass
class Process:
    """One that is spoken to by lines."""

    name: str
    running: asyncio.subprocess.Process
    errors: Path

    async def ask(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Raises RuntimeError where it ends, or takes too long; with the end of what it said."""
        assert self.running.stdin is not None, "it was started with a pipe"
        self.running.stdin.write(json.dumps(asked).encode() + b"\n")
        await self.running.stdin.drain()
        found: dict[str, Any] = json.loads(await self.line())
        return found

    async def line(self) -> str:
        assert self.running.stdout is not None, "it was started with a pipe"
        try:
            async with asyncio.timeout(ANSWER_PATIENCE_SECONDS):
                told = await self.running.stdout.readline()
        except TimeoutError:
            raise RuntimeError(f"{self.name} did not answer in {ANSWER_PATIENCE_SECONDS:.0f} s") from None
        if not told:
            said = self.errors.read_text(errors="replace").strip().splitlines()[-5:]
            raise RuntimeError(f"{self.name} ended: {' / '.join(said)}")
        return told.decode().strip()


@asynccontextmanager
async def process(name: str, python: str, *module: str) -> AsyncGenerator[Process]:
    """A module of ours in a process, for as long as the block lasts. It ends with its input."""
    with tempfile.NamedTemporaryFile(prefix="bench-llm-", suffix=".log") as errors:
        pipe = asyncio.subprocess.PIPE
        running = await asyncio.create_subprocess_exec(
            python, "-m", *module, stdin=pipe, stdout=pipe, stderr=errors, cwd=ROOT, env=environment_variables(),
            limit=2**24,
        )  # fmt: skip
        try:
            yield Process(name, running, Path(errors.name))
        finally:
            assert running.stdin is not None, "it was started with a pipe"
            running.stdin.close()
            try:
                async with asyncio.timeout(10):
                    await running.wait()
            except TimeoutError:
                running.kill()
                await running.wait()


@asynccontextmanager
async def fake_provider() -> AsyncGenerator[str]:
    """The server's root URL."""
    async with process("the fake provider", sys.executable, "bench.llm.server") as server:
        yield await server.line()


class Run:
    """All that a run has measured: for each scenario and contender the slices, by round."""

    def __init__(self) -> None:
        self.slices: defaultdict[str, defaultdict[str, list[list[dict[str, Any]]]]]
        self.slices = defaultdict(lambda: defaultdict(list))
        self.histograms: defaultdict[str, defaultdict[str, defaultdict[int, int]]]
        self.histograms = defaultdict(lambda: defaultdict(lambda: defaultdict(int)))

    async def measure(self, scenarios: Sequence[Scenario], rounds: int, url: str) -> None:
        begun = time.monotonic()
        async with AsyncExitStack() as opened:
            workers = {
                name: await opened.enter_async_context(process(name, python_of(name), "bench.llm.worker", name))
                for name in (*CONTENDERS, *RESPONSES)
            }
            for number in range(rounds):
                for scenario in scenarios:
                    print(
                        f"{time.monotonic() - begun:4.0f} s: round {number + 1} of {rounds}, {scenario.name}",
                        flush=True,
                    )
                    await self._all(scenario, workers, url, number)

    async def _all(self, scenario: Scenario, workers: Mapping[str, Process], url: str, number: int) -> None:
        # Who goes first meets another machine than who goes last: each round begins with another.
        turn = number % len(scenario.contenders)
        order = [*scenario.contenders[turn:], *scenario.contenders[:turn]]
        for name in order:
            self.slices[scenario.name][name].append([])
        for _ in range(scenario.times):
            for name in order:
                asked = {"what": scenario.what, "url": f"{url}{scenario.mode.path}/v1", "count": scenario.count}
                found = await workers[name].ask({**asked, "in_flight": scenario.in_flight})
                self._keep(scenario.name, name, found)

    def _keep(self, scenario: str, name: str, found: dict[str, Any]) -> None:
        kept: dict[str, Any] = {key: value for key, value in found.items() if not isinstance(value, list)}
        for key in ("wall_ms", "first_ms"):
            if found.get(key):
                kept[key] = {f"p{share * 100:g}": round(quantile(found[key], share), 4) for share in QUANTILES}
                for value in found[key]:
                    self.histograms[scenario][name][bucket_of(value)] += 1
        self.slices[scenario][name][-1].append(kept)


def bucket_of(value: float) -> int:
    """The number of its bucket: 20 in a decade, and 0 begins at 1."""
    return int(log10(max(value, 1e-3)) * BUCKETS_PER_DECADE // 1)


def start_of(bucket: int) -> float:
    return float(10 ** (bucket / BUCKETS_PER_DECADE))
