"""`pointsman db`: the store's schema and its backup."""

from pathlib import Path
from typing import Annotated

import typer

from starter.cli.call import Call, DryRun, Yes, command, group

app = group("db", "The store: upgrade, downgrade, current, backup.")


@command(app, "upgrade", "pointsman db upgrade", "pointsman db upgrade --dry-run")
def upgrade(
    call: Call,
    revision: Annotated[str, typer.Argument(help="Revision to reach.")] = "head",
    dry_run: DryRun = False,
) -> None:
    """Bring the schema up to date. `serve` and `up` do so by themselves on SQLite."""
    from starter.cli import database
    from starter.cli.settings import settings_of

    call.show(database.upgrade(settings_of(call), revision, dry_run=dry_run))


@command(app, "downgrade", "pointsman db downgrade previous --yes")
def downgrade(
    call: Call,
    revision: Annotated[str, typer.Argument(help="Revision, or previous, or base for none.", show_default=False)],
    dry_run: DryRun = False,
    yes: Yes = False,
) -> None:
    """Take the schema back. Columns and tables of the revisions undone are lost: make a backup first."""
    from starter.cli import database
    from starter.cli.settings import settings_of

    settings = settings_of(call)
    if not dry_run:
        call.confirm(f"Go back to revision {revision}, and lose what later revisions keep?", yes)
    call.show(database.downgrade(settings, revision, dry_run=dry_run))


@command(app, "current", "pointsman db current")
def current(call: Call) -> None:
    """Show the schema's revision, and the newest one."""
    from starter.cli import database
    from starter.cli.settings import settings_of

    call.show(database.current(settings_of(call)))


@command(app, "backup", "pointsman db backup pointsman-copy.db")
def backup(
    call: Call, file: Annotated[Path, typer.Argument(help="File to write; it must not exist.", show_default=False)]
) -> None:
    """Copy the SQLite store into a file, consistently, while it is in use."""
    from starter.cli import database
    from starter.cli.settings import settings_of

    call.show(database.backup(settings_of(call), file))
