"""Items of a project compared with our books: how each stands on both sides, and what came of it."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.policy import Policy
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.work_items import WorkItemState


class SyncStanding(StrEnum):
    """How an item stands on both sides."""

    EQUAL = "equal"
    """All that happened to it there is known here."""
    PENDING = "pending"
    """Something is under way: an event, a run, a write."""
    CONFLICTING = "conflicting"
    """Both sides say something else, and nobody has decided."""
    LOST = "lost"
    """Something happened there that never came, or came and could not be read."""
    ABANDONED = "abandoned"
    """It was ours, and no scope rule takes it any more."""
    MOVED = "moved"
    """It is in another project now."""
    DELETED = "deleted"
    """It is in the recycle bin."""
    HIDDEN = "hidden"
    """There is no such item for us, and the recycle bin does not know it: gone for good, or we may not see it."""
    UNHEARD = "unheard"
    """Ours by scope, and nothing has happened to it since we listen."""
    FOREIGN = "foreign"
    """Not ours, and never was."""


TROUBLE = frozenset({SyncStanding.CONFLICTING, SyncStanding.LOST, SyncStanding.HIDDEN})
"""Somebody has to look, unless it was repaired."""


class TheirItem(Contract):
    """As much of an item as a comparison asks for."""

    id: int
    rev: int
    project: str = ""
    changed_at: datetime | None = None
    fields: dict[str, Json] = Field(default_factory=dict)
    deleted: bool = False


class Tombstone(Contract):
    """An item in the recycle bin. For as long as `SyncPolicy.grace` it is looked for; then only an event brings it
    back."""

    since: datetime
    cleared_at: datetime | None = None


class OurItem(Contract):
    """What our books say of an item."""

    id: int
    project: str = ""
    tenant: str = ""
    correlation_id: str = ""
    state: WorkItemState | None = None
    """None: there was never a run for it."""
    changed_at: datetime | None = None
    rev: int = 0
    """The highest revision that was read, written or heard of and taken in."""
    agreed_rev: int = 0
    agreed: dict[str, Json] = Field(default_factory=dict)
    """Fields as both sides agreed on them at that revision."""
    heard: int = 0
    """Deliveries."""
    pending: int = 0
    """Of them not handed over yet."""
    dead: int = 0
    gap: bool = False
    """Between events that came there is one that did not."""
    conflicts: tuple[str, ...] = ()
    in_doubt: tuple[WriteRecord, ...] = ()
    tombstone: Tombstone | None = None


class Compared(Contract):
    """What comparing an item came to. With `look` its history has to say whether something was lost."""

    standing: SyncStanding
    reason: str = ""
    look: bool = False


class ReconcileFinding(Contract):
    item_id: int
    standing: SyncStanding
    reason: str
    repaired: bool = False


class ReconcileTally(Contract):
    """Of one project, so far."""

    items: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    """By `SyncStanding`."""
    events: int = 0
    """Lost events that were put into the inbox."""
    writes: int = 0
    """Writes in doubt that were settled by the item's history."""
    trouble: int = 0
    """Items in trouble that were not repaired."""
    findings: tuple[ReconcileFinding, ...] = ()
    """The first of those that are neither equal nor pending; all are in `counts`."""


class ReconcileReport(Contract):
    """What comparing one project came to."""

    organisation: str
    project: str
    tenant: str = "default"
    dry_run: bool = False
    by: str = ""
    reason: str = ""
    tally: ReconcileTally = ReconcileTally()


class ReconcileCarry(Contract):
    """How far a comparison is, for the run that goes on with it."""

    project: str = ""
    after: int = 0
    """The highest item id that was dealt with."""
    waiting: tuple[str, ...] = ()
    """Projects that come behind this one."""
    tally: ReconcileTally = ReconcileTally()
    is_begun: bool = False
    is_compared: bool = False
    """All items of the project were dealt with."""
    reports: tuple[ReconcileReport, ...] = ()
    """Of projects that are done: the last of them, where there are many."""


class ReconcileRequest(Contract):
    """Compare a project, or each of an organisation. Of `policy` only scope and synchronisation are asked."""

    organisation: str
    project: str = ""
    """Empty: all that we may see."""
    tenant: str = "default"
    policy: Policy
    settle: timedelta = timedelta(minutes=10)
    """What is younger may still be on its way: the service tries a delivery for three minutes."""
    dry_run: bool = False
    by: str = "pointsman"
    reason: str = "schedule"
    carry: ReconcileCarry = ReconcileCarry()


class ReconcileResult(Contract):
    reports: tuple[ReconcileReport, ...] = ()
