"""What lies around some items: as much of the graph as their rows need, and no more.

Loading goes in steps: `missing` names the items of which something is still needed, until nothing is. Up it goes to the
top, so that a chain is as long as a backlog has levels; down it goes from requirements and work only, so that an epic
does not bring all that there is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pointsman.contracts.matrix import (
    BuildTold,
    CodeLink,
    LinkKind,
    LinkTold,
    MatrixItem,
    MatrixShape,
    OutcomeTold,
    RequestTold,
    Role,
)

BROKEN_DOWN = frozenset({Role.REQUIREMENT, Role.WORK})
LINKED_AS = {
    Role.TEST: frozenset({LinkKind.TESTED_BY}),
    Role.REVIEW: frozenset({LinkKind.RELATED, LinkKind.AFFECTS}),
    Role.CHANGE: frozenset({LinkKind.AFFECTS}),
}
"""By which links a test case, a review and a change request belong to what they are about."""


@dataclass
class Around:
    """`subjects` are those that rows are about. Filled by whoever loads, read by `rows`."""

    shape: MatrixShape
    subjects: tuple[int, ...] = ()
    items: dict[int, MatrixItem] = field(default_factory=dict)
    parents: dict[int, set[int]] = field(default_factory=dict)
    children: dict[int, set[int]] = field(default_factory=dict)
    beside: dict[int, set[tuple[LinkKind, int]]] = field(default_factory=dict)
    code: dict[int, list[CodeLink]] = field(default_factory=dict)
    requests: dict[str, RequestTold | None] = field(default_factory=dict)
    builds: dict[str, BuildTold | None] = field(default_factory=dict)
    built: dict[str, set[str]] = field(default_factory=dict)
    """Builds by commit."""
    outcomes: dict[int, OutcomeTold] = field(default_factory=dict)
    asked_up: set[int] = field(default_factory=set)
    asked_down: set[int] = field(default_factory=set)

    def take_items(self, found: Iterable[MatrixItem]) -> None:
        self.items.update((one.id, one) for one in found)

    def take_links(self, found: Iterable[LinkTold]) -> None:
        for one in found:
            if one.kind is LinkKind.CHILD:
                self.parents.setdefault(one.target, set()).add(one.source)
                self.children.setdefault(one.source, set()).add(one.target)
            else:
                self.beside.setdefault(one.source, set()).add((one.kind, one.target))
                self.beside.setdefault(one.target, set()).add((one.kind, one.source))

    def role(self, item_id: int) -> Role | None:
        """None for what plays no role, is deleted, or may not be seen."""
        item = self.items.get(item_id)
        return None if item is None or item.deleted else self.shape.roles.get(item.type)

    def hidden(self, item_id: int) -> bool:
        """There is such an item, and we may not see it."""
        item = self.items.get(item_id)
        return item is None or (not item.deleted and not item.type)

    @property
    def named(self) -> set[int]:
        """Every item that a link names."""
        ends = {*self.subjects, *self.parents, *self.children, *self.beside}
        ends.update(*self.parents.values(), *self.children.values())
        return ends | {other for links in self.beside.values() for _, other in links}

    @property
    def lower(self) -> list[int]:
        """Requirements and work among and below the subjects, whose code and proof counts."""
        found: dict[int, None] = {}
        pending = [one for one in self.subjects if self.role(one) in BROKEN_DOWN]
        while pending:
            item_id = pending.pop()
            if item_id not in found:
                found[item_id] = None
                pending += [one for one in below(self, item_id) if self.role(one) is Role.WORK]
        return sorted(found)


def missing(around: Around) -> tuple[set[int], set[int], set[int]]:
    """Of which items the item itself, the links up and the links down are still to be loaded."""
    unknown = around.named - around.items.keys()
    up = set(_climbed(around)) - around.asked_up
    down = {one for one in (*around.lower, *_outer(around)) if one not in around.asked_down}
    return unknown, up, down


def _climbed(around: Around) -> Iterable[int]:
    """The subjects, what they serve, and all above."""
    seen: set[int] = set()
    pending = list(around.subjects)
    while pending:
        item_id = pending.pop()
        if item_id not in seen:
            seen.add(item_id)
            pending += around.parents.get(item_id, ())
    return seen


def _outer(around: Around) -> Iterable[int]:
    """Subjects above requirements: whether anything is below them."""
    return (one for one in around.subjects if around.role(one) not in BROKEN_DOWN)


def above(around: Around, item_id: int) -> list[int]:
    return sorted(around.parents.get(item_id, ()))


def below(around: Around, item_id: int) -> list[int]:
    return sorted(around.children.get(item_id, ()))


def next_to(around: Around, item_ids: Iterable[int], role: Role) -> list[int]:
    """Items of a role that are linked to any of these as such items are."""
    links = LINKED_AS[role]
    found = {other for one in item_ids for kind, other in around.beside.get(one, ()) if kind in links}
    return sorted(other for other in found if around.role(other) is role)


def hidden_next_to(around: Around, item_ids: Iterable[int], role: Role) -> bool:
    """Whether something is linked as an item of this role would be, and we may not see what it is."""
    links = LINKED_AS[role]
    return any(kind in links and around.hidden(other) for one in item_ids for kind, other in around.beside.get(one, ()))


def commits_of(around: Around, links: Iterable[CodeLink]) -> Mapping[str, None]:
    """Commits that these links name, and those of the pull requests among them, in order, each once."""
    found: dict[str, None] = {}
    for link in links:
        if link.kind == "commit":
            found[link.name] = None
        request = around.requests.get(link.name) if link.kind == "pull_request" else None
        found.update(dict.fromkeys(one.lower() for one in (request.commits if request else ())))
    return found
