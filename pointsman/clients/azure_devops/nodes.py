"""Areas and iterations of a project: two trees."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import Field

from pointsman.clients.azure_devops.answers import Answer, Nothing
from pointsman.clients.azure_devops.caching import FRESH
from pointsman.clients.azure_devops.connection import Connection, Query
from pointsman.clients.azure_devops.names import segment
from pointsman.contracts.base import Json

DEPTH_MAX = 14  # levels that a tree can have


class Tree(StrEnum):
    AREAS = "areas"
    ITERATIONS = "iterations"


class Attributes(Answer):
    start_date: datetime | None = None
    finish_date: datetime | None = None


class Node(Answer):
    """`path` is the service's, for example `\\Fabrikam\\Area\\Checkout`; `below` names it as work items do."""

    id: int
    identifier: str = ""
    name: str
    structure_type: str = ""
    path: str = ""
    has_children: bool = False
    children: "list[Node]" = Field(default_factory=list)
    attributes: Attributes = Attributes()

    def paths(self, parent: str = "") -> dict[str, Self]:
        """This node and all below it by the path that work items carry, for example `Fabrikam\\Checkout`."""
        path = f"{parent}\\{self.name}" if parent else self.name
        found: dict[str, Self] = {path: self}
        for child in self.children:
            found |= type(self).model_validate(child, from_attributes=True).paths(path)
        return found


class NodesApi:
    """Paths begin below the root and are divided by backslashes, as the end of an area path is."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def get(
        self, project: str, tree: Tree, path: str = "", depth: int = DEPTH_MAX, max_age: timedelta = FRESH
    ) -> Node:
        """A node, the root where `path` is empty, with `depth` levels below it, as it was up to `max_age` ago."""
        query: Query = {"$depth": depth}
        return await self._connection.read(Node, _path(project, tree, path), "node", max_age, query=query)

    async def create(
        self,
        project: str,
        tree: Tree,
        name: str,
        parent: str = "",
        *,
        start: datetime | None = None,
        finish: datetime | None = None,
    ) -> Node:
        """A node below `parent`. Not idempotent: a second one of the name is refused (409, `Conflict`)."""
        body: dict[str, Json] = {"name": name}
        dates: dict[str, Json] = {
            key: value.isoformat() for key, value in (("startDate", start), ("finishDate", finish)) if value
        }
        if dates:
            body["attributes"] = dates
        return await self._connection.call(Node, "POST", _path(project, tree, parent), body=body)

    async def rename(self, project: str, tree: Tree, path: str, name: str) -> Node:
        return await self._connection.call(Node, "PATCH", _path(project, tree, path), body={"name": name})

    async def delete(self, project: str, tree: Tree, path: str, reclassify_id: int) -> None:
        """Remove a node and what is below it; its items move to the node `reclassify_id`."""
        query: Query = {"$reclassifyId": reclassify_id}
        await self._connection.call(Nothing, "DELETE", _path(project, tree, path), query=query)


def _path(project: str, tree: Tree, path: str) -> str:
    below = "".join(f"/{segment(part)}" for part in path.split("\\") if part)
    return f"{segment(project)}/_apis/wit/classificationnodes/{tree}{below}"
