"""What synchronisation needs from the store, as protocols; `pointsman.ports` has the rest, and the errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pointsman.contracts.base import Json
from pointsman.contracts.conflicts import Quarantine, SyncConflict
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.process import Graph
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.sync import Advance, Agreed, SyncState
from pointsman.contracts.tracker import CommentTold
from pointsman.contracts.work_items import WorkItemKey
from pointsman.ports_links import LinkTargets
from pointsman.ports_reconciliation import Tombstones


class Agreements(Protocol):
    """What both sides agreed on last, by item."""

    async def get(self, key: WorkItemKey) -> Agreed | None: ...
    async def read(self, chain: Chain, rev: int, fields: Mapping[str, Json], links: Sequence[str]) -> Agreed:
        """The item was read as a whole, at this revision. What came later than that stays. Idempotent."""

    async def advance(
        self,
        chain: Chain,
        rev: int,
        changes: Mapping[str, Json],
        *,
        links: Sequence[str] | None = None,
        comments: Mapping[int, int] | None = None,
        link_update: int = 0,
    ) -> Agreed | None:
        """Both sides now agree on these fields, too, as of the revision; None where nothing was agreed before.

        Fields that a later revision brought keep their value; of a comment the highest version stays. `link_update` is
        the update that brought the links. Idempotent.
        """

    async def advance_all(self, chain: Chain, steps: Sequence[Advance]) -> None:
        """What several events add, one after the other, all or nothing. Idempotent, and nothing where nothing was
        agreed before."""

    async def own_comment(self, chain: Chain, comment_id: int, *, is_status: bool = False) -> None:
        """We wrote this comment. Idempotent."""

    async def find(self, organisation: str, project: str = "", after: int = 0, limit: int = 200) -> Sequence[Agreed]:
        """By ascending id, those above `after`."""

    async def forget(self, key: WorkItemKey) -> None:
        """Nothing is agreed any more: the item is gone for good. Idempotent."""

    async def states(self, organisation: str = "") -> Sequence[SyncState]:
        """How each project stands."""


class Conflicts(Protocol):
    """Fields that both sides changed, each with its life."""

    async def open(
        self, chain: Chain, operation: str, their_rev: int, conflicts: Sequence[FieldConflict]
    ) -> Sequence[SyncConflict]:
        """Idempotent by item and field: a conflict that stands gets the newest values."""

    async def settle(self, key: WorkItemKey, outcomes: Mapping[str, str], by: str) -> Sequence[SyncConflict]:
        """Close the standing conflicts of these fields with their `FieldOutcome`. Others stand. Idempotent."""

    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[SyncConflict]:
        """Newest first; closed ones only with `every`."""


class Quarantines(Protocol):
    """Items that we do not write to."""

    async def put(self, chain: Chain, reason: str, writes: int, caller: Caller) -> Quarantine:
        """Idempotent while it stands: the first reason stays."""

    async def get(self, key: WorkItemKey) -> Quarantine | None:
        """The one that stands, or None."""

    async def release(self, key: WorkItemKey, by: str) -> Quarantine | None:
        """None where none stands."""

    async def released_at(self, key: WorkItemKey) -> datetime | None:
        """When the item was last released: earlier writes count for no loop."""

    async def find(self, *, organisation: str = "", every: bool = False, limit: int = 200) -> Sequence[Quarantine]: ...


class TypeGraphs(Protocol):
    """Where items of a type may go from each state, as the service has it now."""

    async def graph(self, organisation: str, project: str, kind: str) -> Graph | None:
        """None where the project has no such type, or the service does not tell."""


class Commenter(Protocol):
    """Comments of our own on items."""

    async def all(self, key: WorkItemKey) -> Sequence[CommentTold]: ...
    async def add(self, key: WorkItemKey, html: str) -> CommentTold:
        """Not idempotent."""

    async def edit(self, key: WorkItemKey, comment_id: int, html: str) -> CommentTold:
        """Raises `Missing` if the comment is gone."""

    async def delete(self, key: WorkItemKey, comment_id: int) -> None:
        """Idempotent."""


class WriteBooks(Protocol):
    """What each write looks at, and moves."""

    @property
    def agreements(self) -> Agreements: ...
    @property
    def quarantines(self) -> Quarantines: ...


@dataclass(frozen=True)
class SyncBooks:
    """What whoever writes to items works with besides the ledger."""

    agreements: Agreements
    conflicts: Conflicts
    quarantines: Quarantines
    graphs: TypeGraphs
    tombstones: Tombstones
    targets: LinkTargets
