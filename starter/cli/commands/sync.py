"""`pointsman sync`: are both sides the same, and what is done where they are not?"""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("sync", "Both ways: what was agreed with Azure DevOps, and where it was not.")


@command(app, "status", "pointsman sync status", "pointsman sync status --json", "pointsman sync status --exit-status")
def status(
    call: Call,
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit 9 while something waits for a human.")
    ] = False,
) -> int:
    """Show how synchronisation stands in each project. Conflicts and items in quarantine wait for a human.

    In a pipe: organisation, project, items, conflicts, quarantined, in_doubt, newest.
    """
    from starter.cli import sync
    from starter.cli.settings import settings_of

    return call.run(sync.status(call, settings_of(call), exit_status=exit_status))
