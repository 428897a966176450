"""How soon an acknowledged delivery runs: 20 deliveries a second of new items, while 1,000 items are open.

    python -m bench.promptness [--items 1000] [--seconds 30] [--json FILE]

Temporal, the stand-ins and `pointsman serve` are processes of their own. The open items wait for a human, because no
rule routes their type. Deliveries are posted to the receiver as the service posts them; each is measured from its
answer 202 to two moments that its workflow's history names: the start, and the end of its first workflow task.
"""

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from bench.processor import cpu_seconds
from bench.results import Figure, quantile, show
from pointsman.contracts.work_items import WorkItemKey
from starter import work_items
from starter.demo.outside import Outside, until
from starter.demo.processes import Stage

PER_SECOND = 20
AT_ONCE = 8
OPEN_PATIENCE_SECONDS = 1_200.0
P99_GOAL_SECONDS = 2.0
DESCRIPTION_CHARS = 3_500
QUIET_TYPE = "Task"
"""In scope, and routed by no rule of the built-in policy."""
RUNNING = "WorkflowType = '{}' AND ExecutionStatus = 'Running'"


@dataclass
class Field:
    """A running stage, and who acts on it."""

    stage: Stage
    outside: Outside
    client: Client
    http: aiohttp.ClientSession
    acknowledged: dict[int, datetime] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)
    """Statuses other than 202."""

    async def file(self, count: int, type_name: str = QUIET_TYPE) -> list[int]:
        """Create items in the stand-in. Nobody is subscribed, so nothing is delivered by itself."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> int:
            async with gate:
                return await self.outside.file(type_name, f"Crane {number} stops at noon", description(number))

        return list(await asyncio.gather(*(one(number) for number in range(count))))

    async def post(self, item: int, type_name: str = QUIET_TYPE) -> None:
        """Deliver the item's creation, and note when it was acknowledged."""
        body = created(self.stage, item, type_name)
        async with self.http.post(f"{self.stage.web_url}/webhooks/azure-devops", data=body) as answer:
            await answer.read()
            if answer.status == 202:
                self.acknowledged[item] = datetime.now(UTC)
            else:
                self.refused.append(answer.status)

    async def running(self, workflow_type: str) -> int:
        return (await self.client.count_workflows(RUNNING.format(workflow_type))).count

    def workflow_id(self, item: int) -> str:
        stage = self.stage
        return work_items.workflow_id(WorkItemKey(organisation=stage.organisation, project=stage.project, id=item))


