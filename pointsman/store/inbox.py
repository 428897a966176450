"""The inbox: what was acknowledged is here, until it was handed over, and afterwards."""

from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from operator import attrgetter

from sqlalchemy import ColumnElement, exists, literal_column, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import Delivery, DeliveryState, NewDelivery, Receipt
from pointsman.domain.texts import clean
from pointsman.ports import Missing
from pointsman.store import audit
from pointsman.store.canonical import INTEGER_MAX
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inserts import Insert
from pointsman.store.lists import Among
from pointsman.store.tables import InboxRow, col, metadata

RECEIVER = "azure-devops"
"""Who the log says delivered: the other side's name, not a person's."""

_COLUMNS = tuple(column.name for column in metadata.tables["inbox"].columns if column.name != "sequence")
_rows = Insert(metadata.tables["inbox"], _COLUMNS)
_new_chains = Insert(
    metadata.tables["inbox_chain"], ("organisation", "item_id", "tenant", "chain_id"), ignore_conflicts=True
)

_TEXTS = tuple(name for name, field in NewDelivery.model_fields.items() if field.annotation is str)
_texts = attrgetter(*_TEXTS)
CHAINS_KNOWN_MAX = 100_000

# Conditions of partial indexes are written out: only where they can be seen are the indexes used.
_FIRST_OF_KEYS = Among(
    "SELECT tenant, idempotency_key, id FROM inbox WHERE duplicate_of = '' AND idempotency_key {among}"
)
_CHAINS_OF_ITEMS = Among(
    "SELECT item_id, chain_id FROM inbox_chain WHERE organisation = :organisation AND item_id {among}"
)
IS_PENDING: ColumnElement[str] = literal_column("'pending'")

Item = tuple[str, int]
Key = tuple[str, str]
"""Tenant and idempotency key."""
Arrival = tuple[NewDelivery, str, audit.EventRow | None]
"""A delivery, and where the chain of its item is known already, that and the event of a first delivery."""


