"""The adapter against a provider on loopback: it asks what the API takes, and answers the whole or with an error."""

import asyncio
import json
import socket
from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.events import (
    StreamEvent,
    StreamFinished,
    StreamStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallComplete,
    ToolCallStarted,
    UsageReported,
)
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.control import FaultKind, Hold, Outcome
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = text_message(Role.USER, "hello")
LOOK = ToolSpec(name="look", parameters={"type": "object", "properties": {"at": {"type": "string"}}})
MODES = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "gpt-6-luna", "messages": (HELLO,), **fields})


async def events(client: OpenAIResponses, asked: LLMRequest) -> list[StreamEvent]:
    return [event async for event in client.stream(asked)]


async def ask(client: OpenAIResponses, asked: LLMRequest, streamed: bool) -> LLMResponse:
    """The same question in both modes."""
    if not streamed:
        return await client.complete(asked)
    last = (await events(client, asked))[-1]
    assert isinstance(last, StreamFinished)
    return last.response


@MODES
async def test_text_comes_whole_with_its_price(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    provider.says(Reply(text="Guten Tag, schöne Welt 😀", reasoning="Which language?"))
    response = await ask(client, request(), streamed)
    assert response.text == "Guten Tag, schöne Welt 😀"
    assert response.finish_reason is FinishReason.STOP
    assert response.provider == "openai"
    assert response.model == "gpt-6-luna"
    assert response.response_id == provider.last.response_id
    assert response.request_id == provider.last.request_id
    usage = response.usage
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    assert 0 < usage.reasoning_tokens < usage.completion_tokens
    dollars = Decimal(usage.prompt_tokens) / 10_000_000 + Decimal(usage.completion_tokens) / 2_000_000
    assert response.cost_usd == dollars
    assert response.latency_ms > 0
    assert (response.time_to_first_token_ms is not None) is streamed


@MODES
async def test_two_tools_are_called_at_once(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    provider.says(Reply(text="I look.", calls=(Call(name="look", arguments={"at": "é"}), Call(name="look"))))
    response = await ask(client, request(tools=(LOOK,)), streamed)
    assert response.finish_reason is FinishReason.TOOL_CALLS
    assert [(call.name, call.arguments, call.invalid) for call in response.tool_calls] == [
        ("look", {"at": "é"}, ""),
        ("look", {}, ""),
    ]
    assert len({call.call_id for call in response.tool_calls}) == 2


async def test_stream_tells_each_step(provider: Provider, client: OpenAIResponses) -> None:
    provider.says(Reply(text="I look at both.", calls=(Call(name="look", arguments={"at": "the first of both"}),)))
    told = await events(client, request(tools=(LOOK,)))
    assert isinstance(told[0], StreamStarted)
    assert "".join(event.text for event in told if isinstance(event, TextDelta)) == "I look at both."
    started = next(event for event in told if isinstance(event, ToolCallStarted))
    deltas = [event for event in told if isinstance(event, ToolArgumentsDelta)]
    complete = next(event for event in told if isinstance(event, ToolCallComplete))
    assert {event.call_id for event in deltas} == {started.call_id} == {complete.call.call_id}
    assert "".join(event.text for event in deltas) == complete.call.raw_arguments
    assert len(deltas) > 1
    assert isinstance(told[-2], UsageReported)
    assert isinstance(told[-1], StreamFinished)
    assert complete.call in told[-1].response.tool_calls


@MODES
async def test_reasoning_goes_back_and_is_recognised(
    provider: Provider, client: OpenAIResponses, streamed: bool
) -> None:
    provider.says(Reply(reasoning="I must look first.", calls=(Call(name="look"),)), Reply(text="Seen."))
    first = await ask(client, request(tools=(LOOK,)), streamed)
    assert isinstance(first.message.parts[0], ReasoningPart)
    stored = Message.from_bytes(first.message.to_bytes())
    result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id=first.tool_calls[0].call_id, text="{}"),))
    # The stand-in refuses reasoning that it did not seal itself, and calls without their output.
    second = await ask(client, request(tools=(LOOK,), messages=(HELLO, stored, result)), streamed)
    assert second.text == "Seen."


async def test_foreign_state_never_reaches_the_provider(provider: Provider, client: OpenAIResponses) -> None:
    provider.says(Reply(reasoning="hm", calls=(Call(name="look"),)), Reply(text="ok"))
    first = await client.complete(request(tools=(LOOK,)))
    foreign = first.message.for_provider("anthropic")
    result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id=first.tool_calls[0].call_id, text="{}"),))
    assert (await client.complete(request(messages=(HELLO, foreign, result)))).text == "ok"


