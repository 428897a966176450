"""What only Anthropic's adapter does: reasoning that is bound to its conversation, pages of models, no spans."""

from collections.abc import AsyncGenerator
from datetime import date, timedelta

import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.providers.anthropic import messages as adapter
from pointsman.llm.providers.anthropic.messages import AnthropicMessages
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    Message,
    ReasoningEffort,
    Role,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.control import FaultKind
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = text_message(Role.USER, "hello")
LOOK = ToolSpec(name="look")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def claude(server: Provider) -> AsyncGenerator[AnthropicMessages]:
    async with AnthropicMessages(SecretStr(KEY), f"{server.root}/anthropic", timedelta(seconds=60)) as client:
        yield client


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "claude-haiku-5-5", "messages": (HELLO,), "max_tokens": 500, **fields})


async def test_reasoning_between_calls_goes_back_in_its_place(provider: Provider, claude: AnthropicMessages) -> None:
    steps = [Reply(reasoning=f"Step {n}.", calls=(Call(name="look", arguments={"n": n}),)) for n in range(3)]
    provider.says(*steps, Reply(text="Done."))
    told: list[Message] = [text_message(Role.SYSTEM, "Be brief."), HELLO]
    for _ in steps:
        response = await claude.complete(request(messages=told, tools=(LOOK,)))
        call = response.tool_calls[0]
        told += [response.message, Message(role=Role.TOOL, parts=(ToolResultPart(call_id=call.call_id, text="dark"),))]
    last = await claude.complete(request(messages=told, tools=(LOOK,)))
    assert (last.text, last.notes) == ("Done.", ())


async def test_reasoning_is_dropped_with_a_note_when_the_past_is_changed(
    provider: Provider, claude: AnthropicMessages
) -> None:
    provider.says(Reply(reasoning="Is it?", text="Hm."), Reply(text="Yes."))
    first = await claude.complete(request())
    shortened = (text_message(Role.SYSTEM, "What was said until now: nothing."), HELLO, first.message, HELLO)
    second = await claude.complete(request(messages=shortened))
    assert second.text == "Yes."
    assert second.notes == ("earlier reasoning dropped by the provider, 1 blocks: prefix_binding_mismatch",)


async def test_reasoning_survives_a_change_of_the_model(provider: Provider, claude: AnthropicMessages) -> None:
    provider.says(Reply(reasoning="Is it?", text="Hm."), Reply(text="Yes."))
    first = await claude.complete(request(model="claude-opus-5"))
    second = await claude.complete(request(messages=(HELLO, first.message, HELLO)))
    assert second.notes == ("earlier reasoning dropped by the provider, 1 blocks: model_binding_mismatch",)


@pytest.mark.parametrize("model", ["claude-haiku-4-5", "claude-opus-4-6", "claude-sonnet-5-5", "claude-fable-5-2"])
async def test_every_generation_reasons_when_asked(provider: Provider, claude: AnthropicMessages, model: str) -> None:
    provider.says(Reply(reasoning="Is it?", text="Yes."))
    response = await claude.complete(request(model=model, reasoning_effort=ReasoningEffort.LOW, max_tokens=9_000))
    assert [part.kind for part in response.message.parts] == ["reasoning", "text"]
    assert response.notes == ()


async def test_marked_beginning_is_cached_and_cheaper(provider: Provider, claude: AnthropicMessages) -> None:
    long = text_message(Role.SYSTEM, "All rules of the house. " * 300).model_copy(update={"cache": True})
    first = await claude.complete(request(messages=(long, HELLO)))
    second = await claude.complete(request(messages=(long, text_message(Role.USER, "and now?"))))
    assert first.usage.cache_write_tokens > 0 == first.usage.cached_tokens
    assert second.usage.cached_tokens > 0
    assert second.usage.prompt_tokens > second.usage.cached_tokens
    assert second.cost_usd < first.cost_usd


async def test_forced_call_comes_on_models_that_refuse_to_be_forced(
    provider: Provider, claude: AnthropicMessages
) -> None:
    asked = request(model="claude-opus-5-5", tools=(LOOK,), tool_choice="look")
    response = await claude.complete(asked)
    assert "asked for in words" in "; ".join(response.notes)


async def test_refusal_has_its_words(provider: Provider, claude: AnthropicMessages) -> None:
    provider.says(Reply(refusal="Not that."), Reply(text="Fine."))
    first = await claude.complete(request())
    assert first.finish_reason is FinishReason.REFUSAL
    assert (await claude.complete(request(messages=(HELLO, first.message, HELLO)))).text == "Fine."


async def test_large_limit_of_output_needs_no_stream(claude: AnthropicMessages) -> None:
    assert (await claude.complete(request(max_tokens=128_000))).text


async def test_wait_that_the_provider_names_is_told_and_never_slept(
    provider: Provider, claude: AnthropicMessages
) -> None:
    provider.fails(FaultKind.STATUS, status=529, retry_after="300")
    with pytest.raises(errors.ProviderOverloadedError) as caught:
        await claude.complete(request())
    assert caught.value.retry_after == timedelta(minutes=5)
    assert len(provider.control.seen) == 1


async def test_models_come_from_every_page(claude: AnthropicMessages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MODELS_PAGE", 3)
    models = {model.name: model for model in await claude.list_models()}
    assert len(models) > 6
    assert models["claude-haiku-5-5"].context_window == 1_000_000
    assert models["claude-haiku-5-5"].output_tokens_max == 128_000
    assert models["claude-haiku-5-5"].shutdown_on is None
    assert models["claude-sonnet-4-5"].shutdown_on == date(2026, 11, 30)


async def test_tokens_of_a_refused_prompt_are_not_counted(claude: AnthropicMessages) -> None:
    with pytest.raises(errors.ModelNotAllowedError):
        await claude.count_tokens(request(model="claude-9"))


async def test_tokens_are_counted_with_all_that_is_sent(claude: AnthropicMessages) -> None:
    schema: dict[str, Json] = {"type": "object", "properties": {"a": {"type": "string"}}}
    bare = await claude.count_tokens(request())
    full = request(tools=(LOOK,), response_schema=schema, user="ada", stop=("END",), reasoning_effort="high")
    assert await claude.count_tokens(full) > bare


async def test_no_span_is_drawn_by_the_sdk(
    provider: Provider, claude: AnthropicMessages, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn, tracing = InMemorySpanExporter(), TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(drawn))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracing)
    root = f"{provider.root}/anthropic"
    async with AnthropicMessages(SecretStr(KEY), root) as fresh:
        assert [event async for event in fresh.stream(request())]
        assert (await fresh.complete(request())).text
    assert not sdk_spans(drawn)
    async with AsyncAnthropic(api_key=KEY, base_url=root) as bare:
        await bare.models.list()
    assert sdk_spans(drawn), "the SDK draws them unless it is told not to"


def sdk_spans(drawn: InMemorySpanExporter) -> list[str]:
    """Those of the SDK: the server has its own."""
    scopes = [(span.instrumentation_scope, span.name) for span in drawn.get_finished_spans()]
    return [name for scope, name in scopes if scope is not None and "anthropic" in scope.name]


async def test_no_key_is_an_error_before_any_call() -> None:
    with pytest.raises(errors.AuthenticationError, match="no API key"):
        AnthropicMessages(SecretStr(""))


async def test_key_is_not_in_the_adapter_s_text(claude: AnthropicMessages) -> None:
    assert KEY not in repr(claude)
    assert "/anthropic" in repr(claude)
