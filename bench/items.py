"""What an item costs: items per second beside bare workflows, events beside their floor, bytes of a long turn.

    python -m bench.items [--items 90] [--json FILE]

Real workflows and activities on a real dev server; model, tracker and people are in memory, so that only our own
share and Temporal's is measured.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.turns import Turns
from bench.bare import BareItem, BareTurn, nothing
from bench.results import Figure, show
from pointsman import temporal
from pointsman.contracts.policy import Limits
from pointsman.contracts.work_items import EventKind, WorkItemEvent, WorkItemKey
from pointsman.store import schema
from pointsman.store.attempts import Attempts
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.transcripts import Transcripts
from pointsman.temporal import activities_of
from pointsman.temporal_server import DevServer
from starter import work_items
from tests import servers
from tests.workflows.rig import Rig, policy
from tests.worlds import answer, calls, served

AT_ONCE = 20
WARM_UP = AT_ONCE
ROUNDS = 3
TURN_CALLS = 60
CONVERSATION_BYTES = 400_000
RATE_MIN, EVENTS_MAX, HISTORY_MB_MAX, STORE_MB_MAX = 0.8, 1.15, 0.7, 0.4
# Events beside those that the floor names: an upsert is one, a marker of a local activity is one.
FLOOR = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: 3,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: 1,
    EventType.EVENT_TYPE_TIMER_STARTED: 2,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: 2,
    EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED: 9,
    EventType.EVENT_TYPE_MARKER_RECORDED: 1,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: 1,
}
# A stage ends where the workflow has to wait for one of these.
STAGES = (
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
)


Run = Callable[[int], Awaitable[None]]
"""Runs the item of that number to its end."""


@dataclass
class Pace:
    """What one contender did over all rounds."""

    items: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    """Of this process, which is worker and client; the server's is not in it."""

    @property
    def per_second(self) -> float:
        return self.items / self.seconds

    @property
    def cpu_ms(self) -> float:
        return 1_000 * self.cpu_seconds / self.items


@asynccontextmanager
async def _bare(client: Client) -> AsyncGenerator[Run]:
    queue = f"bare-{uuid4()}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[BareItem, BareTurn],
        activities=[nothing],
        workflow_runner=temporal.workflow_runner(),
    ):

        async def one(number: int) -> None:
            handle = await client.start_workflow(
                BareItem.run,
                number,
                id=f"{queue}-{number}",
                task_queue=queue,
                start_signal="deliver",
                start_signal_args=[1],
            )
            await handle.result()

        yield one


@asynccontextmanager
async def _ours(rig: Rig) -> AsyncGenerator[Run]:
    async with rig.worker():

        async def one(number: int) -> None:
            await deliver(rig, number)
            await rig.client.get_workflow_handle(work_items.workflow_id(_key(rig, number))).result()

        yield one


async def _paces(env: WorkflowEnvironment, count: int) -> tuple[Pace, Pace, list[HistoryEvent]]:
    """Bare items and ours in turns, so that what else runs on the machine meets both; and one item's events."""
    bare, ours = Pace(), Pace()
    rig = await Rig(env, (answer(tags=["triaged"]),), policy()).prompt()
    async with _bare(env.client) as run_bare, _ours(rig) as run_ours:
        for run in (run_bare, run_ours):
            await _measured(run, range(WARM_UP), Pace())
        each = max(1, count // ROUNDS)
        for number in range(ROUNDS):
            numbers = range(WARM_UP + number * each, WARM_UP + (number + 1) * each)
            await _measured(run_bare, numbers, bare)
            await _measured(run_ours, numbers, ours)
    return bare, ours, await _with_turn(env.client, work_items.workflow_id(_key(rig, WARM_UP)))


async def _measured(run: Run, numbers: Sequence[int], pace: Pace) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def bounded(number: int) -> None:
        async with gate:
            await run(number)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(bounded(number) for number in numbers))
    pace.items += len(numbers)
    pace.seconds += time.perf_counter() - started
    pace.cpu_seconds += time.process_time() - cpu


def _key(rig: Rig, number: int) -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project=rig.queue, id=number + 1)


async def deliver(rig: Rig, number: int) -> None:
    rig.tracker.add(number + 1)
    name = f"{rig.queue}-{number}"
    event = WorkItemEvent(
        delivery_id=name,
        idempotency_key=name,
        correlation_id=name,
        kind=EventKind.CREATED,
        key=_key(rig, number),
        rev=1,
    )
    await work_items.hand_over(rig.client, event, rig.policy, "default", name, task_queue=rig.queue)


async def _with_turn(client: Client, workflow_id: str) -> list[HistoryEvent]:
    """Events of an item's run and of the one turn in it."""
    item = await _events(client, workflow_id)
    (turn,) = (
        event.start_child_workflow_execution_initiated_event_attributes.workflow_id
        for event in item
        if event.event_type == EventType.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED
    )
    return [*item, *await _events(client, turn)]


