"""A chain for people: what is reachable from a thing, each thing with what it is, who did it and when."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pointsman.contracts.chains import Direction, ThingKind, ThingTold, Walk
from pointsman.contracts.records import Delivery, WriteRecord
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.chains import bare, item_of, kind_of, thing
from pointsman.domain.events.reading import parse_bytes
from pointsman.domain.loose import text
from pointsman.ports import Escalations, Inbox, Items, Ledger, Missing
from starter.timeline import wrote

THINGS_MAX = 2_000
THINGS = 200
ALIASES = {"pr": ThingKind.PULL_REQUEST, "pull-request": ThingKind.PULL_REQUEST, "delivery": ThingKind.EVENT}


class Chains(Protocol):
    """The store's edges, as entrances ask for them."""

    async def tenants(self, thing: str) -> Sequence[str]:
        """Whose thing it is; empty where nothing is known of it."""

    async def walk(self, start: str, tenant: str, limit: int = 200, direction: Direction = Direction.BOTH) -> Walk:
        """What is reachable from a thing, `limit` things at most."""


@dataclass(frozen=True)
class ChainBooks:
    """What a chain is read from."""

    chains: Chains
    inbox: Inbox
    items: Items
    escalations: Escalations
    ledger: Ledger


@dataclass(frozen=True)
class Chain:
    walk: Walk
    told: tuple[ThingTold, ...]
    """In order of time: things of the walk, and none besides."""


def spelt(named: str) -> str:
    """The name of a thing as people write it: `pr:fabrikam/7`, `ESC-1`, `fabrikam/42`. Anything else is an event's."""
    kind, colon, rest = named.strip().partition(":")
    if colon and kind.casefold() in ALIASES:
        return thing(ALIASES[kind.casefold()], rest)
    if kind_of(named.strip()):
        return named.strip()
    if named.upper().startswith("ESC-"):
        return thing(ThingKind.ESCALATION, named.upper())
    organisation, slash, number = named.strip("/").replace("#", "").rpartition("/")
    if slash and number.isascii() and number.isdigit():
        return thing(ThingKind.ITEM, organisation.partition("/")[0].casefold(), int(number))
    return thing(ThingKind.EVENT, named.strip())


async def find(
    books: ChainBooks, start: str, limit: int = THINGS, direction: Direction = Direction.BOTH, tenant: str = ""
) -> Chain:
    """The chain of a thing, within its tenant.

    Raises:
        Missing: nothing is known of the thing, or several tenants have one of that name and none was given.
    """
    known = await books.chains.tenants(start)
    whose = [tenant] if tenant in known else [] if tenant else list(known)
    if not whose:
        raise Missing(f"nothing is known of {start!r}" + (f" of tenant {tenant!r}" if tenant else ""))
    if len(whose) > 1:
        raise Missing(f"{start!r} is known to several tenants, so one must be named: {', '.join(whose)}")
    walk = await books.chains.walk(start, whose[0], min(limit, THINGS_MAX), direction)
    return Chain(walk, tuple(sorted([one async for one in _told(books, walk)], key=_order)))


def _order(one: ThingTold) -> tuple[bool, float, str]:
    return one.at is None, one.at.timestamp() if one.at else 0.0, one.thing


async def _told(books: ChainBooks, walk: Walk) -> AsyncIterator[ThingTold]:
    first = _first_seen(walk)
    writes = {write.operation: write for write in await _writes(books, walk)}
    for name in walk.things:
        told = await _of_books(books, name, writes)
        yield told if told.at else told.model_copy(update={"at": first.get(name)})


def _first_seen(walk: Walk) -> dict[str, datetime]:
    seen: dict[str, datetime] = {}
    for edge in walk.edges:
        for end in (edge.cause, edge.effect):
            if edge.at and (end not in seen or edge.at < seen[end]):
                seen[end] = edge.at
    return seen


async def _writes(books: ChainBooks, walk: Walk) -> list[WriteRecord]:
    """Of all items of the walk: the ledger is asked by item."""
    if not any(kind_of(name) is ThingKind.WRITE for name in walk.things):
        return []
    items = [item for name in walk.things if (item := item_of(name))]
    keys = [WorkItemKey(organisation=organisation, project="", id=number) for organisation, number in items]
    return [write for key in keys for write in await books.ledger.writes(key)]


async def _of_books(books: ChainBooks, name: str, writes: Mapping[str, WriteRecord]) -> ThingTold:
    kind, rest = kind_of(name), bare(name)
    if kind is ThingKind.EVENT and (delivery := await books.inbox.get(rest)):
        return event_told(delivery)
    if kind is ThingKind.ITEM and (item := item_of(name)) and (row := await books.items.get(*item)):
        named = f"{row.facts.type} {row.key.id}: {row.facts.title}" if row.facts else f"work item {row.key.id}"
        return ThingTold(thing=name, what=f"{named} ({row.state})", who=row.agent, at=row.first_at)
    if kind is ThingKind.WRITE and (write := writes.get(rest)):
        made = f", revision {write.rev}" if write.rev else ""
        what = f"{wrote(write)} ({write.status}{made})"
        return ThingTold(thing=name, what=what, at=write.intended_at)
    if kind is ThingKind.ESCALATION and (asked := await books.escalations.get(rest)):
        answered = f" ({asked.decision.verb})" if asked.decision else ""
        by = asked.decision.by if asked.decision else asked.escalation.agent
        return ThingTold(thing=name, what=f"{asked.escalation.summary}{answered}", who=by, at=asked.opened_at)
    return ThingTold(thing=name, what=_plainly(name))


def event_told(delivery: Delivery) -> ThingTold:
    event = parse_bytes(delivery.body, delivery.organisation)
    subject = f" of {event.subject}" if event.subject else ""
    replayed = f", replay for {delivery.replayed_by}" if delivery.replayed_by else ""
    what = f"{delivery.event_type or 'unreadable'}{subject} ({delivery.state}{replayed})"
    who = event.actor.unique_name or event.actor.display_name
    return ThingTold(thing=thing(ThingKind.EVENT, delivery.id), what=text(what), who=who, at=delivery.received_at)


def _plainly(name: str) -> str:
    kind, number = kind_of(name), bare(name).rpartition("/")[2]
    word = kind.value.replace("_", " ") if kind else "thing"
    if kind is ThingKind.COMMIT:
        return f"{word} {number[:12]}"
    return f"{word} {bare(name)}" if kind is ThingKind.RUN else f"{word} {number}"


def causes_of(walk: Walk, name: str) -> Sequence[str]:
    """What led to a thing, as `kind of edge from thing`."""
    return [f"{edge.kind} from {edge.cause}" for edge in walk.edges if edge.effect == name and not edge.removed]
