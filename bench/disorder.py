"""Deliveries that come late and twice leave what deliveries in order leave: `python -m bench.disorder`.

    python -m bench.disorder [--deliveries 2000] [--items 200] [--seed 1] [--json FILE]

So many distinct events go into a real inbox with its dispatcher, once as they happened, and once with a tenth of them
late (up to 200 others overtake them) and a tenth doubled. What is handed over is counted instead of going to Temporal.
Then both books are compared: each item as its history tells it now, which event had an effect and how often, the edges
of all chains, and how many rows ended in which state. Any difference ends it with an error.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from bench.lives import ORGANISATION, PROJECT, disordered, lives
from bench.results import Figure, show
from pointsman.contracts.policy import Policy, ScopeRule
from pointsman.contracts.records import Caller, Chain, DeliveryState, NewDelivery
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.domain.chains import edges_told
from pointsman.domain.deliveries import read_bytes
from pointsman.domain.history import Standing, standing_at
from pointsman.observability import logs
from pointsman.observability.metrics import Metrics
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.tables import ChainEdge, InboxRow, col
from starter import history
from starter.dispatcher import Dispatcher
from starter.judging import HandOver

AT_ONCE = 64
POLL_SECONDS = 0.01
END = datetime(9999, 1, 1, tzinfo=UTC)
TENANT = "default"
Edges = frozenset[tuple[str, str, str, bool]]


@dataclass(frozen=True)
class Books:
    """What deliveries have left, without what names a single delivery or a moment of arrival."""

    items: dict[int, tuple[object, ...]]
    """Each item as its history tells it: fields, revision, links, comments, whether it is deleted."""
    effects: dict[str, int]
    """How often each event was handed over."""
    edges: Edges
    states: dict[str, int]
    """Rows by state, without duplicates."""
    duplicates: int = field(compare=False)
    rows: int = field(compare=False)
    seconds: float = field(compare=False)

    def differences(self, other: "Books") -> list[str]:
        """Names of the parts that differ."""
        compared = [one.name for one in fields(self) if one.compare]
        return [name for name in compared if getattr(self, name) != getattr(other, name)]


class Handing:
    """Takes over what the dispatcher hands over, and takes the item in, as its workflow does first of all."""

    def __init__(self, items: Items) -> None:
        self._items = items
        self.effects: Counter[str] = Counter()
        self._taken_in: set[WorkItemKey] = set()

    async def deliver(self, what: HandOver) -> str:
        key, name = what.event.key, what.workflow_id
        if key not in self._taken_in:
            self._taken_in.add(key)
            chain = Chain(tenant=what.tenant, correlation_id=what.chain_id, key=key)
            facts = Facts(key=key, type="Task", title="")
            await self._items.take_in(facts, chain, Caller(workflow_id=name, run_id="r"))
        self.effects.update(event.idempotency_key for event in what.events)
        return name


def received(body: bytes) -> NewDelivery:
    """What the receiver makes of a body."""
    heard, given = read_bytes(body), new_id()
    return NewDelivery(
        id=given,
        received_at=datetime.now(UTC),
        tenant=TENANT,
        organisation=heard.organisation,
        event_type=heard.event_type,
        event_id=heard.event_id,
        subscription_id=heard.subscription_id,
        notification_id=heard.notification_id,
        idempotency_key=heard.idempotency_key,
        item_id=heard.item_id if heard.kind else 0,
        project=heard.project,
        body=body,
        state=DeliveryState.PENDING if heard.kind else DeliveryState.UNKNOWN,
        reason=heard.reason,
        edges=edges_told(heard, body, given),
    )


async def taken(bodies: Sequence[bytes], items: int, folder: Path) -> Books:
    """Keep and hand over all of them, and read what they left."""
    url = f"sqlite:///{folder}/pointsman.db"
    if not (folder / "pointsman.db").exists():
        await asyncio.to_thread(schema.upgrade, url)
    async with Store.open(url) as store:
        inbox, started = Inbox(store), time.perf_counter()
        async with dispatching(store, inbox) as (handing, dispatcher):
            for group in _groups(bodies):
                await asyncio.gather(*(inbox.accept(received(body)) for body in group))
                dispatcher.wake()
            while await inbox.find(state=DeliveryState.PENDING, limit=1):  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(POLL_SECONDS)
        seconds = time.perf_counter() - started
        return await _books(store, inbox, items, handing.effects, seconds)


@asynccontextmanager
async def dispatching(store: Store, inbox: Inbox) -> AsyncGenerator[tuple[Handing, Dispatcher]]:
    policy = Policy(version="1", scope=(ScopeRule(name="all"),))
    items = Items(store)
    handing = Handing(items)
    dispatcher = Dispatcher(inbox, Ledger(store), policy, handing.deliver, Metrics())
    task = asyncio.create_task(dispatcher.run())
    yield handing, dispatcher
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _groups(bodies: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (bodies[at : at + AT_ONCE] for at in range(0, len(bodies), AT_ONCE))


async def _books(store: Store, inbox: Inbox, items: int, effects: Counter[str], seconds: float) -> Books:
    row = select(col(InboxRow.state), col(InboxRow.id), col(InboxRow.idempotency_key))
    rows = await store.read(lambda session: [tuple(one) for one in session.execute(row)])
    keys = {f"event:{name}": key for _, name, key in rows}
    told = await store.read(lambda session: [_edge(one, keys) for one in session.scalars(select(ChainEdge))])
    states = Counter(state for state, _, _ in rows)
    duplicates = states.pop(DeliveryState.DUPLICATE, 0)
    books, ledger = Items(store), Ledger(store)
    standing = {}
    for number in range(1, items + 1):
        key = WorkItemKey(organisation=ORGANISATION, project=PROJECT, id=number)
        standing[number] = _plain(standing_at(await history.read(inbox, books, ledger, key), END))
    return Books(standing, dict(effects), latest(told), dict(states), duplicates, len(rows), seconds)


def _plain(stands: Standing) -> tuple[object, ...]:
    return stands.fields, stands.rev, sorted(stands.links), stands.comments, stands.deleted


def _edge(row: ChainEdge, keys: dict[str, str]) -> tuple[datetime, str, str, str, bool]:
    """With what an event is known by instead of its delivery."""
    return row.at, keys.get(row.cause, row.cause), keys.get(row.effect, row.effect), row.kind, row.removed


def latest(told: Iterable[tuple[datetime, str, str, str, bool]]) -> Edges:
    """Of several that tell of the same connection, the last by the event's own time; what our side tells has none."""
    last = {(cause, effect, kind): removed for _, cause, effect, kind, removed in sorted(told)}
    return frozenset((*connection, removed) for connection, removed in last.items() if connection[2] in OF_EVENTS)