@MODES
async def test_json_is_asked_for_and_comes(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    schema: dict[str, Json] = {
        "type": "object",
        "properties": {"count": {"type": "integer"}, "said": {"type": "string"}},
        "required": ["count", "said"],
        "additionalProperties": False,
    }
    response = await ask(client, request(response_schema=schema), streamed)
    assert set(json.loads(response.text)) == {"count", "said"}


@MODES
@pytest.mark.parametrize(
    ("reply", "finish"),
    [
        (Reply(text="a long story", finish="length"), FinishReason.LENGTH),
        (Reply(text="a rude story", finish="content_filter"), FinishReason.CONTENT_FILTER),
        (Reply(refusal="I cannot help with that."), FinishReason.REFUSAL),
        (Reply(calls=(Call(name="look"),)), FinishReason.TOOL_CALLS),
    ],
)
async def test_how_an_answer_ends(
    provider: Provider, client: OpenAIResponses, streamed: bool, reply: Reply, finish: FinishReason
) -> None:
    provider.says(reply)
    response = await ask(client, request(tools=(LOOK,)), streamed)
    assert response.finish_reason is finish
    if reply.refusal:
        assert RefusalPart(text=reply.refusal).text in [p.text for p in response.message.parts if p.kind == "refusal"]


@MODES
async def test_limit_of_tokens_cuts_the_answer(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    provider.says(Reply(text="word " * 200))
    response = await ask(client, request(max_tokens=20), streamed)
    assert response.finish_reason is FinishReason.LENGTH
    assert len(response.text) == 80


@MODES
async def test_broken_arguments_are_said_to_be_broken(
    provider: Provider, client: OpenAIResponses, streamed: bool
) -> None:
    provider.says(Reply(calls=(Call(name="look", arguments={"at": "the sky"}),)))
    provider.fails(FaultKind.BAD_ARGUMENTS)
    [call] = (await ask(client, request(tools=(LOOK,)), streamed)).tool_calls
    assert call.arguments == {}
    assert "not JSON" in call.invalid
    assert call.raw_arguments.startswith('{"at"')


async def test_beginning_that_was_sent_before_is_cached(provider: Provider, client: OpenAIResponses) -> None:
    long = text_message(Role.SYSTEM, "All rules of the house. " * 300)
    first = await client.complete(request(messages=(long, HELLO)))
    second = await client.complete(request(messages=(long, text_message(Role.USER, "and now?"))))
    assert first.usage.cached_tokens == 0
    assert 1_024 <= second.usage.cached_tokens < second.usage.prompt_tokens
    assert second.cost_usd < first.cost_usd


async def test_unsupported_parameters_are_dropped_with_a_note(client: OpenAIResponses) -> None:
    response = await client.complete(request(temperature=0.3, stop=("END",), seed=1))
    assert len(response.notes) == 3


async def test_sampling_reaches_models_that_take_it(client: OpenAIResponses) -> None:
    response = await client.complete(request(model="gpt-4.1-mini", temperature=0.3))
    assert response.notes == ()


STATUSES = [
    (429, "rate_limit_exceeded", errors.RateLimitedError),
    (429, "insufficient_quota", errors.AuthenticationError),
    (500, "server_error", errors.ProviderOverloadedError),
    (503, "server_is_overloaded", errors.ProviderOverloadedError),
    (408, None, errors.ProviderTimeoutError),
    (409, None, errors.ProviderOverloadedError),
    (403, None, errors.AuthenticationError),
    (400, "context_length_exceeded", errors.ContextWindowExceededError),
    (400, "content_policy_violation", errors.ContentRefusedError),
    (400, None, errors.InvalidRequestError),
]


@MODES
@pytest.mark.parametrize(("status", "code", "kind"), STATUSES)
async def test_refusal_of_the_provider_is_its_error(
    provider: Provider,
    client: OpenAIResponses,
    streamed: bool,
    status: int,
    code: str | None,
    kind: type[errors.ProviderError],
) -> None:
    provider.fails(FaultKind.STATUS, status=status, code=code, retry_after="2.5", message="not now")
    with pytest.raises(kind, match="not now") as caught:
        await ask(client, request(), streamed)
    assert caught.value.retry_after == (timedelta(seconds=2.5) if kind.retryable else None)
    assert caught.value.request_id == provider.last.request_id
    assert len(provider.control.seen) == 1  # nobody tried again behind our back


@MODES
async def test_unknown_model_is_said_to_be_unknown(client: OpenAIResponses, streamed: bool) -> None:
    with pytest.raises(errors.ModelNotAllowedError, match="gpt-99"):
        await ask(client, request(model="gpt-99"), streamed)


@MODES
async def test_wrong_key_is_refused_and_never_told(provider: Provider, streamed: bool) -> None:
    key = "sk-wrong-abcdefghijkl"
    async with OpenAIResponses(SecretStr(key), provider.url) as client:
        with pytest.raises(errors.AuthenticationError) as caught:
            await ask(client, request(), streamed)
        told = f"{caught.value} {caught.value!r} {client!r} {vars(caught.value)} {caught.value.__cause__}"
        assert key not in told
        assert "ijkl" not in told


async def test_no_key_is_an_error_before_any_call() -> None:
    with pytest.raises(errors.AuthenticationError, match="no API key"):
        OpenAIResponses(SecretStr(""))


async def test_key_is_not_in_the_adapter_s_text(client: OpenAIResponses) -> None:
    assert KEY not in repr(client)
    assert "base_url" in repr(client)


@MODES
async def test_nobody_there_is_a_connection_error(streamed: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    async with OpenAIResponses(SecretStr(KEY), f"http://127.0.0.1:{port}/v1") as client:
        with pytest.raises(errors.ProviderConnectionError):
            await ask(client, request(), streamed)


@MODES
async def test_silence_is_a_timeout(provider: Provider, streamed: bool) -> None:
    async def asked(limit: timedelta) -> None:
        async with OpenAIResponses(SecretStr(KEY), provider.url, timeout=limit) as client:
            with pytest.raises(errors.ProviderTimeoutError):
                await ask(client, request(), streamed)

    await provider.falls_silent(asked)


async def test_silence_in_the_middle_is_a_timeout(provider: Provider) -> None:
    async def asked(limit: timedelta) -> None:
        async with OpenAIResponses(SecretStr(KEY), provider.url, timeout=limit) as client:
            with pytest.raises(
                errors.ProviderTimeoutError, match=f"nothing more arrived for {limit.total_seconds():g} s"
            ):
                await events(client, request())

    await provider.falls_silent(asked, FaultKind.STALL, after=6)


async def length_of_stream(provider: Provider, client: OpenAIResponses, reply: Reply) -> int:
    """How many events of the wire the reply takes: cutting after so many cuts nothing."""
    for after in range(1, 100):
        provider.says(reply)
        provider.fails(FaultKind.CUT, after=after)
        try:
            await events(client, request())
        except errors.TruncatedStreamError:
            continue
        return after
    raise AssertionError("the stream never ends")


@pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.DROP])
async def test_stream_cut_anywhere_is_never_an_answer(
    provider: Provider, client: OpenAIResponses, kind: FaultKind
) -> None:
    reply = Reply(text="one two three four", reasoning="hm", calls=(Call(name="look"),))
    whole = await length_of_stream(provider, client, reply)
    provider.control.reset()
    for after in range(whole):
        provider.says(reply)
        provider.fails(kind, after=after)
        with pytest.raises(errors.TruncatedStreamError) as caught:
            await events(client, request())
        assert "one two three four".startswith(caught.value.received)
    assert caught.value.received == "one two three four"


async def test_error_event_in_a_stream_is_raised(provider: Provider, client: OpenAIResponses) -> None:
    text = "Rate limit reached. Please try again in 150ms."
    provider.fails(FaultKind.ERROR_EVENT, code="rate_limit_exceeded", message=text)
    with pytest.raises(errors.RateLimitedError, match="Rate limit reached") as caught:
        await events(client, request())
    assert caught.value.retry_after == timedelta(milliseconds=150)
    assert caught.value.request_id == provider.last.request_id


@MODES
async def test_failed_response_is_raised(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    provider.fails(FaultKind.FAILED, code="server_error", message="The model had a bad day.")
    with pytest.raises(errors.ProviderOverloadedError, match="bad day"):
        await ask(client, request(), streamed)


@MODES
async def test_answer_that_is_no_json_is_invalid(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    provider.fails(FaultKind.BAD_JSON)
    with pytest.raises(errors.InvalidResponseError):
        await ask(client, request(), streamed)


async def until(provider: Provider, outcome: Outcome) -> None:
    """Wait for the stand-in's own record: it has nothing to wait on."""
    async with asyncio.timeout(60):
        while not provider.control.seen or provider.last.outcome is not outcome:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)


@MODES
async def test_cancelled_call_is_taken_back(provider: Provider, client: OpenAIResponses, streamed: bool) -> None:
    provider.control.add_hold(Hold())
    call = asyncio.create_task(ask(client, request(), streamed))
    await until(provider, Outcome.HELD)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await until(provider, Outcome.ABORTED)


async def test_stream_that_nobody_reads_on_is_closed(provider: Provider, client: OpenAIResponses) -> None:
    provider.fails(FaultKind.STALL, after=8)
    stream = client.stream(request())
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()
    await until(provider, Outcome.ABORTED)