class Inbox:
    """`ports.Inbox` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known_chains: dict[Item, str] = {}
        """A chain never changes once it is stored, so it need not be read again."""

    async def accept(self, delivery: NewDelivery) -> Receipt:
        """Durable when it returns. Idempotent by `id`; a known idempotency key is kept as a duplicate."""
        delivery = _clean(delivery)
        item = _item(delivery)
        chain_id = self._known_chains.get(item, "")
        # Told here, where it costs no time of the one writer; rarely it must be told again there.
        arrival = (delivery, chain_id, _accepted(delivery, chain_id, "") if chain_id else None)
        try:
            receipt = await self._store.write_each(_accept, arrival)
        except IntegrityError:
            # Another process took the same key at the same moment: now it is there to be found.
            receipt = await self._store.write_each(_accept, arrival)
        if delivery.item_id and len(self._known_chains) < CHAINS_KNOWN_MAX:
            self._known_chains[item] = receipt.chain_id
        return receipt

    async def due(self, now: datetime, limit: int) -> Sequence[Delivery]:
        """For each item its oldest pending delivery, if that is due; all others that are due. In order of arrival."""
        earlier = aliased(InboxRow)
        blocked = exists().where(
            col(earlier.state) == IS_PENDING,
            col(earlier.organisation) == col(InboxRow.organisation),
            col(earlier.item_id) == col(InboxRow.item_id),
            col(earlier.sequence) < col(InboxRow.sequence),
        )
        query = (
            select(InboxRow)
            .where(col(InboxRow.state) == IS_PENDING)
            .where(or_(col(InboxRow.next_at).is_(None), col(InboxRow.next_at) <= now))
            .where(or_(col(InboxRow.item_id) == 0, ~blocked))
            .order_by(col(InboxRow.sequence))
            .limit(limit)
        )
        return await self._store.read(lambda session: [_delivery(row) for row in session.scalars(query)])

    async def settle(self, delivery_id: str, state: DeliveryState, reason: str = "", workflow_id: str = "") -> None:
        """The row is done. A row that is done already stays, but what was dispatched may turn out to be an echo.

        Raises:
            Missing: there is no such delivery.
        """

        def change(session: Session) -> None:
            row = _row(session, delivery_id)
            echo = row.state == DeliveryState.DISPATCHED and state == DeliveryState.ECHO
            if row.state != DeliveryState.PENDING and not echo:
                return
            row.state, row.reason = state.value, reason
            row.workflow_id = workflow_id or row.workflow_id
            if state == DeliveryState.DISPATCHED:
                row.dispatched_at = datetime.now(UTC)
            told: dict[str, Json] = {"attempts": row.attempts, "workflow_id": row.workflow_id}
            _tell(session, row, Action(f"delivery.{state.value}"), told)

        await self._store.write(change)

    async def postpone(self, delivery_id: str, error: str, until: datetime) -> None:
        """Count an attempt. `error` is shown to people, and is not in the log."""

        def change(session: Session) -> None:
            row = _row(session, delivery_id)
            row.attempts, row.reason, row.next_at = row.attempts + 1, error, until
            told: dict[str, Json] = {"attempts": row.attempts, "until": until.astimezone(UTC).isoformat()}
            _tell(session, row, Action.DELIVERY_POSTPONED, told)

        await self._store.write(change)

    async def get(self, delivery_id: str) -> Delivery | None:
        query = select(InboxRow).where(col(InboxRow.id) == delivery_id)
        row = await self._store.read(lambda session: session.scalar(query))
        return _delivery(row) if row else None

    async def find(self, state: str = "", item_id: int = 0, limit: int = 200) -> Sequence[Delivery]:
        """Newest first."""
        query = select(InboxRow).order_by(col(InboxRow.sequence).desc()).limit(limit)
        if state:
            query = query.where(col(InboxRow.state) == state)
        if item_id:
            query = query.where(col(InboxRow.item_id) == item_id)
        return await self._store.read(lambda session: [_delivery(row) for row in session.scalars(query)])

    async def replay(self, delivery_id: str, by: str) -> Receipt:
        """Put a copy into the queue, whatever became of the row; the row itself stays as it is.

        Raises:
            Missing: there is no such delivery.
        """

        def copy(session: Session) -> Receipt:
            row = _row(session, delivery_id)
            fresh = new_id()
            changed = {
                "sequence": None,
                "id": fresh,
                "received_at": datetime.now(UTC),
                "idempotency_key": f"{row.idempotency_key}#replay-{fresh}",
                "state": DeliveryState.PENDING.value,
                "reason": "",
                "duplicate_of": "",
                "attempts": 0,
                "next_at": None,
                "dispatched_at": None,
                "workflow_id": "",
                "replayed_by": by,
            }
            again = InboxRow(**{**row.model_dump(), **changed})
            session.add(again)
            _tell(session, again, Action.DELIVERY_REPLAYED, {"of": row.id}, actor=by)
            return Receipt(id=again.id, chain_id=again.chain_id)

        return await self._store.write(copy)


def _accept(session: Session, arrivals: Sequence[Arrival]) -> Sequence[Receipt]:
    """Keep a batch: a handful of statements, however many there are."""
    known = _known_keys(session, arrivals)
    chains = _chains(session, arrivals)
    stored = set(known.values())
    rows, events, receipts = [], [], []
    for delivery, _, told in arrivals:
        first = known.setdefault((delivery.tenant, delivery.idempotency_key), delivery.id)
        duplicate_of = "" if first == delivery.id else first
        chain_id = chains.get(_item(delivery), delivery.id)
        receipts.append(Receipt(id=delivery.id, chain_id=chain_id, duplicate_of=duplicate_of))
        if delivery.id not in stored:
            stored.add(delivery.id)
            rows.append(_values(delivery, chain_id, duplicate_of))
            events.append(told if told and not duplicate_of else _accepted(delivery, chain_id, duplicate_of))
    _rows.rows(session, rows)
    audit.add_rows(session, events)
    return receipts


def _known_keys(session: Session, arrivals: Sequence[Arrival]) -> dict[Key, str]:
    keys = [delivery.idempotency_key for delivery, _, _ in arrivals]
    found = _FIRST_OF_KEYS.run(session, keys)
    return {(tenant, key): delivery_id for tenant, key, delivery_id in found}


def _chains(session: Session, arrivals: Sequence[Arrival]) -> dict[Item, str]:
    """The chain of every item that the deliveries concern; an item that is new gets one, from its first delivery."""
    chains = {_item(delivery): chain_id for delivery, chain_id, _ in arrivals if chain_id}
    first: dict[Item, NewDelivery] = {}
    for delivery, _, _ in arrivals:
        if delivery.item_id and _item(delivery) not in chains:
            first.setdefault(_item(delivery), delivery)
    if not first:
        return chains
    # Whatever is stored already stands: a chain is never replaced.
    _new_chains.rows(session, [(*item, delivery.tenant, delivery.id) for item, delivery in first.items()])
    for organisation in {organisation for organisation, _ in first}:
        items = [item_id for where, item_id in first if where == organisation]
        for item_id, chain_id in _CHAINS_OF_ITEMS.run(session, items, organisation=organisation):
            chains[organisation, item_id] = chain_id
    return chains


def _item(delivery: NewDelivery) -> Item:
    return delivery.organisation, delivery.item_id


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
        (DeliveryState.DUPLICATE if duplicate_of else delivery.state).value,
        delivery.reason,
        chain_id,
        duplicate_of,
        0,
        None,
        None,
        "",
        "",
    )


def _clean(delivery: NewDelivery) -> NewDelivery:
    """The delivery as a database can hold it. Nearly always it is so already, and one look at all text tells."""
    texts = _texts(delivery)
    together = "".join(texts)
    if together.isascii() and "\x00" not in together and _fits(delivery.item_id) and _fits(delivery.notification_id):
        return delivery
    cleaned: dict[str, str | int] = {name: clean(text) for name, text in zip(_TEXTS, texts, strict=True)}
    cleaned["item_id"] = delivery.item_id if _fits(delivery.item_id) else 0
    cleaned["notification_id"] = delivery.notification_id if _fits(delivery.notification_id) else 0
    return delivery.model_copy(update=cleaned)


def _fits(number: int) -> bool:
    return 0 <= number <= INTEGER_MAX


def _accepted(delivery: NewDelivery, chain_id: str, duplicate_of: str) -> audit.EventRow:
    """The event of a delivery that is kept, under its id. The hash binds the body, which may be erased one day."""
    told: dict[str, Json] = {
        "bytes": len(delivery.body),
        "delivery": delivery.id,
        "event": delivery.event_type,
        "sha256": sha256(delivery.body).hexdigest(),
        "state": delivery.state.value,
    }
    if duplicate_of:
        told["duplicate_of"] = duplicate_of
    action = Action.DELIVERY_DUPLICATE if duplicate_of else Action.DELIVERY_ACCEPTED
    where = (delivery.organisation, delivery.project, delivery.item_id)
    return audit.row(delivery.id, action, RECEIVER, delivery.received_at, delivery.tenant, chain_id, where, told)


def _row(session: Session, delivery_id: str) -> InboxRow:
    row = session.scalar(select(InboxRow).where(col(InboxRow.id) == delivery_id).with_for_update())
    if row is None:
        raise Missing(f"no delivery {delivery_id!r} in the inbox: nothing was changed")
    return row


def _tell(session: Session, row: InboxRow, action: Action, told: dict[str, Json], actor: str = "pointsman") -> None:
    where = (row.organisation, row.project, row.item_id)
    told = {"delivery": row.id, **told}
    event = audit.row(new_id(), action, actor, datetime.now(UTC), row.tenant, row.chain_id, where, told)
    audit.add_rows(session, [event])


def _delivery(row: InboxRow) -> Delivery:
    return Delivery.model_validate({**row.model_dump(), "correlation_id": row.id})
