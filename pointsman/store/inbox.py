"""The inbox: what was acknowledged is here, until it was handed over, and afterwards."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.chains import EdgeKind
from pointsman.contracts.records import Delivery, DeliveryState, NewDelivery, Receipt, Selection
from pointsman.ports import Missing
from pointsman.ports_inbox import Ended, ItemName, Known
from pointsman.store import arrivals, audit, edges, selections, settlements
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.tables import InboxRow, col, metadata

CHAINS_KNOWN_MAX = 100_000
ROWS_AT_ONCE = 100

_INBOX = metadata.tables["inbox"]
_IS_PENDING = _INBOX.c.state == DeliveryState.PENDING
# Without bodies: of many that wait a few are due.
_PENDING = (
    select(_INBOX.c.sequence, _INBOX.c.organisation, _INBOX.c.item_id, _INBOX.c.next_at)
    .where(_IS_PENDING)
    .order_by(_INBOX.c.sequence)
)


class Inbox:
    """`ports.Inbox` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known_chains: dict[arrivals.Item, str] = {}
        """A chain never changes once it is stored, so it need not be read again."""

    async def accept(self, delivery: NewDelivery) -> Receipt:
        """Durable when it returns. Idempotent by `id`; a known idempotency key is kept as a duplicate."""
        delivery = arrivals.cleaned(delivery)
        item = arrivals.item_of(delivery)
        known = self._known_chains.get(item)
        arriving = arrivals.arrival(delivery, known) if known else delivery
        chain_id, duplicate_of = await self._store.write_each(arrivals.accept, arriving)
        if delivery.item_id and len(self._known_chains) < CHAINS_KNOWN_MAX:
            self._known_chains[item] = chain_id
        return Receipt(id=delivery.id, chain_id=chain_id, duplicate_of=duplicate_of)

    async def due(
        self, now: datetime, limit: int, apart: Collection[ItemName] = (), each: int = 1
    ) -> Sequence[Delivery]:
        """For each item but those `apart` up to `each` of its oldest pending deliveries, none of which may be ahead of
        its time; of no item all that are due. In order of arrival."""
        return await self._store.read(lambda session: _due(session, now, limit, apart, each))

    async def settle(self, delivery_id: str, state: DeliveryState, reason: str = "", workflow_id: str = "") -> None:
        """The row is done. A row that is done already stays, but what was dispatched may turn out to be an echo.

        Raises:
            Missing: there is no such delivery.
        """
        await self.settle_all([Ended(delivery_id, state, reason, workflow_id)])

    async def settle_all(self, settled: Sequence[Ended]) -> None:
        """`settle` for many, in one transaction.

        Raises:
            Missing: there is no such delivery; nothing was changed.
        """
        await self._store.write_each(settlements.settle, settled)

    async def known(self, items: Collection[ItemName]) -> Mapping[ItemName, Known]:
        """What the books tell of these items, in one view of them; those that they do not know are left out."""
        return await self._store.read(lambda session: settlements.known(session.connection(), items))

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

    async def several(self, ids: Collection[str]) -> Mapping[str, Delivery]:
        """In one look; those that are not there are left out."""
        query = select(_INBOX).where(_INBOX.c.id.in_(ids))
        rows = await self._store.read(lambda session: [_read(row) for row in session.execute(query)])
        return {row.id: row for row in rows}

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
            first = edges.event(selections.first_of(session, row))
            edges.add(session, row.tenant, (first, EdgeKind.REPLAYED, edges.event(fresh)))
            _tell(session, again, Action.DELIVERY_REPLAYED, {"of": row.id}, actor=by)
            return Receipt(id=again.id, chain_id=again.chain_id)

        return await self._store.write(copy)

    async def effect_of(self, delivery_id: str) -> str:
        """The delivery of the same event that was handed over: itself, the first, or a replay of it. Empty for none.

        Raises:
            Missing: there is no such delivery.
        """
        return await self._store.read(lambda session: selections.effect_of(session, _told(session, delivery_id)))

    async def first_of(self, delivery_id: str) -> str:
        """The delivery that told the same event first: itself, or what it repeats or replays.

        Raises:
            Missing: there is no such delivery.
        """
        return await self._store.read(lambda session: selections.first_of(session, _told(session, delivery_id)))

    async def select(
        self, wanted: Selection, *, after: int = 0, before: int = 0, limit: int = 200, newest: bool = True
    ) -> Sequence[Delivery]:
        """Those that fit, with sequences between `after` and `before`, which are no part of it; 0 for no bound."""
        query = selections.chosen(wanted, after, before, limit, newest=newest)
        return await self._store.read(lambda session: [_delivery(row) for row in session.scalars(query)])


def _due(session: Session, now: datetime, limit: int, apart: Collection[ItemName], each: int) -> list[Delivery]:
    """Reads pending rows until enough are found: what lies behind costs nothing."""
    found: list[int] = []
    left: dict[ItemName, int] = dict.fromkeys(apart, 0)
    for row in session.execute(_PENDING.execution_options(yield_per=ROWS_AT_ONCE)):
        if len(found) == limit:
            break
        item, is_due = (row.organisation, row.item_id), row.next_at is None or row.next_at <= now
        room = left.get(item, each)
        if row.item_id:
            left[item] = room - 1 if is_due else 0
        if room > 0 and is_due:
            found.append(row.sequence)
    whole = select(_INBOX).where(_INBOX.c.sequence.in_(found), _IS_PENDING).order_by(_INBOX.c.sequence)
    return [_read(row) for row in session.execute(whole)]


def _read(row: Row[Any]) -> Delivery:
    return Delivery.model_validate({**row._mapping, "correlation_id": row.id})


def _told(session: Session, delivery_id: str) -> InboxRow:
    row = session.scalar(select(InboxRow).where(col(InboxRow.id) == delivery_id))
    if row is None:
        raise Missing(f"no delivery {delivery_id!r} in the inbox")
    return row


def _row(session: Session, delivery_id: str) -> InboxRow:
    row = session.scalar(select(InboxRow).where(col(InboxRow.id) == delivery_id).with_for_update())
    if row is None:
        raise Missing(f"no delivery {delivery_id!r} in the inbox: nothing was changed")
    return row


def _tell(session: Session, row: InboxRow, action: Action, told: dict[str, Json], actor: str = "pointsman") -> None:
    where = (row.organisation, row.project, row.item_id)
    told = {"delivery": row.id, **told}
    event = audit.row(new_id(), action, actor, datetime.now(UTC), row.tenant, row.chain_id, where, told)
    audit.add_rows(session.connection(), [event])


def _delivery(row: InboxRow) -> Delivery:
    return Delivery.model_validate({**row.model_dump(), "correlation_id": row.id})
