"""The traceability matrix of 20,000 items with histories: time and memory, beside only reading the same pages.

    python -m bench.matrix [--items 20000] [--json FILE]

The stand-in is a process of its own, and so is each contender, whose peak is what the kernel says of it. *Floor* asks
for the same pages, in the same order, and keeps nothing.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from pydantic import SecretStr

from bench.results import Figure, show
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.matrix_facts import MatrixReader
from pointsman.contracts.matrix import CodeKind, CodeLink, MatrixCoverage, MatrixScope
from pointsman.domain.matrix.coverage import counted
from pointsman.domain.matrix.shapes import shape_of
from pointsman.sandbox.azure_devops import create_app, large_config
from pointsman.sandbox.serving import hosting
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.matrix import MatrixGraph
from starter.cli.matrix_forms import About, Excel, Form
from starter.cli.matrix_page import Page
from starter.matrix import all_rows, refresh
from starter.matrix_reading import ITEMS_AT_ONCE, MatrixReading

ORGANISATION, PROJECT = "fabrikam", "Fabrikam"
SCOPE = MatrixScope(tenant="default", organisation=ORGANISATION, project=PROJECT)
SHAPE = shape_of("CMMI")
KIB_PER_MIB = 1024
# Twice the floor would mean that building costs as much as reading; most of the floor is the stand-in's own work.
RATIO_GOAL = 1.5
PEAK_GOAL = 1.25
TENTH = 10
Told = dict[str, float]
Contender = Callable[[AzureDevOps, Path], Awaitable[Told]]


async def floor(client: AzureDevOps, folder: Path) -> Told:
    """The same pages as a first reading, and nothing of them kept but the ids that the next request needs."""
    reader, began = MatrixReader({ORGANISATION: client}), time.perf_counter()
    ids, token, is_last = list[int](), "", False
    while not is_last:
        items = await reader.items(ORGANISATION, PROJECT, token)
        ids += [one.id for one in items.items]
        token, is_last = items.token, items.is_last
    token, is_last = "", False
    while not is_last:
        links = await reader.links(ORGANISATION, PROJECT, token)
        token, is_last = links.token, links.is_last
    requests: dict[str, CodeLink] = {}
    for start in range(0, len(ids), ITEMS_AT_ONCE):
        for held in (await reader.code(ORGANISATION, ids[start : start + ITEMS_AT_ONCE])).values():
            requests |= {one.name: one for one in held if one.kind is CodeKind.PULL_REQUEST}
    async for _ in reader.requests(ORGANISATION, list(requests.values())):
        pass
    async for _ in reader.builds(ORGANISATION, PROJECT, None):
        pass
    async for _ in reader.outcomes(ORGANISATION, PROJECT, None):
        pass
    return {"items": len(ids), "seconds": time.perf_counter() - began}


async def ours(client: AzureDevOps, folder: Path) -> Told:
    """A first reading, a second, and all rows three times: counted, as a page, as a workbook."""
    async with _graph(folder) as graph:
        reading = MatrixReading(MatrixReader({ORGANISATION: client}), graph)
        told: Told = {}
        for name in ("seconds", "second"):
            with _timed(told, name):
                async for _ in refresh(reading, SCOPE):
                    pass
        with _timed(told, "rows"):
            coverage = await _rows(graph, None)
        told |= {"count": coverage.rows, "read_peak": peak()}
        with (folder / "matrix.html").open("w", encoding="utf-8") as out, _timed(told, "html"):
            await _rows(graph, Page(out))
        with _timed(told, "xlsx"):
            await _rows(graph, Excel(folder / "matrix.xlsx"))
        return told


TURNS = ("floor", "ours", "floor")
"""The floor before and behind, so that a load that rises or falls meanwhile meets both."""
CONTENDERS: dict[str, Contender] = {"floor": floor, "ours": ours}


async def _rows(graph: MatrixGraph, form: Form | None) -> MatrixCoverage:
    assert SHAPE is not None, "CMMI is known"
    coverage = MatrixCoverage()
    if form:
        form.begin(About(ORGANISATION, PROJECT, "CMMI", None))
    async for row in all_rows(graph, SCOPE, SHAPE):
        coverage = counted(coverage, row)
        if form:
            form.row(row)
    if form:
        form.end(coverage)
    return coverage


@asynccontextmanager
async def _graph(folder: Path) -> AsyncGenerator[MatrixGraph]:
    url = f"sqlite:///{folder}/matrix.db"
    schema.upgrade(url)
    async with Store.open(url) as store:
        yield MatrixGraph(store)


@contextmanager
def _timed(told: Told, name: str) -> Generator[None]:
    began = time.perf_counter()
    yield
    told[name] = time.perf_counter() - began


def peak() -> float:
    """MiB that this process has held at most."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held / KIB_PER_MIB / (KIB_PER_MIB if sys.platform == "darwin" else 1)


