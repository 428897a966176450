"""How long Pointsman takes to start, and the memory that it holds.

    python -m bench.startup [--rounds 3] [--json FILE]

Beside it, in the same run: an interpreter that only imports what no program of this kind can do without.
"""

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

from bench.promptness import Field, playing_field
from bench.results import Figure, show
from pointsman.temporal import TASK_QUEUE
from starter.demo.outside import until
from starter.demo.processes import surroundings

FLOOR = "import temporalio.client, temporalio.worker, fastapi, uvicorn"
FLOOR_ROUNDS = 5
POLL_SECONDS = 0.02
ITEMS = 20
AGENTS_TYPE = "Bug"
KIB_PER_MIB = 1024


def seconds_of(command: list[str], environment: Mapping[str, str] | None = None) -> float:
    """The middle of some runs, the first of which only warms the disk's cache."""
    took = []
    for _ in range(FLOOR_ROUNDS + 1):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)
        took.append(time.perf_counter() - began)
    return statistics.median(took[1:])


def seconds_of_commands(ground: Field) -> dict[str, float]:
    """How long people wait for a command line: help, and a list of the items while the service runs."""
    environment = {**surroundings(), **ground.stage.pointsman.environment}
    program = [sys.executable, "-m", "starter.cli.app"]
    return {words: seconds_of([*program, *words.split()], environment) for words in ("--help", "items list")}


def floor_memory() -> float:
    """MiB of an interpreter after the imports of the floor."""
    command = [sys.executable, "-c", f"{FLOOR}; print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None, "it is a pipe"
        process.stdout.readline()
        held = memory(process.pid)[0]
        process.communicate(b"\n")
    return held


def memory(pid: int) -> tuple[float, float]:
    """Resident MiB of the process, and of those that it started."""
    told = subprocess.run(["ps", "-axo", "pid=,ppid=,rss="], check=True, capture_output=True, text=True).stdout
    rows = [tuple(map(int, line.split())) for line in told.splitlines()]
    held = {process: kib / KIB_PER_MIB for process, _, kib in rows}
    children: dict[int, list[int]] = defaultdict(list)
    for process, parent, _ in rows:
        children[parent].append(process)

    def below(process: int) -> float:
        return sum(held[child] + below(child) for child in children[process])

    return held[pid], below(pid)


async def start(ground: Field, data: Path) -> tuple[float, float]:
    """Seconds from spawning `pointsman serve` to ready, and to its first poll for work."""
    stage = ground.stage
    await asyncio.to_thread(stage.pointsman.stop)
    stage.pointsman.environment = {**stage.pointsman.environment, "POINTSMAN_DATA_DIR": str(data)}
    began = time.perf_counter()
    stage.pointsman.start()

    ready, polls = await asyncio.gather(_since(began, _ready, ground), _since(began, _polls, ground))
    return ready, polls


async def _since(began: float, happened: Callable[[Field], Awaitable[bool]], ground: Field) -> float:
    while not await happened(ground):
        ground.stage.pointsman.check()
        await asyncio.sleep(POLL_SECONDS)
    return time.perf_counter() - began


async def _ready(ground: Field) -> bool:
    try:
        async with ground.http.get(f"{ground.stage.web_url}/health/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


async def _polls(ground: Field) -> bool:
    """Whether the server knows a poller of this very process."""
    request = DescribeTaskQueueRequest(
        namespace=ground.client.namespace,
        task_queue=TaskQueue(name=TASK_QUEUE),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
    )
    told = await ground.client.workflow_service.describe_task_queue(request)
    return any(poller.identity.startswith(f"{ground.stage.pointsman.pid}@") for poller in told.pollers)


async def work(ground: Field) -> None:
    """Let agents work on items, with tools, to their end."""
    for item in await ground.file(ITEMS, AGENTS_TYPE):
        await ground.post(item, AGENTS_TYPE)
    await until(f"the end of {ITEMS} items", lambda: _ended(ground))


async def _ended(ground: Field) -> bool | None:
    query = "WorkflowType = 'DeliverWorkItem' AND ExecutionStatus != 'Running'"
    return True if (await ground.client.count_workflows(query)).count >= ITEMS else None


async def measure(rounds: int) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-startup-") as name:
        folder = Path(name)
        async with playing_field(folder) as ground:
            first = [await start(ground, folder / f"data-{number}") for number in range(rounds)]
            again = [await start(ground, folder / "data-0") for _ in range(rounds)]
            idle = memory(ground.stage.pointsman.pid)
            await work(ground)
            worked = memory(ground.stage.pointsman.pid)
            commands = await asyncio.to_thread(seconds_of_commands, ground)
    floor = seconds_of([sys.executable, "-c", FLOOR])
    return figures(first, again, (idle, worked), (floor, floor_memory()), commands)


def figures(
    first: list[tuple[float, float]],
    again: list[tuple[float, float]],
    held: tuple[tuple[float, float], tuple[float, float]],
    floor: tuple[float, float],
    commands: Mapping[str, float],
) -> list[Figure]:
    (idle, _), (worked, tools) = held
    floor_seconds, floor_mib = floor
    ready, polls = (statistics.median(column) for column in zip(*again, strict=True))
    ready_first, polls_first = (statistics.median(column) for column in zip(*first, strict=True))
    return [
        Figure("imports alone", floor_seconds, "s", note=FLOOR),
        Figure("serve until ready", ready, "s", note="database as it was left"),
        Figure("  / imports alone", ready / floor_seconds, "ratio"),
        Figure("  until its first poll", polls, "s"),
        Figure("serve until ready, first start", ready_first, "s", note="creates its database"),
        Figure("  until its first poll", polls_first, "s"),
        *(Figure(f"pointsman {words}", seconds, "s") for words, seconds in commands.items()),
        Figure("memory of the imports alone", floor_mib, "MiB", note="resident"),
        Figure("memory of serve, ready", idle, "MiB"),
        Figure("  / imports alone", idle / floor_mib, "ratio"),
        Figure(f"memory of serve after {ITEMS} items", worked, "MiB", note="agents, models and tools at work"),
        Figure("  of its tool server", tools, "MiB", note="a process of its own"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure start-up time and memory.")
    parser.add_argument("--rounds", type=int, default=3, help="starts of each kind; the middle one counts")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    show("Start-up", asyncio.run(measure(given.rounds)), given.json)


if __name__ == "__main__":
    main()
