"""Answers of Mistral and its faults, also those that its own SDK would not read."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import httpx2
import pytest
from mistralai.client.errors import NoResponseError
from pydantic import BaseModel, SecretStr

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.providers.mistral.chat import MistralChat
from pointsman.llm.providers.mistral.faults import MistralFaults, reason_of
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    ProviderState,
    ReasoningEffort,
    ReasoningPart,
    TextPart,
)
from pointsman.sandbox.models.control import FaultKind
from pointsman.sandbox.models.formats import server_sent
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.standin import KEY, Provider
from tests.llm.wiring import HELLO, LOOK, MODES, ask

REQUEST = LLMRequest(model="mistral-medium-3-5", messages=(HELLO,), tools=(LOOK,))
DONE = b"data: [DONE]\n\n"
FAULTS = MistralFaults("mistral", "mistral-medium-3-5", "sk-secret")


@asynccontextmanager
async def serving(body: bytes, kind: str, status: int = 200) -> AsyncGenerator[MistralChat]:
    """An adapter, and a server that answers it with these bytes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        writer.write(body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        server,
        MistralChat(SecretStr(KEY), f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as adapter,
    ):
        yield adapter


async def told(*chunks: Json, end: bytes = DONE) -> LLMResponse:
    async with serving(b"".join(server_sent(chunk) for chunk in chunks) + end, "text/event-stream") as adapter:
        return await ask(adapter, REQUEST, True)


async def whole(document: Json) -> LLMResponse:
    async with serving(json.dumps(document).encode(), "application/json") as adapter:
        return await adapter.complete(REQUEST)


def chunk(finish: str | None = None, usage: Json = None, **delta: Json) -> dict[str, Json]:
    choice: Json = {"index": 0, "delta": delta, "finish_reason": finish}
    counted: dict[str, Json] = {"usage": usage} if usage is not None else {}
    return {"id": "c-1", "model": "mistral-medium-3-5", "choices": [choice], **counted}


def thinking(text: str, **more: Json) -> list[Json]:
    return [{"type": "thinking", "thinking": [{"type": "text", "text": text}] if text else [], **more}]


async def test_thoughts_are_put_together_with_their_signature() -> None:
    response = await told(
        chunk(content=thinking("I ")),
        chunk(content=thinking("see.")),
        chunk(content=thinking("", signature="sealed", closed=True)),
        chunk(content="Yes."),
        chunk("stop", {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}),
    )
    state = ProviderState(provider="mistral", data={"type": "thinking", "signature": "sealed"})
    assert response.message.parts == (ReasoningPart(text="I see.", provider_state=state), TextPart(text="Yes."))


async def test_thoughts_and_texts_stay_in_their_order() -> None:
    pieces = [chunk(content=thinking("a")), chunk(content="b"), chunk(content=thinking("c")), chunk(content="d")]
    response = await told(*pieces, chunk("stop"))
    assert [part.kind for part in response.message.parts] == ["reasoning", "text", "reasoning", "text"]
    assert response.text == "bd"


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("model_length", FinishReason.LENGTH),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("tomorrow", FinishReason.PAUSED),
    ],
)
async def test_every_documented_reason_ends_an_answer(reason: str, finish: FinishReason) -> None:
    message: Json = {"role": "assistant", "content": "hi"}
    done: Json = {"choices": [{"index": 0, "message": message, "finish_reason": reason}], "id": "c", "model": "m"}
    assert (await told(chunk(reason, content="hi"))).finish_reason is finish
    assert (await whole(done)).finish_reason is finish


async def test_reason_error_is_an_error() -> None:
    with pytest.raises(errors.ProviderOverloadedError):
        await told(chunk("error", content="hi"))


@pytest.mark.parametrize("end", [b"", DONE])
async def test_stream_without_a_reason_for_its_end_is_truncated(end: bytes) -> None:
    with pytest.raises(errors.TruncatedStreamError) as caught:
        await told(chunk(content="half an ans"), end=end)
    assert isinstance(caught.value, errors.TruncatedStreamError)
    assert caught.value.received == "half an ans"


