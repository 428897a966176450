"""Tools of MCP servers, as agents may use them.

A server is not trusted: what it offers is renamed to what models accept, checked against the agent's list and the
tool's own schema before anything leaves, and whatever comes back is data.
"""

import asyncio
import hashlib
import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TypeVar

import structlog
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp.types import Tool as OfferedTool
from pydantic import TypeAdapter, ValidationError
from referencing import Registry
from referencing.exceptions import Unresolvable

from pointsman.clients.mcp_connection import Connection
from pointsman.clients.mcp_results import Image, images_of, text_of
from pointsman.contracts.base import Json
from pointsman.contracts.policy import ToolServer
from pointsman.domain.texts import clean, cleaned
from pointsman.ports import Contents, Rejected, Unavailable

LOG = structlog.get_logger(__name__)

NAME_CHARS_MAX = 64
DESCRIPTION_CHARS_MAX = 4_000
PAGES_MAX = 100
LIST_SECONDS_MAX = 300.0
FAULTS_SHOWN = 5

_T = TypeVar("_T")
_OTHER = re.compile(r"[^a-zA-Z0-9_-]")
_SCHEMA: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])


@dataclass(frozen=True)
class McpTool:
    """A tool as models see it; `server` and `tool` are its names in policy."""

    name: str
    description: str
    parameters: Mapping[str, Json]
    server: str
    tool: str
    validator: Draft202012Validator = field(repr=False, compare=False)


@dataclass(frozen=True)
class ToolAnswer:
    """What a call came to. `stored` is the content hash of the whole text where `text` is only its beginning."""

    ok: bool
    text: str
    stored: str = ""
    images: tuple[Image, ...] = ()


class Mcp:
    """`ports.Toolbox` over MCP servers. Each is connected when first needed, in the loop of whoever needs it.

    `environments` is, by its name, what a server that is started here gets beside PATH, HOME and the like: nothing
    else of our environment, and nothing at all of ours when it is not in there.
    """

    def __init__(
        self,
        servers: Sequence[ToolServer],
        environments: Mapping[str, Mapping[str, str]],
        contents: Contents,
        max_chars: int = 8_000,
    ) -> None:
        self._offers = {
            server.name: _Offer(Connection(server, environments.get(server.name, {}))) for server in servers
        }
        self._contents = contents
        self._max_chars = max_chars

    async def definitions(self, allowed: Sequence[str]) -> Sequence[McpTool]:
        """Tools named by `server/tool` or `server/*`, in the order of the list.

        Raises:
            Rejected: the list names a server or a tool that does not exist.
            Unavailable: a server cannot be reached.
        """
        wanted = _by_server(allowed)
        if unknown := wanted.keys() - self._offers.keys():
            raise Rejected(
                f"no tool server {sorted(unknown)[0]!r}: policy has {sorted(self._offers)}", code="UnknownToolServer"
            )
        offers = await asyncio.gather(*(self._offers[server].tools() for server in wanted))
        chosen: dict[str, McpTool] = {}
        for (server, names), offer in zip(wanted.items(), offers, strict=True):
            for name in names:
                if name != "*" and name not in offer:
                    raise Rejected(
                        f"tool server {server!r} has no tool {name!r}: it has {sorted(offer)}", code="UnknownTool"
                    )
            chosen |= {tool.name: tool for tool in offer.values() if "*" in names or tool.tool in names}
        return tuple(chosen.values())

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> ToolAnswer:
        """Check name and arguments, then call. What the model can mend is an answer with `ok` false.

        Not repeated, and not idempotent unless the tool is.

        Raises:
            Unavailable: the server cannot be reached, or went away meanwhile.
        """
        own = [entry for entry in allowed if name.startswith(_prefix(entry.partition("/")[0]))]
        known = {tool.name: tool for tool in await self.definitions(own)}
        tool = known.get(name)
        if tool is None:
            return ToolAnswer(
                False, f"There is no tool {name[:200]!r}. You may use only the tools that you were given."
            )
        if wrong := fault(tool, arguments):
            return ToolAnswer(False, wrong)
        assert isinstance(arguments, dict)
        return await self._called(tool, arguments)

    async def aclose(self) -> None:
        """Close all connections, and end the processes that were started."""
        await asyncio.gather(*(offer.connection.aclose() for offer in self._offers.values()))

    async def _called(self, tool: McpTool, arguments: dict[str, Json]) -> ToolAnswer:
        connection = self._offers[tool.server].connection
        limit = connection.server.timeout.total_seconds()
        try:
            async with connection.use() as client:
                result = await _within(limit, client.call_tool(tool.tool, arguments))
        except MCPError as error:
            return ToolAnswer(False, f"{tool.name} was refused by its server: {clean(error.message[:1_000])}")
        except (RuntimeError, ValidationError) as error:
            # The SDK checks results against the protocol and against the schema that the server itself gave.
            LOG.warning("tool broke its own schema", tool=tool.name, error=type(error).__name__)
            return ToolAnswer(False, f"{tool.name} answered what its own description does not allow.")
        if result is None:
            text = f"{tool.name} took longer than {limit:g} s and was stopped. Ask for less, or do without."
            return ToolAnswer(False, text)
        images = images_of(result)
        answer = await self._sized(clean(text_of(result, images)), ok=not result.is_error)
        return replace(answer, images=images)

    async def _sized(self, text: str, *, ok: bool) -> ToolAnswer:
        if len(text) <= self._max_chars:
            return ToolAnswer(ok, text)
        digest = await self._contents.put(text.encode())
        note = f"\n[Cut here: the first {self._max_chars} of {len(text)} characters. The whole is stored as {digest}.]"
        return ToolAnswer(ok, text[: self._max_chars] + note, digest)


