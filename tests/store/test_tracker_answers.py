"""Answers of Azure DevOps in the store: for all processes, the latest read stands, and what is forgotten stays so."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select

from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.caching import Cache, Kept, Key, Layer, MemoryLayer
from pointsman.store.engine import Store
from pointsman.store.tables import TrackerAnswer
from pointsman.store.tracker_answers import BODY_CHARS_MAX, LIFE, StoreLayer

START = datetime(2026, 11, 21, tzinfo=UTC)
KEY = Key("default fabrikam ada", "item", "1")
STEPS = st.lists(
    st.tuples(st.sampled_from(["", "1", "2"]), st.integers(0, 9), st.sampled_from([None, "", "{}", '{"a": 1}'])),
    max_size=12,
)


def later(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


async def test_another_process_takes_what_one_has_read(store: Store) -> None:
    calls = 0

    async def read() -> WorkItem:
        nonlocal calls
        calls += 1
        return WorkItem(id=1, rev=7, fields={"System.Title": "Kran \N{BUILDING CONSTRUCTION}\x00"})

    for _ in range(2):
        cache = Cache([MemoryLayer(), StoreLayer(store, Kept)])
        item = await cache.get(KEY, WorkItem, read, max_age=timedelta(minutes=1))
        assert (item.rev, calls) == (7, 1)


async def test_a_store_that_is_away_makes_every_question_a_call(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store.open(url)
    layer = StoreLayer(store, Kept)
    await store.close()
    await layer.put(KEY, Kept(START, "{}"))
    assert "cannot be kept" in caplog.text


async def test_rows_are_bounded_and_end(store: Store) -> None:
    layer = StoreLayer(store, Kept, rows_max=10, counted_every=16, now=lambda: later(LIFE.total_seconds() + 20))
    await layer.put(KEY._replace(name="old"), Kept(later(10), "{}"))
    await layer.put(KEY._replace(name="large"), Kept(later(99), "x" * (BODY_CHARS_MAX + 1)))
    for number in range(15):
        await layer.put(KEY._replace(name=str(number)), Kept(later(100 + number), "{}"))
    rows = await store.read(lambda session: session.scalar(select(func.count()).select_from(TrackerAnswer)))
    assert rows == 10
    assert await layer.get(KEY._replace(name="large")) is None
    assert await layer.get(KEY._replace(name="14")) is not None


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(STEPS)
def test_the_store_says_what_memory_says(sqlite_url: str, steps: list[tuple[str, int, str | None]]) -> None:
    async def run() -> None:
        async with Store.open(sqlite_url) as store:
            await store.write(lambda session: session.execute(delete(TrackerAnswer)))
            layers: tuple[Layer, Layer] = (MemoryLayer(), StoreLayer(store, Kept))
            for name, seconds, body in steps:
                for layer in layers:
                    await layer.put(KEY._replace(name=name), Kept(later(seconds), body if name else None))
            for name in ("1", "2", "3"):
                memory, kept = [await layer.get(KEY._replace(name=name)) for layer in layers]
                assert memory == kept

    asyncio.run(run())
