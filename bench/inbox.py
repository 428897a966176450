"""Deliveries that the inbox makes durable in a second: rows of 4 KiB, each with its audit event, group commit.

Beside ours, in the same run and in turns with it, runs the least that could be called durable: one thread with a bare
`sqlite3` connection that inserts body and event into two tables without a second index, and commits in groups.

    python -m bench.inbox [--seconds 12] [--clients 64] [--json FILE]
"""

import argparse
import asyncio
import os
import queue
import sqlite3
import tempfile
import threading
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.results import Figure, quantile, show
from pointsman.contracts.records import NewDelivery
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer

BODY_BYTES = 4096
EVENT_BYTES = 480  # what the canonical JSON of `delivery.accepted` comes to
ITEMS = 1_000
ROUNDS = 3
ROWS_GOAL = 12_553
P99_GOAL_MS = 10.0

Accept = Callable[[NewDelivery], Awaitable[object]]


@dataclass
class Measured:
    """What one contender did over all rounds."""

    waits: list[float] = field(default_factory=list)
    """Seconds from the call to the acknowledgement."""
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def rows_per_second(self) -> float:
        return len(self.waits) / self.seconds


def delivery(number: int, body: bytes) -> NewDelivery:
    fresh = new_id()
    return NewDelivery(
        id=fresh,
        received_at=datetime.now(UTC),
        tenant="default",
        organisation="fabrikam",
        event_type="workitem.updated",
        event_id=fresh,
        subscription_id="00000000-0000-0000-0000-000000000000",
        notification_id=number,
        idempotency_key=f"fabrikam:{os.urandom(16).hex()}",
        item_id=number % ITEMS + 1,
        project="rail",
        body=body,
    )


async def load(accept: Accept, clients: int, seconds: float, measured: Measured) -> None:
    """So many callers, each with one delivery under way at a time."""
    body = os.urandom(BODY_BYTES // 2).hex().encode()
    end = time.perf_counter() + seconds
    number = len(measured.waits)

    async def client() -> None:
        nonlocal number
        while time.perf_counter() < end:
            number += 1
            sent = delivery(number, body)
            started = time.perf_counter()
            await accept(sent)
            measured.waits.append(time.perf_counter() - started)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*[client() for _ in range(clients)])
    measured.seconds += time.perf_counter() - started
    measured.cpu_seconds += time.process_time() - cpu


@asynccontextmanager
async def ours(folder: Path) -> AsyncGenerator[Accept]:
    """The inbox as the service runs it: with the sequencer beside it, on the same database."""
    url = f"sqlite:///{folder}/ours.db"
    schema.upgrade(url)
    async with Store.open(url) as store:
        sequencing = asyncio.create_task(Sequencer(store, Signer.open(folder)).run())
        try:
            yield Inbox(store).accept
        finally:
            sequencing.cancel()


class BareWriter:
    """One thread, one connection, two tables, a commit for all that waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: queue.SimpleQueue[tuple[NewDelivery, asyncio.Future[None]] | None] = queue.SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    async def accept(self, sent: NewDelivery) -> None:
        done: asyncio.Future[None] = self._loop.create_future()
        self._waiting.put((sent, done))
        await done

    async def close(self) -> None:
        self._waiting.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        database = sqlite3.connect(self._path, isolation_level=None)
        database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;")
        database.execute("CREATE TABLE inbox (id TEXT, key TEXT, body BLOB)")
        database.execute("CREATE TABLE event (id TEXT, body BLOB)")
        event = b"x" * EVENT_BYTES
        while (first := self._waiting.get()) is not None:
            batch = [first]
            while not self._waiting.empty() and (more := self._waiting.get()) is not None:
                batch.append(more)
            database.execute("BEGIN")
            rows = [(sent.id, sent.idempotency_key, sent.body) for sent, _ in batch]
            database.executemany("INSERT INTO inbox VALUES (?, ?, ?)", rows)
            database.executemany("INSERT INTO event VALUES (?, ?)", [(sent.id, event) for sent, _ in batch])
            database.execute("COMMIT")
            self._loop.call_soon_threadsafe(_tell, [done for _, done in batch])
        database.close()


def _tell(waiting: list["asyncio.Future[None]"]) -> None:
    for done in waiting:
        done.set_result(None)


@asynccontextmanager
async def bare(folder: Path) -> AsyncGenerator[Accept]:
    writer = BareWriter(folder / "bare.db")
    try:
        yield writer.accept
    finally:
        await writer.close()


async def measure(clients: int, seconds: float) -> tuple[Measured, Measured]:
    """Ours and the bare writer, in turns, so that what else runs on the machine meets both."""
    mine, floor = Measured(), Measured()
    for _ in range(ROUNDS):
        for contender, measured in ((bare, floor), (ours, mine)):
            with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as name:
                async with contender(Path(name)) as accept:
                    await load(accept, clients, seconds / ROUNDS, measured)
    return mine, floor


def figures(mine: Measured, floor: Measured) -> list[Figure]:
    ratio = mine.rows_per_second / floor.rows_per_second
    p99 = quantile(mine.waits, 0.99) * 1000
    return [
        Figure(
            "inbox with audit event and sequencer",
            mine.rows_per_second,
            "rows/s",
            f">= {ROWS_GOAL:,}",
            mine.rows_per_second >= ROWS_GOAL,
        ),
        Figure("  p50", quantile(mine.waits, 0.5) * 1000, "ms"),
        Figure("  p99", p99, "ms", f"< {P99_GOAL_MS:g}", p99 < P99_GOAL_MS),
        Figure("  processor", mine.cpu_seconds / len(mine.waits) * 1e6, "us/row"),
        Figure("bare sqlite3 writer thread", floor.rows_per_second, "rows/s"),
        Figure("  p50", quantile(floor.waits, 0.5) * 1000, "ms"),
        Figure("  p99", quantile(floor.waits, 0.99) * 1000, "ms"),
        Figure("  processor", floor.cpu_seconds / len(floor.waits) * 1e6, "us/row"),
        Figure("inbox / bare writer", ratio, "ratio", note="same run, in turns"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the durable inbox.")
    parser.add_argument("--seconds", type=float, default=12.0, help="for each of the two contenders")
    parser.add_argument("--clients", type=int, default=64, help="callers that wait at the same time")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    mine, floor = asyncio.run(measure(arguments.clients, arguments.seconds))
    show(f"Inbox: rows of {BODY_BYTES} bytes, {arguments.clients} callers", figures(mine, floor), arguments.json)


if __name__ == "__main__":
    main()
