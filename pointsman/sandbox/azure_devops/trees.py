"""Areas and iterations that somebody made, and teams. Names are compared without case."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from uuid import NAMESPACE_URL, uuid5

from pointsman.contracts.base import Json


@dataclass
class Node:
    id: int
    name: str
    attributes: dict[str, Json] = field(default_factory=dict)
    children: list["Node"] = field(default_factory=list)

    def child(self, name: str) -> "Node | None":
        return next((node for node in self.children if node.name.lower() == name.lower()), None)

    def at(self, names: list[str]) -> "Node | None":
        below = self.child(names[0]) if names else self
        return below.at(names[1:]) if below and names else below

    def all(self) -> Iterator["Node"]:
        yield self
        for child in self.children:
            yield from child.all()

    @property
    def identifier(self) -> str:
        return str(uuid5(NAMESPACE_URL, f"node/{self.id}"))


@dataclass(frozen=True)
class Team:
    name: str
    description: str

    def id_in(self, project_id: str) -> str:
        return str(uuid5(NAMESPACE_URL, f"team/{project_id}/{self.name.lower()}"))


@dataclass
class Forest:
    """The trees of all projects, each made with its root when it is first looked at."""

    roots: dict[tuple[str, str, str], Node] = field(default_factory=dict)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def root(self, organisation: str, project: str, group: str) -> Node:
        place = (organisation.lower(), project.lower(), group)
        if place not in self.roots:
            self.roots[place] = Node(next(self.ids), project)
        return self.roots[place]