OF_EVENTS = frozenset({"about", "related", "mentioned", "child", "linked"})


async def measure(deliveries: int, items: int, seed: int) -> tuple[Books, Books]:
    bodies = list(lives(deliveries, items))
    books = []
    for order in (bodies, disordered(bodies, random.Random(seed))):
        with tempfile.TemporaryDirectory(prefix="bench-disorder-") as folder:
            books.append(await taken(order, items, Path(folder)))
    plain, mixed = books
    return plain, mixed


def figures(plain: Books, mixed: Books, deliveries: int) -> list[Figure]:
    differences = mixed.differences(plain)
    twice = sum(count > 1 for books in (plain, mixed) for count in books.effects.values())
    return [
        Figure("distinct events", deliveries, ""),
        Figure("deliveries, disordered", mixed.rows, "", note=f"{mixed.duplicates} are duplicates"),
        Figure("items", len(plain.items), ""),
        Figure("events with an effect", len(mixed.effects), ""),
        Figure("events with two effects", twice, "", "0", twice == 0),
        Figure("edges of chains", len(mixed.edges), ""),
        Figure("parts of the books that differ", len(differences), "", "0", not differences, ", ".join(differences)),
        Figure("kept and handed over in order", plain.rows / plain.seconds, "rows/s"),
        Figure("  disordered", mixed.rows / mixed.seconds, "rows/s"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare what disordered deliveries leave with what ordered ones do.")
    parser.add_argument("--deliveries", type=int, default=2_000, help="distinct events; the long run has 50,000")
    parser.add_argument("--items", type=int, default=200, help="items that they are about")
    parser.add_argument("--seed", type=int, default=1, help="of lateness and doubles")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    logs.configure("error")
    plain, mixed = asyncio.run(measure(given.deliveries, given.items, given.seed))
    show("Disordered deliveries", figures(plain, mixed, given.deliveries), given.json)
    if differences := mixed.differences(plain):
        raise SystemExit(f"disordered deliveries left other books: {', '.join(differences)}")


if __name__ == "__main__":
    main()
