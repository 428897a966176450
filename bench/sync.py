"""How far behind our side is while people edit: changes from a PATCH in Azure DevOps until both sides agree on them.

    python -m bench.sync [--items 100] [--seconds 30] [--per-second 50] [--json FILE]

Temporal, the stand-ins and `pointsman serve` are processes of their own, on SQLite. The items wait for a human, so that
each change is heard by a workflow that runs. The stand-in delivers each change over HTTP; the floor of the same run is
the time until its delivery is in the inbox. `--seconds 300` is the long run.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import select

from bench.processor import cpu_seconds
from bench.promptness import OPEN_PATIENCE_SECONDS, Field, playing_field
from bench.results import Figure, quantile, show
from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.records import DeliveryState
from pointsman.store.engine import Store
from pointsman.store.tables import InboxRow, col
from pointsman.store.tables.sync import AgreementRow
from starter.cli.app import leave
from starter.demo.outside import until

ITEMS, SECONDS, PER_SECOND = 100, 30.0, 50.0
LOOK_SECONDS = 0.1
DRAIN_SECONDS = 1_800.0
FIELD = "System.Title"


@dataclass
class Lag:
    """Changes by item and revision: when each was answered, and when both sides agreed on it."""

    made: dict[tuple[int, int], float] = field(default_factory=dict)
    agreed: dict[tuple[int, int], float] = field(default_factory=dict)
    waiting: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))

    def answered(self, item: int, rev: int) -> None:
        self.made[item, rev] = time.time()
        self.waiting[item].add(rev)

    def look(self, standing: Mapping[int, int]) -> None:
        """`standing` is the revision of each item that both sides agree on now. Reading takes no longer than a look."""
        now = time.time()
        for item, revs in self.waiting.items():
            reached = {rev for rev in revs if rev <= standing.get(item, 0)}
            self.agreed |= {(item, rev): now for rev in reached}
            revs -= reached

    @property
    def seconds(self) -> list[float]:
        return [max(0.0, at - self.made[change]) for change, at in self.agreed.items()]


async def standing(store: Store) -> dict[int, int]:
    rows = await store.read(
        lambda session: session.execute(select(col(AgreementRow.item_id), col(AgreementRow.rev))).all()
    )
    return {int(item): int(rev) for item, rev in rows}


async def kept(store: Store, since: float, made: Mapping[tuple[int, int], float]) -> list[float]:
    """Seconds from each change until its first delivery was in the inbox."""
    query = select(col(InboxRow.item_id), col(InboxRow.received_at)).where(
        col(InboxRow.event_type) == "workitem.updated", col(InboxRow.state) != DeliveryState.DUPLICATE
    )
    rows = await store.read(lambda session: session.execute(query.order_by(col(InboxRow.sequence))).all())
    arrived: dict[int, list[float]] = defaultdict(list)
    for item, at in rows:
        if at.timestamp() >= since:
            arrived[item].append(at.timestamp())
    answered: dict[int, list[float]] = defaultdict(list)
    for (item, _), moment in sorted(made.items()):
        answered[item].append(moment)
    return [
        max(0.0, came - done)
        for item, times in answered.items()
        for done, came in zip(times, sorted(arrived[item]), strict=False)
    ]


async def opened(ground: Field, count: int) -> list[int]:
    """Items that wait for a human, each delivered by the stand-in itself."""
    await ground.outside.subscribe()
    items = await ground.file(count)

    async def all_wait() -> bool | None:
        ground.stage.pointsman.check()
        return True if await ground.running("ResolveEscalation") >= count else None

    await until(f"{count} items that wait for a human", all_wait, OPEN_PATIENCE_SECONDS)
    return items


async def edit(ground: Field, items: list[int], seconds: float, per_second: float, lag: Lag) -> None:
    """A fixed rate over all items in turn, whatever the other side does."""
    begin, gates = time.perf_counter(), {item: asyncio.Lock() for item in items}

    async def one(item: int, number: int) -> None:
        async with gates[item]:
            value = f"Crane {item} stops, said {number} times"
            changed = await ground.outside.person.work_items.patch(item, [set_field(FIELD, value)])
            lag.answered(item, changed.rev)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * per_second)):
            await asyncio.sleep(max(0.0, begin + number / per_second - time.perf_counter()))
            tasks.create_task(one(items[number % len(items)], number))


def processor(ground: Field) -> dict[str, float]:
    """Seconds of each process so far."""
    stage = ground.stage
    pids = {
        "serve": stage.pointsman.pid,
        "Temporal's dev server": stage.server.pid,
        "the stand-ins": stage.sandbox.pid,
        "the load": os.getpid(),
    }
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


async def measure(count: int, seconds: float, per_second: float) -> list[Figure]:
    lag = Lag()
    with tempfile.TemporaryDirectory(prefix="bench-sync-") as name:
        async with playing_field(Path(name)) as ground:
            items = await opened(ground, count)
            async with Store.open(ground.stage.database_url, read_only=True) as store:
                begun, before = time.time(), processor(ground)
                editing = asyncio.create_task(edit(ground, items, seconds, per_second, lag))

                async def caught_up() -> bool | None:
                    ground.stage.pointsman.check()
                    lag.look(await standing(store))
                    return True if editing.done() and not any(lag.waiting.values()) else None

                await until("both sides to agree on all changes", caught_up, seconds + DRAIN_SECONDS)
                await editing
                spent = {name: after - before[name] for name, after in processor(ground).items()}
                floor = await kept(store, begun, lag.made)
    return figures(lag, floor, begun, per_second, spent)


def figures(lag: Lag, floor: list[float], begun: float, per_second: float, spent: Mapping[str, float]) -> list[Figure]:
    wanted = len(lag.made)
    took, behind = max(lag.agreed.values()) - begun, lag.seconds
    p50, p99 = quantile(behind, 0.5), quantile(behind, 0.99)
    return [
        Figure("changes by people", wanted, "", note=f"{per_second:g} a second were asked for"),
        Figure("  made", wanted / (max(lag.made.values()) - begun), "changes/s", note="what the stand-in took"),
        Figure("not agreed on", wanted - len(lag.agreed), "", "0", wanted == len(lag.agreed)),
        Figure("through the whole loop", wanted / took, "changes/s"),
        Figure("floor: change to inbox, p50", quantile(floor, 0.5), "s"),
        Figure("  p99", quantile(floor, 0.99), "s"),
        Figure("change to agreement, p50", p50, "s"),
        Figure("  p99", p99, "s"),
        Figure("  p99 / floor", p99 / max(quantile(floor, 0.99), 0.001), "ratio"),
        *(Figure(f"processor of {name}", 1000 * took / wanted, "ms/change") for name, took in spent.items()),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how far behind our side is while people edit.")
    parser.add_argument("--items", type=int, default=ITEMS, help="items that are edited in turn")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for so long; the long run takes 300")
    parser.add_argument("--per-second", type=float, default=PER_SECOND, help="changes")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    found = asyncio.run(measure(given.items, given.seconds, given.per_second))
    show(f"Both sides at {given.per_second:g} changes a second", found, given.json)


if __name__ == "__main__":
    main()
    leave(0)
