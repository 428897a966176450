"""`pointsman mcp`: our own MCP servers, for any MCP client."""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("mcp", "MCP servers over our clients.")


@command(app, "work-items", "pointsman mcp work-items", "pointsman mcp work-items --http 9000 --project Web")
def work_items(
    call: Call,
    http: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=0, max=65535, help="Serve HTTP on this loopback port; 0: a free one."),
    ] = None,
    organisation: Annotated[
        str, typer.Option(help="Which organisation, where several are set.", show_default=False)
    ] = "",
    project: Annotated[str, typer.Option(help="Only items of this project.", show_default=False)] = "",
) -> None:
    """Serve Azure DevOps work items (get, search, comments, links) to an MCP client.

    Over stdio, or HTTP. Reads POINTSMAN_AZURE_DEVOPS_URL and POINTSMAN_AZURE_DEVOPS_TOKEN, and changes nothing.
    On stdio, stdout carries the protocol only.
    """
    from starter.cli import mcp
    from starter.cli.settings import settings_of

    call.run(mcp.serve_work_items(call, settings_of(call), http, organisation, project))
