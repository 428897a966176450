"""What the fake provider says, as OpenAI's own SDK reads it, and what a path asks of it."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Generator

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from openai import AsyncOpenAI

from bench.llm import wire
from bench.llm.contenders import KEY, OpenAIResponsesSDK, OpenAISDK
from bench.llm.ours import Pointsman, PointsmanResponses
from bench.llm.server import Connection
from bench.llm.wire import Mode, read_path

COUNTS = st.integers(0, 10_000)


@pytest.fixture
async def url() -> AsyncGenerator[str]:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}{Mode(delay=1, pieces=3, pace=1).path}/v1"


@pytest.fixture
def own_logging() -> Generator[None]:
    """The process gets its own logging back: a contender of ours sets up another."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@given(COUNTS, COUNTS, COUNTS)
def test_a_path_tells_its_mode(delay: int, pieces: int, pace: int) -> None:
    mode = Mode(delay, pieces, pace)
    assert read_path(f"{mode.path}/v1/chat/completions") == (mode, "/v1/chat/completions")


def test_a_path_without_a_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'/v1/responses' does not begin with a mode"):
        read_path("/v1/responses")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses"])
def test_no_two_pieces_of_a_stream_are_alike(path: str) -> None:
    events = wire.streamed(path, 50)
    assert len(set(events)) == len(events)
    assert all(event.endswith(b"\n\n") for event in events)


async def test_the_sdk_reads_a_whole_answer(url: str) -> None:
    async with AsyncOpenAI(api_key=KEY, base_url=url, max_retries=0) as sdk:
        chat = await sdk.chat.completions.create(model=wire.MODEL, messages=[{"role": "user", "content": "Track?"}])
        response = await sdk.responses.create(model=wire.MODEL, input="Track?")
    assert chat.choices[0].message.content == response.output_text == wire.ANSWER
    assert chat.usage is not None
    assert response.usage is not None
    assert chat.usage.total_tokens == response.usage.total_tokens == 204


@pytest.mark.parametrize("contender", [OpenAISDK, OpenAIResponsesSDK, Pointsman, PointsmanResponses])
async def test_every_contender_gets_the_same(
    url: str, contender: type[OpenAISDK] | type[Pointsman], own_logging: None
) -> None:
    client = contender(url)
    assert await client.call() == wire.ANSWER
    pieces = [piece async for piece in client.stream() if piece]
    assert pieces == [wire.said(index) for index in range(3)]
    await client.aclose()


async def test_a_request_in_two_pieces_is_one_request(url: str) -> None:
    body = json.dumps({"model": wire.MODEL}).encode()
    path = "/" + url.split("/", 3)[3] + "/chat/completions"
    request = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    host, _, port = url.split("/")[2].partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for piece in (request[:20], request[20:-5], request[-5:]):
        writer.write(piece)
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    writer.close()
