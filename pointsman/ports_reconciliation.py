"""What comparing a project with our books needs, as protocols; `pointsman.ports` has the rest, and the errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from pointsman.contracts.reconciliation import (
    Conversation,
    EndedRun,
    OpenItem,
    OurItem,
    ReconcileReport,
    RunEnd,
    TheirItem,
    Tombstone,
)
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.work_items import WorkItemKey


class ItemPages(Protocol):
    """Items of Azure DevOps in bulk. Calls go behind all others."""

    async def projects(self, organisation: str) -> Sequence[str]:
        """Names of those that we may see, in order."""

    async def page(
        self, organisation: str, project: str, after: int, limit: int, fields: Sequence[str]
    ) -> Sequence[TheirItem]:
        """Items of the project with ids above `after`, ascending, `limit` at most. Those in the recycle bin are none.

        Raises `Missing` where there is no such project, or we may not see it.
        """

    async def items(self, organisation: str, ids: Sequence[int], fields: Sequence[str]) -> Sequence[TheirItem]:
        """Those of the ids that can be read, in whatever project each is."""

    async def in_recycle_bin(self, organisation: str, item_id: int) -> TheirItem | None:
        """The item's entry there, or None."""


class Reconciliations(Protocol):
    """Our books, many items at a time, and what each comparison came to."""

    async def ids(self, organisation: str, project: str, after: int, limit: int) -> Sequence[int]:
        """Items that we know to be in the project, with ids above `after`, ascending."""

    async def known(self, organisation: str, ids: Sequence[int]) -> Mapping[int, OurItem]:
        """What the books say of each of the ids."""

    async def finish(self, report: ReconcileReport, caller: Caller) -> None:
        """Keep what came of it, with its audit event. Idempotent by run and project; a dry run leaves nothing."""

    async def latest(self, organisation: str = "") -> Sequence[tuple[datetime, ReconcileReport]]:
        """The last report of each project."""


class Tombstones(Protocol):
    """Items in the recycle bin, as far as we know."""

    async def keep(self, chain: Chain, rev: int, caller: Caller, *, deleted: bool) -> None:
        """The item was found there, or was not. Audited where that is news. Idempotent."""

    async def get(self, key: WorkItemKey) -> Tombstone | None:
        """The last one, cleared or not."""


class ItemRuns(Protocol):
    """Runs of items, as Temporal has them now."""

    async def ended(self, workflow_ids: Sequence[str]) -> Mapping[str, RunEnd]:
        """Those that are over, with how the last run of each ended. One that runs is absent."""

    async def is_over(self, workflow_id: str, run_id: str) -> bool:
        """Whether this very run has ended, and none goes on with it. One that is not known has."""


class OpenItems(Protocol):
    """Items that are not over in our books."""

    async def find(
        self, organisation: str, project: str, after: int, before: datetime, limit: int
    ) -> Sequence[OpenItem]:
        """Those above `after` that last changed earlier than `before`, by ascending id."""

    async def conversations(self, item: OpenItem, limit: int) -> Sequence[Conversation]:
        """With agents elsewhere, over all runs of the item, newest first."""

    async def close(self, ended: EndedRun, caller: Caller) -> bool:
        """Say how its run ended, withdraw what it asked people, and leave an audit event. Idempotent.

        False where the item has moved on since it was found.
        """
