"""A key goes to the address that was set, and to no other that somebody there redirects to."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from pointsman.llm.errors import ProviderError
from tests.llm.test_tls import ADAPTERS, KEY, REQUEST


@asynccontextmanager
async def answering(head: str, heard: list[bytes]) -> AsyncGenerator[str]:
    """A server that keeps what it hears and answers everybody with `head` and no body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(f"{head}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("name", sorted(ADAPTERS))
@pytest.mark.parametrize("status", ["307 Temporary Redirect", "302 Found"])
async def test_key_does_not_follow_a_redirect_to_another_address(name: str, status: str) -> None:
    asked: list[bytes] = []
    elsewhere: list[bytes] = []
    async with (
        answering("HTTP/1.1 404 Not Found", elsewhere) as other,
        answering(f"HTTP/1.1 {status}\r\nlocation: {other}/take", asked) as root,
        ADAPTERS[name](root) as client,
    ):
        with pytest.raises(ProviderError):
            await client.complete(REQUEST)
    assert asked
    assert KEY.get_secret_value().encode() not in b"".join(elsewhere)
