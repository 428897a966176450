"""Pipelines and their runs. A pipeline is a build definition, and a run a build, with the same ids."""

from collections.abc import AsyncGenerator

from pointsman.clients.azure_devops.answers_builds import Pipeline, Run
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.errors import NotWhole
from pointsman.clients.azure_devops.git import full_name
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_header, whole
from pointsman.contracts.base import Json

PAGE = 500
RUNS_MAX = 10_000  # the service's own limit of the list, which has no pages


class PipelinesApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def each(self, project: str) -> AsyncGenerator[Pipeline]:
        return each_by_header(self._connection, Listed[Pipeline], _pipelines(project), {"$top": PAGE})

    async def get(self, project: str, pipeline_id: int) -> Pipeline:
        return await self._connection.call(Pipeline, "GET", f"{_pipelines(project)}/{pipeline_id}")

    async def create(self, project: str, name: str, repository_id: str, yaml_path: str, folder: str = "\\") -> Pipeline:
        """Not idempotent: a second one of the name in the folder is refused (`Conflict`)."""
        configuration: Json = {
            "type": "yaml",
            "path": yaml_path,
            "repository": {"id": repository_id, "type": "azureReposGit"},
        }
        body: dict[str, Json] = {"name": name, "folder": folder, "configuration": configuration}
        return await self._connection.call(Pipeline, "POST", _pipelines(project), body=body)

    async def runs(self, project: str, pipeline_id: int) -> list[Run]:
        """Newest first, in one answer. Of a pipeline with a long past ask `builds.each`, which has pages.

        Raises:
            NotWhole: there may be more than the service tells at once; nothing of the list is used.
        """
        found = await whole(self._connection, Listed[Run], f"{_pipelines(project)}/{pipeline_id}/runs")
        if len(found) >= RUNS_MAX:
            raise NotWhole(
                f"pipeline {pipeline_id}: {len(found)} runs or more; the list is cut, none is used", "ListCut"
            )
        return found

    async def get_run(self, project: str, pipeline_id: int, run_id: int) -> Run:
        return await self._connection.call(Run, "GET", f"{_pipelines(project)}/{pipeline_id}/runs/{run_id}")

    async def run(self, project: str, pipeline_id: int, branch: str = "") -> Run:
        """Start one, of the default branch unless told otherwise. Not idempotent: each call is a run."""
        body: dict[str, Json] = {}
        if branch:
            body["resources"] = {"repositories": {"self": {"refName": full_name(branch)}}}
        return await self._connection.call(Run, "POST", f"{_pipelines(project)}/{pipeline_id}/runs", body=body)


def _pipelines(project: str) -> str:
    return f"{segment(project)}/_apis/pipelines"