async def _events(client: Client, workflow_id: str) -> list[HistoryEvent]:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return list(history.events)


def floor_of(events: Sequence[HistoryEvent]) -> int:
    """The events that these commands need at the least: 5 for a run, and 3 for each stage that it waits in.

    Commands of one workflow task are one stage. A run that ends does so in its last workflow task, which is counted.
    """
    commands = sum(FLOOR.get(event.event_type, 0) for event in events)
    runs = sum(event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED for event in events)
    waits = {
        event.activity_task_scheduled_event_attributes.workflow_task_completed_event_id
        or event.timer_started_event_attributes.workflow_task_completed_event_id
        for event in events
        if event.event_type in STAGES
    }
    return commands + 5 * runs + 3 * len(waits)


async def _long_turn(env: WorkflowEnvironment, folder: Path) -> tuple[int, int]:
    """Bytes of history and of store after one turn of many calls over a long conversation."""
    url = f"sqlite:///{folder / 'bench.db'}"
    schema.upgrade(url)
    piece = CONVERSATION_BYTES // (TURN_CALLS - 1) // 2  # said once by the model, once by the tool
    script = [
        calls(("known__look", {"page": number, "text": _text(number, piece)})) for number in range(TURN_CALLS - 1)
    ]
    limits = Limits(steps=TURN_CALLS + 1, tool_calls=TURN_CALLS, tokens=10_000_000)
    rig = await Rig(env, (*script, answer()), policy(limits=limits)).prompt()
    async with Store.open(url) as store:
        empty = _stored(folder)
        contents = Contents(store)
        for data in rig.contents.kept.values():
            await contents.put(data)
        turns = Turns(served(rig.model), rig.toolbox, Transcripts(store), _Both(rig, contents), Attempts(store))
        others = [one for one in rig.activities() if not _name(one).startswith("turns.")]
        async with rig.worker([*others, *activities_of(turns)]):
            await deliver(rig, 0)
            await rig.client.get_workflow_handle(work_items.workflow_id(rig.key)).result()
    history = await _events(env.client, f"{work_items.workflow_id(rig.key)}/turn-1")
    return sum(event.ByteSize() for event in history), _stored(folder) - empty


def _text(number: int, size: int) -> str:
    """Words that compress about as well as what tools return."""
    words = (
        f"item {number * 31 + place} in area {place % 7} was closed by person {place % 13}" for place in range(size)
    )
    return "; ".join(words.__next__() for _ in range(size // 45 + 1))[:size]


def _stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("bench.db"))


def _name(method: Callable[..., object]) -> str:
    return str(getattr(method, "__temporal_activity_definition").name)


class _Both:
    """Contents that the rig's other activities see too."""

    def __init__(self, rig: Rig, contents: Contents) -> None:
        self._rig = rig
        self._contents = contents

    async def put(self, data: bytes) -> str:
        await self._rig.contents.put(data)
        return await self._contents.put(data)

    async def get(self, digest: str) -> bytes:
        return await self._rig.contents.get(digest)


async def measure(server: DevServer, count: int) -> list[Figure]:
    env = WorkflowEnvironment.from_client(await server.connect())
    bare, ours, events = await _paces(env, count)
    with tempfile.TemporaryDirectory() as folder:
        history, stored = await _long_turn(env, Path(folder))
    floor = floor_of(events)
    ratio, spread = ours.per_second / bare.per_second, len(events) / floor
    return [
        Figure("bare items", bare.per_second, "items/s", note=f"{AT_ONCE} at once, same shape, all empty"),
        Figure("  processor", bare.cpu_ms, "ms/item", note="of worker and client"),
        Figure("our items", ours.per_second, "items/s", note="in turns with them"),
        Figure("  processor", ours.cpu_ms, "ms/item"),
        Figure("ratio", ratio, "", f">= {RATE_MIN}", ratio >= RATE_MIN),
        Figure("events of an item", len(events), "events", note="item and its turn"),
        Figure("their floor", floor, "events", note="from its own commands"),
        Figure("ratio", spread, "", f"<= {EVENTS_MAX}", spread <= EVENTS_MAX),
        Figure(
            f"history of {TURN_CALLS} calls",
            history / 1e6,
            "MB",
            f"<= {HISTORY_MB_MAX}",
            history <= HISTORY_MB_MAX * 1e6,
        ),
        Figure("store of them", stored / 1e6, "MB", f"<= {STORE_MB_MAX}", stored <= STORE_MB_MAX * 1e6),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a work item costs.")
    parser.add_argument("--items", type=int, default=90)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with servers.dev_server() as server:
        figures = asyncio.run(measure(server, given.items))
    show("Work items", figures, given.json)


if __name__ == "__main__":
    main()
