"""How fast deliveries are acknowledged over HTTP: `python -m bench.intake [--json FILE]`.

Two servers, one after the other, each a process of its own on a free loopback port: the receiver over a real store on
SQLite, and an endpoint of the same framework that only reads the body and answers 202. Each is measured twice: as many
as it takes with 32 connections, and how long an answer takes at a steady 200 a second.
"""

import argparse
import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import TypedDict

import aiohttp
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from pointsman.contracts.policy import Policy, ScopeRule
from pointsman.observability import logs
from pointsman.observability.metrics import Metrics
from pointsman.store import schema
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.standing import Standings
from starter.web.app import create_app, spare_the_collector
from starter.web.services import IntakeSettings, Services
from starter.web.webhooks import PATH

SECRET = "only-for-this-measurement"  # noqa: S105 - guards nothing: server and sender live for a minute -- pragma: allowlist secret
CONNECTIONS = 32
STEADY_PER_SECOND = 200
GOAL_P99_MS = 250.0
DESCRIPTION_CHARS = 3_500


class Measured(TypedDict):
    per_second: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    answers: int
    failures: int


Send = Callable[[bytes], Coroutine[None, None, bool]]


def bodies() -> Iterator[bytes]:
    """Deliveries as large as real ones, of one item each, so that none is a duplicate."""
    for number in count(1):
        fields = {
            "System.TeamProject": "Quay",
            "System.AreaPath": "Quay\\Cranes",
            "System.WorkItemType": "Bug",
            "System.Title": f"Crane {number} stops at noon",
            "System.ChangedBy": "Ada Holm <ada@harbour.example>",
            "System.Description": "It stops, and starts again by itself. " * (DESCRIPTION_CHARS // 38),
            **{f"Custom.Field{index}": f"value {index}" for index in range(30)},
        }
        resource = {"id": number, "rev": 1, "fields": fields, "url": f"https://dev.azure.com/harbour/_apis/{number}"}
        yield json.dumps(
            {
                "subscriptionId": "7d1f0c55-2222-4333-8444-555566667777",
                "notificationId": number,
                "id": f"c0ffee00-3333-4444-8555-{number:012d}",
                "eventType": "workitem.created",
                "message": {"text": f"Bug {number} created", "html": f"<b>Bug {number}</b> created"},
                "resource": resource,
                "resourceContainers": {"collection": {"baseUrl": "https://dev.azure.com/harbour/"}},
            }
        ).encode()


async def most(send: Send, seconds: float) -> Measured:
    """As many as it takes, each connection sending as soon as it is answered."""
    given, took = bodies(), list[float]()
    end = time.perf_counter() + seconds
    failures = 0

    async def connection() -> None:
        nonlocal failures
        while (started := time.perf_counter()) < end:
            failures += not await send(next(given))
            took.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(CONNECTIONS)))
    return _measured(took, failures, time.perf_counter() - started)


async def steady(send: Send, seconds: float) -> Measured:
    """A fixed rate whatever the server does; an answer's time counts from when the delivery was due to be sent."""
    given, took = bodies(), list[float]()
    failures = 0
    begin = time.perf_counter()

    async def one(due: float, body: bytes) -> None:
        nonlocal failures
        failures += not await send(body)
        took.append(time.perf_counter() - due)

    async with asyncio.TaskGroup() as tasks:
        for number in range(int(seconds * STEADY_PER_SECOND)):
            due = begin + number / STEADY_PER_SECOND
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(due, next(given)))
    return _measured(took, failures, time.perf_counter() - begin)


def _measured(took: list[float], failures: int, seconds: float) -> Measured:
    cuts = statistics.quantiles(took, n=100)
    return Measured(
        per_second=round(len(took) / seconds, 1),
        p50_ms=round(cuts[49] * 1000, 2),
        p99_ms=round(cuts[98] * 1000, 2),
        max_ms=round(max(took) * 1000, 2),
        answers=len(took),
        failures=failures,
    )


