"""What checks read of items they read once: counted at the service, and never older than was asked for."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from activities.inspections import Inspections
from activities.process import ProcessChecks
from activities.rule_books import RuleBooks
from activities.write_guard import WriteGuard
from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.caching import Cache, CacheObserver, Kept, Key, MemoryLayer, Unwatched
from pointsman.clients.azure_devops.patches import add_relation, remove_relation, set_field
from pointsman.clients.azure_devops.process_facts import ITEM_AGE, LINKED_AGE, FactsReader, ProcessReader
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.tracker import ItemWrite
from pointsman.contracts.violations import CheckCarry, CheckScope, CheckStep, Inspected, InspectItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.policies.process_graphs import load_graphs
from pointsman.policies.process_rules import load_processes
from pointsman.sandbox.azure_devops.config import Organisation, Project
from tests.books_process import MemoryAudit, MemoryViolations
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

    async def total(self, *works: Coroutine[object, object, object]) -> int:
        """Requests about items that these took, one after the other."""

        async def all_of_them() -> None:
            for work in works:
                await work

        return sum((await self.asked(all_of_them)).values())

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
        self.books = RuleBooks(self.source, {"cmmi": CMMI}, load_graphs())
        self._inspections = Inspections(self.books, self.kept)

    async def inspect(self, number: int) -> Inspected:
        ask = InspectItem(key=key(number), tenant="default", correlation_id="c")
        return await ActivityEnvironment().run(self._inspections.inspect, ask)

    async def write(self, number: int, limit: CheckSeverity = CheckSeverity.MAJOR, state: str = "Closed") -> str:
        """As an outcome is written: read, judged, and sent unless it would break the rules that are told."""
        item = await self.tracker.get(key(number))
        change = ItemWrite(fields={"System.State": state})
        why_not = await WriteGuard(self.books, MemoryAudit()).why_not(limit, key(number), item, change)
        if not why_not:
            await self.tracker.write(key(number), item.rev, change)
        return why_not

    async def write_anew(self, number: int, state: str) -> None:
        """As `write`, with nothing that was read before, and by rules that let it pass."""
        item = await self.tracker.get(key(number))
        await self.read_anew(number)
        await self.tracker.write(key(number), item.rev, ItemWrite(fields={"System.State": state}))

    async def read_anew(self, number: int) -> None:
        """All that a check asks of an item, with nothing that was read before."""
        await FactsReader(self.client).item(number)

    async def check(self) -> CheckCarry:
        scope = CheckScope(tenant="default", organisation="fabrikam", project="Fabrikam", policy=CMMI)
        return await ActivityEnvironment().run(ProcessChecks(self.source, self.kept).check, CheckStep(scope=scope))


def page() -> list[tuple[str, str]]:
    """What the page says that requests cost, row by row: asked one by one, and with what was read before."""
    text = (Path(__file__).parents[2] / "docs/process-rules.md").read_text(encoding="utf-8")
    rows = text.partition("| Requests about an item with a parent |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("| ").split("|")] for row in rows]
    return [(one, other) for _, one, other in cells]


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
    parent, tasks = await office.family(6)
    items = [parent.id, *(task.id for task in tasks)]
    async with office.process() as ours, office.process() as alone:
        assert await office.total(*(alone.read_anew(number) for number in items)) == 3 * len(items)
        asked = await office.asked(ours.check)
        assert asked == {"batch": 2, "updates": len(items)}
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


async def test_a_write_is_judged_by_what_links_lead_to_now(office: Office) -> None:
    review = await office.azure.make("Review", CMMI_Purpose="Look at it")
    bug = await office.azure.make("Bug")
    person = office.azure.person.work_items
    await person.patch(bug.id, [set_field("System.State", "Active"), add_relation(PARENT, review.url)])

    async def close() -> None:
        for state in ("Resolved", "Closed"):
            await person.patch(bug.id, [set_field("System.State", state)])

    await close()
    async with office.process() as ours:
        await ours.inspect(review.id)
        await person.patch(bug.id, [set_field("System.State", "Active")])  # and its event is still on the way
        assert "PQA-1.findings" in await ours.write(review.id)
        await close()
        assert "PQA-1.findings" not in await ours.write(review.id)


async def test_requests_about_an_item_are_as_many_as_the_page_says(office: Office) -> None:
    _, (one, other) = await office.family()
    async with office.process() as ours, office.process() as alone:

        async def taken_in(number: int) -> tuple[int, int]:
            plain = await office.total(alone.tracker.get(key(number)), alone.read_anew(number))
            return plain, await office.total(ours.tracker.get(key(number)), ours.inspect(number))

        async def heard(number: int, *others: int) -> int:
            for told in (number, *others):
                await ours.tracker.heard(key(told))
            return await office.total(ours.inspect(number))

        async def again() -> None:
            await office.azure.person.work_items.patch(one.id, [set_field("System.State", "Active")])
            await ours.tracker.heard(key(one.id))

        async def written(limit: CheckSeverity) -> int:
            await again()
            return await office.total(ours.write(one.id, limit, "Resolved"))

        first, sibling = await taken_in(one.id), await taken_in(other.id)
        later = await office.total(alone.read_anew(one.id)), await heard(one.id), await heard(one.id, one.id - 1)
        without, with_links = await written(CheckSeverity.CRITICAL), await written(CheckSeverity.MINOR)
        await again()
        plain = await office.total(alone.write_anew(one.id, "Resolved"))
    told = [("4", "3"), ("4", "2"), ("3", "2 to 3"), ("5", "3 to 4")]
    assert [first, sibling, later, (plain, without, with_links)] == [(4, 3), (4, 2), (3, 2, 3), (5, 3, 4)]
    assert page()[:4] == told


async def test_one_of_several_that_is_not_there_is_left_out(office: Office) -> None:
    parent, _ = await office.family()
    async with office.process() as ours:
        found = await ours.client.work_items.several([parent.id, 9_999], ITEM_AGE)
        assert list(found) == [parent.id]
        assert await office.asked(lambda: ours.client.work_items.several([parent.id, 9_999], ITEM_AGE)) == {}
        await ours.tracker.heard(key(9_999))
        again = await office.asked(lambda: ours.client.work_items.several([parent.id, 9_999], ITEM_AGE))
        assert again == {"batch": 1}
