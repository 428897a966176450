"""What becomes of a delivery: decided from the books, without any effect. The dispatcher carries it out, a dry run
only tells it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pointsman.contracts.base import Json
from pointsman.contracts.policy import Policy
from pointsman.contracts.records import Delivery, DeliveryState, WriteRecord
from pointsman.contracts.work_items import ENDED, EventKind, WorkItemEvent, WorkItemKey, WorkItemState
from pointsman.domain.admission import Admission
from pointsman.domain.deliveries import Heard, read_bytes
from pointsman.domain.echoes import is_another, is_in_doubt, proves, told
from pointsman.domain.routing import in_scope
from pointsman.domain.sync.recognising import BY, linking, other_ends, write_of
from pointsman.ports import Inbox, Ledger
from pointsman.ports_inbox import UNKNOWN, ItemName, Known
from starter import work_items

IDLE = "changes nothing that matters, and the item is not worked on now"


@dataclass(frozen=True)
class HandOver:
    """An event on its way to the item's workflow, and the `others` that follow it. `known_workflow_id` is where earlier
    events of the item went. An item that no scope rule takes may be `only_checked` against the rules of its process."""

    event: WorkItemEvent
    tenant: str
    chain_id: str
    known_workflow_id: str = ""
    others: tuple[WorkItemEvent, ...] = ()
    only_checked: bool = False

    @property
    def events(self) -> tuple[WorkItemEvent, ...]:
        return (self.event, *self.others)

    @property
    def workflow_id(self) -> str:
        return self.known_workflow_id or work_items.workflow_id(self.event.key)


@dataclass(frozen=True)
class Decision:
    """Where the row ends. With `hand_over` it does so once that is done; `proven` is a write that the event settles."""

    state: DeliveryState
    reason: str = ""
    workflow_id: str = ""
    hand_over: HandOver | None = None
    proven: WriteRecord | None = None
    rev: int = 0


@dataclass
class Supposed:
    """What a dry run has decided before, and would be in the books by then."""

    workflows: dict[tuple[str, int], str] = field(default_factory=dict)
    """Where events of an item went."""
    effects: dict[str, str] = field(default_factory=dict)
    """First delivery of an event to the one that was handed over."""


class Judge:
    """Reads the books, and changes nothing."""

    def __init__(self, inbox: Inbox, ledger: Ledger, policy: Policy, admission: Admission) -> None:
        self._admission = admission
        self._inbox = inbox
        self._ledger = ledger
        self._policy = policy
        self._reads_text = any(rule.match.text for rule in policy.scope)
        ruled = policy.process.projects if policy.process.on_events else ()
        self._ruled = {(one.organisation.casefold(), one.project.casefold()) for one in ruled}

    async def decide(
        self, delivery: Delivery, supposed: Supposed | None = None, heard: Heard | None = None
    ) -> Decision:
        """What was handed over once is not handed over again by a replay, and what may have no effect has none by one:
        a range may hold it. `heard` spares reading the body."""
        heard = heard or read_bytes(delivery.body, delivery.organisation)
        key = heard.key()
        if heard.kind is None or key is None:
            return _without_effect(heard)
        # What was brought back came of no subscription, and was read as ours.
        if delivery.replayed_by and not delivery.recovered_from and (why := self._admission.why_not(heard)):
            return Decision(DeliveryState.UNKNOWN, why)
        if delivery.replayed_by and (had := await self._effect(delivery, supposed or Supposed())):
            return Decision(DeliveryState.DUPLICATE, f"had its effect: {had} was handed over")
        item = (key.organisation, key.id)
        known = (await self._inbox.known([item])).get(item, UNKNOWN)
        if supposed and not known.workflow_id:
            known = known._replace(workflow_id=supposed.workflows.get(item, ""))
        return await self._judged(delivery, heard, key, heard.kind, known, await self._writes(key, heard, known))

    async def decide_all(self, deliveries: Sequence[Delivery], told: Mapping[str, Heard]) -> list[Decision]:
        """As `decide`, for deliveries of one item that are no replays, in order. What they share is read once."""
        heard = [told.get(one.id) or read_bytes(one.body, one.organisation) for one in deliveries]
        books, decided = await self.known(heard), list[Decision]()
        writes: Sequence[WriteRecord] | None = None
        before = ""
        for delivery, said in zip(deliveries, heard, strict=True):
            key = said.key()
            if said.kind is None or key is None:
                decided.append(_without_effect(said))
                continue
            known = books.get((key.organisation, key.id), UNKNOWN)
            known = known._replace(workflow_id=known.workflow_id or before)
            if writes is None:
                writes = await self._writes(key, said, known)
            decision = await self._judged(delivery, said, key, said.kind, known, writes)
            before = before or decision.workflow_id
            decided.append(decision)
        return decided

    async def known(self, heard: Iterable[Heard]) -> Mapping[ItemName, Known]:
        """What the books tell of the items of these, read at once."""
        items = {(one.organisation, one.item_id) for one in heard if one.kind and one.item_id}
        return await self._inbox.known(items) if items else {}

    def at_once(self, delivery: Delivery, heard: Heard, known: Known) -> Decision | None:
        """The decision on a delivery that causes nothing, as nearly all do; None where that takes more than a look."""
        if heard.kind is None or not heard.item_id:
            return _without_effect(heard)
        if known.workflow_id or delivery.replayed_by:
            return None
        why = self._out_of_scope(heard)
        return Decision(DeliveryState.OUT_OF_SCOPE, why) if why and not self._is_ruled(heard) else None

    async def _writes(self, key: WorkItemKey, heard: Heard, known: Known) -> Sequence[WriteRecord] | None:
        """Of the item, oldest first; None where nobody asks for them."""
        return await self._ledger.writes(key) if known.state and _may_be_ours(heard) else None

    async def _judged(
        self,
        delivery: Delivery,
        heard: Heard,
        key: WorkItemKey,
        kind: EventKind,
        known: Known,
        writes: Sequence[WriteRecord] | None,
    ) -> Decision:
        if not known.workflow_id and (why := self._out_of_scope(heard)):
            check = HandOver(_event(delivery, heard, kind, key), delivery.tenant, delivery.chain_id, only_checked=True)
            return Decision(DeliveryState.OUT_OF_SCOPE, why, hand_over=check if self._is_ruled(heard) else None)
        if known.state and writes and (write := _echo(writes, known.state, heard)):
            is_proven = is_in_doubt(write) and proves(write, _changed(heard))
            proven = write if is_proven else None
            return Decision(DeliveryState.ECHO, told(write.operation), known.workflow_id, None, proven, heard.rev)
        if operation := await self._other_end(key, heard, known):
            return Decision(DeliveryState.ECHO, told(operation), known.workflow_id)
        if heard.is_idle and known.workflow_id and known.state in ENDED:
            return Decision(DeliveryState.OUT_OF_SCOPE, IDLE, known.workflow_id)
        event = _event(delivery, heard, kind, key.model_copy(update={"project": heard.project or known.project}))
        what = HandOver(event, delivery.tenant, delivery.chain_id, known.workflow_id)
        return Decision(DeliveryState.DISPATCHED, workflow_id=what.workflow_id, hand_over=what)

    async def _effect(self, delivery: Delivery, supposed: Supposed) -> str:
        first = await self._inbox.first_of(delivery.id)
        return supposed.effects.get(first, "") or await self._inbox.effect_of(delivery.id)

    def _out_of_scope(self, heard: Heard) -> str:
        """Why the item is not ours to handle; empty when it is, or when only the item itself can tell."""
        facts = heard.facts_for_scope(with_text=self._reads_text)
        if facts is None or in_scope(self._policy, facts):
            return ""
        return f"no scope rule of policy {self._policy.version} takes it"

    def _is_ruled(self, heard: Heard) -> bool:
        """Whether policy wants all items of its project checked as things happen to them."""
        return (heard.organisation.casefold(), heard.project.casefold()) in self._ruled

    async def _other_end(self, key: WorkItemKey, heard: Heard, known: Known) -> str:
        """Our write to other items of which this shows the links' other ends, and nothing else; empty where it does
        not. A run that is open hears of them itself: they are what both sides agree on."""
        if _changed(heard) or (known.workflow_id and known.state not in ENDED):
            return ""
        operation = ""
        for item_id, (added, removed) in other_ends(heard).items():
            write = linking(await self._ledger.writes(key.model_copy(update={"id": item_id})), added, removed)
            if write is None or is_in_doubt(write) or not _is_by(heard.actor, write):
                return ""
            operation = write.operation
        return operation


def together(decisions: Sequence[Decision]) -> HandOver | None:
    """One hand-over of all events of an item that are handed over; None where none is. An item that is worked on from
    one of them on is checked there."""
    every = [one.hand_over for one in decisions if one.hand_over is not None]
    handed = [one for one in every if not one.only_checked] or every
    return replace(handed[0], others=tuple(one.event for one in handed[1:])) if handed else None


def _echo(writes: Sequence[WriteRecord], state: WorkItemState, heard: Heard) -> WriteRecord | None:
    """Which write of ours the event repeats. One in doubt is left to the run that made it while that is open."""
    if not _may_be_ours(heard):
        return None
    write = write_of(writes, heard.rev, _changed(heard), heard)
    return None if write is None or (is_in_doubt(write) and state not in ENDED) else write


def _is_by(actor: str, write: WriteRecord) -> bool:
    """Whether the account that made the links is who is said to have made them."""
    account = str(write.values.get(BY) or "")
    return bool(actor and account) and not is_another(actor, account)


def _may_be_ours(heard: Heard) -> bool:
    """Who changed links alone is asked by the run, which knows our account."""
    said = bool(_changed(heard)) or (heard.is_idle and heard.comment_id > 0)
    return heard.kind in (EventKind.UPDATED, EventKind.COMMENTED) and said


def _without_effect(heard: Heard) -> Decision:
    return Decision(DeliveryState.DEAD if heard.unreadable else DeliveryState.UNKNOWN, heard.reason)


def _changed(heard: Heard) -> dict[str, tuple[Json, Json]]:
    return heard.changed | ({"System.History": (None, heard.comment)} if heard.comment else {})


def _event(delivery: Delivery, heard: Heard, kind: EventKind, key: WorkItemKey) -> WorkItemEvent:
    return WorkItemEvent(
        delivery_id=delivery.id,
        idempotency_key=delivery.idempotency_key,
        correlation_id=delivery.correlation_id,
        kind=kind,
        key=key,
        rev=heard.rev,
        update_id=heard.update_id,
        actor=heard.actor,
        changed_fields=tuple(sorted(heard.changed)),
        links_changed=heard.links_changed,
        untold=heard.is_hint,
        replayed_by=delivery.replayed_by,
    )
