"""Areas and iterations that somebody made, and teams. Names are compared without case."""

from collections.abc import Iterator, Sequence
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

    def way_to(self, number: int) -> list[str]:
        """Names from this node down to the one of that number; empty where it is not below."""
        if self.id == number:
            return [self.name]
        ways = (child.way_to(number) for child in self.children)
        return next(([self.name, *way] for way in ways if way), [])

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

    def plant(self, organisation: str, project: str, group: str, names: Sequence[str]) -> Node:
        """The node below these names, made with all above it where it is not there."""
        node = self.root(organisation, project, group)
        for name in names:
            below = node.child(name)
            if below is None:
                below = Node(next(self.ids), name)
                node.children.append(below)
            node = below
        return node

    def spelled(self, organisation: str, project: str, group: str, path: str) -> str:
        """A path as its nodes are written; empty where there is no such node."""
        first, *names = path.split("\\")
        if first.lower() != project.lower():
            return ""
        node, written = self.root(organisation, project, group), [project]
        for name in names:
            below = node.child(name)
            if below is None:
                return ""
            node = below
            written.append(node.name)
        return "\\".join(written)
