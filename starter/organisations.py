"""Clients of Azure DevOps from settings: one for each organisation, as the account that it is given."""

import os
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from pydantic import SecretStr

from pointsman.clients.azure_devops.caching import Cache, MemoryLayer
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.credentials import Credential, EntraAccounts, PersonalToken, entra
from pointsman.clients.azure_devops.hosts import NEWEST, server_version
from pointsman.clients.azure_devops.pacing import Pace
from pointsman.config import Settings, variable
from pointsman.config.organisations import Auth, Organisation
from starter.accounts import tracker_accounts

SETTINGS = (
    *("azure_devops_url", "azure_devops_auth", "azure_devops_token", "azure_devops_tenant_id"),
    *("azure_devops_client_id", "azure_devops_client_secret", "azure_devops_server"),
)
# Where azure-identity looks for the account of a machine, a pod or a container app.
PLACES_OF_ENTRA = (
    *("AZURE_AUTHORITY_HOST", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"),
    *("AZURE_TENANT_ID", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET"),
)
Paced = Callable[[Organisation, Credential], Pace]
Remembered = Callable[[Organisation], Cache]


def unshared(organisation: Organisation, credential: Credential) -> Pace:
    """A pace of its own, for a command that makes a few calls."""
    return Pace()


def account(organisation: Organisation, credential: Credential) -> str:
    """Whose pace it is: by this name processes share it."""
    return f"{organisation.name}/{credential.name}"


def in_memory(organisation: Organisation) -> Cache:
    """Answers of one command."""
    return Cache([MemoryLayer()])


def credential_of(organisation: Organisation, accounts: Callable[[], EntraAccounts] = entra) -> Credential:
    """As whom we come to the organisation. All that it needs is there: `tracker_accounts` has looked."""
    tenant, client = organisation.tenant_id, organisation.client_id
    match organisation.auth:
        case Auth.TOKEN:
            assert organisation.token is not None
            return PersonalToken(organisation.token)
        case Auth.DEFAULT:
            return accounts().default_chain(managed_client_id=client)
        case Auth.MANAGED_IDENTITY:
            return accounts().managed_identity(client)
        case Auth.CLIENT_SECRET:
            assert organisation.client_secret is not None
            return accounts().client_secret(tenant, client, organisation.client_secret)
        case Auth.WORKLOAD_IDENTITY:
            return accounts().workload_identity(tenant, client)


@asynccontextmanager
async def client_of(
    organisation: Organisation, paced: Paced = unshared, remembered: Remembered = in_memory
) -> AsyncGenerator[AzureDevOps]:
    """A client that closes at the end."""
    credential = credential_of(organisation)
    version = server_version(organisation.server) if organisation.server else NEWEST
    pace = paced(organisation, credential)
    cache = remembered(organisation)
    async with AzureDevOps(organisation.url, credential, pace=pace, cache=cache, version=version) as client:
        try:
            yield client
        finally:
            await pace.close()


@asynccontextmanager
async def clients(
    settings: Settings, paced: Paced = unshared, remembered: Remembered = in_memory
) -> AsyncGenerator[Mapping[str, AzureDevOps]]:
    """A client for each organisation of the settings, by its name.

    Raises:
        Misconfigured: a credential is missing.
    """
    accounts = tracker_accounts(settings)
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(client_of(one, paced, remembered)) for one in accounts]
        yield {one.name: client for one, client in zip(accounts, opened, strict=True)}


def environment(settings: Settings) -> Mapping[str, str]:
    """Variables from which another process of ours comes to the same clients."""
    told = {variable(name): _text(getattr(settings, name)) for name in SETTINGS}
    if any(one.auth is not Auth.TOKEN for one in settings.organisations()):
        told |= {name: os.environ.get(name, "") for name in PLACES_OF_ENTRA}
    return {name: value for name, value in told.items() if value}


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_text(entry) for entry in value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
