"""Definitions and builds."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pointsman.clients.azure_devops.answers_builds import Build, Definition
from pointsman.clients.azure_devops.answers_code import Reference
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.git import full_name
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, whole
from pointsman.contracts.base import Json

PAGE = 500
ITEMS_MAX = 1_000  # of a build; the service takes a limit and gives no token


@dataclass(frozen=True)
class BuildCriteria:
    """Which builds; empty is all of them. `since` is about when they were queued."""

    definition_ids: Sequence[int] = ()
    status: str = ""
    result: str = ""
    branch: str = ""
    repository_id: str = ""
    since: datetime | None = None

    @property
    def query(self) -> dict[str, str | int | bool]:
        found = {
            "definitions": ",".join(map(str, self.definition_ids)),
            "statusFilter": self.status,
            "resultFilter": self.result,
            "branchName": full_name(self.branch) if self.branch else "",
            "repositoryId": self.repository_id,
            "repositoryType": "TfsGit" if self.repository_id else "",
            "minTime": self.since.isoformat() if self.since else "",
        }
        return {name: value for name, value in found.items() if value}


class BuildsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def definitions(self, project: str, name: str = "") -> AsyncGenerator[Definition]:
        """All, or those of a name; a star at its end stands for anything."""
        query: dict[str, str | int | bool] = {"$top": PAGE, **({"name": name} if name else {})}
        # The token of this list goes with an order only.
        query["queryOrder"] = "definitionNameAscending"
        return each_by_header(self._connection, Listed[Definition], f"{_build(project)}/definitions", query)

    async def definition(self, project: str, definition_id: int) -> Definition:
        path = f"{_build(project)}/definitions/{definition_id}"
        return await self._connection.call(Definition, "GET", path)

    def each(self, project: str, criteria: BuildCriteria | None = None) -> AsyncGenerator[Build]:
        """Oldest first, so that a list that grows meanwhile repeats and skips none."""
        query = {"$top": PAGE, "queryOrder": "queueTimeAscending", **(criteria or BuildCriteria()).query}
        return each_by_header(self._connection, Listed[Build], f"{_build(project)}/builds", query)

    async def get(self, project: str, build_id: int) -> Build:
        return await self._connection.call(Build, "GET", f"{_build(project)}/builds/{build_id}")

    async def queue(self, project: str, definition_id: int, branch: str = "", version: str = "") -> Build:
        """Start one, of the default branch unless told otherwise. Not idempotent: each call is a build."""
        body: dict[str, Json] = {"definition": {"id": definition_id}}
        if branch:
            body["sourceBranch"] = full_name(branch)
        if version:
            body["sourceVersion"] = version
        return await self._connection.call(Build, "POST", f"{_build(project)}/builds", body=body)

    async def work_items(self, project: str, build_id: int) -> list[Reference]:
        """Items of the commits that it is the first to build.

        Raises:
            NotWhole: there may be more than the service tells at once; nothing of the list is used.
        """
        path = f"{_build(project)}/builds/{build_id}/workitems"
        found = await whole(self._connection, Listed[Reference], path, {"$top": ITEMS_MAX})
        if len(found) >= ITEMS_MAX:
            raise NotWhole(f"build {build_id}: {len(found)} items or more; the list is cut, none is used", "ListCut")
        return found


def _build(project: str) -> str:
    return f"{segment(project)}/_apis/build"
