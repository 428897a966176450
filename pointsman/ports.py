"""What activities and entrances need from the world, as protocols; `worker.py` and the entrances supply the rest.

Every method may raise `Unavailable` (trying again can help) or `Rejected` (it cannot).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Escalation, Refusal, Resolution
from pointsman.contracts.hooks import FoundHook, HookNotification, WantedHook
from pointsman.contracts.process import ItemFacts
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    AuditEvent,
    Caller,
    Chain,
    Chosen,
    Delivery,
    DeliveryState,
    EscalationRow,
    ItemRow,
    ItemTransition,
    NewDelivery,
    Receipt,
    Selection,
    StoredMessage,
    WriteIntent,
    WriteRecord,
)
from pointsman.contracts.recovery import (
    CommentVersionTold,
    Containers,
    HookState,
    RecoverResult,
    Snapshot,
    StreamBatch,
    SubscriptionHistory,
    SubscriptionTold,
    UpdateTold,
    WatchHooks,
    Watermark,
)
from pointsman.contracts.tracker import ItemUpdate, ItemWrite, TrackedItem
from pointsman.contracts.violations import Inspection, ProcessViolation, Settlement
from pointsman.contracts.work_items import Facts, Transition, Usage, WorkItemKey
from pointsman.ports_inbox import Bodies, Ended, ItemName, ItemNames, Known


class Unavailable(Exception):
    """The other side cannot now, but may later. `retry_after` is what it asked for, if it did."""

    def __init__(self, message: str, retry_after: timedelta | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Rejected(Exception):
    """No attempt can succeed. `code` is the other side's own name of the fault, for people and for search."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Conflict(Rejected):
    """Somebody else changed the item since it was read: nothing was written."""


class Missing(Rejected):
    """There is no such thing, or we may not see it."""


class WorkTracker(Protocol):
    """Azure DevOps, as far as an item's life needs it. Text that comes back is clean, as `domain.texts` says."""

    async def get(self, key: WorkItemKey) -> TrackedItem:
        """Read the item, with relations. An item in the recycle bin comes back with `deleted`."""

    async def updates(self, key: WorkItemKey, after_rev: int = 0) -> Sequence[ItemUpdate]:
        """History entries whose `rev` is above `after_rev`, oldest first."""

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        """One PATCH, guarded by `test /rev`. Raises `Conflict` if the item is no longer at `rev`."""

    async def identity(self, organisation: str = "") -> str:
        """Unique name of the account that we write as in the organisation; cached."""

    async def heard(self, key: WorkItemKey) -> None:
        """An event tells that the item has changed: what was read of it before is used no more."""


class ToolImage(Protocol):
    """An image that a model can be shown: PNG, JPEG, GIF or WebP."""

    @property
    def data(self) -> bytes: ...
    @property
    def media_type(self) -> str: ...


class ToolResult(Protocol):
    @property
    def ok(self) -> bool: ...
    @property
    def text(self) -> str: ...
    @property
    def images(self) -> Sequence[ToolImage]: ...


class ToolDefinition(Protocol):
    @property
    def name(self) -> str:
        """`server__tool`: what the model calls it."""

    @property
    def description(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Json]:
        """JSON Schema of the arguments."""


class Toolbox(Protocol):
    """Tools of MCP servers, reduced to those that an agent may use."""

    async def definitions(self, allowed: Sequence[str]) -> Sequence[ToolDefinition]:
        """Tools named by `server/tool` or `server/*`. Cached per server."""

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> ToolResult:
        """Check name and arguments, then call. A tool's own error, an unknown tool and arguments against the
        schema are results with `ok` false: the model reads them. Raises only when the server cannot be reached.
        """


class Contents(Protocol):
    """Content-addressed bytes: the same content is stored once, under its SHA-256 in hex."""

    async def put(self, data: bytes) -> str: ...
    async def get(self, digest: str) -> bytes: ...


class Transcripts(Protocol):
    """Append-only conversations."""

    async def append(self, transcript: str, chain: Chain, slot: str, role: str, body: bytes) -> StoredMessage:
        """Idempotent by (transcript, slot): a slot that is taken keeps its first body, which is returned."""

    async def messages(self, transcript: str) -> Sequence[StoredMessage]:
        """All of it, in order of position."""

    async def find(self, transcript: str, slot: str) -> StoredMessage | None: ...


class Attempts(Protocol):
    """Calls to the outside, each with a row before and an outcome after; both leave their audit event."""

    async def begin(
        self, kind: AttemptKind, chain: Chain, caller: Caller, target: str, subject: str, chosen: Chosen = ...
    ) -> Attempt: ...
    async def end(self, attempt: Attempt, outcome: str, usage: Usage = ..., request_id: str = "") -> None: ...
    async def of_item(self, key: WorkItemKey) -> Sequence[Attempt]: ...