async def compete(name: str, url: str, token: str) -> None:
    """One contender, in this process; prints what came of it."""
    begun = peak()
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        async with AzureDevOps(f"{url}/{ORGANISATION}", SecretStr(token)) as client:
            told = await CONTENDERS[name](client, Path(folder))
    print(json.dumps({**told, "begun": begun, "peak": peak()}))


async def serve(items: int, token: str) -> None:
    """The stand-in with so many items, until nobody listens any more."""
    async with hosting(create_app(large_config(SecretStr(f"person-{token}"), SecretStr(token), items))) as url:
        print(url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


def measured(items: int) -> dict[str, Told]:
    """What became of each contender, one after the other, at a stand-in of their own."""
    token = f"bench-{items}"
    command = [sys.executable, "-m", "bench.matrix", "--items", str(items), "--token", token]
    with subprocess.Popen([*command, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as stand_in:
        assert stand_in.stdin is not None, "it is a pipe"
        assert stand_in.stdout is not None, "it is a pipe"
        url = stand_in.stdout.readline().strip()
        found = {}
        for place, name in enumerate(TURNS):
            done = subprocess.run([*command, "--compete", name, "--url", url], check=True, stdout=subprocess.PIPE)
            found[f"{name} {place}"] = json.loads(done.stdout)
        stand_in.stdin.close()
    first, ours, last = found.values()
    middle = (first["seconds"] + last["seconds"]) / 2
    return {"floor": {**first, "seconds": middle}, "ours": ours}


def figures(items: int, found: dict[str, Told], tenth: dict[str, Told]) -> list[Figure]:
    reading, mine = found["floor"], found["ours"]
    ratio, growth = mine["seconds"] / reading["seconds"], mine["read_peak"] / tenth["ours"]["read_peak"]
    return [
        Figure("floor: read the same pages", reading["seconds"], "s", note="before and behind, the middle"),
        Figure("read and keep", mine["seconds"], "s"),
        Figure("  against the floor", ratio, "ratio", f"< {RATIO_GOAL:g}", ratio < RATIO_GOAL, "same run"),
        Figure("  items per second", items / mine["seconds"], "items/s"),
        Figure("read again, nothing changed", mine["second"], "s"),
        Figure("all rows, with gaps and coverage", mine["rows"], "s", note=f"{mine['count']:,.0f} rows"),
        Figure("  as an HTML page", mine["html"], "s"),
        Figure("  as an Excel file", mine["xlsx"], "s"),
        Figure("peak before", mine["begun"], "MiB", note="what is imported"),
        Figure("peak of the floor", reading["peak"], "MiB"),
        Figure("peak of reading and of all rows", mine["read_peak"], "MiB"),
        Figure("  of a tenth of the items", tenth["ours"]["read_peak"], "MiB"),
        Figure("  against a tenth", growth, "ratio", f"< {PEAK_GOAL:g}", growth < PEAK_GOAL, "bounded memory"),
        Figure("peak with page and workbook", mine["peak"], "MiB"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the traceability matrix.")
    parser.add_argument("--items", type=int, default=20_000, help="items of the project")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--serve", action="store_true", help="be the stand-in")
    parser.add_argument("--compete", choices=CONTENDERS, help="be a contender")
    parser.add_argument("--url", default="")
    parser.add_argument("--token", default="")
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve(given.items, given.token))
    elif given.compete:
        asyncio.run(compete(given.compete, given.url, given.token))
    else:
        tenth = measured(max(given.items // TENTH, 1))
        found = measured(given.items)
        show(f"Traceability matrix of {given.items:,} items", figures(given.items, found, tenth), given.json)


if __name__ == "__main__":
    main()