@asynccontextmanager
async def server(kind: str) -> AsyncGenerator[Send]:
    """The server as a process of its own, and how to send to it. Its state is ours to remove: it ends by a signal."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-intake-") as folder,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        command = [sys.executable, "-m", "bench.intake", "--serve", kind, "--folder", folder]
        command += ["--fd", str(listening.fileno())]
        process = subprocess.Popen(command, pass_fds=[listening.fileno()])  # noqa: ASYNC220 - returns at once
        url = f"http://127.0.0.1:{listening.getsockname()[1]}{PATH}"
        headers = {"Authorization": aiohttp.encode_basic_auth("pointsman", SECRET)}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(headers=headers, connector=connector) as session:

            async def send(body: bytes) -> bool:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    return answer.status == 202

            try:
                await send(b"{}")  # waits until the server takes connections over
                yield send
            finally:
                process.terminate()
                await asyncio.to_thread(process.wait)


def serve(kind: str, folder: Path, fd: int) -> None:
    """In the server's process."""
    logs.configure("error")
    app = bare() if kind == "bare" else ours(folder)
    spare_the_collector()
    config = uvicorn.Config(app, log_config=None, access_log=False)
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=fd)])


def bare() -> FastAPI:
    app = FastAPI()

    async def receive(request: Request) -> JSONResponse:
        return JSONResponse({"bytes": len(await request.body())}, 202)

    app.add_api_route(PATH, receive, methods=["POST"])
    return app


def ours(folder: Path) -> FastAPI:
    url = f"sqlite:///{folder}/pointsman.db"
    schema.upgrade(url)
    store = Store.open(url)
    services = Services(
        inbox=Inbox(store),
        audit=Audit(store),
        items=Items(store),
        escalations=Escalations(store),
        policy=Policy(version="1", scope=(ScopeRule(name="all"),)),
        intake=IntakeSettings(user="pointsman", secrets=(SecretStr(SECRET),), body_bytes_max=2_359_296),
        metrics=Metrics(),
        standing=Standings(store),
    )

    @asynccontextmanager
    async def closing(_: FastAPI) -> AsyncGenerator[None]:
        yield
        await store.close()

    return create_app(services, closing)


async def measure(seconds: float, rounds: int) -> dict[str, Measured]:
    """Servers take turns, so that whatever else the machine does hits both; the middle round counts."""
    steadies: dict[str, list[Measured]] = {"bare": [], "ours": []}
    mosts: dict[str, list[Measured]] = {"bare": [], "ours": []}
    for _ in range(rounds):
        for kind in steadies:
            async with server(kind) as send:
                await most(send, min(1.0, seconds))  # the first requests import and compile
                steadies[kind].append(await steady(send, seconds))
                mosts[kind].append(await most(send, seconds))
    results: dict[str, Measured] = {}
    for kind in steadies:
        results[f"{kind}, steady"] = sorted(steadies[kind], key=lambda row: row["p99_ms"])[rounds // 2]
        results[f"{kind}, most"] = sorted(mosts[kind], key=lambda row: row["per_second"])[rounds // 2]
    return results


def show(results: dict[str, Measured], body_bytes: int) -> None:
    print(f"Deliveries of {body_bytes} bytes; steady is {STEADY_PER_SECOND}/s, most has {CONNECTIONS} connections")
    print(f"{'':14}{'per s':>10}{'p50 ms':>10}{'p99 ms':>10}{'max ms':>10}{'failures':>10}")
    for name, row in results.items():
        numbers = f"{row['per_second']:>10.1f}{row['p50_ms']:>10.2f}{row['p99_ms']:>10.2f}{row['max_ms']:>10.2f}"
        print(f"{name:14}{numbers}{row['failures']:>10}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write the results here, too")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure; the middle round counts")
    parser.add_argument("--serve", choices=("bare", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.folder, given.fd)
        return 0
    results = asyncio.run(measure(given.seconds, given.rounds))
    body_bytes = len(next(bodies()))
    ratio = round(results["ours, most"]["per_second"] / results["bare, most"]["per_second"], 3)
    p99_ms = results["ours, steady"]["p99_ms"]
    held = p99_ms < GOAL_P99_MS and not any(row["failures"] for row in results.values())
    show(results, body_bytes)
    print(f"ratio to the bare endpoint: {ratio}")
    print(f"p99 at {STEADY_PER_SECOND}/s: {p99_ms} ms, goal below {GOAL_P99_MS:g} ms: {'held' if held else 'missed'}")
    if given.json:
        told = {
            "name": "intake",
            "body_bytes": body_bytes,
            "results": results,
            "ratio": ratio,
            "goal_p99_ms": GOAL_P99_MS,
        }
        given.json.write_text(json.dumps({**told, "p99_ms": p99_ms, "held": held}, indent=2) + "\n", encoding="utf-8")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
