"""What checks read of items they read once: counted at the service, and never older than was asked for."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.inspections import Inspections
from activities.process import ProcessChecks
from activities.rule_books import RuleBooks
from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.caching import Cache, CacheObserver, Kept, Key, MemoryLayer, Unwatched
from pointsman.clients.azure_devops.patches import add_relation, remove_relation, set_field
from pointsman.clients.azure_devops.process_facts import ITEM_AGE, LINKED_AGE, ProcessReader
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.contracts.violations import CheckCarry, CheckScope, CheckStep, Inspected, InspectItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.policies.process_graphs import load_graphs
from pointsman.policies.process_rules import load_processes
from pointsman.sandbox.azure_devops.config import Organisation, Project
from tests.books_process import MemoryViolations
from tests.sandbox.azure import SERVICE_TOKEN, Azure, at, azure_devops, config

FABRIKAM = Organisation(name="fabrikam", projects=(Project(name="Fabrikam", process="CMMI"),))
PARENT = "System.LinkTypes.Hierarchy-Reverse"
CMMI = load_processes()["cmmi"]


class Shelf(MemoryLayer):
    """What processes share: no values, only what can be written."""

    name = "store"

    async def get(self, key: Key) -> Kept | None:
        kept = await super().get(key)
        return kept and Kept(kept.read_at, kept.body, kept.rev)


class Counter(Unwatched):
    def __init__(self) -> None:
        self.ages: list[timedelta] = []
        self.calls = 0

    def found(self, kind: str, layer: str, age: timedelta) -> None:
        self.ages += [age] * (kind == "item")

    def saved(self, kind: str, calls: int) -> None:
        self.calls += calls * (kind == "item")


@dataclass
class Office:
    """Processes of ours at one service, each with a memory of its own, over one store. Time stands still between
    requests unless it is moved."""

    azure: Azure
    shelf: Shelf
    now: datetime = datetime(2026, 11, 21, tzinfo=UTC)

    def clock(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    @asynccontextmanager
    async def process(self, observer: CacheObserver | None = None) -> AsyncGenerator["Process"]:
        cache = Cache([MemoryLayer(), self.shelf], now=self.clock, observer=observer)
        async with AzureDevOps(self.azure.base_url, SecretStr(SERVICE_TOKEN), cache=cache) as client:
            yield Process(client)

    async def asked(self, work: Callable[[], Awaitable[object]]) -> dict[str, int]:
        """Requests about items that it took."""
        before = await self._requests()
        await work()
        after = await self._requests()
        return {name: count for name in after if (count := after[name] - before.get(name, 0))}

    async def _requests(self) -> dict[str, int]:
        told = at(await self.azure.control("GET", "counters"), "requests")
        assert isinstance(told, dict)
        names = {name.partition(" ")[0]: int(str(count)) for name, count in told.items() if name.endswith(" 200")}
        return {name.removeprefix("work_items."): n for name, n in names.items() if name.startswith("work_items.")}

    async def family(self, children: int = 2) -> tuple[WorkItem, list[WorkItem]]:
        """A requirement and its tasks."""
        parent = await self.azure.make("Requirement")
        tasks = [await self.azure.make("Task", f"Task {number}") for number in range(children)]
        for task in tasks:
            await self.azure.person.work_items.patch(task.id, [add_relation(PARENT, parent.url)])
        return parent, tasks


class Process:
    def __init__(self, client: AzureDevOps) -> None:
        self.client = client
        self.tracker = Tracker({"fabrikam": client})
        self.source = ProcessReader({"fabrikam": client})
        self.kept = MemoryViolations()
        books = RuleBooks(self.source, {"cmmi": CMMI}, load_graphs())
        self._inspections = Inspections(books, self.kept)

    async def inspect(self, number: int) -> Inspected:
        ask = InspectItem(key=key(number), tenant="default", correlation_id="c")
        return await ActivityEnvironment().run(self._inspections.inspect, ask)

    async def check(self) -> CheckCarry:
        scope = CheckScope(tenant="default", organisation="fabrikam", project="Fabrikam", policy=CMMI)
        return await ActivityEnvironment().run(ProcessChecks(self.source, self.kept).check, CheckStep(scope=scope))


def key(number: int) -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project="Fabrikam", id=number)


@pytest.fixture
async def office() -> AsyncGenerator[Office]:
    async with azure_devops(of=config().model_copy(update={"organisations": (FABRIKAM,)})) as azure:
        yield Office(azure, Shelf())


async def test_what_was_just_read_saves_requests(office: Office) -> None:
    parent, (one, other) = await office.family()
    counted = Counter()
    async with office.process(counted) as ours:
        await ours.tracker.get(key(one.id))  # taking the item in
        assert await office.asked(lambda: ours.inspect(one.id)) == {"updates": 1, "batch": 1}, "three without"
        assert await office.asked(lambda: ours.inspect(other.id)) == {"get": 1, "updates": 1}, "three without"
        assert (len(counted.ages), counted.calls) == (2, 2)
        assert all(age <= max(ITEM_AGE, LINKED_AGE) for age in counted.ages)
        await ours.tracker.heard(key(parent.id))
        assert (await office.asked(lambda: ours.inspect(other.id)))["batch"] == 1, "an event told of the parent"
        office.now += LINKED_AGE
        assert await office.asked(lambda: ours.inspect(one.id)) == {"get": 1, "updates": 1, "batch": 1}, "too old"


async def test_a_check_of_a_project_asks_for_many_at_once(office: Office) -> None:
    _, tasks = await office.family(6)
    async with office.process() as ours:
        asked = await office.asked(ours.check)
        assert asked == {"batch": 2, "updates": len(tasks) + 1}, "seven gets and seven batches without"
        assert {one.check for one in ours.kept.kept.values() if one.key.id} == {"RDM-1.parent"}


async def test_an_item_that_moved_on_is_read_again_whoever_did_not_hear(office: Office) -> None:
    _, (task, _) = await office.family()
    async with office.process() as ours:
        before = await ours.tracker.get(key(task.id))
        await office.azure.person.work_items.patch(task.id, [set_field("System.Title", "Another")])
        facts = await ours.source.at_once("fabrikam", frozenset()).item(task.id)
        assert (facts.rev, facts.title, facts.rev - before.rev) == (before.rev + 1, "Another", 1)
        reader = ours.source.reader("fabrikam", frozenset())
        await reader.ahead([task.id])
        await office.azure.person.work_items.patch(task.id, [set_field("System.Title", "A third")])
        assert (await reader.item(task.id)).title == "A third"


async def test_what_one_process_hears_is_forgotten_by_all(office: Office) -> None:
    parent, (task, _) = await office.family()
    async with office.process() as ours, office.process() as theirs:
        assert (await ours.inspect(task.id)).opened == 0
        item = await office.azure.person.work_items.get(task.id)
        place = next(n for n, one in enumerate(item.relations) if one.rel == PARENT)
        await office.azure.person.work_items.patch(task.id, [remove_relation(place)])
        await theirs.tracker.heard(key(task.id))  # links make no revision: only the event tells
        assert (await ours.inspect(task.id)).opened == 1
        assert [one.check for one in ours.kept.kept.values()] == ["RDM-1.task"]
        assert parent.id


async def test_one_of_several_that_is_not_there_is_left_out(office: Office) -> None:
    parent, _ = await office.family()
    async with office.process() as ours:
        found = await ours.client.work_items.several([parent.id, 9_999], ITEM_AGE)
        assert list(found) == [parent.id]
        assert await office.asked(lambda: ours.client.work_items.several([parent.id, 9_999], ITEM_AGE)) == {}
        await ours.tracker.heard(key(9_999))
        again = await office.asked(lambda: ours.client.work_items.several([parent.id, 9_999], ITEM_AGE))
        assert again == {"batch": 1}