def description(number: int) -> str:
    line = f"Crane {number} stops, and starts again by itself. "
    return line * (DESCRIPTION_CHARS // len(line))


def created(stage: Stage, item: int, type_name: str) -> bytes:
    """`workitem.created` as large as real ones."""
    fields = {
        "System.AreaPath": stage.project,
        "System.TeamProject": stage.project,
        "System.WorkItemType": type_name,
        "System.State": "New",
        "System.Title": f"Crane {item} stops at noon",
        "System.CreatedBy": "Ada Holm <ada@fabrikam.example>",
        "System.ChangedBy": "Ada Holm <ada@fabrikam.example>",
        "System.Description": description(item),
        **{f"Custom.Field{index}": f"value {index}" for index in range(30)},
    }
    base = f"{stage.azure_url}/{stage.organisation}/"
    document = {
        "subscriptionId": "7d1f0c55-2222-4333-8444-555566667777",
        "notificationId": item,
        "id": f"c0ffee00-3333-4444-8555-{item:012d}",
        "eventType": "workitem.created",
        "publisherId": "tfs",
        "message": {"text": f"{type_name} #{item} created"},
        "resource": {"id": item, "rev": 1, "fields": fields, "url": f"{base}_apis/wit/workItems/{item}"},
        "resourceVersion": "1.0",
        "resourceContainers": {"collection": {"baseUrl": base}, "account": {"baseUrl": base}},
    }
    return json.dumps(document).encode()


@asynccontextmanager
async def playing_field(folder: Path) -> AsyncGenerator[Field]:
    """Everything started and ready, and stopped at the end."""
    stage = Stage(folder, live=False)
    try:
        await stage.start(lambda line: None)
        assert stage.temporal is not None, "the stage has started"
        headers = {"Authorization": aiohttp.encode_basic_auth("pointsman", stage.hook_secret)}
        async with Outside(stage) as outside, aiohttp.ClientSession(headers=headers) as http:
            yield Field(stage, outside, await stage.temporal.connect(), http)
    finally:
        await stage.stop()


async def open_items(ground: Field, count: int) -> float:
    """Deliver so many, and return once each waits for a human. Returns the seconds that it took."""
    items = await ground.file(count)
    began = time.perf_counter()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(item: int) -> None:
        async with gate:
            await ground.post(item)

    await asyncio.gather(*(one(item) for item in items))

    async def all_wait() -> bool | None:
        ground.stage.pointsman.check()
        return True if await ground.running("ResolveEscalation") >= count else None

    await until(f"{count} items that wait for a human", all_wait, OPEN_PATIENCE_SECONDS)
    return time.perf_counter() - began


async def steady(items: Iterable[int], post: Callable[[int], Coroutine[None, None, None]]) -> None:
    """A fixed rate, whatever the receiver does."""
    begin = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number, item in enumerate(items):
            await asyncio.sleep(max(0.0, begin + number / PER_SECOND - time.perf_counter()))
            tasks.create_task(post(item))


async def moments(ground: Field, item: int) -> tuple[datetime, datetime]:
    """When the item's workflow was started, and when its first workflow task was done."""

    async def seen() -> tuple[datetime, datetime] | None:
        history = await ground.client.get_workflow_handle(ground.workflow_id(item)).fetch_history()
        done = _at(history.events, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
        started = _at(history.events, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
        return (started, done) if started and done else None

    return await until(f"the first task of item {item}", seen)


def _at(events: Sequence[HistoryEvent], wanted: EventType.ValueType) -> datetime | None:
    """The time of the first event of that type."""
    first = next((event for event in events if event.event_type == wanted), None)
    return first.event_time.ToDatetime(UTC) if first else None


async def measure(count: int, seconds: float) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bench-promptness-") as name:
        async with playing_field(Path(name)) as ground:
            spent = cpu_seconds(ground.stage.pointsman.pid)
            opening = await open_items(ground, count)
            spent = cpu_seconds(ground.stage.pointsman.pid) - spent
            fresh = await ground.file(int(seconds * PER_SECOND))
            open_before = await ground.running("DeliverWorkItem")
            await steady(fresh, ground.post)
            arrived = [item for item in fresh if item in ground.acknowledged]
            await until("the last of them", lambda: _all_started(ground, count + len(arrived)))
            seen = [(ground.acknowledged[item], *await moments(ground, item)) for item in arrived]
    return figures(open_before, opening, spent / count, len(ground.refused), seen)


async def _all_started(ground: Field, count: int) -> bool | None:
    return True if await ground.running("DeliverWorkItem") >= count else None


def figures(
    open_before: int,
    opening: float,
    item_cpu_seconds: float,
    refused: int,
    seen: Sequence[tuple[datetime, datetime, datetime]],
) -> list[Figure]:
    starts = [max(0.0, (started - acknowledged).total_seconds()) for acknowledged, started, _ in seen]
    firsts = [max(0.0, (first - acknowledged).total_seconds()) for acknowledged, _, first in seen]
    start_p99, first_p99 = quantile(starts, 0.99), quantile(firsts, 0.99)
    goal = f"< {P99_GOAL_SECONDS:g}"
    return [
        Figure("open items", open_before, "items", note="each waits for a human"),
        Figure("opened at", open_before / opening, "items/s", note="from the first delivery to the last question"),
        Figure("processor of serve", item_cpu_seconds * 1000, "ms/item", note="to its question, web and worker in one"),
        Figure("deliveries", len(seen), "", note=f"{PER_SECOND} a second, each of a new item"),
        Figure("refused", refused, "", "0", refused == 0),
        Figure("202 to started workflow, p50", quantile(starts, 0.5), "s"),
        Figure("  p99", start_p99, "s", goal, start_p99 < P99_GOAL_SECONDS),
        Figure("  p99 / goal", start_p99 / P99_GOAL_SECONDS, "ratio"),
        Figure("202 to first task done, p50", quantile(firsts, 0.5), "s", note="a worker has run it"),
        Figure("  p99", first_p99, "s", goal, first_p99 < P99_GOAL_SECONDS),
        Figure("  p99 / goal", first_p99 / P99_GOAL_SECONDS, "ratio"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how soon an acknowledged delivery runs.")
    parser.add_argument("--items", type=int, default=1_000, help="items that are open meanwhile")
    parser.add_argument("--seconds", type=float, default=30.0, help=f"for so long, {PER_SECOND} deliveries a second")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    found = asyncio.run(measure(given.items, given.seconds))
    show(f"Promptness at {PER_SECOND} deliveries a second", found, given.json)


if __name__ == "__main__":
    main()
