"""`pointsman config`: settings, and who set them."""

from typing import Annotated

import typer

from starter.cli.call import Call, command, group

app = group("config", "Settings: show, explain.")


@command(app, "show", "pointsman config show", "pointsman config show temporal_address")
def show(call: Call, name: Annotated[str, typer.Argument(help="Only this setting.", show_default=False)] = "") -> None:
    """Show the settings in force. Secrets are masked.

    In a pipe: setting, value.
    """
    from starter.cli import config
    from starter.cli.settings import settings_of

    call.show(config.shown(settings_of(call), name))


@command(app, "explain", "pointsman config explain", "pointsman config explain database_url")
def explain(
    call: Call, name: Annotated[str, typer.Argument(help="Only this setting.", show_default=False)] = ""
) -> None:
    """Explain each setting: its value, who set it, its variable, what it is for.

    In a pipe: setting, value, origin, variable, description. Works with wrong settings, too, and says what is wrong.
    """
    from starter.cli import config
    from starter.cli.settings import settings_of

    call.show(config.explained(settings_of(call), name))
    config.warn_of_misspelt(call)
