"""What happened to a work item, on both sides, and how it stood at any moment.

Theirs is what events tell, in the order of the item's own revisions; ours are transitions of our workflow and writes of
our ledger. Deliveries come late, doubled and out of order, and none of that changes the history: an event counts at the
time that the item says for it, and once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from pointsman.contracts.base import Json
from pointsman.contracts.chains import ThingKind
from pointsman.contracts.events import Link, WorkItemDeleted, WorkItemRestored, WorkItemTold, WorkItemUpdated
from pointsman.contracts.records import Delivery, DeliveryState, ItemTransition, WriteRecord
from pointsman.domain.chains import thing
from pointsman.domain.echoes import write_told
from pointsman.domain.events.reading import parse_bytes
from pointsman.domain.loose import moment, whole
from pointsman.domain.sync.recognising import shown

Changes = Mapping[str, tuple[Json, Json]]
THEIRS, OURS = "theirs", "ours"
CHANGED_DATE, COMMENT_COUNT = "System.ChangedDate", "System.CommentCount"


@dataclass(frozen=True)
class Happening:
    """One entry. `cause` is the name of a thing: our write behind an echo, the run behind a transition."""

    at: datetime
    side: str
    """theirs | ours"""
    what: str
    actor: str = ""
    cause: str = ""
    ref: str = ""
    """The delivery, run or operation that tells it."""
    rev: int = 0
    changes: Changes = field(default_factory=dict)
    fields: Mapping[str, Json] = field(default_factory=dict)
    """All fields after it, as far as it tells them."""
    links_added: tuple[str, ...] = ()
    links_removed: tuple[str, ...] = ()
    comment: str = ""
    comment_id: int = 0
    deleted: bool | None = None
    state: str = ""
    """Of our workflow after it."""
    repeats: bool = False
    """The same event is told by an earlier entry: it changes nothing."""
    marks: tuple[str, ...] = ()
    """For example `recovered`, or `replay for ada`."""
    sequence: int = 0


@dataclass
class Standing:
    """How an item stood."""

    at: datetime
    fields: dict[str, Json] = field(default_factory=dict)
    rev: int = 0
    links: set[str] = field(default_factory=set)
    said: dict[str, int] = field(default_factory=dict)
    """Comments that were heard of, each with the revision that told it first."""
    deleted: bool = False
    state: str = ""
    """Of our workflow."""
    since: datetime | None = None
    """When it last changed before that moment; None where nothing was known of it yet."""
    entries: int = 0

    @property
    def comments(self) -> int:
        """As the item counts them, who knows of those that were taken back; else as many as were heard of."""
        told = self.fields.get(COMMENT_COUNT)
        return len(self.said) if told is None else whole(told)


def history(
    deliveries: Iterable[Delivery],
    transitions: Iterable[ItemTransition],
    writes: Iterable[WriteRecord],
    workflow_id: str = "",
) -> list[Happening]:
    """All of it, oldest first. `workflow_id` is the item's: its transitions are of it."""
    run = thing(ThingKind.RUN, workflow_id) if workflow_id else ""
    steps = (_transition(step, run) for step in transitions)
    return sorted([*_marked(_theirs(deliveries)), *steps, *map(_write, writes)], key=_order)


def standing_at(entries: Sequence[Happening], at: datetime) -> Standing:
    """The item as `entries` (of `history`) tell it for that moment, what happened in it included."""
    stands = Standing(at)
    for one in entries:
        if one.at > at:
            break
        stands.entries += 1
        if not one.repeats:
            _apply(stands, one)
    return stands


def _apply(stands: Standing, one: Happening) -> None:
    if one.state:
        stands.state = one.state
    if one.side == THEIRS:
        cleared = {name for name, (_, new) in one.changes.items() if new is None}
        fields = {**stands.fields, **one.fields, **{name: new for name, (_, new) in one.changes.items()}}
        stands.fields = {name: value for name, value in fields.items() if name not in cleared}
        stands.links = (stands.links | set(one.links_added)) - set(one.links_removed)
        stands.rev = max(stands.rev, one.rev)
        _hear(stands, one)
        stands.deleted = stands.deleted if one.deleted is None else one.deleted
    stands.since = one.at


def _hear(stands: Standing, one: Happening) -> None:
    """A comment comes as an event of its own and in the update that it makes, and again with each edit."""
    if not one.comment:
        return
    named = f"comment {one.comment_id}" if one.comment_id else ""
    unnamed = f"revision {one.rev}"
    if named:
        stands.said.pop(unnamed, None)
        stands.said.setdefault(named, one.rev)
    elif one.rev not in stands.said.values():
        stands.said[unnamed] = one.rev