async def test_calls_without_ids_are_told_apart() -> None:
    calls: list[Json] = [
        {"id": "null", "function": {"name": "look", "arguments": '{"at":"x"}'}},
        {"function": {"name": "look", "arguments": {"at": "y"}}},
    ]
    response = await told(chunk("tool_calls", tool_calls=calls))
    assert [call.arguments for call in response.tool_calls] == [{"at": "x"}, {"at": "y"}]
    assert len({call.call_id for call in response.tool_calls}) == 2


@pytest.mark.parametrize(
    "document",
    [
        # The SDK finds id, model and index missing, and does not know the content.
        {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]},
        {"choices": [{"message": {"content": [{"type": "text", "text": "hi"}, {"type": "hologram"}]}}]},
        {"choices": [{"message": {"content": "hi", "mood": "good"}, "finish_reason": None}], "usage": "x"},
    ],
)
async def test_what_the_sdk_does_not_read_is_read(document: Json) -> None:
    assert (await whole(document)).text == "hi"


async def test_odd_events_are_passed_over() -> None:
    response = await told(["x"], {"object": "ping"}, {"choices": "x"}, chunk("stop", content="hi"))
    assert response.text == "hi"


@pytest.mark.parametrize("document", [[], {}, {"choices": []}, {"choices": [{"index": 0}]}])
async def test_what_is_no_answer_is_invalid(document: Json) -> None:
    with pytest.raises(errors.InvalidResponseError):
        await whole(document)


async def test_error_under_a_status_of_success_is_one() -> None:
    with pytest.raises(errors.RateLimitedError):
        await told({"object": "error", "error": {"message": "slow down", "type": "rate_limited"}})


async def test_models_that_the_sdk_does_not_read_are_listed() -> None:
    listed: Json = {
        "data": [{"id": "m-1", "deprecation": "2026-12-01T00:00:00Z"}, {"id": "m-2", "type": "tomorrow"}, 7]
    }
    async with serving(json.dumps(listed).encode(), "application/json") as adapter:
        models = await adapter.list_models()
    assert [(model.name, str(model.shutdown_on)) for model in models] == [("m-1", "2026-12-01"), ("m-2", "None")]


@pytest.mark.parametrize(
    ("status", "document", "kind"),
    [
        (401, {"detail": "Unauthorized"}, errors.AuthenticationError),
        (402, {"message": "pay"}, errors.AuthenticationError),
        (400, {"message": "Invalid model: x", "type": "invalid_model"}, errors.ModelNotAllowedError),
        (400, {"message": "Prompt is too large for model", "type": "x"}, errors.ContextWindowExceededError),
        (403, {"message": "blocked", "type": "guardrail_violation"}, errors.ContentRefusedError),
        (422, {"detail": [{"loc": ["body", "n"], "msg": "too many", "input": "sk"}]}, errors.InvalidRequestError),
        (429, {"message": "Requests rate limit exceeded"}, errors.RateLimitedError),
        (429, {"message": "full", "type": "service_tier_capacity_exceeded"}, errors.ProviderOverloadedError),
        (500, {"message": "oops"}, errors.ProviderOverloadedError),
        (503, "no JSON object", errors.ProviderOverloadedError),
    ],
)
@MODES
async def test_faults_are_told_by_type_status_and_text(
    status: int, document: Json, kind: type[errors.ProviderError], streamed: bool
) -> None:
    async with serving(json.dumps(document).encode(), "application/json", status) as adapter:
        with pytest.raises(errors.ProviderError) as caught:
            await ask(adapter, REQUEST, streamed)
    assert type(caught.value) is kind
    assert f"HTTP {status}" in str(caught.value)


