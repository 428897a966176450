"""What tests of the tool client share: where long results go, a client that is closed at the end, and waiting."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

from pointsman.clients.mcp import Mcp
from pointsman.contracts.policy import ToolServer

EDGE = (sys.executable, str(Path(__file__).with_name("edge_server.py")))
PLAIN = (sys.executable, str(Path(__file__).with_name("plain_server.py")))
MAX_CHARS = 200


class MemoryContents:
    """Content-addressed bytes in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        digest = sha256(data).hexdigest()
        self.held[digest] = data
        return digest

    async def get(self, digest: str) -> bytes:
        return self.held[digest]


CONTENTS = MemoryContents()


@asynccontextmanager
async def boxed(*servers: ToolServer, **env: str) -> AsyncGenerator[Mcp]:
    box = Mcp(servers, {server.name: env for server in servers}, CONTENTS, MAX_CHARS)
    try:
        yield box
    finally:
        await box.aclose()


async def gone(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it holds: what happens in another process can only be asked for."""
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.01)
