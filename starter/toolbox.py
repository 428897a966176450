"""The toolbox of a process that starts: it loads what speaks to tool servers when one is first needed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from pointsman.contracts.base import Json
from pointsman.contracts.policy import ToolServer
from pointsman.ports import Contents, Toolbox, ToolDefinition, ToolResult


class OpenToolbox(Toolbox, Protocol):
    async def aclose(self) -> None: ...


class LateToolbox:
    """`ports.Toolbox`. `load` makes the real one, once, in a thread: the MCP SDK takes a quarter of a whole start to
    load, and whoever shares the process goes on meanwhile."""

    def __init__(self, load: Callable[[], OpenToolbox]) -> None:
        self._load = load
        self._loading: asyncio.Task[OpenToolbox] | None = None

    async def definitions(self, allowed: Sequence[str]) -> Sequence[ToolDefinition]:
        return await (await self._loaded()).definitions(allowed)

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> ToolResult:
        return await (await self._loaded()).call(allowed, name, arguments)

    async def aclose(self) -> None:
        """Close what was opened; nothing is loaded for that."""
        if self._loading is not None:
            await (await self._loaded()).aclose()

    def _loaded(self) -> Awaitable[OpenToolbox]:
        if self._loading is None:
            self._loading = asyncio.create_task(asyncio.to_thread(self._load))
        return asyncio.shield(self._loading)  # others wait for the same one


def mcp(
    servers: Sequence[ToolServer], environments: Mapping[str, Mapping[str, str]], contents: Contents
) -> LateToolbox:
    """Tools of these MCP servers."""

    def load() -> OpenToolbox:
        from pointsman.clients.mcp import Mcp

        return Mcp(servers, environments, contents)

    return LateToolbox(load)
