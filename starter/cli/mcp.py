"""Our MCP servers on the command line."""

from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.config import Settings, variable
from pointsman.domain.organisations import organisation_of
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode, usage
from starter.mcp import run_http, run_stdio, work_items_server


async def serve_work_items(
    call: Call, settings: Settings, http_port: int | None, organisation: str, project: str
) -> None:
    """Serve until stdin ends, or with a port until Ctrl-C."""
    url = _url(settings, organisation)
    async with AzureDevOps(url, _token(settings)) as client:
        server = work_items_server(client, project)
        if http_port is None:
            await run_stdio(server)
        else:
            await run_http(server, port=http_port, announce=lambda endpoint: _announce(call, endpoint))


def _announce(call: Call, endpoint: str) -> None:
    call.out.line(endpoint)
    call.out.flush()
    call.out.say("serving; Ctrl-C stops it. Whoever reaches this port reads what the token may read.")


def _url(settings: Settings, organisation: str) -> str:
    wanted = organisation.lower()
    urls = [url for url in settings.azure_devops_url if not wanted or organisation_of(url) == wanted]
    if len(urls) == 1:
        return urls[0]
    known = ", ".join(organisation_of(url) for url in settings.azure_devops_url)
    if not known:
        raise usage(
            f"No organisation is named: {variable('azure_devops_url')} is not set.",
            f"Set it: export {variable('azure_devops_url')}=https://dev.azure.com/ORGANISATION",
        )
    raise usage(
        f"{organisation!r} names none or several of the organisations: {known}.",
        "Name one: pointsman mcp work-items --organisation NAME",
    )


def _token(settings: Settings) -> SecretStr:
    if settings.azure_devops_token is None:
        raise CliError(
            "no_token",
            f"There is no token for Azure DevOps: {variable('azure_devops_token')} is not set.",
            f"Set it, or name a file that holds it: export {variable('azure_devops_token')}_FILE=PATH",
            ExitCode.UNAUTHORISED,
        )
    return settings.azure_devops_token
