"""What goes of the books of the model service: no row before its time, no sum ever, and only one tenant's answers."""

import asyncio
from decimal import Decimal

import pytest

from pointsman.contracts.actions import Action
from pointsman.store import llm_retention
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.llm_answers import StoreResponseCache
from pointsman.store.llm_budgets import ACTOR, StoreBudgets
from pointsman.store.llm_retention import LlmRetention
from tests.store.llm_books import Clock, claim, rows, standing, used, user
from tests.store.test_llm_answers import answer


async def test_old_attempts_go_and_what_they_cost_stays_spent(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llm_retention, "FORGOTTEN_AT_ONCE_MAX", 2)
    clock, ada = Clock(), user()
    kept = StoreBudgets(store, now=clock)
    for _ in range(3):
        await kept.settle(await kept.reserve(claim(100, "1", ada)), used(60), Decimal("0.5"), "success")
    clock.move(days=100)
    await kept.settle(await kept.reserve(claim(100, "1", ada)), used(60), Decimal("0.5"), "success")
    retention = LlmRetention(store, "ada", now=clock)
    assert await retention.forget_attempts(101) == 0
    assert await retention.forget_attempts(99) == 3
    assert await retention.forget_attempts(99) == 0
    assert len(await rows(store)) == 1
    assert (await standing(store, ada, clock.now)).tokens == 240
    told = await Audit(store).find(action=Action.MODEL_BOOKS_FORGOTTEN)
    assert sorted((event.actor, event.data["attempts"]) for event in told) == [("ada", 1), ("ada", 2)]


async def test_an_attempt_under_way_stays_however_old(store: Store) -> None:
    clock = Clock()
    held = await StoreBudgets(store, now=clock).reserve(claim(100, "1", user()))
    clock.move(days=500)
    assert await LlmRetention(store, "ada", now=clock).forget_attempts(90) == 0
    assert [row.id for row in await rows(store)] == [held.id]


async def test_fewer_than_ninety_days_are_refused(store: Store) -> None:
    with pytest.raises(ValueError, match=r"at least 90 days, not for 89\. Nothing was deleted"):
        await LlmRetention(store, "ada").forget_attempts(89)


async def test_a_service_forgets_by_itself_once_a_day(store: Store) -> None:
    clock, ada = Clock(), user()
    kept = StoreBudgets(store, now=clock, days=90)
    await kept.settle(await kept.reserve(claim(100, "1", ada)), used(60), Decimal("0.5"), "success")
    clock.move(days=91)
    last = await kept.reserve(claim(100, "1", ada))
    async with asyncio.timeout(60):
        while [row.id for row in await rows(store)] != [last.id]:  # noqa: ASYNC110 - the store tells nobody of rows that go
            await asyncio.sleep(0.01)
    (event,) = await Audit(store).find(action=Action.MODEL_BOOKS_FORGOTTEN)
    assert event.actor == ACTOR


async def test_answers_of_one_tenant_go_and_no_others(store: Store) -> None:
    clock = Clock()
    cache, retention = StoreResponseCache(store, now=clock), LlmRetention(store, "ada", now=clock)
    for key, tenant in (("a", "rail"), ("b", "rail"), ("c", "road"), ("d", "")):
        await cache.put(key, answer(key), tenant)
    assert await retention.answers("rail") == 2
    assert await retention.forget_answers("rail") == 2
    assert await retention.forget_answers("rail") == 0
    assert [await cache.get(key) is None for key in "abcd"] == [True, True, False, False]
    (event,) = await Audit(store).find(action=Action.MODEL_BOOKS_FORGOTTEN)
    assert (event.chain.tenant, event.actor, event.data["answers"]) == ("rail", "ada", 2)
