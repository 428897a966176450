"""As whom we come to Azure DevOps: whether the settings hold all that their credentials need.

Apart from what else a start needs, because whoever makes a client looks here, and policy and models take long to load.
"""

from collections.abc import Sequence

from pointsman.config import Misconfigured, Settings, variable
from pointsman.config.organisations import Auth, Organisation


def tracker_accounts(settings: Settings) -> Sequence[Organisation]:
    """The organisations with all that their credentials need.

    Raises:
        Misconfigured: something is missing.
    """
    found = settings.organisations()
    for one in found:
        if missing := one.missing():
            raise _unset(missing, one)
    if not found and settings.azure_devops_token is None and not settings.azure_devops_auth:
        raise _unset(("azure_devops_token",), None)
    return found


def _unset(names: Sequence[str], organisation: Organisation | None) -> Misconfigured:
    told = " and ".join(variable(name) for name in names)
    whose = f" for organisation {organisation.name!r}" if organisation else ""
    if organisation is None or organisation.auth is Auth.TOKEN:
        need = (
            f"the worker needs a personal access token with Work Items (R&W){whose}, or another kind of account in "
            f"{variable('azure_devops_auth')}"
        )
    else:
        need = f"{variable('azure_devops_auth')} is {organisation.auth.value}{whose}, which needs it"
    return Misconfigured(f"{told} is not set: {need}. Nothing was started.")
