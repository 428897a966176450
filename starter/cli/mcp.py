"""Our MCP servers on the command line."""

from pointsman.config import Settings
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode
from starter.cli.organisations import chosen
from starter.mcp import run_http, run_stdio, work_items_server
from starter.organisations import client_of


async def serve_work_items(
    call: Call, settings: Settings, http_port: int | None, organisation: str, project: str
) -> None:
    """Serve until stdin ends, or with a port until Ctrl-C."""
    async with client_of(chosen(settings, organisation, "pointsman mcp work-items")) as client:
        server = work_items_server(client, project)
        if http_port is None:
            await run_stdio(server)
        else:
            try:
                await run_http(server, port=http_port, announce=lambda endpoint: _announce(call, endpoint))
            except OSError as error:
                raise CliError(
                    "port_taken",
                    f"127.0.0.1:{http_port} cannot be listened on: {error.strerror}. Nothing was started.",
                    "Take a free port: pointsman mcp work-items --http 0",
                    ExitCode.CONFLICT,
                ) from error


def _announce(call: Call, endpoint: str) -> None:
    call.out.line(endpoint)
    call.out.flush()
    call.out.say("serving; Ctrl-C stops it. Whoever reaches this port reads what the token may read.")
