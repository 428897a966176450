"""A real MCP server with the manners that a client must bear: slow, loud, failing, crashing, changing.

Run it: over stdio without arguments, over HTTP with a port as the argument.
"""

import asyncio
import os
import sys

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

# What it throws shall not get out, and to draw it on stderr takes half a second.
server: MCPServer[None] = MCPServer("edge", log_level="CRITICAL")
meeting = asyncio.Condition()
waiting = 0
begun = 0
stopped = 0


@server.tool()
def echo(text: str, times: int = 1) -> str:
    """Say it again."""
    return text * times


@server.tool()
async def meet(size: int) -> str:
    """Answer once as many calls as `size` are under way together."""
    global waiting
    async with meeting:
        waiting += 1
        meeting.notify_all()
        await meeting.wait_for(lambda: waiting >= size)
    return f"{size} met"


@server.tool()
async def sleep(seconds: float) -> str:
    """Take a while, and count whoever does not wait for it."""
    global begun, stopped
    begun += 1
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        stopped += 1
        raise
    return "slept"


@server.tool()
def sleeps() -> int:
    """How many sleeps have begun."""
    return begun


@server.tool()
def stops() -> int:
    """How many sleeps were stopped."""
    return stopped


@server.tool()
def fail(reason: str) -> str:
    """Fail as a tool does."""
    raise ToolError(reason)


@server.tool()
def burst() -> str:
    """Fail as no tool should."""
    raise RuntimeError("internals of the server")


@server.tool()
def die() -> str:
    """End the process without a word."""
    os._exit(3)


@server.tool()
def pid() -> int:
    """Which process this is."""
    return os.getpid()


@server.tool()
def variables(names: list[str]) -> dict[str, str | None]:
    """What the process was given."""
    return {name: os.environ.get(name) for name in names}


@server.tool()
def mixed() -> CallToolResult:
    """More than text."""
    return CallToolResult(
        content=[
            TextContent(type="text", text="see"),
            ImageContent(type="image", data="AAAA", mime_type="image/png"),
            ResourceLink(type="resource_link", name="log", uri="file:///log.txt"),
        ]
    )


@server.tool(name="odd.name/with:signs", structured_output=True)
def odd() -> dict[str, int]:
    """Named as models do not accept it."""
    return {"one": 1}


if __name__ == "__main__":
    if "FAIL_AT_START" in os.environ:
        sys.exit(f"cannot start: {os.environ['FAIL_AT_START']}")
    if len(sys.argv) > 1:
        server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
    else:
        server.run("stdio")
