"""Answers of Bedrock: read leniently, the same however their bytes are split, counted once, ended as they say."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import InvalidResponseError, ProviderError, TruncatedStreamError
from pointsman.llm.providers.bedrock.converse import BedrockConverse
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.llm.providers.bedrock.reply import Reading, read_usage
from pointsman.llm.types import FinishReason, LLMRequest, LLMResponse, ReasoningPart, Role, text_message
from pointsman.sandbox.models.bedrock_converse.frames import STREAM_TYPE, broken, event, exception
from tests.llm.test_types import FEW, json_objects, json_values
from tests.llm.wiring import ask

REQUEST = LLMRequest(model="global.anthropic.claude-haiku-5-5", messages=(text_message(Role.USER, "hello"),))
USAGE: Json = {"inputTokens": 5, "outputTokens": 7, "totalTokens": 12}
TOLD: Sequence[tuple[str, Json]] = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"text": "hm é"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"reasoningContent": {"signature": "c2ln"}}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": "Guten 😀"}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"text": " Tag"}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    (
        "contentBlockStart",
        {"contentBlockIndex": 2, "start": {"toolUse": {"toolUseId": "tooluse_1", "name": "look"}}},
    ),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '{"at": '}}}),
    ("contentBlockDelta", {"contentBlockIndex": 2, "delta": {"toolUse": {"input": '"é"}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 2}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
)


def reading() -> Reading:
    return Reading(Attempt("bedrock", REQUEST), "bedrock", REQUEST.model)


async def whole(answer: dict[str, Json]) -> LLMResponse:
    found = reading()
    found.take_whole(answer)
    return await found.finish(streamed=False)


def answer(*content: Json, stop: Json = "end_turn", usage: Json = USAGE) -> dict[str, Json]:
    message: Json = {"role": "assistant", "content": list(content)}
    return {"output": {"message": message}, "stopReason": stop, "usage": usage}


def frames(told: Sequence[tuple[str, Json]]) -> bytes:
    return b"".join(event(kind, payload) for kind, payload in told)


@asynccontextmanager
async def serving(body: bytes, size: int = 1_000_000) -> AsyncGenerator[BedrockConverse]:
    """An adapter whose server answers with these bytes, in chunks of that size."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            asked = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            await reader.readexactly(int(asked.partition("content-length: ")[2].split()[0]))
            head = f"HTTP/1.1 200 OK\r\ncontent-type: {STREAM_TYPE}\r\nconnection: close\r\n"
            writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
            for start in range(0, len(body), size):
                piece = body[start : start + size]
                writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            writer.write(b"0\r\n\r\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    credentials = AwsCredentials(access_key_id="AKIA0", secret_access_key=SecretStr("s"))
    async with server, BedrockConverse(credentials, "us-east-1", url, timedelta(seconds=5)) as adapter:
        yield adapter


async def streamed(body: bytes, size: int = 1_000_000) -> LLMResponse:
    async with serving(body, size) as adapter:
        return await ask(adapter, REQUEST, True)


def timeless(response: LLMResponse) -> LLMResponse:
    return response.model_copy(update={"latency_ms": 0.0, "time_to_first_token_ms": None, "request_id": ""})


COUNTS = st.sampled_from(
    ["inputTokens", "outputTokens", "totalTokens", "cacheReadInputTokens", "cacheWriteInputTokens"]
)
KINDS = st.sampled_from([kind for kind, _ in TOLD])
PIECES = st.sampled_from(["text", "toolUse", "reasoningContent", "input", "signature", "start", "delta", "usage"])
odd = st.recursive(json_values, lambda inner: st.dictionaries(PIECES, inner, max_size=3), max_leaves=6)


@FEW
@given(st.lists(st.dictionaries(KINDS, odd | json_objects, max_size=2), max_size=6))
async def test_any_events_are_read(told: list[dict[str, Json]]) -> None:
    found = reading()
    for piece in told:
        list(found.take(piece))
    with suppress(InvalidResponseError):
        await found.finish(streamed=True)


@FEW
@given(st.lists(odd, max_size=4), odd)
async def test_any_content_is_read(content: list[Json], reason: Json) -> None:
    response = await whole(answer(*content, stop=reason, usage=reason))
    assert response.message.role is Role.ASSISTANT


async def test_stream_and_whole_answer_are_the_same() -> None:
    call: Json = {"toolUse": {"toolUseId": "tooluse_1", "name": "look", "input": {"at": "é"}}}
    thought: Json = {"reasoningContent": {"reasoningText": {"text": "hm é", "signature": "c2ln"}}}
    at_once = await whole(answer(thought, {"text": "Guten 😀 Tag"}, call, stop="tool_use"))
    assert timeless(await streamed(frames(TOLD))) == timeless(at_once)
    assert at_once.tool_calls[0].arguments == {"at": "é"}


@FEW
@given(st.dictionaries(COUNTS, json_values | st.integers(-9, 99)))
def test_usage_is_never_negative_and_never_counted_twice(usage: dict[str, Json]) -> None:
    found = read_usage(usage)
    assert found.total_tokens == found.prompt_tokens + found.completion_tokens
    assert found.cached_tokens + found.cache_write_tokens <= found.prompt_tokens


def test_cached_tokens_are_part_of_the_prompt() -> None:
    cache: dict[str, Json] = {"cacheReadInputTokens": 100, "cacheWriteInputTokens": 20}
    beside = read_usage({"inputTokens": 5, "outputTokens": 7, "totalTokens": 132, **cache})
    within = read_usage({"inputTokens": 125, "outputTokens": 7, "totalTokens": 132, **cache})
    assert beside == within
    assert (beside.prompt_tokens, beside.cached_tokens, beside.cache_write_tokens) == (125, 100, 20)


@pytest.mark.parametrize(
    ("stop", "finish", "note"),
    [
        ("end_turn", FinishReason.STOP, ""),
        ("stop_sequence", FinishReason.STOP, ""),
        ("max_tokens", FinishReason.LENGTH, ""),
        ("tool_use", FinishReason.TOOL_CALLS, ""),
        ("content_filtered", FinishReason.CONTENT_FILTER, ""),
        ("guardrail_intervened", FinishReason.CONTENT_FILTER, "a guardrail"),
        ("model_context_window_exceeded", FinishReason.LENGTH, "context window"),
        ("something_new", FinishReason.PAUSED, "unknown to us: something_new"),
        (None, FinishReason.STOP, "gave no reason"),
    ],
)
async def test_why_an_answer_ends(stop: Json, finish: FinishReason, note: str) -> None:
    response = await whole(answer({"text": "So."}, stop=stop))
    assert response.finish_reason is finish
    assert note in "; ".join(response.notes)


@pytest.mark.parametrize("stop", ["malformed_model_output", "malformed_tool_use"])
async def test_what_bedrock_could_not_read_is_no_answer_and_was_billed(stop: str) -> None:
    with pytest.raises(InvalidResponseError, match=stop) as caught:
        await whole(answer({"text": "So."}, stop=stop))
    assert caught.value.usage is not None
    assert caught.value.usage.total_tokens == 12


async def test_hidden_reasoning_is_kept_for_its_provider() -> None:
    response = await whole(answer({"reasoningContent": {"redactedContent": "AP8="}}, {"text": "So."}))
    hidden = response.message.parts[0]
    assert isinstance(hidden, ReasoningPart)
    assert hidden.provider_state is not None
    assert hidden.provider_state.data == {"type": "redacted_thinking", "data": "AP8="}


async def test_reasoning_that_cannot_be_kept_as_it_came_does_not_go_back() -> None:
    thought: Json = {"reasoningContent": {"reasoningText": {"text": "a\x00b", "signature": "c2ln"}}}
    response = await whole(answer(thought, {"text": "So."}))
    assert response.message.parts[0].provider_state is None


async def test_blocks_unknown_to_us_are_noted() -> None:
    response = await whole(answer({"citationsContent": {}}, {"SDK_UNKNOWN_MEMBER": {"name": "hologram"}}))
    assert response.notes[:2] == ("left out of the answer: citationsContent", "left out of the answer: hologram")
    found = reading()
    list(found.take({"contentBlockStart": {"contentBlockIndex": 0, "start": {"image": {"format": "png"}}}}))
    assert found.attempt.notes == ["left out of the answer: image"]


async def test_answer_without_usage_is_whole_and_says_so() -> None:
    response = await streamed(frames(TOLD[:-1]))
    assert response.text == "Guten 😀 Tag"
    assert response.usage.total_tokens == 0
    assert any("has not told the usage" in note for note in response.notes)
    assert (await streamed(frames(TOLD[:-1]) + broken())).text == "Guten 😀 Tag"


async def test_events_unknown_to_us_are_passed_over() -> None:
    more = frames(TOLD[:6]) + event("hologramDelta", {"x": 1}) + frames(TOLD[6:])
    assert (await streamed(more)).text == "Guten 😀 Tag"


async def test_stream_that_ends_within_a_frame_is_truncated() -> None:
    with pytest.raises(TruncatedStreamError) as caught:
        await streamed(frames(TOLD[:6])[:-3])
    assert caught.value.received == "Guten 😀"


async def test_frame_that_was_changed_on_its_way_is_invalid() -> None:
    with pytest.raises(InvalidResponseError, match="cannot be read"):
        await streamed(frames(TOLD[:6]) + broken())


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        ("throttlingException", "Too many tokens", "RateLimitedError"),
        ("serviceUnavailableException", "no", "ProviderOverloadedError"),
        ("modelStreamErrorException", "no", "ProviderOverloadedError"),
        ("internalServerException", "no", "ProviderOverloadedError"),
        ("validationException", "Input is too long for requested model.", "ContextWindowExceededError"),
        ("validationException", "no", "InvalidRequestError"),
        ("hologramException", "no", "ProviderOverloadedError"),
    ],
)
async def test_exception_in_a_stream_is_an_error(kind: str, message: str, expected: str) -> None:
    with pytest.raises(ProviderError) as caught:
        await streamed(frames(TOLD[:6]) + exception(kind, message))
    assert type(caught.value).__name__ == expected
    assert caught.value.model == REQUEST.model


async def test_answer_without_a_message_is_invalid() -> None:
    with pytest.raises(InvalidResponseError, match="without a message"):
        await whole({"output": {}})
