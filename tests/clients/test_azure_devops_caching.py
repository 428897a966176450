"""No answer is older than was asked for, whoever read, wrote or was told meanwhile: a clock of our own tells."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.caching import BYTES_MAX, FRESH, Cache, Kept, Key, MemoryLayer
from pointsman.clients.azure_devops.connection import written
from pointsman.clients.azure_devops.patches import set_field
from pointsman.ports import Missing, Unavailable
from tests.sandbox.azure import SERVICE_TOKEN, azure_devops

START = datetime(2026, 11, 21, tzinfo=UTC)
KEY = Key("default fabrikam ada", "item", "1")
MINUTE = timedelta(minutes=1)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


class Shelf(MemoryLayer):
    """A layer that two caches share, as processes share the store: it keeps no values, only what can be written."""

    name = "store"

    async def get(self, key: Key) -> Kept | None:
        kept = await super().get(key)
        return kept and Kept(kept.read_at, kept.body, kept.rev)


class Service:
    """One item with its revisions: when each came, and 0 for when it was not there."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.history: list[tuple[datetime, int]] = [(START - timedelta(days=9), 1)]
        self.calls = 0
        self.gate: asyncio.Event | None = None

    @property
    def rev(self) -> int:
        return self.history[-1][1]

    def change(self, rev: int | None = None) -> None:
        latest = max(rev for _, rev in self.history)
        self.history.append((self._clock.now, latest + 1 if rev is None else rev))

    async def read(self) -> WorkItem:
        self.calls += 1
        rev = self.rev
        if self.gate is not None:
            await self.gate.wait()
        if not rev:
            raise Missing("no item 1", code="TF401232")
        return WorkItem(id=1, rev=rev)

    def revs_since(self, moment: datetime) -> set[int]:
        """Those that stood at the moment or came later."""
        later = {rev for at, rev in self.history if at > moment}
        before = [rev for at, rev in self.history if at <= moment]
        return later | {before[-1]}


class Caching(RuleBasedStateMachine):
    """Two processes over one shared layer read an item that others change, delete and restore."""

    @initialize()
    def begin(self) -> None:
        self.loop = asyncio.Runner()
        self.clock = Clock()
        self.service = Service(self.clock)
        shelf = Shelf()
        self.caches = [Cache([MemoryLayer(), shelf], now=self.clock) for _ in range(2)]
        self.told_at: list[datetime] = [START - timedelta(days=1)] * 2

    @rule(seconds=st.integers(1, 50))
    def time_goes_on(self, seconds: int) -> None:
        self.clock.move(seconds)

    @rule()
    def somebody_changes_it(self) -> None:
        self.clock.move(0.001)
        self.service.change()

    @rule()
    def somebody_deletes_it(self) -> None:
        self.clock.move(0.001)
        self.service.change(0)

    @rule(who=st.integers(0, 1))
    def we_write_it(self, who: int) -> None:
        self.clock.move(0.001)
        self.service.change()
        self._forget(who)

    @rule(who=st.integers(0, 1))
    def an_event_tells_of_it(self, who: int) -> None:
        self._forget(who)

    @rule(who=st.integers(0, 1))
    def all_of_the_kind_is_forgotten(self, who: int) -> None:
        self.loop.run(self.caches[who].forget(KEY.scope, KEY.kind))
        self.told_at[who] = self.clock.now

    @rule(who=st.integers(0, 1), age=st.integers(0, 90), is_at=st.booleans(), elsewhere=st.booleans())
    def somebody_reads(self, who: int, age: int, is_at: bool, elsewhere: bool) -> None:
        max_age, wanted = timedelta(seconds=age), self.service.rev if is_at else 0
        told_at = max(self.told_at) if elsewhere else self.told_at[who]
        oldest = max(self.clock.now - max_age, told_at)
        try:
            item = self.loop.run(
                self.caches[who].get(
                    KEY, WorkItem, self.service.read, max_age=max_age, min_rev=wanted, elsewhere=elsewhere
                )
            )
            rev = item.rev
        except Missing:
            rev = 0
        assert rev in self.service.revs_since(oldest)
        assert rev >= wanted or self.service.rev == 0

    def teardown(self) -> None:
        self.loop.close()

    def _forget(self, who: int) -> None:
        self.loop.run(self.caches[who].forget(*KEY))
        self.told_at[who] = self.clock.now


TestCaching = Caching.TestCase
TestCaching.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def service(clock: Clock) -> Service:
    return Service(clock)


async def test_callers_at_once_share_one_request(clock: Clock, service: Service) -> None:
    cache = Cache([MemoryLayer()], now=clock)
    items = await asyncio.gather(*(cache.get(KEY, WorkItem, service.read, max_age=MINUTE) for _ in range(50)))
    assert ({item.rev for item in items}, service.calls) == ({1}, 1)


async def test_an_answer_that_a_write_overtook_is_not_kept(clock: Clock, service: Service) -> None:
    cache = Cache([MemoryLayer(), Shelf()], now=clock)
    service.gate = asyncio.Event()
    early = asyncio.create_task(cache.get(KEY, WorkItem, service.read, max_age=MINUTE))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    clock.move(1)
    service.change()
    await cache.forget(*KEY)
    late = asyncio.create_task(cache.get(KEY, WorkItem, service.read, max_age=MINUTE))
    await asyncio.sleep(0)
    service.gate.set()
    assert ((await early).rev, (await late).rev) == (1, 2)
    assert (await cache.get(KEY, WorkItem, service.read, max_age=MINUTE)).rev == 2


