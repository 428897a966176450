"""Items of a project compared with our books: how each stands on both sides, and what came of it."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.policy import Policy
from pointsman.contracts.records import WriteRecord
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemKey, WorkItemState


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
    ENDED_OUTSIDE = "ended_outside"
    """Its run was over in Temporal, and our books did not know. Told beside the standing that it has otherwise."""


TROUBLE = frozenset({SyncStanding.CONFLICTING, SyncStanding.LOST, SyncStanding.HIDDEN, SyncStanding.ENDED_OUTSIDE})
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
    is_swept: bool = False
    """Items of the project that are open in our books were looked for in Temporal."""
    swept_to: int = 0
    """The highest item id of those that were."""
    waiting: tuple[str, ...] = ()
    """Projects that come behind this one."""
    tally: ReconcileTally = ReconcileTally()
    is_begun: bool = False
    is_compared: bool = False
    """All items of the project were dealt with."""
    reports: tuple[ReconcileReport, ...] = ()
    """Of projects that are done: the last of them, where there are many."""


class ReconcileRequest(Contract):
    """Compare a project, or each of an organisation. Of `policy` only scope, synchronisation and agents elsewhere are
    asked."""

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


class RunStatus(StrEnum):
    """How a run is over; all but the last are Temporal's."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"
    """Temporal has no such run: it was deleted there, or ended longer ago than it keeps."""


class RunEnd(Contract):
    """What Temporal tells of a run of an item that is over."""

    status: RunStatus
    at: datetime | None = None
    reason: str = ""
    by: str = ""
    """Who ended it, as its client named itself."""
    state: WorkItemState | None = None
    """What a completed run said of the item itself."""
    history_length: int = 0


class Conversation(Contract):
    """What was said to an agent elsewhere in a run. `turn` is the last of its turns."""

    transcript: str
    turn: int


class OpenItem(Contract):
    """An item that our books have open, as its run last told it."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    workflow_id: str
    run_id: str
    state: WorkItemState
    changed_at: datetime
    agent: str = ""
    facts: Facts | None = None


class EndedRun(Contract):
    """An item that is open in our books, and whose run is over."""

    item: OpenItem
    end: RunEnd
    state: WorkItemState
    """What it is to be in our books."""
    reason: str
    at: datetime
    turns: tuple[TurnRequest, ...] = ()
    """Turns of agents elsewhere whose services may still have a task open."""


class FoundEnded(Contract):
    """`after` is the item behind which to go on; 0 for the end."""

    ended: tuple[EndedRun, ...] = ()
    after: int = 0


class CloseEnded(Contract):
    ended: tuple[EndedRun, ...]


class ClosedItems(Contract):
    """Numbers of the items that are closed now. One that moved on meanwhile is not."""

    items: tuple[int, ...] = ()
