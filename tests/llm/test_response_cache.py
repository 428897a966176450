"""What may be kept, for whom, and for how long."""

from decimal import Decimal

import pytest

from pointsman.llm.response_cache import MemoryResponseCache, key_of, may_be_kept
from pointsman.llm.types import FinishReason, LLMRequest, LLMResponse, Role, text_message

ASKED = LLMRequest(messages=(text_message(Role.USER, "hello"),), tenant="rail")


def answer(text: str, finish: FinishReason = FinishReason.STOP) -> LLMResponse:
    return LLMResponse(
        message=text_message(Role.ASSISTANT, text),
        finish_reason=finish,
        model="m",
        provider="p",
        cost_usd=Decimal("0.5"),
    )


@pytest.mark.parametrize("change", [{"trace_id": "t"}, {"session_id": "s"}, {"user": "ada"}, {"tier": "fast"}])
def test_who_asks_does_not_change_the_key(change: dict[str, str]) -> None:
    assert key_of(ASKED.model_copy(update=change), "m") == key_of(ASKED, "m")


@pytest.mark.parametrize(
    "change",
    [{"tenant": "road"}, {"messages": (text_message(Role.USER, "Hello"),)}, {"temperature": 0.1}, {"max_tokens": 9}],
)
def test_tenant_and_content_do(change: dict[str, object]) -> None:
    assert key_of(ASKED.model_copy(update=change), "m") != key_of(ASKED, "m")
    assert key_of(ASKED, "m") != key_of(ASKED, "n")


async def test_an_answer_lives_for_its_time() -> None:
    clock = [0.0]
    cache = MemoryResponseCache(now=lambda: clock[0])
    await cache.put("k", answer("yes"))
    clock[0] = 3_600.0
    assert (await cache.get("k")) == answer("yes")
    clock[0] = 3_600.1
    assert await cache.get("k") is None


async def test_the_least_wanted_leaves_first() -> None:
    cache = MemoryResponseCache(entries_max=2)
    await cache.put("a", answer("a"))
    await cache.put("b", answer("b"))
    assert await cache.get("a") is not None
    await cache.put("c", answer("c"))
    assert await cache.get("b") is None
    assert await cache.get("a") is not None


@pytest.mark.parametrize("finish", FinishReason)
def test_only_whole_answers_are_kept(finish: FinishReason) -> None:
    assert may_be_kept(answer("x", finish)) is (finish in (FinishReason.STOP, FinishReason.TOOL_CALLS))