def _order(one: Happening) -> tuple[datetime, int, int, str]:
    return one.at, one.rev, one.sequence, one.ref


def _theirs(deliveries: Iterable[Delivery]) -> Iterator[tuple[str, Happening]]:
    """With what makes two deliveries the same event."""
    for delivery in deliveries:
        event = parse_bytes(delivery.body, delivery.organisation)
        if isinstance(event, WorkItemTold) and not event.envelope.is_test:
            yield _same(event, delivery), _delivery(event, delivery)


def _same(event: WorkItemTold, delivery: Delivery) -> str:
    """As the inbox tells duplicates, but a replay has the key of what it repeats."""
    key = delivery.idempotency_key
    if delivery.replayed_by:
        key = key.partition("#replay-")[0]
    return f"{event.item_id}:{key}"


def _delivery(event: WorkItemTold, delivery: Delivery) -> Happening:
    echo = write_told(delivery.reason) if delivery.state is DeliveryState.ECHO else ""
    changes, added, removed = _changes(event)
    return Happening(
        at=_happened_at(event, delivery),
        side=THEIRS,
        what=delivery.event_type.removeprefix("workitem.") or "unreadable",
        actor=event.actor.unique_name or event.actor.display_name,
        cause=thing(ThingKind.WRITE, echo) if echo else "",
        ref=delivery.id,
        rev=event.rev,
        changes=changes,
        fields=event.fields,
        links_added=added,
        links_removed=removed,
        comment=event.comment,
        comment_id=event.comment_id,
        deleted=_presence(event),
        marks=_marks(delivery, echo),
        sequence=delivery.sequence,
    )


def _changes(event: WorkItemTold) -> tuple[Changes, tuple[str, ...], tuple[str, ...]]:
    """Fields as (old, new), links that are there since, links that are gone since."""
    if not isinstance(event, WorkItemUpdated):
        return {}, _names(event.links), ()
    changed = {name: (one.old, one.new) for name, one in event.changed.items()}
    return changed, _names((*event.links, *event.links_added)), _names(event.links_removed)


def _names(links: Iterable[Link]) -> tuple[str, ...]:
    return tuple(f"{link.rel} {link.url}" for link in links)


def _presence(event: WorkItemTold) -> bool | None:
    """Whether it is in the recycle bin since; None for an event that says nothing of that."""
    if isinstance(event, WorkItemDeleted | WorkItemRestored):
        return isinstance(event, WorkItemDeleted)
    return None


def _happened_at(event: WorkItemTold, delivery: Delivery) -> datetime:
    """The item's own time, else that of the event, else of its arrival. A change of links moves no field."""
    told = None if isinstance(event, WorkItemUpdated) and not event.changed else event.fields.get(CHANGED_DATE)
    return moment(told) or event.envelope.created_at or delivery.received_at


def _marks(delivery: Delivery, echo: str) -> tuple[str, ...]:
    recovered = f"recovered from {delivery.recovered_from}" if delivery.recovered_from else ""
    replayed = f"replay for {delivery.replayed_by}" if delivery.replayed_by else ""
    return tuple(filter(None, ("our write" if echo else "", recovered, replayed)))


def _marked(told: Iterable[tuple[str, Happening]]) -> Iterator[Happening]:
    """Of several that tell the same event, the one that came first counts."""
    seen: set[str] = set()
    for key, one in sorted(told, key=lambda pair: pair[1].sequence):
        yield replace(one, repeats=True) if key in seen else one
        seen.add(key)


def _transition(told: ItemTransition, run: str) -> Happening:
    step = told.transition
    before = f"{step.before} -> " if step.before else ""
    return Happening(
        at=step.at,
        side=OURS,
        what=f"{before}{step.after}" + (f": {step.reason}" if step.reason else ""),
        actor=step.agent,
        cause=run,
        ref=f"{told.run_id}/{step.number}",
        state=step.after.value,
    )


def _write(write: WriteRecord) -> Happening:
    """What we sent. That it holds is told by its echo."""
    made = f", revision {write.rev}" if write.rev else ""
    return Happening(
        at=write.intended_at,
        side=OURS,
        what=f"write {write.status} on revision {write.base_rev}{made}",
        cause=thing(ThingKind.WRITE, write.operation),
        ref=write.operation,
        rev=write.rev,
        changes={name: (None, value) for name, value in shown(write.values).items()},
    )
