"""One run: start everything, put load on it, kill, let it come to its end, and gather what both sides kept."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client

from bench.faults.evidence import Evidence, gather
from bench.faults.forks import Nursery
from bench.faults.killer import Kill, kill_often, plan
from bench.faults.load import DECIDE_SECONDS, OPEN_MAX, Deciders, Load
from bench.faults.stage import FaultStage
from pointsman.contracts.records import DeliveryState
from pointsman.contracts.work_items import ENDED
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.items import Items
from pointsman.store.standing import Standings
from starter.demo.outside import Outside

LOOK_SECONDS = 1.0
QUIET_LOOKS = 2
"""The end has come when nothing is under way at this many looks in a row: echoes of the last writes come in late."""
SHOWN_MAX = 8
ROWS_MORE = 50
OPEN = "ExecutionStatus = 'Running'"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    kills: int
    seed: int
    most: timedelta
    """After this no further kill is begun, however many were wanted."""
    patience_seconds: float
    """How long everything may take to come to its end after the last kill."""
    open_max: int = OPEN_MAX
    """Items that are under way at once."""
    shared_tools: bool = False


@dataclass
class Outcome:
    kills: list[Kill] = field(default_factory=list)
    evidence: Evidence | None = None
    edits: int = 0
    comments: int = 0
    deletions: int = 0
    restorations: int = 0
    late_creations: int = 0
    decisions: int = 0
    decisions_by_signal: int = 0
    decisions_refused: list[str] = field(default_factory=list)
    time_scale: float = 0.0
    settled_seconds: float = 0.0
    seconds: float = 0.0


class Run:
    def __init__(self, wanted: Wanted, folder: Path, say: Say, nursery: Nursery) -> None:
        self._wanted = wanted
        self._stage = FaultStage(folder, nursery, shared_tools=wanted.shared_tools)
        self._say = say

    async def run(self) -> Outcome:
        """All of it. Whatever happens, what was started is stopped.

        Raises:
            DemoFailed, DevServerFailed: something did not start, or did not come up again after a kill.
        """
        began = time.monotonic()
        try:
            outcome = await self._play()
        except ExceptionGroup as failed:
            raise _first(failed) from failed
        finally:
            await self._stage.stop()
        outcome.seconds = time.monotonic() - began
        return outcome

    async def _play(self) -> Outcome:
        stage, wanted = self._stage, self._wanted
        self._say(f"starting; logs and state in {stage.folder}")
        await stage.start(self._say)
        outcome = Outcome(time_scale=stage.time_scale)
        async with AsyncExitStack() as stack:
            outside = await stack.enter_async_context(Outside(stage))
            store = await stack.enter_async_context(Store.open(stage.database_url, read_only=True))
            client = await stage.server.connect()
            subscriptions = await outside.subscribe()
            self._say(
                f"ready; {len(subscriptions)} service hooks, waits between delivery attempts x {stage.time_scale:.3f}"
            )
            load = Load(outside, random.Random(f"{wanted.seed}/load"), wanted.open_max)
            people = Deciders(client, random.Random(f"{wanted.seed}/people"))
            async with _meanwhile(self._watch(store, load), self._decide(store, people)):
                async with _meanwhile(load.run()):
                    outcome.kills = await self._kill(load)
                began = time.monotonic()
                await outside.deliveries(repeat=0, hold=[])
                unfinished = await self._settle(store, client, load)
                outcome.settled_seconds = time.monotonic() - began
            outcome.edits, outcome.comments, outcome.late_creations = load.edits, load.comments, load.turned
            outcome.deletions, outcome.restorations = load.deletions, load.restorations
            outcome.decisions, outcome.decisions_by_signal = len(people.decided), people.by_signal
            outcome.decisions_refused = people.refused
            outcome.evidence = await gather(stage, outside, store, load.filed, unfinished)
        return outcome

    async def _kill(self, load: Load) -> list[Kill]:
        def told(kill: Kill) -> None:
            spared = f" ({kill.spared_seconds:.1f} s of it for a delivery)" if kill.spared_seconds > 0.1 else ""
            self._say(
                f"kill {kill.number:>3}/{self._wanted.kills}  {kill.what:<9} {kill.after_seconds:4.1f} s after ready"
                f"{spared}, ready again after {kill.up_seconds:4.1f} s; "
                f"{len(load.filed)} items filed, {len(load.ended)} ended"
            )

        planned = plan(self._wanted.kills, random.Random(f"{self._wanted.seed}/kills"))
        return await kill_often(self._stage, planned, self._wanted.most, told)

    async def _watch(self, store: Store, load: Load) -> None:
        """Keep the load informed of what has ended."""
        while True:
            rows = await Items(store).find(limit=len(load.filed) + ROWS_MORE)
            load.ended = {row.key.id for row in rows if row.state in ENDED} & set(load.filed)
            await asyncio.sleep(LOOK_SECONDS)

    async def _decide(self, store: Store, people: Deciders) -> None:
        while True:
            for row in await Escalations(store).find():
                await people.answer(row)
            await asyncio.sleep(DECIDE_SECONDS)

    async def _settle(self, store: Store, client: Client, load: Load) -> list[str]:
        """Wait until nothing is under way any more. Returns what still is when patience ends."""
        self._say("no more kills, no more items; waiting for the end of all")
        await self._stage.release()
        quiet, deadline, told = 0, time.monotonic() + self._wanted.patience_seconds, 0.0
        while True:
            under_way = await self._under_way(store, client, load)
            quiet = 0 if under_way else quiet + 1
            if quiet == QUIET_LOOKS:
                return []
            if time.monotonic() > deadline:
                late = f"not at its end {self._wanted.patience_seconds:.0f} s after the last kill"
                return [f"{what}: {late}" for what in under_way]
            if under_way and time.monotonic() - told > 10:
                told = time.monotonic()
                self._say(f"under way: {'; '.join(under_way[:SHOWN_MAX])}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _under_way(self, store: Store, client: Client, load: Load) -> list[str]:
        known = {row.key.id: row for row in await Items(store).find(limit=len(load.filed) + ROWS_MORE)}
        found = []
        for item in load.filed:
            row = known.get(item)
            if row is None or row.state not in ENDED:
                found.append(f"item {item} ({row.state}, {row.reason[:80]})" if row else f"item {item} (unknown)")
        standing = await Standings(store)()
        numbers = {
            "deliveries of the stand-in": await self._stage.waiting(),
            "rows of the inbox": standing.inbox.get(DeliveryState.PENDING, 0),
            "open workflows": await _open_workflows(client),
            "events that are not signed": standing.audit_pending,
        }
        return [*(f"{number} {what}" for what, number in numbers.items() if number), *found]


async def _open_workflows(client: Client) -> int:
    return (await client.count_workflows(OPEN)).count


def _first(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    error = failed.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@asynccontextmanager
async def _meanwhile(*work: Coroutine[None, None, None]) -> AsyncGenerator[None]:
    """Work that goes on while the block runs, and ends with it. What fails in it fails the block."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one) for one in work]
        yield
        for task in tasks:
            task.cancel()
