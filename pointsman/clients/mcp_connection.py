"""A connection to one MCP server: opened when first needed, kept, and opened again after the server went away.

One task of its own opens and closes it, because the SDK's cancel scopes must end in the task where they began. Calls
run in the tasks of those who call, so that several are under way at once.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import structlog
from mcp import Client, StdioServerParameters
from mcp.client.session import IncomingMessage, MessageHandlerFnT
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.types import CONNECTION_CLOSED, ToolListChangedNotification

from pointsman.clients.mcp_lines import mended
from pointsman.contracts.policy import ToolServer
from pointsman.ports import Unavailable

LOG = structlog.get_logger(__name__)

CONNECT_TIMEOUT_SECONDS = 30.0  # a server that imports much takes seconds to start
PROBE_TIMEOUT_SECONDS = 5.0
EVENT_BYTES_MAX = 16 * 1024 * 1024
LAST_WORDS_CHARS_MAX = 400
STDERR_CHARS_KEPT = 4_000
SECRET_CHARS_MIN = 6
# How the SDK words the errors that it makes itself when an answer can no longer come.
LOST = ("Connection closed", "SSE stream")


class Connection:
    """`env` is what a server's process gets beside PATH, HOME and the like; nothing else of ours reaches it."""

    def __init__(self, server: ToolServer, env: Mapping[str, str]) -> None:
        self.server = server
        self._env = env
        self._opening = asyncio.Lock()
        self._life: _Life | None = None
        self._generation = 0

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Client]:
        """The connected client, for one exchange. A connection that breaks meanwhile is not used again.

        Raises:
            Unavailable: the server cannot be started or reached, or it went away during the exchange.
        """
        life = await self._alive()
        try:
            yield life.client
        except (MCPError, OSError) as error:
            if not life.is_lost(error):
                raise
            await self._drop(life)
            raise Unavailable(
                f"tool server {self.server.name!r} went away during a call; whether it took effect is not known"
                f"{life.last_words()}"
            ) from error

    async def aclose(self) -> None:
        """Close it, with the process behind it. It may be used again, which opens another one."""
        async with self._opening:
            if self._life is not None:
                await self._life.end()
                self._life = None

    @property
    def generation(self) -> int:
        """Grows with each connection and each change that the server reports: what was learned before may be stale."""
        return self._generation

    async def _message(self, message: IncomingMessage) -> None:
        if isinstance(message, ToolListChangedNotification):
            self._generation += 1

    async def _alive(self) -> "_Life":
        async with self._opening:
            if self._life is not None and not await self._life.is_well():
                await self._life.end()
                self._life = None
            if self._life is None:
                life = _Life(self.server, self._env, self._message)
                await life.begin()
                self._generation += 1
                self._life = life
            return self._life

    async def _drop(self, life: "_Life") -> None:
        async with self._opening:
            if self._life is life:
                self._life = None
            await life.end()


class _Life:
    """One connection from its opening to its end."""

    def __init__(self, server: ToolServer, env: Mapping[str, str], on_message: MessageHandlerFnT) -> None:
        self._server = server
        self._on_message = on_message
        self._env = env
        self._connected: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._errors = _Errors()
        self._owner = asyncio.create_task(self._own(), name=f"mcp {server.name}")

    @property
    def client(self) -> Client:
        return self._connected.result()

    async def begin(self) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                await asyncio.shield(self._connected)
        except TimeoutError:
            await self.end()
            raise self._unreachable(f"no answer within {CONNECT_TIMEOUT_SECONDS:g} s") from None
        except asyncio.CancelledError:
            await self.end()
            raise

    async def end(self) -> None:
        self._stop.set()
        if not self._connected.done():
            self._owner.cancel()
        await asyncio.wait({self._owner})

    async def is_well(self) -> bool:
        """Asks the server only if there is a sign that it is gone."""
        if self._owner.done():
            return False
        if not self._errors.ended:
            return True
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_SECONDS):
                await self.client.list_tools(cache_mode="bypass")
        except (MCPError, OSError):
            return False
        return True

    def is_lost(self, error: MCPError | OSError) -> bool:
        """Whether the error means the connection rather than the call. Servers use the SDK's code for it, too."""
        if not isinstance(error, MCPError) or self._owner.done():
            return True
        return error.code == CONNECTION_CLOSED and error.message.startswith(LOST)

    def last_words(self) -> str:
        """What a server's process said at last, without the values that it was given."""
        said = self._errors.tail.strip()
        for value in self._env.values():
            said = said.replace(value, "***") if len(value) >= SECRET_CHARS_MIN else said
        return f"; it last said: {said[-LAST_WORDS_CHARS_MAX:]}" if said else ""

    async def _own(self) -> None:
        try:
            async with self._opened() as client:
                self._connected.set_result(client)
                await self._stop.wait()
        # Whatever a transport raises, also in groups, means one thing here: there is no connection.
        except Exception as error:
            if self._connected.done():
                LOG.warning("tool server lost", server=self._server.name, error=type(error).__name__)
            else:
                self._connected.set_exception(self._unreachable(_first(error)))
                # Nobody may be waiting any more, and then nobody is to be told.
                self._connected.exception()
        finally:
            self._errors.close()
            if not self._connected.done():
                self._connected.cancel()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Client]:
        if self._server.url:
            transport = streamable_http_client(self._server.url, max_sse_event_size=EVENT_BYTES_MAX)
            async with Client(transport, message_handler=self._on_message) as client:
                yield client
            return
        program, *arguments = self._server.command
        parameters = StdioServerParameters(
            command=found(program), args=arguments, env=dict(self._env), encoding_error_handler="replace"
        )
        with self._errors.writing() as errors:
            transport = mended(stdio_client(parameters, errlog=errors))
            async with Client(transport, message_handler=self._on_message) as client:
                # From here on the child alone holds the pipe: its end is the child's end.
                errors.close()
                yield client

    def _unreachable(self, reason: str) -> Unavailable:
        place = _place(self._server)
        return Unavailable(
            f"tool server {self._server.name!r} ({place}) cannot be reached: {reason}{self.last_words()}"
        )


class _Errors:
    """What a server's process writes to stderr: its last lines, and whether it has ended."""

    def __init__(self) -> None:
        self.ended = False
        self.tail = ""
        self._read: int | None = None

    @contextmanager
    def writing(self) -> Iterator[TextIO]:
        """The end that the process writes to. What is in the pipe is read even after it died."""
        self._read, write = os.pipe()
        os.set_blocking(self._read, False)
        asyncio.get_running_loop().add_reader(self._read, self._take)
        with os.fdopen(write, "w") as errors:
            yield errors

    def close(self) -> None:
        if self._read is None:
            return
        self._take()
        asyncio.get_running_loop().remove_reader(self._read)
        os.close(self._read)
        self._read = None

    def _take(self) -> None:
        if self._read is None:
            return
        with suppress(BlockingIOError):
            while data := os.read(self._read, 65_536):
                self.tail = (self.tail + data.decode(errors="replace"))[-STDERR_CHARS_KEPT:]
            self.ended = True
            asyncio.get_running_loop().remove_reader(self._read)


def found(program: str) -> str:
    """The program beside our own interpreter if it is there, so that `pointsman` means this installation's."""
    beside = Path(sys.executable).parent / program
    if os.sep not in program and beside.is_file():
        return str(beside)
    return shutil.which(program) or program


def _place(server: ToolServer) -> str:
    """Where the server is, without what may be secret in a URL or in arguments."""
    if server.command:
        return server.command[0]
    parts = urlsplit(server.url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _first(error: BaseException) -> str:
    """The first error of a group, in one line."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:300]
