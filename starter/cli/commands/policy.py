"""`pointsman policy`: which items are ours, which agent takes them, what needs a human."""

from pathlib import Path
from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("policy", "Policy: check, show.")

Folder = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of your policy; the one in force if not given.", show_default=False),
]


@command(app, "check", "pointsman policy check --dir ./policy")
def check(call: Call, folder: Folder = None) -> int:
    """Check a folder of policy. Exit 9 with findings: file, line, key, value, and what is allowed."""
    from starter.cli import policy
    from starter.cli.settings import settings_of

    return policy.check(call, settings_of(call), folder)


@command(app, "show", "pointsman policy show", "pointsman policy show --json")
def show(call: Call, folder: Folder = None) -> None:
    """Show the policy in force: version, hash, scope, routes, agents, ladders.

    In a pipe: part, name, what it says.
    """
    from starter.cli import policy
    from starter.cli.settings import settings_of

    call.show(policy.shown(settings_of(call), folder))
