"""How deliveries get into the inbox: many in one transaction, each with its audit event, none twice as a first."""

from collections.abc import Sequence
from hashlib import sha256
from operator import attrgetter
from typing import NamedTuple

from sqlalchemy import Connection

from pointsman.contracts.actions import Action
from pointsman.contracts.chains import EdgeKind
from pointsman.contracts.records import DeliveryState, NewDelivery
from pointsman.domain.texts import clean
from pointsman.ports import Rejected
from pointsman.store import audit, edges
from pointsman.store.canonical import INTEGER_MAX, written
from pointsman.store.inserts import Insert
from pointsman.store.lists import Among
from pointsman.store.tables import metadata

RECEIVER, RECOVERER = "azure-devops", "pointsman"
"""Who the log says delivered: the other side's name, not a person's; ours where we brought the event back."""

# An enumeration's `value` takes as long as five of these.
_STATES = {state: state.value for state in DeliveryState}
_ACCEPTED, _DUPLICATE = Action.DELIVERY_ACCEPTED.value, Action.DELIVERY_DUPLICATE.value

_COLUMNS = tuple(column.name for column in metadata.tables["inbox"].columns if column.name != "sequence")
_rows = Insert(metadata.tables["inbox"], _COLUMNS, ignore_conflicts=True)
_new_chains = Insert(
    metadata.tables["inbox_chain"], ("organisation", "item_id", "tenant", "chain_id"), ignore_conflicts=True
)

_TEXTS = tuple(name for name, field in NewDelivery.model_fields.items() if field.annotation is str)
_texts = attrgetter(*_TEXTS)

# The condition of a partial index is written out: only where it can be seen is the index used.
_FIRST_OF_KEYS = Among(
    "SELECT tenant, idempotency_key, id FROM inbox WHERE duplicate_of = '' AND idempotency_key {among}"
)
_EVENTS = Among("SELECT id FROM audit_event WHERE id {among}")
_CHAINS_OF_ITEMS = Among(
    "SELECT item_id, chain_id FROM inbox_chain WHERE organisation = :organisation AND item_id {among}"
)

Item = tuple[str, int]
Kept = tuple[str, str]
"""Chain of a delivery, and where it is a duplicate the first of its key."""


class Arrival(NamedTuple):
    """A delivery whose chain is known, as it will be written."""

    delivery: NewDelivery
    chain_id: str
    duplicate_of: str
    row: tuple[object, ...]
    event: audit.EventRow
    connects: tuple[edges.Row, ...]


def arrival(delivery: NewDelivery, chain_id: str, duplicate_of: str = "") -> Arrival:
    """Made by the caller where it can be: in `accept` it costs time of the one writer."""
    row = _values(delivery, chain_id, duplicate_of)
    event = _event(delivery, chain_id, duplicate_of)
    told = _edges(delivery, duplicate_of) if delivery.edges or duplicate_of else ()
    return Arrival(delivery, chain_id, duplicate_of, row, event, told)


def accept(connection: Connection, deliveries: Sequence[Arrival | NewDelivery]) -> list[Kept]:
    """Keep a batch: a handful of statements, however many there are. A delivery may come as it is where nobody
    remembers the chain of its item.

    Raises:
        Rejected: the id of a delivery belongs to another one.
    """
    arrivals = _with_chains(connection, deliveries)
    fresh = arrivals
    if _rows.rows(connection, [one.row for one in arrivals]) < len(arrivals):
        arrivals = _with_duplicates(connection, arrivals)
        fresh = _untold(connection, arrivals)
    audit.add_rows(connection, [one.event for one in fresh])
    edges.add_rows(connection, [edge for one in fresh for edge in one.connects])
    return [(one.chain_id, one.duplicate_of) for one in arrivals]


def cleaned(delivery: NewDelivery) -> NewDelivery:
    """The delivery as a database can hold it. Nearly always it is so already, and one look at all text tells."""
    texts = _texts(delivery)
    together = "".join(texts)
    if together.isascii() and "\x00" not in together and _fits(delivery.item_id) and _fits(delivery.notification_id):
        return delivery
    texts_clean: dict[str, str | int] = {name: clean(text) for name, text in zip(_TEXTS, texts, strict=True)}
    texts_clean["item_id"] = delivery.item_id if _fits(delivery.item_id) else 0
    texts_clean["notification_id"] = delivery.notification_id if _fits(delivery.notification_id) else 0
    return delivery.model_copy(update=texts_clean)


def item_of(delivery: NewDelivery) -> Item:
    return delivery.organisation, delivery.item_id


