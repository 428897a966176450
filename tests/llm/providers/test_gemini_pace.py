"""Gemini's pace: whoever reads a stream slowly slows the provider, and nobody waits long for a connection."""

import asyncio
import socket
from contextlib import ExitStack
from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.events import TextDelta
from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent
from pointsman.sandbox.models.formats import server_sent
from tests.llm.conftest import KEY
from tests.llm.providers.test_gemini_transport import ask, piece_of, request, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")

PIECE = server_sent(piece_of("x" * 64 * 1024))
WHOLE_BYTES, HELD_BYTES_MAX = 100_000_000, 25_000_000  # the system's buffers on both sides are within


async def test_slow_reader_slows_the_provider() -> None:
    sent = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
        while sent < WHOLE_BYTES:
            writer.write(PIECE)
            await writer.drain()
            sent += len(PIECE)

    async with serving(flood) as server, GeminiGenerateContent(SecretStr(KEY), server.url) as adapter:
        stream = adapter.stream(request())
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.05)
        assert 0 < sent < HELD_BYTES_MAX
        await stream.aclose()


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_connection_that_nobody_takes_is_given_up(streamed: bool) -> None:
    with ExitStack() as open_sockets:
        listener = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(8):  # who comes when the queue is full gets no answer at all
            waiting = open_sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        limit = timedelta(milliseconds=100)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with GeminiGenerateContent(SecretStr(KEY), url, connect_timeout=limit) as adapter:
            with pytest.raises(errors.ProviderConnectionError, match="ConnectionTimeoutError"):
                await ask(adapter, request(), streamed)
