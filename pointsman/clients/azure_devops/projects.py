"""Projects of the organisation, and their teams."""

from datetime import timedelta

from pointsman.clients.azure_devops.answers import Answer, Nothing, Project
from pointsman.clients.azure_devops.answers_policies import Operation
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.names import segment
from pointsman.clients.azure_devops.paging import Listed, each_by_skip, whole
from pointsman.contracts.base import Json


class Team(Answer):
    id: str
    name: str
    description: str = ""
    project_id: str = ""
    project_name: str = ""


class Member(Answer):
    """`identity` in either shape; `names.unique_name` reads it."""

    identity: dict[str, Json] | str = ""
    is_team_admin: bool = False


class _Template(Answer):
    template_name: str = ""


class _Capabilities(Answer):
    process_template: _Template = _Template()


class _Capable(Answer):
    capabilities: _Capabilities = _Capabilities()


class ProjectsApi:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self, state: str = "wellFormed") -> list[Project]:
        """Projects in a state; `deleted` are those that can still be restored, `all` is everything."""
        query: Query = {"stateFilter": state, "$top": 100}
        return await whole(self._connection, Listed[Project], "_apis/projects", query)

    async def get(self, name: str, max_age: timedelta = FRESH) -> Project:
        """By name or id, as it was up to `max_age` ago."""
        return await self._connection.read(Project, f"_apis/projects/{segment(name)}", "project", max_age)

    async def process_name(self, name: str, max_age: timedelta = FRESH) -> str:
        """Name of the process that the project has, `Agile` for one; empty where the service does not tell it."""
        path, query = f"_apis/projects/{segment(name)}", {"includeCapabilities": True}
        found = await self._connection.read(_Capable, path, "process", max_age, query=query)
        return found.capabilities.process_template.template_name

    async def create(self, name: str, template_id: str, description: str = "", *, is_public: bool = False) -> Operation:
        """Begin a project with a process (`templateTypeId`) and Git. Wait with `operations.done`.

        Not idempotent: a second one of the name is refused (`Conflict`).
        """
        body: dict[str, Json] = {
            "name": name,
            "description": description,
            "visibility": "public" if is_public else "private",
            "capabilities": {
                "versioncontrol": {"sourceControlType": "Git"},
                "processTemplate": {"templateTypeId": template_id},
            },
        }
        return await self._connection.call(Operation, "POST", "_apis/projects", body=body)

    async def delete(self, project_id: str) -> Operation:
        """Begin to remove one, with all that is in it. It can be brought back for 28 days. Wait as for `create`.

        Takes the id only: a name could be that of another one by now.
        """
        return await self._connection.call(Operation, "DELETE", f"_apis/projects/{segment(project_id)}")

    async def teams(self, project: str) -> list[Team]:
        return [team async for team in each_by_skip(self._connection, Listed[Team], _teams(project))]

    async def team(self, project: str, name: str) -> Team:
        return await self._connection.call(Team, "GET", f"{_teams(project)}/{segment(name)}")

    async def create_team(self, project: str, name: str, description: str = "") -> Team:
        """Not idempotent: a second team of the name is refused."""
        body: dict[str, Json] = {"name": name, "description": description}
        return await self._connection.call(Team, "POST", _teams(project), body=body)

    async def delete_team(self, project: str, name: str) -> None:
        await self._connection.call(Nothing, "DELETE", f"{_teams(project)}/{segment(name)}")

    async def members(self, project: str, team: str) -> list[Member]:
        path = f"{_teams(project)}/{segment(team)}/members"
        return [member async for member in each_by_skip(self._connection, Listed[Member], path)]


def _teams(project: str) -> str:
    return f"_apis/projects/{segment(project)}/teams"
