"""`pointsman hooks`: the subscriptions through which Azure DevOps tells us what happens."""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("hooks", "Service hooks of Azure DevOps: list.")


@command(app, "list", "pointsman hooks list", "pointsman hooks list --all --json")
def list_hooks(
    call: Call,
    every: Annotated[bool, typer.Option("--all", help="Those that post elsewhere, too.")] = False,
) -> None:
    """List the subscriptions that post to our receiver, with their status.

    In a pipe: organisation, subscription, event, status, filters, url.
    """
    from starter.cli import hooks
    from starter.cli.settings import settings_of

    call.show(call.run(hooks.listed(settings_of(call), every=every)))
