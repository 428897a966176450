"""Small graphs in memory, loaded step by step as the store is: only what `missing` asks for comes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pointsman.contracts.matrix import (
    BuildTold,
    CodeKind,
    CodeLink,
    LinkKind,
    LinkTold,
    MatrixItem,
    MatrixRow,
    MatrixShape,
    OutcomeTold,
    RequestTold,
    Role,
)
from pointsman.domain.matrix.around import Around, commits_of, missing
from pointsman.domain.matrix.rows import rows
from pointsman.domain.matrix.shapes import shape_of

found = shape_of("CMMI")
assert found is not None
CMMI: MatrixShape = found
STEPS_MAX = 50


def child(parent: int, item: int) -> LinkTold:
    return LinkTold(kind=LinkKind.CHILD, source=parent, target=item)


def commit(name: str) -> CodeLink:
    return CodeLink(kind=CodeKind.COMMIT, name=name, place="p/r")


def request(number: int) -> CodeLink:
    return CodeLink(kind=CodeKind.PULL_REQUEST, name=str(number), place="p/r")


@dataclass
class Graph:
    items: dict[int, MatrixItem] = field(default_factory=dict)
    links: list[LinkTold] = field(default_factory=list)
    code: dict[int, list[CodeLink]] = field(default_factory=dict)
    requests: dict[str, RequestTold | None] = field(default_factory=dict)
    builds: dict[str, BuildTold | None] = field(default_factory=dict)
    outcomes: dict[int, OutcomeTold] = field(default_factory=dict)
    shape: MatrixShape = CMMI

    def add(self, item_id: int, kind: str, state: str = "Active", parent: int = 0) -> int:
        self.items[item_id] = MatrixItem(id=item_id, type=kind, state=state, title=f"{kind} {item_id}", code_known=True)
        if parent:
            self.links.append(child(parent, item_id))
        return item_id

    def hide(self, item_id: int) -> None:
        self.items[item_id] = MatrixItem(id=item_id)

    def around(self, subjects: Iterable[int]) -> Around:
        near = Around(self.shape, tuple(subjects))
        for _ in range(STEPS_MAX):
            unknown, up, down = missing(near)
            if not (unknown or up or down):
                break
            near.take_items(self.items.get(one, MatrixItem(id=one)) for one in unknown)
            near.take_links(one for one in self.links if one.kind is LinkKind.CHILD and one.target in up)
            near.take_links(one for one in self.links if one.kind is LinkKind.CHILD and one.source in down)
            beside = [one for one in self.links if one.kind is not LinkKind.CHILD]
            near.take_links(one for one in beside if {one.source, one.target} & down)
            near.asked_up |= up
            near.asked_down |= down
        else:
            raise AssertionError(f"not loaded after {STEPS_MAX} steps")
        near.code.update({one: self.code[one] for one in near.lower if one in self.code})
        near.requests.update(self.requests)
        for name in commits_of(near, [link for links in near.code.values() for link in links]):
            near.built[name] = {str(one.id) for one in self.builds.values() if one and one.commit == name}
        near.builds.update(self.builds)
        near.outcomes.update(self.outcomes)
        return near

    def standing(self) -> list[int]:
        return sorted(one.id for one in self.items.values() if one.type and not one.deleted)

    def rows(self, subjects: Sequence[int] | None = None) -> dict[int, MatrixRow]:
        wanted = self.standing() if subjects is None else subjects
        return {row.subject.item: row for row in rows(self.around(wanted))}

    def role(self, item_id: int) -> Role | None:
        return self.shape.roles.get(self.items[item_id].type)
