"""`pointsman mcp`: our own MCP servers, for any MCP client."""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("mcp", "MCP servers over our clients.")


@command(app, "work-items", "pointsman mcp work-items", "pointsman mcp work-items --http 9000")
def work_items(
    call: Call,
    http: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Serve HTTP on this loopback port, not stdio.")
    ] = None,
) -> None:
    """Serve Azure DevOps work items (get, search, comments, links) to an MCP client, over stdio.

    Reads POINTSMAN_AZURE_DEVOPS_URL and POINTSMAN_AZURE_DEVOPS_TOKEN. On stdio, stdout carries the protocol only.
    """
    from starter.cli import context, mcp

    mcp.serve_work_items(context.settings(call), http)