class Ledger(Protocol):
    """What we wrote outside. Asked first when something comes in, so that echoes cause nothing."""

    async def intend(self, intent: WriteIntent, caller: Caller) -> WriteRecord:
        """Idempotent by operation: the row that stands comes back."""

    async def settle(self, operation: str, status: str, rev: int, caller: Caller, evidence: str = "") -> None:
        """The first settlement stands, except that what was given up may yet turn out to be written. `evidence` is
        how we know, where it is not the answer to the write itself."""

    async def writes(self, key: WorkItemKey) -> Sequence[WriteRecord]:
        """All writes to the item, oldest first."""


class Items(Protocol):
    """Where items stand."""

    async def take_in(self, facts: Facts, chain: Chain, caller: Caller) -> ItemRow:
        """Keep the facts as read. Idempotent."""

    async def record(
        self, transition: Transition, chain: Chain, caller: Caller, usage: Usage, waited_seconds: float
    ) -> None:
        """Idempotent by (workflow, run, number). The audit event goes into the same transaction."""

    async def get(self, organisation: str, item_id: int) -> ItemRow | None: ...
    async def find(self, state: str = "", limit: int = 200) -> Sequence[ItemRow]:
        """Newest change first."""

    async def transitions(self, key: WorkItemKey) -> Sequence[ItemTransition]: ...
    async def counts(self, key: WorkItemKey) -> tuple[int, int]:
        """(escalations, turns) that earlier runs of the item opened and took."""


class Escalations(Protocol):
    """Questions to humans, and what became of them."""

    async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
        """Idempotent by (workflow, run). The row gets the next id, `ESC-n`."""

    async def notified(self, escalation_id: str, rung: int, line: str, caller: Caller) -> None:
        """Idempotent by (escalation, rung)."""

    async def settle(
        self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
    ) -> EscalationRow:
        """The first settlement stands and comes back; the audit event goes into the same transaction."""

    async def refuse(self, escalation_id: str, refusal: Refusal, caller: Caller) -> None: ...
    async def get(self, escalation_id: str) -> EscalationRow | None: ...
    async def find(self, pending_only: bool = True, limit: int = 200) -> Sequence[EscalationRow]: ...


class ProcessViolations(Protocol):
    """Rules of a process that items break, and what became of each."""

    async def settle(self, inspection: Inspection) -> Settlement:
        """Open, resolve and bring back what an inspection says. Idempotent."""

    async def acknowledge(self, violation_id: str, by: str, reason: str = "") -> ProcessViolation: ...
    async def waive(self, violation_id: str, by: str, reason: str, until: datetime) -> ProcessViolation: ...
    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[ProcessViolation]:
        """Newest first; those that are resolved only with `every`."""


class ItemReader(Protocol):
    async def item(self, item_id: int) -> ItemFacts:
        """Raises `Missing`."""


class ProcessSource(Protocol):
    """Items of a project as checks of a process look at them."""

    async def ids(self, organisation: str, project: str, where: str, after: int, limit: int) -> Sequence[int]:
        """Ids above `after` of items that meet a WIQL condition, ascending, `limit` at most."""

    def reader(self, organisation: str, asked: frozenset[str]) -> ItemReader:
        """For a short while: it keeps what many items share. `asked` are the fields of linked items to read."""

    async def identity(self, organisation: str = "") -> str: ...


class Audit(Protocol):
    async def append(self, event: AuditEvent) -> None:
        """Idempotent by the event's id."""

    async def find(
        self, correlation_id: str = "", key: WorkItemKey | None = None, action: str = "", limit: int = 200
    ) -> Sequence[AuditEvent]:
        """In order of the log."""


class Deliveries(Bodies, Protocol):
    async def get(self, delivery_id: str) -> Delivery | None:
        """A delivery as it is kept, with its body."""

    async def settle(self, delivery_id: str, state: DeliveryState, reason: str = "", workflow_id: str = "") -> None:
        """The row is done: dispatched, echo, out of scope, unknown or dead. What was dispatched may be an echo."""


class Inbox(Deliveries, Protocol):
    """Deliveries: kept when acknowledged, handed over at least once, in order for each item."""

    async def accept(self, delivery: NewDelivery) -> Receipt:
        """Durable when it returns. A known idempotency key is kept as a duplicate, with its audit event."""

    async def due(self, now: datetime, limit: int, apart: ItemNames = (), each: int = 1) -> Sequence[Delivery]:
        """For each item but those `apart` up to `each` of its oldest pending deliveries, as far as they are due."""

    async def settle_all(self, settled: Sequence[Ended]) -> None: ...
    async def postpone(self, delivery_id: str, error: str, until: datetime) -> None:
        """Count an attempt, and say when the next is due."""

    async def find(self, state: str = "", item_id: int = 0, limit: int = 200) -> Sequence[Delivery]:
        """Newest first."""

    async def replay(self, delivery_id: str, by: str) -> Receipt:
        """Put a copy of the row into the queue, marked with who asked. Audited."""

    async def effect_of(self, delivery_id: str) -> str:
        """The delivery of the same event that was handed over: itself, the first, or a replay of it. Empty where the
        event has had no effect."""

    async def first_of(self, delivery_id: str) -> str:
        """The delivery that told the same event first: itself, or what it repeats or replays."""

    async def known(self, items: ItemNames) -> Mapping[ItemName, Known]:
        """What the books tell of these items; those that they do not know are left out."""

    async def select(
        self, wanted: Selection, *, after: int = 0, before: int = 0, limit: int = 200, newest: bool = True
    ) -> Sequence[Delivery]:
        """Those that fit, `after` and `before` sequences being no part of it; 0 for no bound."""