async def test_page_in_place_of_a_stream_is_invalid() -> None:
    async with serving(b"<html>", "text/html") as adapter:
        with pytest.raises(errors.InvalidResponseError, match="6 characters of text/html"):
            await ask(adapter, REQUEST, True)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"message": {"detail": [{"loc": ["body", "a"], "msg": "bad"}, {"msg": "worse"}]}}, "body.a: bad; worse"),
        ({"message": {"detail": "so"}}, "so"),
        ({"error": "upstream"}, "upstream"),
        ({"message": 7}, ""),
    ],
)
def test_reason_stands_in_one_of_several_places(body: dict[str, Json], reason: str) -> None:
    assert reason_of(body) == reason


def test_faults_of_the_transport_are_ours() -> None:
    request = httpx2.Request("POST", "https://x.example")
    silent = FAULTS.of_exception(httpx2.ReadTimeout("slow", request=request))
    refused = FAULTS.of_exception(httpx2.ConnectTimeout("refused", request=request))
    assert type(silent) is errors.ProviderTimeoutError
    assert type(refused) is type(FAULTS.of_exception(NoResponseError())) is errors.ProviderConnectionError
    assert "sk-secret" not in str(FAULTS.of_status(400, "", "the key sk-secret", {}))


def test_key_is_needed_and_not_shown() -> None:
    with pytest.raises(errors.AuthenticationError, match="no API key given"):
        MistralChat(SecretStr(""))
    assert KEY not in repr(MistralChat(SecretStr(KEY)))


class TestStandIn:
    pytestmark = pytest.mark.asyncio(loop_scope="module")

    @MODES
    async def test_thoughts_and_calls_go_back_unchanged(self, provider: Provider, streamed: bool) -> None:
        provider.says(
            Reply(reasoning="Where?", calls=(Call(name="look", arguments={"at": "x"}),)), Reply(text="There.")
        )
        asked = REQUEST.model_copy(update={"reasoning_effort": ReasoningEffort.HIGH, "trace_id": "t-1"})
        async with MistralChat(SecretStr(KEY), f"{provider.root}/mistral") as adapter:
            first = await ask(adapter, asked, streamed)
            result = {"kind": "tool_result", "call_id": first.tool_calls[0].call_id, "text": "dark"}
            results = Message.model_validate({"role": "tool", "parts": [result]})
            second = await ask(
                adapter, asked.model_copy(update={"messages": (HELLO, first.message, results)}), streamed
            )
        assert [part.kind for part in first.message.parts] == ["reasoning", "tool_call"]
        assert second.text == "There."
        assert provider.last.metadata == {"trace_id": "t-1"}

    @pytest.mark.parametrize("path", ["/mistral", "/mistral/", "/mistral/v1", "/mistral/v1/"])
    async def test_address_may_name_the_version(self, provider: Provider, path: str) -> None:
        async with MistralChat(SecretStr(KEY), provider.root + path) as adapter:
            assert "mistral-large-4" in [model.name for model in await adapter.list_models()]

    async def test_connection_that_breaks_is_a_truncated_stream(self, provider: Provider) -> None:
        provider.says(Reply(text="one two three four five"))
        provider.fails(FaultKind.DROP, after=2)
        async with MistralChat(SecretStr(KEY), f"{provider.root}/mistral") as adapter:
            with pytest.raises(errors.TruncatedStreamError, match="RemoteProtocolError"):
                await ask(adapter, REQUEST, True)

    async def test_classes_of_bodies_are_made_once(self, provider: Provider) -> None:
        """The SDK would have one made for each body, which takes longer than all else that it does."""
        asked, made = REQUEST.model_copy(update={"messages": (HELLO, HELLO)}), []
        async with MistralChat(SecretStr(KEY), f"{provider.root}/mistral") as adapter:
            for _ in range(2):
                for streamed in (False, True):
                    await ask(adapter, asked, streamed)
                made.append(sum(kind.__name__ in ("Marshaller", "Unmarshaller") for kind in BaseModel.__subclasses__()))
        assert made[0] > 0
        assert made[1] == made[0]
