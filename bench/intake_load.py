"""The receiver under an organisation's load, with all that runs beside it: `python -m bench.intake_load`.

    python -m bench.intake_load [--seconds 20] [--items 1000] [--burst 1000] [--json FILE]

Temporal's dev server and `pointsman web` (receiver, dispatcher, sequencer) are processes of their own; no worker takes
its share of the machine. 1,000 items are open. Then come 200 deliveries a second, as large as real ones: 20 of them of
the open items, which go on to their workflows, the rest of items that no scope rule takes and of code; a tenth of all
once more, a tenth late. Measured are the acknowledgements and, for the 20, the time until Temporal has them. At last
comes a burst of events of the open items: how many a second the dev server takes. `--seconds 300` is the long run.
"""

import argparse
import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import aiohttp
from sqlalchemy import func, select

from bench.lives import disordered, lives
from bench.processor import cpu_seconds
from bench.results import Figure, quantile, show
from pointsman.contracts.base import Json
from pointsman.contracts.records import DeliveryState
from pointsman.store.engine import Store
from pointsman.store.tables import InboxRow, col
from starter.demo.outside import until
from starter.demo.processes import Stage

PER_SECOND, OF_OPEN_ITEMS = 200, 20
AT_ONCE = 32
ACK_GOAL_SECONDS, START_GOAL_SECONDS = 0.25, 2.0
DRAIN_SECONDS = 1_200.0
FOREIGN_TYPE = "Test Case"
"""Of no scope rule of the built-in policy."""
FOREIGN_ITEMS = 1_000


@dataclass
class Sender:
    """Posts deliveries, and notes how long each took to be acknowledged, and what was not."""

    http: aiohttp.ClientSession
    url: str
    waits: list[float] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)

    async def post(self, body: bytes, due: float | None = None) -> None:
        """`due` is when it should have been sent: a wait behind others counts."""
        begun = due or time.perf_counter()
        async with self.http.post(self.url, data=body) as answer:
            await answer.read()
        self.waits.append(time.perf_counter() - begun)
        if answer.status != 202:
            self.refused.append(answer.status)

    async def all_at_once(self, bodies: Sequence[bytes]) -> None:
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(body: bytes) -> None:
            async with gate:
                await self.post(body)

        await asyncio.gather(*(one(body) for body in bodies))

    async def steadily(self, bodies: Sequence[bytes]) -> None:
        """A fixed rate, whatever the receiver does."""
        begin = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number, body in enumerate(bodies):
                due = begin + number / PER_SECOND
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                tasks.create_task(self.post(body, due))


@dataclass
class Ground:
    """Where it is measured."""

    stage: Stage
    store: Store
    session: aiohttp.ClientSession

    def sender(self) -> Sender:
        return Sender(self.session, f"{self.stage.web_url}/webhooks/azure-devops")

    async def drained(self) -> None:
        """Wait until everything is handed over."""

        async def none_waits() -> bool | None:
            self.stage.pointsman.check()
            waiting = select(func.count()).where(col(InboxRow.state) == DeliveryState.PENDING)
            return None if await self.store.read(lambda session: session.scalar(waiting)) else True

        await until("the last hand-over", none_waits, DRAIN_SECONDS)

    async def handed_over(self, since: int) -> list[tuple[datetime, datetime]]:
        """(kept, handed over) of rows behind that one, in order of arrival."""
        told = (
            select(col(InboxRow.received_at), col(InboxRow.dispatched_at))
            .where(col(InboxRow.sequence) > since, col(InboxRow.state) == DeliveryState.DISPATCHED)
            .order_by(col(InboxRow.sequence))
        )
        rows = await self.store.read(lambda session: session.execute(told).all())
        return [(kept, over) for kept, over in rows if over is not None]

    def spent(self) -> dict[str, float]:
        """Processor time of each process so far."""
        return {
            "web, with hand-over and audit": cpu_seconds(self.stage.pointsman.pid),
            "Temporal's dev server": cpu_seconds(self.stage.server.pid),
            "sender": time.process_time(),
        }

    async def rows(self) -> int:
        newest = select(func.max(col(InboxRow.sequence)))
        return await self.store.read(lambda session: session.scalar(newest) or 0)


@asynccontextmanager
async def playing_field(folder: Path) -> AsyncGenerator[Ground]:
    """Temporal and the web process, ready, and stopped at the end."""
    stage = Stage(folder, live=False)
    stage.pointsman.arguments = ("web",)
    try:
        server = await stage.choose_temporal(lambda line: None)
        await server.start(timedelta(seconds=90))
        await stage.start_pointsman()
        headers = {"Authorization": aiohttp.encode_basic_auth("pointsman", stage.hook_secret)}
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            Store.open(stage.database_url, read_only=True) as store,
            aiohttp.ClientSession(headers=headers, connector=connector) as session,
        ):
            yield Ground(stage, store, session)
    finally:
        await stage.stop()


