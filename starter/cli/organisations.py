"""Which organisation a command means, how it reads much of it, and what it says of a project that is not there."""

from datetime import timedelta

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.config import Settings, variable
from pointsman.config.organisations import Organisation
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode, not_found, usage

SAID_FROM = timedelta(seconds=1)


def names(settings: Settings) -> list[str]:
    """Of all organisations.

    Raises:
        CliError: there is none, so that whatever is asked of each would come to nothing, and look done.
    """
    if not (found := [one.name for one in settings.organisations()]):
        raise usage(
            f"No organisation is named: {variable('azure_devops_url')} is not set.",
            f"Set it: export {variable('azure_devops_url')}=https://dev.azure.com/ORGANISATION",
        )
    return found


def chosen(settings: Settings, organisation: str, command: str) -> Organisation:
    """The organisation of this name, or the only one.

    Raises:
        CliError: none or several could be meant, or there is no account for it.
    """
    wanted, known = organisation.lower(), ", ".join(names(settings))
    found = [one for one in settings.organisations() if not wanted or one.name == wanted]
    if len(found) != 1:
        wrong = f"{organisation!r} is none of the organisations of settings" if wanted else "Settings name several"
        raise usage(f"{wrong}: {known}. Nothing was asked.", f"Name one: {command} --organisation NAME")
    if missing := found[0].missing():
        raise CliError(
            "no_token",
            f"There is no account for {found[0].name!r} of Azure DevOps: {variable(missing[0])} is not set.",
            f"Set it, or name a file that holds it: export {variable(missing[0])}_FILE=PATH",
            ExitCode.UNAUTHORISED,
        )
    return found[0]


def patient(call: Call, client: AzureDevOps) -> AzureDevOps:
    """For a reading that takes long: it waits where the service wants that, and says so. Close `client`, not this."""

    def tell(why: str, wait: timedelta) -> None:
        if wait >= SAID_FROM:
            call.out.say(f"waiting {wait.total_seconds():.0f} s: {why}")

    return client.patiently(tell)


async def no_project(client: AzureDevOps, project: str) -> CliError:
    """For a project that was not found. One request more, because that may be true of its organisation already.

    Raises:
        UnknownOrganisation: it is.
        NotSignedIn: it does not know us.
    """
    who = (await client.connection_data()).authenticated_user.unique_name
    told = f"There is no project {project!r} that {who} may see. Nothing was read or changed."
    return not_found(told, "pointsman doctor --online")
