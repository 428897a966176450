"""Our MCP servers on the command line."""

from pointsman.config import Settings, variable
from pointsman.config.organisations import Organisation
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode, usage
from starter.mcp import run_http, run_stdio, work_items_server
from starter.organisations import client_of


async def serve_work_items(
    call: Call, settings: Settings, http_port: int | None, organisation: str, project: str
) -> None:
    """Serve until stdin ends, or with a port until Ctrl-C."""
    async with client_of(_chosen(settings, organisation)) as client:
        server = work_items_server(client, project)
        if http_port is None:
            await run_stdio(server)
        else:
            await run_http(server, port=http_port, announce=lambda endpoint: _announce(call, endpoint))


def _announce(call: Call, endpoint: str) -> None:
    call.out.line(endpoint)
    call.out.flush()
    call.out.say("serving; Ctrl-C stops it. Whoever reaches this port reads what the token may read.")


def _chosen(settings: Settings, organisation: str) -> Organisation:
    wanted, named = organisation.lower(), settings.organisations()
    found = [one for one in named if not wanted or one.name == wanted]
    if not named:
        raise usage(
            f"No organisation is named: {variable('azure_devops_url')} is not set.",
            f"Set it: export {variable('azure_devops_url')}=https://dev.azure.com/ORGANISATION",
        )
    if len(found) != 1:
        raise usage(
            f"{organisation!r} names none or several of the organisations: {', '.join(one.name for one in named)}.",
            "Name one: pointsman mcp work-items --organisation NAME",
        )
    if missing := found[0].missing():
        raise CliError(
            "no_token",
            f"There is no account for {found[0].name!r} of Azure DevOps: {variable(missing[0])} is not set.",
            f"Set it, or name a file that holds it: export {variable(missing[0])}_FILE=PATH",
            ExitCode.UNAUTHORISED,
        )
    return found[0]