def load_of(seconds: float, items: int) -> tuple[list[bytes], list[bytes]]:
    """Deliveries that open so many items, and those of the measured time in the order in which they are sent."""
    ours = _of_items(int(seconds * OF_OPEN_ITEMS) + items, items)
    others = _others(int(seconds * (PER_SECOND - OF_OPEN_ITEMS)))
    chance = random.Random(1)
    opening, news = ours[:items], ours[items:]
    turns = [True] * len(news) + [False] * len(others)
    chance.shuffle(turns)
    next_of = {True: iter(news), False: iter(others)}
    mixed = [next(next_of[is_ours]) for is_ours in turns]
    return opening, disordered(mixed, chance)[: len(mixed)]


def _of_items(count: int, items: int) -> list[bytes]:
    """So many events of items in scope, in the order in which they happen; the first are their creations."""
    told = [body for body in lives(count * 10 // 9 + items, items) if b'"git.push"' not in body]
    return told[:count]


def _others(count: int) -> list[bytes]:
    """Of items out of scope, and pushes; their numbers are above those of the others."""
    return [_moved(body) for body in lives(count, FOREIGN_ITEMS, (FOREIGN_TYPE,))]


def _moved(body: bytes) -> bytes:
    """Another item and another event than the one of that number in scope."""
    told: dict[str, Json] = json.loads(body)
    resource = told["resource"]
    assert isinstance(resource, dict)
    for holder in (resource, resource.get("revision")):
        if isinstance(holder, dict) and "url" in holder:
            holder["url"] = ""
    item = "workItemId" if "workItemId" in resource else "id"
    if item in resource:
        resource[item] = int(str(resource[item])) + 1_000_000
    revision = resource.get("revision")
    if isinstance(revision, dict):
        revision["id"] = int(str(revision["id"])) + 1_000_000
    return json.dumps({**told, "id": str(told["id"]).replace("c0ffee00", "c0ffee01")}).encode()


async def measure(seconds: float, items: int, burst: int) -> list[Figure]:
    opening, bodies = load_of(seconds, items)
    more = _of_items(int(seconds * OF_OPEN_ITEMS) + items + burst, items)[-burst:]
    with tempfile.TemporaryDirectory(prefix="bench-intake-load-") as name:
        async with playing_field(Path(name)) as ground:
            await ground.sender().all_at_once(opening)
            await ground.drained()
            before, steady, cpu = await ground.rows(), ground.sender(), ground.spent()
            await steady.steadily(bodies)
            await ground.drained()
            cpu = {name: spent - cpu[name] for name, spent in ground.spent().items()}
            handed = await ground.handed_over(before)
            before, rush = await ground.rows(), ground.sender()
            await rush.all_at_once(more)
            await ground.drained()
            rushed = await ground.handed_over(before)
    body_bytes = sum(map(len, bodies)) / len(bodies)
    return figures(steady, [*steady.refused, *rush.refused], handed, rushed, body_bytes, cpu)


def figures(
    steady: Sender,
    refused: Sequence[int],
    handed: Sequence[tuple[datetime, datetime]],
    rushed: Sequence[tuple[datetime, datetime]],
    body_bytes: float,
    cpu_seconds: Mapping[str, float],
) -> list[Figure]:
    ack = quantile(steady.waits, 0.99)
    starts = [(over - kept).total_seconds() for kept, over in handed]
    start = quantile(starts, 0.99)
    rush_seconds = (max(over for _, over in rushed) - min(kept for kept, _ in rushed)).total_seconds()
    return [
        Figure("deliveries", len(steady.waits), "", note=f"{PER_SECOND} a second, {body_bytes:,.0f} bytes each"),
        Figure("not acknowledged", len(refused), "", "0", not refused),
        Figure("acknowledgement, p50", quantile(steady.waits, 0.5) * 1000, "ms"),
        Figure("acknowledgement, p99", ack * 1000, "ms", f"< {ACK_GOAL_SECONDS * 1000:g}", ack < ACK_GOAL_SECONDS),
        Figure("  longest acknowledgement", max(steady.waits) * 1000, "ms"),
        *(
            Figure(f"processor of {name}", spent / len(steady.waits) * 1000, "ms/delivery")
            for name, spent in cpu_seconds.items()
        ),
        Figure("handed over to open items", len(starts), "", note=f"{OF_OPEN_ITEMS} a second"),
        Figure("kept to in Temporal, p50", quantile(starts, 0.5), "s"),
        Figure("kept to in Temporal, p99", start, "s", f"< {START_GOAL_SECONDS:g}", start < START_GOAL_SECONDS),
        Figure("burst: taken by the dev server", len(rushed) / rush_seconds, "events/s", note=f"{len(rushed)} events"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the receiver under an organisation's load.")
    parser.add_argument("--seconds", type=float, default=20.0, help="for so long; the long run takes 300")
    parser.add_argument("--items", type=int, default=1_000, help="items that are open meanwhile")
    parser.add_argument("--burst", type=int, default=1_000, help="events of open items that come at once at the end")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    found = asyncio.run(measure(given.seconds, given.items, given.burst))
    show(f"Intake at {PER_SECOND} deliveries a second", found, given.json)


if __name__ == "__main__":
    main()
