"""Azure DevOps, one organisation: what `pointsman` calls of it, by area."""

from copy import copy
from datetime import timedelta
from types import TracebackType
from typing import Self

import httpx2
from pydantic import SecretStr

from pointsman.clients.azure_devops.answers import ConnectionData, Project
from pointsman.clients.azure_devops.approvals import ApprovalsApi
from pointsman.clients.azure_devops.attachments import AttachmentsApi
from pointsman.clients.azure_devops.audit import AuditApi
from pointsman.clients.azure_devops.batches import BatchesApi
from pointsman.clients.azure_devops.builds import BuildsApi
from pointsman.clients.azure_devops.caching import FRESH, Cache
from pointsman.clients.azure_devops.connection import ITEM, Connection, Tell
from pointsman.clients.azure_devops.credentials import Credential
from pointsman.clients.azure_devops.discussions import DiscussionsApi
from pointsman.clients.azure_devops.errors import WHO_WE_ARE
from pointsman.clients.azure_devops.git import GitApi
from pointsman.clients.azure_devops.graph import GraphApi
from pointsman.clients.azure_devops.history import HistoryApi
from pointsman.clients.azure_devops.hosts import NEWEST
from pointsman.clients.azure_devops.identities import IdentitiesApi
from pointsman.clients.azure_devops.nodes import NodesApi
from pointsman.clients.azure_devops.operations import OperationsApi
from pointsman.clients.azure_devops.pacing import Pace
from pointsman.clients.azure_devops.pipelines import PipelinesApi
from pointsman.clients.azure_devops.policies import PoliciesApi
from pointsman.clients.azure_devops.processes import ProcessesApi
from pointsman.clients.azure_devops.projects import ProjectsApi
from pointsman.clients.azure_devops.pull_requests import PullRequestsApi
from pointsman.clients.azure_devops.queries import QueriesApi
from pointsman.clients.azure_devops.service_hooks import ServiceHooksApi
from pointsman.clients.azure_devops.test_plans import TestPlansApi
from pointsman.clients.azure_devops.test_results import TestResultsApi
from pointsman.clients.azure_devops.types import TypesApi
from pointsman.clients.azure_devops.work_items import WorkItemsApi
from pointsman.domain.organisations import organisation_of


class AzureDevOps:
    """One organisation (`https://dev.azure.com/ORGANISATION`, or a collection's URL) as one account sees it.

    No call is repeated inside. A client of httpx2 that is handed in stays open when this closes, and so does the
    credential then. `version` is the newest of the API that a server knows, see `hosts.server_version`. Clients of the
    same account at the same organisation share a `pace`, and all may share a `cache`.
    """

    def __init__(
        self,
        base_url: str,
        credential: SecretStr | Credential,
        *,
        http: httpx2.AsyncClient | None = None,
        pace: Pace | None = None,
        cache: Cache | None = None,
        version: str = NEWEST,
    ) -> None:
        self._take(Connection(base_url, credential, http=http, pace=pace, cache=cache, version=version))

    def _take(self, connection: Connection) -> None:
        self._connection = connection
        self.base_url = connection.base_url
        self.organisation = organisation_of(connection.base_url)
        self.work_items = WorkItemsApi(connection)
        self.batches = BatchesApi(connection)
        self.history = HistoryApi(connection)
        self.discussions = DiscussionsApi(connection)
        self.queries = QueriesApi(connection)
        self.types = TypesApi(connection)
        self.processes = ProcessesApi(connection)
        self.nodes = NodesApi(connection)
        self.attachments = AttachmentsApi(connection)
        self.projects = ProjectsApi(connection)
        self.git = GitApi(connection)
        self.pull_requests = PullRequestsApi(connection)
        self.builds = BuildsApi(connection)
        self.pipelines = PipelinesApi(connection)
        self.approvals = ApprovalsApi(connection)
        self.test_plans = TestPlansApi(connection)
        self.test_results = TestResultsApi(connection)
        self.policies = PoliciesApi(connection)
        self.operations = OperationsApi(connection)
        self.graph = GraphApi(connection)
        self.identities = IdentitiesApi(connection)
        self.audit = AuditApi(connection)
        self.hooks = ServiceHooksApi(connection)

    def in_bulk(self) -> Self:
        """The same client for calls that nobody waits for. Close this one, not that."""
        other = copy(self)
        other._take(self._connection.in_bulk())
        return other

    def patiently(self, tell: Tell) -> Self:
        """The same client for a long reading: see `Connection.patiently`. Close this one, not that."""
        other = copy(self)
        other._take(self._connection.patiently(tell))
        return other

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

    async def connection_data(self, max_age: timedelta = FRESH) -> ConnectionData:
        """Whose token this is."""
        return await self._connection.read(ConnectionData, WHO_WE_ARE, "identity", max_age, version="7.1-preview.1")

    async def heard(self, item_id: int) -> None:
        """An event told that the item has changed: nothing that was read of it until now is used again."""
        await self._connection.forget(ITEM, str(item_id))

    async def project(self, name: str) -> Project:
        """A project by name or id; service hooks filter by its id."""
        return await self.projects.get(name)
