"""A pace in the store holds for all processes of an account: places, pauses, and who goes first."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.clients.azure_devops.pacing import Pace, Priority, Unobserved
from pointsman.domain.shares import Demand, fair_shares
from pointsman.ports import Unavailable
from pointsman.store.engine import Store
from pointsman.store.tracker_pace import LEASE, StoreSharedPace, _Held, granted
from tests.store.llm_books import Clock

PLACES, ACCOUNT = 6, "fabrikam/token 0123"
EVERY = timedelta(milliseconds=5)


@pytest.fixture
async def stores(url: str, store: Store) -> AsyncGenerator[tuple[Store, Store]]:
    """What two processes open: SQLite has one, which two parts of a process share."""
    if store.dialect == "sqlite":
        yield store, store
        return
    async with Store.open(url) as other:
        yield store, other


class Peak(Unobserved):
    """How many calls were ever under way at once, in all processes."""

    def __init__(self) -> None:
        self.now: dict[str, int] = {}
        self.most = 0
        self.heard: list[str] = []


class Watching(Unobserved):
    def __init__(self, name: str, peak: Peak) -> None:
        self._name, self._peak = name, peak

    def under_way(self, calls: int) -> None:
        self._peak.now[self._name] = calls
        self._peak.most = max(self._peak.most, sum(self._peak.now.values()))

    def paused(self, reason: str, seconds: float) -> None:
        self._peak.heard.append(f"{self._name} {reason}")


@asynccontextmanager
async def processes(stores: tuple[Store, Store], peak: Peak) -> AsyncGenerator[tuple[Pace, Pace]]:
    made = [
        Pace(
            shared=StoreSharedPace(store, ACCOUNT, PLACES),
            calls_max=PLACES,
            observer=Watching(name, peak),
            renew_every=EVERY,
        )
        for name, store in zip("ab", stores, strict=True)
    ]
    try:
        yield made[0], made[1]
    finally:
        await asyncio.gather(*(pace.close() for pace in made))


async def test_calls_of_all_processes_together_are_capped(stores: tuple[Store, Store]) -> None:
    peak = Peak()

    async def call(pace: Pace) -> None:
        async with pace.turn("call"):
            await asyncio.sleep(0.001)

    async with processes(stores, peak) as (a, b):
        await asyncio.gather(*(call(pace) for pace in (a, b) for _ in range(40)))
    assert 2 <= peak.most <= PLACES


async def test_pause_that_one_process_was_told_holds_for_the_other(stores: tuple[Store, Store]) -> None:
    peak = Peak()
    async with processes(stores, peak) as (a, b):
        for pace in (a, b):
            async with pace.turn("call"):
                pass
        for _ in range(12):
            a.dropped()
        async with asyncio.timeout(60):
            while not b.pause:  # noqa: ASYNC110 - heard with one of the next renewals
                await asyncio.sleep(0.005)
        with pytest.raises(Unavailable, match="the service asked to wait another"):
            async with b.turn("call"):
                pass
    assert "b elsewhere" in peak.heard


async def test_a_process_that_starts_later_hears_of_the_pause_before_its_first_call(
    stores: tuple[Store, Store],
) -> None:
    await StoreSharedPace(stores[0], ACCOUNT, PLACES).told(timedelta(seconds=50))
    await StoreSharedPace(stores[0], ACCOUNT, PLACES).told(timedelta(seconds=5))
    async with processes(stores, Peak()) as (_, b):
        with pytest.raises(Unavailable, match=r"another (4\d|50) s"):
            async with b.turn("call"):
                pass


async def test_people_of_one_process_take_the_places_of_another_ones_bulk(stores: tuple[Store, Store]) -> None:
    ended, all_in = asyncio.Event(), asyncio.Event()
    people = 0

    async def flood(pace: Pace) -> None:
        while not ended.is_set():
            async with pace.turn("bulk", Priority.BULK):
                await asyncio.sleep(0.001)

    async def person(pace: Pace) -> None:
        nonlocal people
        async with pace.turn("person"):
            people += 1
            if people == PLACES:
                all_in.set()
            await ended.wait()

    async with processes(stores, Peak()) as (a, b), asyncio.TaskGroup() as group:
        for _ in range(2 * PLACES):
            group.create_task(flood(a))
        for _ in range(PLACES):
            group.create_task(person(b))
        async with asyncio.timeout(60):
            await all_in.wait()
        ended.set()


async def test_places_of_a_process_that_died_come_back_after_its_lease(stores: tuple[Store, Store]) -> None:
    clock = Clock()
    dead, alive = (StoreSharedPace(store, ACCOUNT, PLACES, clock) for store in stores)
    assert (await dead.renew(20, 0, 0))[0] == PLACES
    assert (await alive.renew(20, 0, 0))[0] == 0
    clock.move(seconds=LEASE.total_seconds())
    assert (await alive.renew(20, 0, 0))[0] == PLACES
    await alive.renew(0, 0, 0)
    assert (await dead.renew(1, 0, 0))[0] == 1 + (PLACES - 1 + 1) // 2


async def test_accounts_do_not_share(stores: tuple[Store, Store]) -> None:
    one, other = StoreSharedPace(stores[0], "fabrikam/a", PLACES), StoreSharedPace(stores[1], "fabrikam/b", PLACES)
    await one.told(timedelta(seconds=9))
    assert (await one.renew(20, 0, 0))[0] == (await other.renew(20, 0, 0))[0] == PLACES
    assert (await other.renew(1, 0, 0))[1] == timedelta()


async def test_without_a_store_a_process_goes_on_by_itself(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store.open(url)
    pace = Pace(shared=StoreSharedPace(store, ACCOUNT, PLACES), renew_every=EVERY)
    await store.close()
    async with asyncio.timeout(60), pace.turn("call"):
        pace.dropped()
    await pace.close()
    assert "the pace is not shared while the store cannot" in caplog.text
    assert "other processes do not hear that Azure DevOps wants no call" in caplog.text


NEEDS = st.builds(Demand, urgent=st.integers(0, 9), bulk=st.integers(0, 9))


@given(st.lists(st.tuples(st.sampled_from("abc"), NEEDS), max_size=30))
def test_leases_never_exceed_the_places_and_come_to_fair_shares(asks: list[tuple[str, Demand]]) -> None:
    held: dict[str, _Held] = {}

    def renew(name: str, demand: Demand) -> None:
        others = {other: one for other, one in held.items() if other != name}
        held[name] = _Held(demand, granted(name, demand, others, PLACES))
        assert sum(one.places for one in held.values()) <= PLACES

    for name, demand in asks:
        renew(name, demand)
    for _ in range(3):
        for name in list(held):
            renew(name, held[name].demand)
    shares = fair_shares({name: one.demand for name, one in held.items()}, PLACES)
    assert all(one.places >= shares[name] for name, one in held.items())