class _Offer:
    """What a server offers: read for each connection, again when it says that it changed, and after a while."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._reading = asyncio.Lock()
        self._read: tuple[int, float] | None = None
        self._tools: dict[str, McpTool] = {}

    async def tools(self) -> Mapping[str, McpTool]:
        async with self._reading:
            try:
                async with self.connection.use() as client:
                    if not self._is_fresh():
                        # Noted first: what changes while the list is read makes it stale.
                        read = (self.connection.generation, monotonic())
                        self._tools = await self._offered(client)
                        self._read = read
            except (MCPError, ValidationError) as error:
                name = self.connection.server.name
                raise Unavailable(f"tool server {name!r} does not tell its tools: {type(error).__name__}") from error
        return self._tools

    def _is_fresh(self) -> bool:
        if self._read is None:
            return False
        generation, at = self._read
        return generation == self.connection.generation and monotonic() - at < LIST_SECONDS_MAX

    async def _offered(self, client: Client) -> dict[str, McpTool]:
        server = self.connection.server
        offered = await _within(server.timeout.total_seconds(), _listed(client))
        if offered is None:
            raise Unavailable(f"tool server {server.name!r} took longer than {server.timeout} to tell its tools")
        tools = (named(server.name, tool) for tool in offered)
        return {tool.tool: tool for tool in tools if tool is not None}


async def _within(seconds: float, work: Awaitable[_T]) -> _T | None:
    """What the work comes to, or None when it takes longer; then the server is told to stop."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        return None


async def _listed(client: Client) -> list[OfferedTool]:
    tools: list[OfferedTool] = []
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        tools += page.tools
        cursor = page.next_cursor
        if not cursor:
            break
    return tools


def named(server: str, offered: OfferedTool) -> McpTool | None:
    """The tool under a name that models accept; none if its schema is no schema, which a provider would refuse."""
    schema = _SCHEMA.validate_python(cleaned(offered.input_schema))
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError:
        LOG.warning("tool left out: its schema is invalid", server=server, tool=offered.name)
        return None
    return McpTool(
        name=tool_name(server, offered.name),
        description=clean((offered.description or offered.title or "")[:DESCRIPTION_CHARS_MAX]),
        parameters=schema,
        server=server,
        tool=offered.name,
        # An empty registry: a schema may not make us fetch anything.
        validator=Draft202012Validator(schema, registry=Registry()),
    )


def tool_name(server: str, tool: str) -> str:
    """`server__tool` within what models accept; where that changes a name, a hash keeps it unique."""
    plain = _prefix(server) + _OTHER.sub("_", tool)
    if plain == f"{server}__{tool}" and len(plain) <= NAME_CHARS_MAX:
        return plain
    digest = hashlib.sha256(f"{server}/{tool}".encode()).hexdigest()[:8]
    return f"{plain[: NAME_CHARS_MAX - 9]}_{digest}"


def _prefix(server: str) -> str:
    """With which the names of a server's tools begin; short enough to leave room for them."""
    return _OTHER.sub("_", server)[:30] + "__"


def _by_server(allowed: Sequence[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for entry in allowed:
        server, _, tool = entry.partition("/")
        wanted.setdefault(server, []).append(tool)
    return wanted


def fault(tool: McpTool, arguments: Json) -> str:
    """What is wrong with the arguments, for the model to mend; empty when nothing is."""
    if not isinstance(arguments, dict):
        return f"{tool.name}: the arguments must be a JSON object."
    try:
        faults = [f"{error.json_path}: {error.message[:300]}" for error in tool.validator.iter_errors(arguments)]
    except (Unresolvable, re.error, RecursionError) as error:
        return f"{tool.name} cannot be used: its schema is broken ({type(error).__name__})."
    if not faults:
        return ""
    return f"{tool.name} was not called, its arguments do not fit its schema: " + "; ".join(faults[:FAULTS_SHOWN])
