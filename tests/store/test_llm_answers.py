"""The answer cache in the store: what was put in comes out, for its life, and never fails a call."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, select, update

from pointsman.llm.response_cache import LIFE
from pointsman.llm.types import FinishReason, LLMResponse, Role, TokenUsage, text_message
from pointsman.store.engine import Store
from pointsman.store.llm_answers import StoreResponseCache
from pointsman.store.tables import LlmAnswer, col
from tests.store.llm_books import Clock


def answer(text: str) -> LLMResponse:
    return LLMResponse(
        message=text_message(Role.ASSISTANT, text),
        finish_reason=FinishReason.STOP,
        usage=TokenUsage(prompt_tokens=3, completion_tokens=2, total_tokens=5),
        model="m",
        provider="p",
        cost_usd=Decimal("0.5"),
    )


async def test_an_answer_comes_back_whole_to_every_process(store: Store) -> None:
    clock = Clock()
    said = answer("sch\u00f6n \x00 \U0001f600")
    await StoreResponseCache(store, now=clock).put("k", said, "rail")
    assert await StoreResponseCache(store, now=clock).get("k") == said
    assert await StoreResponseCache(store, now=clock).get("other") is None
    tenants = await store.read(lambda session: list(session.scalars(select(col(LlmAnswer.tenant)))))
    assert tenants == ["rail"]


async def test_an_answer_lives_for_its_time_and_a_later_one_takes_its_place(store: Store) -> None:
    clock = Clock()
    cache = StoreResponseCache(store, now=clock)
    await cache.put("k", answer("yes"))
    clock.now += LIFE
    assert await cache.get("k") == answer("yes")
    clock.move(seconds=1)
    assert await cache.get("k") is None
    await cache.put("k", answer("no"))
    assert await cache.get("k") == answer("no")


async def test_what_has_ended_is_thrown_away(store: Store) -> None:
    clock = Clock()
    cache = StoreResponseCache(store, life=timedelta(minutes=1), now=clock)
    for key in "abc":
        await cache.put(key, answer(key))
    clock.move(minutes=2)
    await cache.put("d", answer("d"))
    assert await store.read(lambda session: session.scalar(select(func.count()).select_from(LlmAnswer))) == 1


async def test_an_answer_that_another_version_kept_is_none(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    cache = StoreResponseCache(store, now=Clock())
    await cache.put("k", answer("yes"))
    await store.write(lambda session: session.execute(update(LlmAnswer).values(body='{"message": "secret"}')))
    assert await cache.get("k") is None
    assert "answer k in the cache cannot be used" in caplog.text
    assert "secret" not in caplog.text


async def test_what_cannot_be_written_is_not_kept(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    cache = StoreResponseCache(store, now=Clock())
    await cache.put("k", answer("half \ud800"))
    assert await cache.get("k") is None
    assert "could not be put into the cache" in caplog.text


async def test_without_a_database_there_is_no_cache_and_no_failure(url: str, caplog: pytest.LogCaptureFixture) -> None:
    store = Store.open(url)
    cache = StoreResponseCache(store)
    await store.close()
    await cache.put("k", answer("yes"))
    assert "an answer could not be put into the cache" in caplog.text
