"""Events that never reached us and are brought back: what is asked for, how far it is, what came of it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json


class RecoveredFrom(StrEnum):
    """Where an event came back from. Empty in a delivery that came by itself."""

    HISTORY = "history"
    """The work item's own updates and comments: the delivery is put together from them."""
    NOTIFICATIONS = "notifications"
    """What the service kept of a delivery that failed: the event is as it was sent."""
    RECONCILIATION = "reconciliation"
    """As from history, by comparing the item with our books."""


class Watermark(Contract):
    """How far the streams of a project were read: the service's own tokens, and the newest moment that they told."""

    revisions: str = ""
    links: str = ""
    discussions: str = ""
    since: datetime | None = None


class Stage(StrEnum):
    """What a recovery reads next, in this order."""

    NOTIFICATIONS = "notifications"
    """First, because an event as it was sent is worth more than one that is put together."""
    REVISIONS = "revisions"
    LINKS = "links"
    DISCUSSIONS = "discussions"
    DONE = "done"


class Unrecovered(Contract):
    """What is known to have happened, or may have, and cannot be brought back."""

    what: str
    """`work item 7`, or a type of event."""
    reason: str
    since: datetime | None = None
    until: datetime | None = None
    """None: up to now."""
    gap: str = ""
    """Which gap it is: the same words each time it is found, whatever the reason says of today. Empty: see `what`."""
    lasts: bool = False
    """It is there until a recovery no longer finds it; what is found after that is another one."""


class Tally(Contract):
    """What a recovery has found so far."""

    recovered: dict[str, int] = Field(default_factory=dict)
    """Events by type, for example `workitem.updated`."""
    known: int = 0
    """Events that were found to be there. Whatever several batches tell of counts several times."""
    items: int = 0
    """Items of which something was missing; one that is told of twice counts twice."""
    unrecovered: tuple[Unrecovered, ...] = ()
    unrecovered_count: int = 0
    """All of them; the list above has a limit."""
    standing: tuple[Unrecovered, ...] = ()
    """What was found again, and named and counted by an earlier recovery."""

    @property
    def events(self) -> int:
        return sum(self.recovered.values())


class RecoverCarry(Contract):
    """How far a recovery is, for the run that goes on with it."""

    stage: Stage = Stage.NOTIFICATIONS
    watermark: Watermark = Watermark()
    floor: datetime | None = None
    """What happened before is not missed: we did not listen yet."""
    newest: datetime | None = None
    """What the streams told last, by the service's clock."""
    tally: Tally = Tally()
    batches: int = 0
    seen: tuple[int, ...] = ()
    """Items that a dry run has counted: nothing it finds is kept, so it would find it again in the next stream."""
    deaf: tuple[str, ...] = ()
    """Types of events whose subscriptions were found in trouble before the streams were read."""


class RecoverRequest(Contract):
    """Bring back what a project's items went through since the kept watermark, or since `since`."""

    organisation: str
    project: str = ""
    """Empty: all of the organisation."""
    tenant: str = "default"
    since: datetime | None = None
    dry_run: bool = False
    """Find out and keep nothing."""
    watch: bool = False
    """Look after the subscriptions, too."""
    by: str = "pointsman"
    reason: str = "schedule"
    carry: RecoverCarry | None = None


class ReadBatch(Contract):
    """One step: a batch of the stage's stream."""

    request: RecoverRequest
    carry: RecoverCarry


class RecoverResult(Contract):
    organisation: str
    project: str = ""
    tenant: str = "default"
    since: datetime | None = None
    until: datetime | None = None
    """The newest moment that the streams told."""
    dry_run: bool = False
    by: str = ""
    reason: str = ""
    tally: Tally = Tally()


# What the service tells


class Snapshot(Contract):
    """An item at one revision, as the service writes it."""

    rev: int
    fields: dict[str, Json] = Field(default_factory=dict)
    relations: tuple[dict[str, Json], ...] = ()


class TouchedItem(Contract):
    """An item that a batch tells of. `snapshots` are those of its revisions in the batch, long texts left out."""

    id: int
    snapshots: tuple[Snapshot, ...] = ()


class StreamBatch(Contract):
    items: tuple[TouchedItem, ...] = ()
    token: str = ""
    """The watermark behind this batch."""
    is_last: bool = True
    newest: datetime | None = None


class UpdateTold(Contract):
    """An entry of an item's history. `resource` is it in the service's own words."""

    id: int
    rev: int
    at: datetime | None = None
    """None for changes of links alone: they do not say when."""
    until: datetime | None = None
    """When the next entry superseded it."""
    resource: dict[str, Json] = Field(default_factory=dict)


class CommentVersionTold(Contract):
    """A comment as it was written, edited or deleted: each makes a version."""

    comment_id: int
    version: int
    text: str = ""
    at: datetime | None = None
    is_deleted: bool = False
    url: str = ""


class NotificationTold(Contract):
    """One delivery as the service kept it."""

    id: int
    at: datetime | None = None
    succeeded: bool = False
    pending: bool = False
    """It is yet to be tried, or tried again."""


class SubscriptionTold(Contract):
    """A subscription that posts to us."""

    id: str
    event_type: str
    publisher: str = "tfs"
    status: str = "enabled"
    project_id: str = ""
    """Empty: of all projects."""
    probation_retries: int = 0


class SubscriptionHistory(Contract):
    subscription: SubscriptionTold
    notifications: tuple[NotificationTold, ...] = ()
    """Oldest first, as far as the service keeps them."""
    unseen: str = ""
    """Why not all of it could be seen; empty: all was."""


class Containers(Contract):
    """Where items of a project live, as every delivery says it."""

    base_url: str
    collection_id: str = ""
    project_id: str = ""


# Subscriptions, as they are watched


class HookProblem(StrEnum):
    PROBATION = "probation"
    """It is tried again now and then; what happens meanwhile is lost."""
    DISABLED = "disabled"
    """The service gave it up."""
    INACTIVE_OWNER = "inactive_owner"
    """Whoever made it has left, or may no longer see what it tells of."""
    SWITCHED_OFF = "switched_off"
    """A person disabled it. It is not repaired: somebody wanted it so."""
    MISSING = "missing"
    """Policy wants it, and it is not there."""
    SILENT = "silent"
    """It is enabled, and nothing of it reached us although items moved."""
    UNLISTED = "unlisted"
    """It is not among those whose deliveries may have an effect: a new one, in the place of one that was."""


class HookState(Contract):
    """A subscription as it was found. `subscription_id` is empty where there is none."""

    organisation: str
    subscription_id: str = ""
    event_type: str
    status: str = ""
    problem: HookProblem | None = None
    since: datetime | None = None
    """When it was first found so."""
    is_wanted: bool = True
    """Policy wants it, so a new one may take its place."""
    filters: dict[str, str] = Field(default_factory=dict)


class WatchHooks(Contract):
    """Look after the subscriptions of an organisation; `repair` those that only a new one helps."""

    organisation: str
    tenant: str = "default"
    repair: bool = True
    dry_run: bool = False
    recovered: dict[str, int] | None = None
    """What a recovery brought back, by type of event; None before one."""
    since: datetime | None = None
    """From when on it looked."""
    deaf: tuple[str, ...] = ()
    """Types of events of which it is known why none came."""


class HooksFound(Contract):
    hooks: tuple[HookState, ...] = ()
    """Those with a problem, before they were repaired."""
    repaired: tuple[str, ...] = ()
    """One line for each: which subscription took the place of which."""
    enabled: int = 0
