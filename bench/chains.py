"""What correlation costs for each event: the inbox with and without edges, in one run and in turns.

A delivery is read as the receiver reads it, and kept with its audit event, the sequencer beside it. *Without* stops
there. *Mixed* also tells edges as the product does: of 20 events, 17 change fields, two change links, one is a push of
two commits that mention an item. *Links* is the worst case: every event changes two links.

    python -m bench.chains [--seconds 24] [--clients 64] [--json FILE]
"""

import argparse
import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from bench.inbox import ITEMS, Measured, ours
from bench.results import Figure, quantile, show
from pointsman.contracts.base import Json
from pointsman.contracts.records import NewDelivery
from pointsman.domain.chains import edges_told
from pointsman.domain.deliveries import read_bytes
from pointsman.store.ids import new_id

BODY_BYTES = 4096
ROUNDS = 3
# A tenth is what an event of some microseconds may cost more without anybody noticing.
RATIO_GOAL = 1.1
BASE: Json = {"collection": {"baseUrl": "https://dev.azure.com/fabrikam/"}}
LINK = "https://dev.azure.com/fabrikam/_apis/wit/workItems/"

Make = Callable[[int], bytes]
Accept = Callable[[NewDelivery], Awaitable[object]]


def update(number: int, links: int = 0) -> bytes:
    """A change of a field, or of so many links."""
    item = number % ITEMS + 1
    changed: Json = {"System.Title": {"oldValue": "a", "newValue": f"b{number}"}}
    added: Json = [
        {"rel": "System.LinkTypes.Related", "url": f"{LINK}{(item + 1 + at) % ITEMS + 1}"} for at in range(links)
    ]
    resource: Json = {
        "id": number,
        "workItemId": item,
        "rev": number,
        "fields": changed if not links else None,
        "relations": {"added": added} if links else None,
        "revision": {"id": item, "fields": {"System.TeamProject": "rail", "System.Description": "x" * BODY_BYTES}},
    }
    return _body("workitem.updated", resource)


def push(number: int) -> bytes:
    commits: Json = [
        {"commitId": f"{number * 2 + at:040x}", "comment": f"Mend it #{number % ITEMS + 1}"} for at in (1, 2)
    ]
    return _body("git.push", {"commits": commits, "pushId": number, "filler": "x" * BODY_BYTES})


def mixed(number: int) -> bytes:
    if number % 20 == 0:
        return push(number)
    return update(number, links=1 if number % 20 in (1, 2) else 0)


def _body(event_type: str, resource: Json) -> bytes:
    told = {"id": new_id(), "eventType": event_type, "resource": resource, "resourceContainers": BASE}
    return json.dumps(told).encode()


def received(body: bytes, *, with_edges: bool) -> NewDelivery:
    """What the receiver makes of a body."""
    heard, given = read_bytes(body), new_id()
    return NewDelivery(
        id=given,
        received_at=datetime.now(UTC),
        tenant="default",
        organisation=heard.organisation,
        event_type=heard.event_type,
        event_id=heard.event_id,
        idempotency_key=f"{given}:{heard.idempotency_key}",
        item_id=heard.item_id,
        project=heard.project,
        body=body,
        edges=edges_told(heard, body, given) if with_edges else (),
    )


async def load(
    accept: Accept, bodies: Sequence[bytes], clients: int, seconds: float, measured: Measured, *, with_edges: bool
) -> None:
    """So many callers, each with one delivery under way at a time; the time of reading a body is counted."""
    loop = asyncio.get_running_loop()
    end, numbers = loop.time() + seconds, count()

    async def client() -> None:
        while (started := loop.time()) < end:
            await accept(received(bodies[next(numbers) % len(bodies)], with_edges=with_edges))
            measured.waits.append(loop.time() - started)

    started = loop.time()
    await asyncio.gather(*[client() for _ in range(clients)])
    measured.seconds += loop.time() - started


async def measure(clients: int, seconds: float) -> dict[str, Measured]:
    """All contenders in turns, so that what else runs on the machine meets each; each pair has the same bodies."""
    kinds: dict[str, Make] = {"mixed": mixed, "links": lambda number: update(number, links=2)}
    bodies = {name: [make(number) for number in range(1, 2_001)] for name, make in kinds.items()}
    found = {f"{name}, {how}": Measured() for name in kinds for how in ("without", "with")}
    for _ in range(ROUNDS):
        for name in kinds:
            for how in ("without", "with"):
                with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
                    async with ours(Path(folder)) as accept:
                        share = seconds / ROUNDS / len(found)
                        measured = found[f"{name}, {how}"]
                        await load(accept, bodies[name], clients, share, measured, with_edges=how == "with")
    return found


def figures(found: dict[str, Measured]) -> list[Figure]:
    rows = []
    for name in ("mixed", "links"):
        without, with_edges = found[f"{name}, without"], found[f"{name}, with"]
        ratio = without.rows_per_second / with_edges.rows_per_second
        more = (1 / with_edges.rows_per_second - 1 / without.rows_per_second) * 1e6
        is_usual = name == "mixed"
        rows += [
            Figure(f"{name}: without edges", without.rows_per_second, "events/s"),
            Figure(f"{name}: with edges", with_edges.rows_per_second, "events/s"),
            Figure("  p99 without", quantile(without.waits, 0.99) * 1000, "ms"),
            Figure("  p99 with", quantile(with_edges.waits, 0.99) * 1000, "ms"),
            Figure("  more for each event", more, "us"),
            Figure(
                "  time with / without",
                ratio,
                "ratio",
                f"< {RATIO_GOAL:g}" if is_usual else "",
                ratio < RATIO_GOAL if is_usual else None,
                "same run, in turns",
            ),
        ]
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what edges cost for each event.")
    parser.add_argument("--seconds", type=float, default=24.0, help="for all contenders together")
    parser.add_argument("--clients", type=int, default=64, help="callers that wait at the same time")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.clients, arguments.seconds))
    show(f"Correlation: bodies of {BODY_BYTES} bytes, {arguments.clients} callers", figures(found), arguments.json)


if __name__ == "__main__":
    main()