def _with_duplicates(connection: Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Keep as duplicates what others came before; returns all as they stand in the end."""
    found = _FIRST_OF_KEYS.run(connection, [one.delivery.idempotency_key for one in arrivals])
    firsts = {(tenant, key): delivery_id for tenant, key, delivery_id in found}
    settled = []
    for one in arrivals:
        first = firsts.get((one.delivery.tenant, one.delivery.idempotency_key))
        if first is None:
            raise Rejected(f"delivery {one.delivery.id!r} is there already under another key: nothing was changed")
        settled.append(one if first == one.delivery.id else arrival(one.delivery, one.chain_id, first))
    _rows.rows(connection, [one.row for one in settled if one.duplicate_of])
    return settled


def _untold(connection: Connection, arrivals: Sequence[Arrival]) -> list[Arrival]:
    """Each that has no event yet, once: the others were kept before."""
    told = {event_id for (event_id,) in _EVENTS.run(connection, [one.delivery.id for one in arrivals])}
    return list({one.delivery.id: one for one in arrivals if one.delivery.id not in told}.values())


def _with_chains(connection: Connection, deliveries: Sequence[Arrival | NewDelivery]) -> list[Arrival]:
    """All of them with their chain; an item that is new gets one, from its first delivery."""
    first = {item_of(one): one for one in reversed(deliveries) if isinstance(one, NewDelivery) and one.item_id}
    chains = _chains(connection, first) if first else {}
    return [one if isinstance(one, Arrival) else arrival(one, chains.get(item_of(one), one.id)) for one in deliveries]


def _chains(connection: Connection, first: dict[Item, NewDelivery]) -> dict[Item, str]:
    """The chains of these items. Whatever is stored already stands: a chain is never replaced."""
    chains = {}
    _new_chains.rows(connection, [(*item, delivery.tenant, delivery.id) for item, delivery in first.items()])
    for organisation in {organisation for organisation, _ in first}:
        items = [item_id for where, item_id in first if where == organisation]
        for item_id, chain_id in _CHAINS_OF_ITEMS.run(connection, items, organisation=organisation):
            chains[organisation, item_id] = chain_id
    return chains


def _values(delivery: NewDelivery, chain_id: str, duplicate_of: str) -> tuple[object, ...]:
    """In order of `_COLUMNS`."""
    return (
        delivery.id,
        delivery.received_at,
        delivery.tenant,
        delivery.organisation,
        delivery.event_type,
        delivery.event_id,
        delivery.subscription_id,
        delivery.notification_id,
        delivery.idempotency_key,
        delivery.item_id,
        delivery.project,
        delivery.body,
        delivery.traceparent,
        _STATES[DeliveryState.DUPLICATE if duplicate_of else delivery.state],
        delivery.reason,
        chain_id,
        duplicate_of,
        0,
        None,
        None,
        "",
        "",
        delivery.recovered_from,
    )


def _edges(delivery: NewDelivery, duplicate_of: str) -> tuple[edges.Row, ...]:
    """A duplicate tells nothing but that it came: the first has told the rest."""
    if duplicate_of:
        first, again = edges.event(duplicate_of), edges.event(delivery.id)
        return ((first, delivery.tenant, again, EdgeKind.REPEATED.value, "", False, delivery.received_at),)
    return tuple(edges.row(edge, delivery.tenant, delivery.received_at) for edge in delivery.edges)


def _fits(number: int) -> bool:
    return 0 <= number <= INTEGER_MAX


def _event(delivery: NewDelivery, chain_id: str, duplicate_of: str) -> audit.EventRow:
    """The event of a delivery that is kept, under its id. The hash binds the body, which may be erased one day."""
    first = f'"duplicate_of":{written(duplicate_of)},' if duplicate_of else ""
    back = f'"recovered_from":{written(delivery.recovered_from)},' if delivery.recovered_from else ""
    told = (
        f'{{"bytes":{len(delivery.body)},"delivery":{written(delivery.id)},{first}"event":{written(delivery.event_type)},'
        f'{back}"sha256":"{sha256(delivery.body).hexdigest()}","state":"{_STATES[delivery.state]}"}}'
    )
    action = _DUPLICATE if duplicate_of else _ACCEPTED
    where = (delivery.organisation, delivery.project, delivery.item_id)
    return audit.written_row(
        delivery.id,
        action,
        RECOVERER if delivery.recovered_from else RECEIVER,
        delivery.received_at,
        delivery.tenant,
        chain_id,
        where,
        told,
    )