async def test_one_who_gives_up_does_not_take_the_answer_from_the_others(clock: Clock, service: Service) -> None:
    cache = Cache([MemoryLayer()], now=clock)
    service.gate = asyncio.Event()
    first, second = (asyncio.create_task(cache.get(KEY, WorkItem, service.read, max_age=MINUTE)) for _ in range(2))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    service.gate.set()
    assert (await second).rev == 1
    assert (await cache.get(KEY, WorkItem, service.read, max_age=MINUTE)).rev == 1
    assert service.calls == 1


async def test_what_is_not_there_is_remembered_as_such(clock: Clock, service: Service) -> None:
    shelf = Shelf()
    service.change(0)
    for cache in (Cache([MemoryLayer(), shelf], now=clock), Cache([MemoryLayer(), shelf], now=clock)):
        for _ in range(3):
            with pytest.raises(Missing):
                await cache.get(KEY, WorkItem, service.read, max_age=MINUTE)
    assert service.calls == 1
    clock.move(61)
    service.change()
    assert (await cache.get(KEY, WorkItem, service.read, max_age=MINUTE)).rev == 3 - 1


async def test_an_error_is_everybodys_and_nobodys_answer(clock: Clock) -> None:
    cache, calls = Cache([MemoryLayer()], now=clock), 0

    async def away() -> WorkItem:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        raise Unavailable("not now")

    for round_number in (1, 2):
        asked = (cache.get(KEY, WorkItem, away, max_age=MINUTE) for _ in range(3))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        assert calls == round_number


async def test_memory_keeps_what_was_used_last_within_its_bounds() -> None:
    layer = MemoryLayer(entries_max=3)
    for number in range(4):
        await layer.put(KEY._replace(name=str(number)), Kept(START, "{}"))
        await layer.get(KEY._replace(name="0"))
    assert [bool(await layer.get(KEY._replace(name=str(number)))) for number in range(4)] == [True, False, True, True]
    narrow = MemoryLayer(bytes_max=100)
    for number in range(50):
        await narrow.put(KEY._replace(name=str(number)), Kept(START, "x" * 30))
    assert len(narrow) == 3
    assert BYTES_MAX < 1 << 30


@pytest.mark.parametrize(
    ("path", "forgotten"),
    [
        ("_apis/wit/workitems/12", [("item", "12")]),
        ("Fabrikam/_apis/wit/workItems/12/comments", [("item", "12")]),
        ("_apis/wit/recyclebin/12", [("item", "12")]),
        ("_apis/wit/$batch", [("item", "")]),
        ("Fabrikam/_apis/wit/classificationnodes/areas/Web", [("node", "")]),
        ("_apis/work/processes/1/workItemTypes", [("process", ""), ("field", ""), ("type", "")]),
        ("Fabrikam/_apis/wit/wiql", []),
        ("_apis/wit/workitemsbatch", []),
        ("Fabrikam/_apis/wit/workitems/$Bug", []),
    ],
)
def test_a_write_names_what_it_changes(path: str, forgotten: list[tuple[str, str]]) -> None:
    assert written(path) == forgotten


async def test_the_client_asks_once_and_again_after_a_write_or_an_event() -> None:
    async with azure_devops(seeded=True) as azure:
        cache = Cache([MemoryLayer()])
        async with AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), cache=cache) as client:

            async def asked(name: str) -> object:
                counters = (await azure.control("GET", "counters"))["requests"]
                assert isinstance(counters, dict)
                return sum(int(str(count)) for key, count in counters.items() if key.startswith(f"{name} "))

            for _ in range(3):
                await client.types.get("Fabrikam", "Bug", MINUTE)
                before = await client.work_items.get(1, max_age=MINUTE)
            reads = await asked("work_items.get")
            await client.work_items.patch(1, [set_field("System.Title", "Another")])
            after = await client.work_items.get(1, max_age=MINUTE)
            assert (after.rev, after.fields["System.Title"]) == (before.rev + 1, "Another")
            await azure.person.work_items.patch(1, [set_field("System.Title", "A third")])
            assert (await client.work_items.get(1, max_age=MINUTE)).rev == after.rev
            assert (await client.work_items.get(1, max_age=MINUTE, min_rev=after.rev + 1)).rev == after.rev + 1
            await client.heard(1)
            assert (await client.work_items.get(1, max_age=MINUTE)).fields["System.Title"] == "A third"
            assert (await client.work_items.get(1, max_age=FRESH)).rev == after.rev + 1
            assert reads != await asked("work_items.get")


async def test_what_was_forgotten_by_one_and_read_again_is_old_for_the_other(clock: Clock, service: Service) -> None:
    shelf = Shelf()
    ours, theirs = (Cache([MemoryLayer(), shelf], now=clock) for _ in range(2))

    async def read(cache: Cache) -> int:
        return (await cache.get(KEY, WorkItem, service.read, max_age=MINUTE, elsewhere=True)).rev

    assert await read(ours) == 1
    clock.move(1)
    service.change()
    await theirs.forget(*KEY)
    clock.move(1)
    assert await read(theirs) == 2
    assert (await read(ours), service.calls) == (2, 2)
