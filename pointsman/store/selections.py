"""Which rows of the inbox somebody means, and which of them had an effect."""

from collections.abc import Sequence

from sqlalchemy import Select, or_, select
from sqlalchemy.orm import Session

from pointsman.contracts.chains import EdgeKind
from pointsman.contracts.records import DeliveryState, Selection
from pointsman.domain.chains import bare
from pointsman.store import edges
from pointsman.store.tables import ChainEdge, InboxRow, col

Rows = Select[InboxRow]


def chosen(wanted: Selection, after: int, before: int, limit: int, *, newest: bool) -> Rows:
    """The rows that fit, in order of arrival, from the newest on or from the oldest."""
    sequence = col(InboxRow.sequence)
    query = _about(select(InboxRow), wanted).limit(limit)
    if wanted.since:
        query = query.where(col(InboxRow.received_at) >= wanted.since)
    if wanted.until:
        query = query.where(col(InboxRow.received_at) < wanted.until)
    if after:
        query = query.where(sequence > after)
    if before:
        query = query.where(sequence < before)
    return query.order_by(sequence.desc() if newest else sequence)


def _about(query: Rows, wanted: Selection) -> Rows:
    if wanted.item_id:
        query = query.where(col(InboxRow.item_id) == wanted.item_id)
    if wanted.organisation:
        query = query.where(col(InboxRow.organisation) == wanted.organisation)
    if wanted.tenant:
        query = query.where(col(InboxRow.tenant) == wanted.tenant)
    if wanted.event_type:
        query = query.where(col(InboxRow.event_type).startswith(wanted.event_type, autoescape=True))
    if wanted.states:
        query = query.where(col(InboxRow.state).in_([state.value for state in wanted.states]))
    if named := wanted.correlation_id:
        query = query.where(or_(col(InboxRow.id) == named, col(InboxRow.chain_id) == named))
    return query


def first_of(session: Session, row: InboxRow) -> str:
    """The delivery that told the event first, of which this one is a duplicate or a replay; else itself."""
    if not row.replayed_by:
        return row.duplicate_of or row.id
    told = select(col(ChainEdge.cause)).where(
        col(ChainEdge.effect) == edges.event(row.id),
        col(ChainEdge.tenant) == row.tenant,
        col(ChainEdge.kind) == EdgeKind.REPLAYED.value,
    )
    found = session.scalar(told)
    return bare(found) if found else row.id


def effect_of(session: Session, row: InboxRow) -> str:
    """As `ports.Inbox.effect_of`."""
    first = first_of(session, row)
    copies = select(col(ChainEdge.effect)).where(
        col(ChainEdge.cause) == edges.event(first),
        col(ChainEdge.tenant) == row.tenant,
        col(ChainEdge.kind) == EdgeKind.REPLAYED.value,
    )
    family: Sequence[str] = [first, *(bare(name) for name in session.scalars(copies))]
    handed_over = (
        select(col(InboxRow.id))
        .where(col(InboxRow.id).in_(family), col(InboxRow.state) == DeliveryState.DISPATCHED.value)
        .order_by(col(InboxRow.sequence))
        .limit(1)
    )
    return session.scalar(handed_over) or ""
