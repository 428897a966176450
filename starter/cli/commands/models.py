"""`pointsman models`: the file of models, and what the providers say of it."""

from pathlib import Path
from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("models", "The file of models, beside what the providers list.")


@command(
    app,
    "refresh",
    "pointsman models refresh",
    "pointsman models refresh --provider anthropic --write models.yaml",
)
def refresh(
    call: Call,
    provider: Annotated[
        list[str] | None, typer.Option("--provider", help="Ask this one. Repeat it.", show_default=False)
    ] = None,
    write: Annotated[
        Path | None,
        typer.Option("--write", metavar="FILE", dir_okay=False, help="Write the file as the lists would have it."),
    ] = None,
) -> int:
    """Ask each provider for its list of models, and show what the file of models says otherwise.

    New models, models that are gone, changed windows, outputs, abilities and days of shutdown. Exit 9 with
    differences, 1 when a provider did not answer. What is written is a file of your own: read it, then set
    POINTSMAN_MODELS. Models that are gone end today in it, unless a tier or another model's end leads to them.

    In a pipe: provider, model, kind, before, now.
    """
    from starter.cli import models
    from starter.cli.settings import settings_of

    return call.run(models.refreshed(call, settings_of(call), provider or (), write))
