"""The audit log's entrance: events go in with the change that they tell of, in its transaction.

An event is kept as canonical JSON, the exact input of its Merkle leaf; `sequencer` puts it into the tree.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import attrgetter

from sqlalchemy import Connection, Row, func, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import AuditEvent, Caller, Chain
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.merkle import leaf_hash
from pointsman.domain.texts import clean
from pointsman.store import subjects
from pointsman.store.canonical import canonical, written
from pointsman.store.engine import Store
from pointsman.store.ids import derived_id, new_id
from pointsman.store.inserts import Insert
from pointsman.store.lists import Among
from pointsman.store.tables import AuditEntry, AuditLeaf, AuditPending, AuditSubject, col, metadata

EVENT_COLUMNS = ("id", "tenant", "action", "correlation_id", "organisation", "item_id", "body")
_events = Insert(metadata.tables["audit_event"], EVENT_COLUMNS)
_SAME = Among("SELECT sequence FROM audit_event WHERE id {among}")
_pending = Insert(metadata.tables["audit_pending"], ("tenant", "event_id", "leaf_hash", "added_at"))


EventRow = tuple[str, str, str, str, str, int, bytes, bytes]
"""Values of `EVENT_COLUMNS`, and the leaf hash."""


def event_of(
    action: Action, actor: str, chain: Chain, data: dict[str, Json], once: Sequence[object] = ()
) -> AuditEvent:
    """An event that happens now. `once` names what it tells of, where telling it again must not add a second."""
    event_id = derived_id(action.value, *once) if once else new_id()
    return AuditEvent(id=event_id, action=action.value, actor=actor, at=datetime.now(UTC), chain=chain, data=data)


def by(caller: Caller) -> str:
    """How the log names an activity's attempt as actor."""
    return f"{caller.workflow_id}/{caller.run_id}"


def add(session: Session, event: AuditEvent) -> None:
    """Write the event into the transaction of the change that it tells of. Idempotent by its id."""
    connection = session.connection()
    if not _SAME.run(connection, [clean(event.id)]):
        add_rows(connection, [row_of(event)])


def add_rows(connection: Connection, rows: Sequence[EventRow]) -> None:
    """Write events that are known to be new."""
    now = datetime.now(UTC)
    _events.rows(connection, [row[:-1] for row in rows])
    _pending.rows(connection, [(row[1], row[0], row[-1], now) for row in rows])


def row_of(event: AuditEvent) -> EventRow:
    key = event.chain.key
    where = (clean(key.organisation), clean(key.project), key.id) if key else ("", "", 0)
    tenant, correlation_id = clean(event.chain.tenant), clean(event.chain.correlation_id)
    return row(
        clean(event.id), clean(event.action), clean(event.actor), event.at, tenant, correlation_id, where, event.data
    )


def row(
    event_id: str,
    action: str,
    actor: str,
    at: datetime,
    tenant: str,
    correlation_id: str,
    where: tuple[str, str, int],
    data: dict[str, Json],
) -> EventRow:
    """The row of an event, from its parts, clean: `where` is organisation, project and item, 0 for none."""
    return written_row(event_id, action, actor, at, tenant, correlation_id, where, canonical(data).decode())


def written_row(
    event_id: str,
    action: str,
    actor: str,
    at: datetime,
    tenant: str,
    correlation_id: str,
    where: tuple[str, str, int],
    data: str,
) -> EventRow:
    """Like `row`, for data that is canonical JSON already.

    The envelope is written by hand in its canonical order: it has text and one small number, and nothing else.
    """
    organisation, project, item_id = where
    key = (
        f'{{"id":{item_id},"organisation":{written(organisation)},"project":{written(project)}}}' if item_id else "null"
    )
    chain = f'{{"correlation_id":{written(correlation_id)},"key":{key},"tenant":{written(tenant)}}}'
    moment = at.astimezone(UTC).isoformat(timespec="microseconds")
    start = f'{{"action":{written(action)},"actor":{written(actor)},"at":"{moment}","chain":{chain},'
    body = f'{start}"data":{data},"id":{written(event_id)}}}'.encode()
    organisation = organisation if item_id else ""
    return event_id, tenant, action, correlation_id, organisation, item_id, body, leaf_hash(body)


class Audit:
    """`ports.Audit` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def append(self, event: AuditEvent) -> None:
        """Idempotent by the event's id."""
        await self._store.write(lambda session: add(session, event))

    async def find(
        self, correlation_id: str = "", key: WorkItemKey | None = None, action: str = "", limit: int = 200
    ) -> Sequence[AuditEvent]:
        """The newest `limit` events that fit, in order of the log: first those in the tree, then those pending."""
        sequence, told = col(AuditEntry.sequence), col(AuditEntry.action)
        query = select(col(AuditEntry.body), col(AuditLeaf.position), sequence).limit(limit)
        query = query.outerjoin(AuditLeaf, col(AuditLeaf.event_id) == col(AuditEntry.id))
        if correlation_id:
            query = query.where(col(AuditEntry.correlation_id) == correlation_id)
        if key is not None:
            query = query.where(col(AuditEntry.organisation) == key.organisation, col(AuditEntry.item_id) == key.id)
        subject = subjects.subject(correlation_id, key)
        if action:
            # There are few events about one subject and many of one action: its index must not be used for both.
            query = query.where((func.coalesce(told, "") if subject else told) == action)
        queries = [query.order_by(sequence.desc())]
        if subject:
            listed = query.join(AuditSubject, col(AuditSubject.sequence) == sequence)
            pending = query.join(AuditPending, col(AuditPending.event_id) == col(AuditEntry.id))
            queries = [
                listed.where(col(AuditSubject.subject) == subject).order_by(col(AuditSubject.sequence).desc()),
                pending.order_by(sequence.desc()),
            ]
        rows = await self._store.read(lambda session: [row for query in queries for row in session.execute(query)])
        newest = sorted(rows, key=attrgetter("sequence"))[-limit:]
        return [AuditEvent.model_validate_json(row.body) for row in sorted(newest, key=_log_order)]


def _log_order(row: Row[bytes, int, int | None]) -> tuple[bool, int, int]:
    # Tenants have a log each; between them the order of arrival is all there is.
    return row.position is None, row.position or 0, row.sequence or 0
