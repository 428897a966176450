"""Which organisation a command means."""

from pointsman.config import Settings, variable
from pointsman.config.organisations import Organisation
from starter.cli.errors import CliError, ExitCode, usage


def chosen(settings: Settings, organisation: str, command: str) -> Organisation:
    """The organisation of this name, or the only one.

    Raises:
        CliError: none or several could be meant, or there is no account for it.
    """
    wanted, named = organisation.lower(), settings.organisations()
    found = [one for one in named if not wanted or one.name == wanted]
    if not named:
        raise usage(
            f"No organisation is named: {variable('azure_devops_url')} is not set.",
            f"Set it: export {variable('azure_devops_url')}=https://dev.azure.com/ORGANISATION",
        )
    if len(found) != 1:
        raise usage(
            f"{organisation!r} names none or several of the organisations: {', '.join(one.name for one in named)}.",
            f"Name one: {command} --organisation NAME",
        )
    if missing := found[0].missing():
        raise CliError(
            "no_token",
            f"There is no account for {found[0].name!r} of Azure DevOps: {variable(missing[0])} is not set.",
            f"Set it, or name a file that holds it: export {variable(missing[0])}_FILE=PATH",
            ExitCode.UNAUTHORISED,
        )
    return found[0]