class Notifier(Protocol):
    async def notify(self, target: str, subject: str, text: str) -> str:
        """Tell `target` (a name of policy); returns one line that says how it was told. At least once."""


class EventSource(Protocol):
    """What Azure DevOps itself remembers of what happened, one organisation or several. Calls go behind all others."""

    async def revisions(self, organisation: str, project: str, token: str, since: datetime | None) -> StreamBatch:
        """Revisions of all items behind the token; without one, since the moment."""

    async def links(self, organisation: str, project: str, token: str, since: datetime | None) -> StreamBatch:
        """Items whose links to other items came or went; both ends."""

    async def discussions(self, organisation: str, project: str, token: str, since: datetime | None) -> StreamBatch:
        """Items that were commented on."""

    async def updates(self, organisation: str, item_id: int, skip: int = 0) -> Sequence[UpdateTold]:
        """The item's history without the first `skip` entries. Raises `Missing` for one in the recycle bin."""

    async def snapshots(self, organisation: str, item_id: int, from_rev: int = 1) -> Sequence[Snapshot]:
        """The item at each revision from that one on, with long texts and links."""

    async def comment_versions(self, organisation: str, project: str, item_id: int) -> Sequence[CommentVersionTold]:
        """All versions of all comments, deleted ones too."""

    async def containers(self, organisation: str, project: str) -> Containers: ...

    async def notifications(self, organisation: str) -> Sequence[SubscriptionHistory]:
        """What the service kept of its deliveries to us, by subscription: which there were, and what became of them."""

    async def event(self, organisation: str, subscription: SubscriptionTold, number: int) -> bytes:
        """The body of one delivery, as it was sent; empty where the service no longer has it."""


class HookKeeper(Protocol):
    """Subscriptions of ours at Azure DevOps."""

    async def look(self, organisation: str) -> tuple[Sequence[HookState], int]:
        """Those with a problem, and how many are well. A list that fails fails all of it."""

    async def replace(self, state: HookState) -> str:
        """Delete what no longer delivers, and make the subscription that policy wants; returns its id."""


class Recoveries(Protocol):
    """How far events were looked for, what came back, which part was alive when (`beat`), how `hooks` were found."""

    async def watermark(self, organisation: str, project: str) -> Watermark | None: ...
    async def keep_watermark(self, organisation: str, project: str, tenant: str, watermark: Watermark) -> None:
        """Call this after all that is behind it is in the inbox."""

    async def began(self, organisation: str) -> datetime | None: ...
    async def known(self, organisation: str, item_id: int, tenant: str) -> frozenset[str]: ...
    async def there(self, tenant: str, keys: Sequence[str]) -> frozenset[str]:
        """Those of the idempotency keys that are in the inbox. `known`: those of an item, `began`: its first moment."""

    async def delivered_since(self, organisation: str, event_type: str, since: datetime | None) -> int:
        """How many deliveries of the type came by themselves."""

    async def finish(self, result: RecoverResult, caller: Caller) -> RecoverResult:
        """Keep what a recovery came to, with its audit event; returns it as kept. Idempotent by the run."""

    async def latest(self, limit: int = 20) -> Sequence[tuple[datetime, RecoverResult]]: ...
    async def beat(self, name: str) -> datetime | None: ...
    async def keep_hooks(self, found: WatchHooks, states: Sequence[HookState], caller: Caller) -> Sequence[HookState]:
        """Keep how subscriptions were found; returns them with the moment since when. Changes are audited."""

    async def hooks(self, organisation: str = "") -> Sequence[HookState]: ...
    async def repaired(self, state: HookState, fresh: str, tenant: str, caller: Caller) -> None:
        """A new subscription took the place of one. Audited."""


class HookService(Protocol):
    """Subscriptions of service hooks. The password that deliveries come with is the implementation's own."""

    async def project_ids(self, organisation: str, names: Sequence[str]) -> Mapping[str, str]:
        """Id of each project by its name in lower case. Raises `Missing` if there is none of a name."""

    async def found(self, organisation: str, event_types: Sequence[str]) -> Sequence[FoundHook]:
        """All subscriptions to these events that post to a URL, whoever made them: all of them, or an error."""

    async def create(self, wanted: WantedHook) -> FoundHook:
        """Not idempotent: look into `found` first."""

    async def replace(self, hook: FoundHook, wanted: WantedHook) -> FoundHook:
        """Idempotent. It does not enable what the service has disabled."""

    async def remove(self, hook: FoundHook) -> None:
        """Idempotent: one that is gone is gone."""

    async def test(self, wanted: WantedHook) -> HookNotification:
        """Have the service send an invented event. Nothing is changed."""

    async def notifications(self, hook: FoundHook, limit: int = 100) -> Sequence[HookNotification]:
        """What became of the last events, newest first."""
