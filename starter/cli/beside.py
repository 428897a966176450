"""Clients of Azure DevOps for commands that read much: they keep to the pace of the services on the same store."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.credentials import Credential
from pointsman.clients.azure_devops.pacing import CALLS_MAX, Pace
from pointsman.config import Settings
from pointsman.config.organisations import Organisation
from pointsman.ports import Rejected, Unavailable
from pointsman.store.engine import Store
from pointsman.store.tracker_pace import StorePaceBeside, StoreSharedPace
from starter.cli.context import changing, reading, stored_in_sqlite
from starter.cli.errors import CliError
from starter.organisations import account, client_of, unshared


@asynccontextmanager
async def client_beside(settings: Settings, organisation: Organisation) -> AsyncGenerator[AzureDevOps]:
    """A client that closes at the end. Without a store that can be used it has a pace of its own, as what it reads
    needs none."""
    async with AsyncExitStack() as stack:
        store = await _store(settings, stack)
        paced = partial(_paced, store) if store else unshared
        yield await stack.enter_async_context(client_of(organisation, paced))


async def _store(settings: Settings, stack: AsyncExitStack) -> Store | None:
    opened = reading if stored_in_sqlite(settings) else changing
    try:
        return await stack.enter_async_context(opened(settings))
    except (CliError, Rejected, Unavailable):
        return None


def _paced(store: Store, organisation: Organisation, credential: Credential) -> Pace:
    kind = StorePaceBeside if store.dialect == "sqlite" else StoreSharedPace
    return Pace(shared=kind(store, account(organisation, credential), CALLS_MAX))
