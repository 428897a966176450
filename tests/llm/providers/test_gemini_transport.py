"""Google's SDK over aiohttp: what it would do by itself is off, and what a server does to a connection is survived."""

import asyncio
import gc
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.events import StreamEvent, StreamFinished, TextDelta
from pointsman.llm.lenient import objects
from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    Role,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.control import FaultKind, Outcome
from pointsman.sandbox.models.formats import server_sent
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELLO = text_message(Role.USER, "hello")
LOOK = ToolSpec(name="look")
MODES = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "gemini-3.8-flash", "messages": (HELLO,), **fields})


@pytest_asyncio.fixture(loop_scope="module")
async def gemini(provider: Provider) -> AsyncGenerator[GeminiGenerateContent]:
    async with GeminiGenerateContent(SecretStr(KEY), f"{provider.root}/gemini") as adapter:
        yield adapter


async def ask(adapter: GeminiGenerateContent, asked: LLMRequest, streamed: bool) -> LLMResponse:
    if not streamed:
        return await adapter.complete(asked)
    last: StreamEvent | None = None
    async for event in adapter.stream(asked):
        last = event
    assert isinstance(last, StreamFinished)
    return last.response


class Server:
    """A server of one's own on loopback: counts what comes."""

    def __init__(self, serve: Serve) -> None:
        self.url = ""
        self.connections = 0
        self.heads: list[bytes] = []
        self._serve = serve

    async def request(self, reader: asyncio.StreamReader) -> None:
        """Read one request. Raises `asyncio.IncompleteReadError` when there are no more."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.lower())
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(lengths[0].partition(b":")[2]) if lengths else 0)

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await self.request(reader)
                await self._serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(serve: Serve) -> AsyncGenerator[Server]:
    server = Server(serve)
    listening = await asyncio.start_server(server.take, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        listening.close()


def sends(body: bytes, kind: str = "text/event-stream", status: str = "200 OK", piece: int = 1_000_000) -> Serve:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        for start in range(0, len(body), piece):
            part = body[start : start + piece]
            writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    return serve


def piece_of(text: str, finish: str = "", **more: Json) -> dict[str, Json]:
    ending: dict[str, Json] = {"finishReason": finish} if finish else {}
    content: Json = {"role": "model", "parts": [{"text": text, **more}]}
    return {"candidates": [{"content": content, **ending}], "modelVersion": "gemini-3.8-flash", "responseId": "r1"}


STREAM = b"".join(map(server_sent, (piece_of("Grüße "), piece_of("😀"), piece_of("", "STOP", thoughtSignature="c2ln"))))


async def answered(serve: Serve, streamed: bool = True) -> LLMResponse:
    async with serving(serve) as server, GeminiGenerateContent(SecretStr(KEY), server.url) as adapter:
        return await ask(adapter, request(), streamed)


@pytest.mark.parametrize("piece", [1, 7, 100])
async def test_any_split_of_the_bytes_gives_the_same_answer(piece: int) -> None:
    times = {"latency_ms": 0.0, "time_to_first_token_ms": None}
    whole, split = await answered(sends(STREAM)), await answered(sends(STREAM, piece=piece))
    assert split.model_copy(update=times) == whole.model_copy(update=times)
    assert whole.text == "Grüße 😀"


async def test_comments_of_a_proxy_and_line_ends_of_another_are_read() -> None:
    body = b": keep-alive\r\n\r\nevent: message\r\nid: 1\r\n" + STREAM.replace(b"\n", b"\r\n")
    assert (await answered(sends(body))).text == "Grüße 😀"


@pytest.mark.parametrize("bare", [b'{\n  "error": {\n "code": 503}\n}\n', b'[{"error": {"code": 503}}]'])
async def test_error_that_stands_bare_in_a_stream_is_an_error(bare: bytes) -> None:
    with pytest.raises(errors.ProviderOverloadedError):
        await answered(sends(server_sent(piece_of("Grüße ")) + bare))


async def test_what_stands_beside_the_events_is_no_answer() -> None:
    with pytest.raises(errors.InvalidResponseError, match="what stands beside the events"):
        await answered(sends(server_sent(piece_of("Grüße ")) + b"<html>upstream</html>\n"))
    assert (await answered(sends(STREAM + b"<html>upstream</html>\n"))).text == "Grüße 😀"


@MODES
async def test_request_is_named_by_its_answer_where_no_header_names_it(streamed: bool) -> None:
    whole = piece_of("hi", "STOP")
    body = server_sent(whole) if streamed else json.dumps(whole).encode()
    response = await answered(sends(body, "text/event-stream" if streamed else "application/json"), streamed)
    assert (response.request_id, response.response_id) == ("r1", "r1")


@MODES
async def test_nothing_is_tried_again_when_the_server_hangs_up(streamed: bool) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        raise ConnectionError

    async with serving(hang_up) as server, GeminiGenerateContent(SecretStr(KEY), server.url) as adapter:
        with pytest.raises(errors.ProviderConnectionError):
            await ask(adapter, request(), streamed)
        assert (server.connections, len(server.heads)) == (1, 1)


async def test_connections_are_used_again() -> None:
    async with serving(sends(STREAM)) as server, GeminiGenerateContent(SecretStr(KEY), server.url) as adapter:
        for _ in range(3):
            await ask(adapter, request(), True)
        assert (server.connections, len(server.heads)) == (1, 3)


async def test_answer_is_there_although_the_server_keeps_the_stream_open() -> None:
    async def linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n" + STREAM)
        await reader.read()
        raise ConnectionError

    async with asyncio.timeout(60):
        assert (await answered(linger)).text == "Grüße 😀"


@MODES
async def test_answer_that_could_go_on_is_not_gone_on_with(streamed: bool) -> None:
    paused = piece_of("one", "CONTINUATION")
    [candidate] = objects(paused["candidates"])
    whole: Json = {**paused, "candidates": [{**candidate, "continuationToken": "dG9rZW4="}]}
    body = server_sent(whole) if streamed else json.dumps(whole).encode()
    kind = "text/event-stream" if streamed else "application/json"
    async with (
        serving(sends(body, kind)) as server,
        GeminiGenerateContent(SecretStr(KEY), server.url) as adapter,
    ):
        response = await ask(adapter, request(), streamed)
    assert (response.finish_reason, len(server.heads)) == (FinishReason.PAUSED, 1)
    assert response.notes == ("the answer ended with CONTINUATION",)


@MODES
async def test_redirect_is_not_followed_with_the_key(streamed: bool) -> None:
    async with serving(sends(STREAM)) as other:

        async def redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = f"HTTP/1.1 307 Temporary Redirect\r\nlocation: {other.url}/x\r\ncontent-length: 0\r\n\r\n"
            writer.write(head.encode())

        with pytest.raises(errors.InvalidResponseError, match="HTTP 307"):
            await answered(redirect, streamed)
        assert other.heads == []


@MODES
async def test_page_of_a_proxy_is_an_overload(streamed: bool) -> None:
    with pytest.raises(errors.ProviderOverloadedError, match="HTTP 502: <html>"):
        await answered(sends(b"<html>bad gateway</html>", "text/html", "502 Bad Gateway"), streamed)


@pytest.mark.parametrize("body", [b"[]", b"7", b"\xff", b"", b'"x"', b"[7]"])
async def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    with pytest.raises(errors.InvalidResponseError):
        await answered(sends(body, "application/json"), streamed=False)


@pytest.mark.parametrize("body", [b"7", b"\xff", b'{"models": 7, "totalTokens": "x"}', b'{"models": [{"name": 7}]}'])
async def test_lists_and_counts_that_cannot_be_read_are_invalid(body: bytes) -> None:
    async with (
        serving(sends(body, "application/json")) as server,
        GeminiGenerateContent(SecretStr(KEY), server.url) as adapter,
    ):
        with pytest.raises(errors.InvalidResponseError):
            await adapter.count_tokens(request())
        assert not (await adapter.health()).ok


async def test_request_goes_out_as_the_service_wants_it() -> None:
    async with serving(sends(STREAM)) as server, GeminiGenerateContent(SecretStr(KEY), server.url) as adapter:
        await ask(adapter, request(), True)
    [head] = server.heads
    assert head.startswith(b"post /v1/models/gemini-3.8-flash:streamgeneratecontent?alt=sse http/1.1")
    assert f"x-goog-api-key: {KEY}".encode() in head
    assert b"authorization" not in head


async def test_environment_does_not_turn_it_elsewhere(
    gemini: GeminiGenerateContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_CLOUD_PROJECT": "elsewhere",
        "GOOGLE_GENAI_API_VERSION": "v1alpha",
        "GEMINI_API_KEY": "AIzaOther",
    }.items():
        monkeypatch.setenv(name, value)
    assert (await gemini.complete(request())).finish_reason is FinishReason.STOP


async def test_name_that_leads_elsewhere_is_refused_before_any_request(
    provider: Provider, gemini: GeminiGenerateContent
) -> None:
    with pytest.raises(errors.InvalidRequestError, match="invalid model parameter"):
        await gemini.complete(request(model="../files"))
    with pytest.raises(errors.InvalidRequestError, match="model is required"):
        await gemini.count_tokens(request(model=""))
    assert provider.control.seen == []


async def test_closed_stream_does_not_wait_for_the_garbage_collector(
    provider: Provider, gemini: GeminiGenerateContent
) -> None:
    provider.says(Reply(text=" ".join(f"word{number}" for number in range(20_000))))
    gc.disable()
    try:
        stream = gemini.stream(request())
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()
        async with asyncio.timeout(60):
            while provider.last.outcome is not Outcome.ABORTED:  # noqa: ASYNC110 - the stand-in tells nobody
                await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_whole_answers_can_be_asked_for_while_a_stream_is_read(
    provider: Provider, gemini: GeminiGenerateContent
) -> None:
    provider.says(Reply(text="one two three four"), Reply(text="between"), Reply(text="counted"))
    told = ""
    async for event in gemini.stream(request()):
        if isinstance(event, TextDelta):
            told += event.text
            if told == event.text:
                assert (await gemini.complete(request())).text == "between"
                assert await gemini.count_tokens(request()) > 0
    assert told == "one two three four"


@MODES
async def test_blocked_prompt_is_refused_content(
    provider: Provider, gemini: GeminiGenerateContent, streamed: bool
) -> None:
    provider.fails(FaultKind.FAILED, code="PROHIBITED_CONTENT")
    with pytest.raises(errors.ContentRefusedError, match="PROHIBITED_CONTENT") as caught:
        await ask(gemini, request(), streamed)
    assert caught.value.request_id == provider.last.request_id
    assert caught.value.usage is not None
    assert caught.value.usage.completion_tokens == 0


@MODES
async def test_call_that_the_model_botched_is_worth_another_attempt(
    provider: Provider, gemini: GeminiGenerateContent, streamed: bool
) -> None:
    provider.says(Reply(calls=(Call(name="look", arguments={"at": "the sky"}),)))
    provider.fails(FaultKind.BAD_ARGUMENTS)
    with pytest.raises(errors.InvalidResponseError, match="MALFORMED_FUNCTION_CALL: Malformed function call") as caught:
        await ask(gemini, request(tools=(LOOK,)), streamed)
    assert caught.value.retryable
    assert caught.value.usage is not None


async def test_event_that_is_no_json_is_invalid(provider: Provider, gemini: GeminiGenerateContent) -> None:
    provider.fails(FaultKind.BAD_JSON, after=1)
    with pytest.raises(errors.InvalidResponseError, match="an event of the stream"):
        await ask(gemini, request(), True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("gemini-2.5-flash", "gemini-3.8-flash"),
        ("gemini-3.8-flash", "gemini-2.5-flash"),
        ("gemini-4-argon", "gemini-3.5-flash-lite"),
    ],
)
async def test_conversation_moves_between_families(
    provider: Provider, gemini: GeminiGenerateContent, first: str, second: str
) -> None:
    calls = (Call(name="look", arguments={"at": "a"}), Call(name="look", arguments={"at": "b"}))
    provider.says(Reply(reasoning="Where?", text="I look.", calls=calls), Reply(text="Seen."))
    asked = await ask(gemini, request(model=first, tools=(LOOK,)), True)
    said = Message.from_bytes(asked.message.to_bytes())
    results = [ToolResultPart(call_id=call.call_id, text=call.call_id) for call in reversed(asked.tool_calls)]
    told = Message(role=Role.TOOL, parts=tuple(results))
    answer = await gemini.complete(request(model=second, tools=(LOOK,), messages=(HELLO, said, told)))
    assert answer.text == "Seen."


async def test_count_is_what_the_call_is_billed(gemini: GeminiGenerateContent) -> None:
    told = (text_message(Role.SYSTEM, "Be brief. " * 30), HELLO)
    asked = request(messages=told, tools=(LOOK,), response_schema={"type": "object", "properties": {}})
    counted = await gemini.count_tokens(asked)
    assert counted == (await gemini.complete(asked)).usage.prompt_tokens


async def test_limits_of_models_are_listed(gemini: GeminiGenerateContent) -> None:
    listed = {model.name: model for model in await gemini.list_models()}
    flash = listed["gemini-3.8-flash"]
    assert (flash.context_window, flash.output_tokens_max, flash.shutdown_on) == (1_048_576, 65_536, None)


async def test_no_key_is_an_error_before_any_call() -> None:
    with pytest.raises(errors.AuthenticationError, match="no API key"):
        GeminiGenerateContent(SecretStr(""))


async def test_adapter_shows_its_address_and_not_its_key() -> None:
    adapter = GeminiGenerateContent(SecretStr(KEY), "http://x.example", timedelta(seconds=3))
    assert repr(adapter) == (
        "GeminiGenerateContent(base_url='http://x.example', timeout=datetime.timedelta(seconds=3))"
    )
    assert KEY not in repr(vars(adapter))
    await adapter.aclose()


async def test_silence_says_how_long_it_was(provider: Provider) -> None:
    async def asked(limit: timedelta) -> None:
        async with GeminiGenerateContent(SecretStr(KEY), f"{provider.root}/gemini", limit) as adapter:
            with pytest.raises(
                errors.ProviderTimeoutError, match=f"nothing more arrived for {limit.total_seconds():g} s"
            ):
                await ask(adapter, request(), True)

    await provider.falls_silent(asked, FaultKind.STALL, after=1)
