"""What both sides agreed on, conflicts and quarantines in memory: the same promises as the store's."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import reduce
from typing import Any

from pointsman.contracts.base import Json
from pointsman.contracts.conflicts import Quarantine, SyncConflict
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.process import Graph
from pointsman.contracts.reconciliation import Tombstone
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.sync import Advance, Agreed, SyncState
from pointsman.contracts.tracker import CommentTold, LinkWrite, TrackedItem
from pointsman.contracts.work_items import ProposedLink, WorkItemKey
from pointsman.domain.links import OF_ITEMS
from pointsman.domain.sync import agreeing
from pointsman.ports import Missing
from pointsman.ports_links import LinkTarget
from pointsman.ports_sync import SyncBooks
from tests.books import now

Place = tuple[str, int]


class MemoryAgreements:
    def __init__(self) -> None:
        self.kept: dict[Place, Agreed] = {}

    async def get(self, key: WorkItemKey) -> Agreed | None:
        return self.kept.get(_place(key))

    async def read(self, chain: Chain, rev: int, fields: Mapping[str, Json], links: Sequence[str]) -> Agreed:
        key = _key(chain)
        before = self.kept.get(_place(key), Agreed(key=key, tenant=chain.tenant))
        self.kept[_place(key)] = agreeing.read_whole(before, rev, fields, links)
        return self.kept[_place(key)]

    async def advance(self, chain: Chain, rev: int, changes: Mapping[str, Json], **more: Any) -> Agreed | None:
        place = _place(_key(chain))
        if place in self.kept:
            self.kept[place] = agreeing.advanced(self.kept[place], rev, changes, **more)
        return self.kept.get(place)

    async def advance_all(self, chain: Chain, steps: Sequence[Advance]) -> None:
        place = _place(_key(chain))
        if place in self.kept:
            self.kept[place] = reduce(agreeing.stepped, steps, self.kept[place])

    async def own_comment(self, chain: Chain, comment_id: int, *, is_status: bool = False) -> None:
        place = _place(_key(chain))
        if place in self.kept:
            self.kept[place] = agreeing.commented(self.kept[place], comment_id, is_status=is_status)

    async def find(self, organisation: str, project: str = "", after: int = 0, limit: int = 200) -> Sequence[Agreed]:
        return [one for (name, item_id), one in self.kept.items() if name == organisation and item_id > after][:limit]

    async def forget(self, key: WorkItemKey) -> None:
        self.kept.pop(_place(key), None)

    async def states(self, organisation: str = "") -> Sequence[SyncState]:
        return []


class MemoryConflicts:
    def __init__(self) -> None:
        self.kept: list[SyncConflict] = []

    async def open(
        self, chain: Chain, operation: str, their_rev: int, conflicts: Sequence[FieldConflict]
    ) -> Sequence[SyncConflict]:
        for one in conflicts:
            self.kept = [old for old in self.kept if old.closed_at or old.conflict.field != one.field]
            self.kept.append(
                SyncConflict(
                    id=f"CON-{len(self.kept) + 1}",
                    key=_key(chain),
                    tenant=chain.tenant,
                    operation=operation,
                    their_rev=their_rev,
                    conflict=one,
                    opened_at=now(),
                )
            )
        return [one for one in self.kept if not one.closed_at]

    async def settle(self, key: WorkItemKey, outcomes: Mapping[str, str], by: str) -> Sequence[SyncConflict]:
        for at, one in enumerate(self.kept):
            if not one.closed_at and one.conflict.field in outcomes:
                conflict = one.conflict.model_copy(update={"outcome": outcomes[one.conflict.field]})
                self.kept[at] = one.model_copy(update={"closed_at": now(), "by": by, "conflict": conflict})
        return self.kept

    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[SyncConflict]:
        return [one for one in self.kept if every or not one.closed_at]


class MemoryQuarantines:
    def __init__(self) -> None:
        self.kept: list[Quarantine] = []

    async def put(self, chain: Chain, reason: str, writes: int, caller: Caller) -> Quarantine:
        standing = await self.get(_key(chain))
        if standing is None:
            standing = Quarantine(key=_key(chain), tenant=chain.tenant, reason=reason, writes=writes, at=now())
            self.kept.append(standing)
        return standing

    async def get(self, key: WorkItemKey) -> Quarantine | None:
        return next((one for one in self.kept if _place(one.key) == _place(key) and one.released_at is None), None)

    async def release(self, key: WorkItemKey, by: str) -> Quarantine | None:
        standing = await self.get(key)
        if standing is None:
            return None
        released = standing.model_copy(update={"released_at": now(), "released_by": by})
        self.kept[self.kept.index(standing)] = released
        return released

    async def released_at(self, key: WorkItemKey) -> datetime | None:
        return max(
            (one.released_at for one in self.kept if _place(one.key) == _place(key) and one.released_at), default=None
        )

    async def find(self, *, organisation: str = "", every: bool = False, limit: int = 200) -> Sequence[Quarantine]:
        return [one for one in self.kept if every or one.released_at is None]


class MemoryTombstones:
    def __init__(self) -> None:
        self.kept: dict[int, Tombstone] = {}

    async def keep(self, chain: Chain, rev: int, caller: Caller, *, deleted: bool) -> None:
        stone = self.kept.get(_key(chain).id)
        if deleted is (stone is not None and stone.cleared_at is None):
            return
        if deleted:
            self.kept[_key(chain).id] = Tombstone(since=now())
        elif stone is not None:
            self.kept[_key(chain).id] = stone.model_copy(update={"cleared_at": now()})

    async def get(self, key: WorkItemKey) -> Tombstone | None:
        return self.kept.get(key.id)


class FakeGraphs:
    """Transitions of every type; None where nobody can read them."""

    def __init__(self, steps: dict[str, dict[str, tuple[str, ...]]] | None = None) -> None:
        self.steps = steps

    async def graph(self, organisation: str, project: str, kind: str) -> Graph | None:
        return Graph(steps=self.steps) if self.steps is not None else None


class FakeComments:
    """Comments of one item, each with its texts."""

    def __init__(self) -> None:
        self.texts: dict[int, list[str]] = {}

    async def all(self, key: WorkItemKey) -> Sequence[CommentTold]:
        return [self._told(number) for number in reversed(self.texts)]

    async def add(self, key: WorkItemKey, html: str) -> CommentTold:
        number = len(self.texts) + 1
        self.texts[number] = [html]
        return self._told(number)

    async def edit(self, key: WorkItemKey, comment_id: int, html: str) -> CommentTold:
        self.texts[comment_id].append(html)
        return self._told(comment_id)

    async def delete(self, key: WorkItemKey, comment_id: int) -> None:
        self.texts.pop(comment_id, None)

    def _told(self, number: int) -> CommentTold:
        texts = self.texts[number]
        return CommentTold(id=number, version=len(texts), text=texts[-1])


class FakeTargets:
    """Items that links may lead to, by their ids; pages and code are there."""

    def __init__(self) -> None:
        self.items: dict[int, TrackedItem] = {}

    async def target(self, key: WorkItemKey, link: ProposedLink) -> LinkTarget:
        if link.relation not in OF_ITEMS:
            return LinkTarget(LinkWrite(rel=link.relation, url=link.target, comment=link.comment))
        if int(link.target) not in self.items:
            raise Missing(f"no item {link.target}", code="TF401232")
        url = f"https://ado/fabrikam/_apis/wit/workItems/{link.target}"
        write = LinkWrite(rel=OF_ITEMS[link.relation], url=url, comment=link.comment)
        return LinkTarget(write, self.items[int(link.target)])


def memory_sync() -> SyncBooks:
    return SyncBooks(
        MemoryAgreements(), MemoryConflicts(), MemoryQuarantines(), FakeGraphs(), MemoryTombstones(), FakeTargets()
    )


def _place(key: WorkItemKey) -> Place:
    """An item that is moved to another project is the same."""
    return key.organisation, key.id


def _key(chain: Chain) -> WorkItemKey:
    assert chain.key is not None
    return chain.key
