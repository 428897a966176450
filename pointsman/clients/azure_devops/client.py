"""Azure DevOps, one organisation: what `pointsman` calls of it, by area."""

from types import TracebackType
from typing import Self
from urllib.parse import quote

import httpx2
from pydantic import SecretStr

from pointsman.clients.azure_devops.answers import ConnectionData, Project
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.service_hooks import ServiceHooksApi
from pointsman.clients.azure_devops.work_items import WorkItemsApi
from pointsman.domain.organisations import organisation_of


class AzureDevOps:
    """One organisation (`https://dev.azure.com/ORGANISATION`, or a collection's URL) seen with one token.

    No call is repeated inside. A client of httpx2 that is handed in stays open when this closes.
    """

    def __init__(self, base_url: str, token: SecretStr, *, http: httpx2.AsyncClient | None = None) -> None:
        self._connection = Connection(base_url, token, http=http)
        self.base_url = self._connection.base_url
        self.organisation = organisation_of(self.base_url)
        self.work_items = WorkItemsApi(self._connection)
        self.hooks = ServiceHooksApi(self._connection)

    def __repr__(self) -> str:
        return f"AzureDevOps({self.base_url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._connection.close()

    async def connection_data(self) -> ConnectionData:
        """Whose token this is."""
        return await self._connection.call(ConnectionData, "GET", "_apis/connectionData", version="7.1-preview.1")

    async def project(self, name: str) -> Project:
        """A project by name or id; service hooks filter by its id."""
        return await self._connection.call(Project, "GET", f"_apis/projects/{quote(name, safe='')}")
