"""`pointsman temporal`: the local Temporal server, where its binary is and how to get it."""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("temporal", "The local Temporal server: path, install, run.")


@command(app, "path", "pointsman temporal path", '"$(pointsman temporal path)" workflow list')
def path(call: Call) -> None:
    """Print the path of the `temporal` binary that is used. Exit 3 if there is none yet."""
    from starter.cli import temporal

    temporal.tell_path(call)


@command(app, "install", "pointsman temporal install")
def install(call: Call) -> None:
    """Download or build the pinned server into the user's cache, once. Up to five minutes."""
    from starter.cli import temporal

    temporal.install(call)


@command(app, "run", "pointsman temporal run", "pointsman temporal run --port 7233 --ui-port 8233")
def run(
    call: Call,
    port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of the server; 0 takes a free one.")
    ] = 7233,
    ui_port: Annotated[
        int, typer.Option(metavar="PORT", min=0, max=65535, help="Port of the UI; 0 takes a free one.")
    ] = 8233,
) -> int:
    """Run the local server until Ctrl-C. Its state is kept in the data folder."""
    from starter.cli import temporal
    from starter.cli.settings import settings_of

    return call.run(temporal.run(call, settings_of(call), port, ui_port))
