"""Deliveries that tell of an item alone, and not of which of its events: `details: minimal` leaves out the number of a
comment and the revision of a deletion, and old servers leave out the former. Which events they tell of is worked out,
or whatever came so would be taken for lost.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pointsman.contracts.records import Delivery
from pointsman.contracts.work_items import EventKind
from pointsman.domain.deliveries import read_bytes
from pointsman.domain.loose import moment

UNNAMED = "event:"
"""How idempotency keys begin where nothing but the id of the event tells it apart."""
KINDS = (EventKind.COMMENTED, EventKind.DELETED, EventKind.RESTORED)
LAG = timedelta(minutes=5)
"""So long after it happened the service may make the event of it."""
SAME_MOMENT = timedelta(seconds=1)
EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Unnamed:
    """A delivery that tells its item. `rev` is 0 where it does not tell that either."""

    kind: EventKind
    at: datetime
    rev: int = 0


@dataclass(frozen=True)
class Happened:
    """An event of the item's history, by the key that its delivery has where it tells enough."""

    kind: EventKind
    key: str
    at: datetime | None
    rev: int = 0


def unnamed(deliveries: Sequence[Delivery]) -> tuple[Unnamed, ...]:
    """Those of an item's deliveries that tell no more than the item."""
    found: dict[str, Unnamed] = {}
    for one in deliveries:
        if one.idempotency_key.startswith(UNNAMED):
            heard = read_bytes(one.body, one.organisation)
            if heard.kind in KINDS:
                at = moment(heard.created_date) or one.received_at
                found[one.idempotency_key] = Unnamed(heard.kind, at, heard.rev)
    return tuple(found.values())


def unheard(revs: Collection[int], deliveries: Sequence[Delivery]) -> list[int]:
    """Revisions of an item that none of its deliveries is about. One that tells but the number of an update stands for
    one of them: that number is never below the revision's."""
    heard = [read_bytes(one.body, one.organisation) for one in deliveries]
    numbers = sorted({one.update_id for one in heard if one.kind is EventKind.UPDATED and not one.rev})
    known = {1 if one.kind is EventKind.CREATED else one.rev for one in heard}
    left = []
    for rev in sorted(set(revs) - known, reverse=True):
        if numbers and numbers[-1] >= rev:
            numbers.pop()
        else:
            left.append(rev)
    return left[::-1]


def told(unnamed: Sequence[Unnamed], events: Sequence[Happened]) -> frozenset[str]:
    """Keys of the events that they tell of, each of one: of the revision that it names, else of the last before it."""
    left, keys = list(events), set[str]()
    for one in sorted(unnamed, key=lambda one: one.at):
        fitting = [event for event in left if _fits(one, event)]
        if fitting:
            event = max(fitting, key=lambda event: event.at or EARLIEST)
            left.remove(event)
            keys.add(event.key)
    return frozenset(keys)


def _fits(one: Unnamed, event: Happened) -> bool:
    if one.kind is not event.kind:
        return False
    if one.rev and event.rev:
        return one.rev == event.rev
    return event.at is not None and one.at - LAG <= event.at <= one.at + SAME_MOMENT
