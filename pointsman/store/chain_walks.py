"""Chains as they are read: edges that are kept, and those that rows of the inbox say by being there."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import Row, Select, and_, or_, select
from sqlalchemy.orm import Session

from pointsman.contracts.chains import Direction, Edge, EdgeKind, ThingKind, Walk
from pointsman.domain import chains
from pointsman.store import edges
from pointsman.store.engine import Store
from pointsman.store.tables import ChainEdge, InboxRow, WorkItem, col

# Of the row only what an edge is made of: a body may have megabytes.
_TOLD = (
    col(InboxRow.id),
    col(InboxRow.organisation),
    col(InboxRow.item_id),
    col(InboxRow.workflow_id),
    col(InboxRow.received_at),
    col(InboxRow.dispatched_at),
)
Told = Select[str, str, int, str, datetime, datetime | None]
AT_ONCE = 500
"""Things in one statement."""


class Chains:
    """Read by entrances: `starter.chains` says what they need of it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def tenants(self, thing: str) -> Sequence[str]:
        """Whose thing it is; empty where nothing is known of it."""
        return await self._store.read(lambda session: sorted(_tenants(session, thing)))

    async def walk(self, start: str, tenant: str, limit: int = 200, direction: Direction = Direction.BOTH) -> Walk:
        """On one view of the database. Each distance costs four statements over indexes, each with `limit` rows."""

        def look(session: Session) -> Walk:
            is_cut = False

            def neighbours(things: Sequence[str]) -> Iterator[Edge]:
                nonlocal is_cut
                for at in range(0, len(things), AT_ONCE):
                    for told in _around(session, tenant, things[at : at + AT_ONCE], limit):
                        is_cut = is_cut or len(told) > limit
                        yield from told

            found = chains.walk(start, tenant, neighbours, limit, direction)
            return found.model_copy(update={"complete": found.complete and not is_cut})

        return await self._store.read(look)


def _tenants(session: Session, thing: str) -> set[str]:
    told = select(col(ChainEdge.tenant)).where(or_(col(ChainEdge.cause) == thing, col(ChainEdge.effect) == thing))
    found = set(session.scalars(told.distinct()))
    if chains.kind_of(thing) is ThingKind.EVENT:
        found |= set(session.scalars(select(col(InboxRow.tenant)).where(col(InboxRow.id) == chains.bare(thing))))
    if item := chains.item_of(thing):
        rows = select(col(InboxRow.tenant)).where(
            col(InboxRow.organisation) == item[0], col(InboxRow.item_id) == item[1]
        )
        held = select(col(WorkItem.tenant)).where(
            col(WorkItem.organisation) == item[0], col(WorkItem.item_id) == item[1]
        )
        found |= {*session.scalars(rows.distinct()), *session.scalars(held)}
    return found


def _around(session: Session, tenant: str, things: Sequence[str], limit: int) -> Iterator[list[Edge]]:
    """Edges at either end, one list for each statement, each newest first: where there is more than `limit`, what is
    old is left out, and the list is longer than that."""
    for end in (col(ChainEdge.cause), col(ChainEdge.effect)):
        kept = select(ChainEdge).where(end.in_(things), col(ChainEdge.tenant) == tenant)
        newest = kept.order_by(col(ChainEdge.at).desc(), col(ChainEdge.cause), col(ChainEdge.effect)).limit(limit + 1)
        yield [_edge(row) for row in session.scalars(newest)]
    for query in _rows_that_tell(tenant, things, limit):
        yield [edge for row in session.execute(query) for edge in _said(row)]


def _rows_that_tell(tenant: str, things: Sequence[str], limit: int) -> Iterator[Told]:
    """That an event is about its item and went to a workflow: its row says so, and no edge repeats it."""
    query = select(*_TOLD).where(col(InboxRow.tenant) == tenant, col(InboxRow.item_id) > 0)
    newest = query.order_by(col(InboxRow.sequence).desc()).limit(limit + 1)
    if events := [chains.bare(name) for name in things if chains.kind_of(name) is ThingKind.EVENT]:
        yield newest.where(col(InboxRow.id).in_(events))
    number, organisation, workflow_id = col(InboxRow.item_id), col(InboxRow.organisation), col(InboxRow.workflow_id)
    items = [item for name in things if (item := chains.item_of(name))]
    runs = [run for name in things if (run := _run(name))]
    if items or runs:
        about = [and_(number == of, organisation == where) for where, of in items]
        yield newest.where(or_(*about, *(and_(number == of, workflow_id == name) for name, of in runs)))


def _said(row: Row[str, str, int, str, datetime, datetime | None]) -> Iterator[Edge]:
    name, organisation, item_id, workflow_id, received_at, dispatched_at = row
    event = edges.event(name)
    yield Edge(cause=event, effect=edges.item(organisation, item_id), kind=EdgeKind.ABOUT, at=received_at)
    if workflow_id and dispatched_at:  # an echo names the workflow, too
        yield Edge(cause=event, effect=edges.run(workflow_id), kind=EdgeKind.HANDED_OVER, at=dispatched_at)


def _run(name: str) -> tuple[str, int] | None:
    """Workflow and item of a run, as its name tells."""
    workflow_id = chains.bare(name)
    number = workflow_id.rpartition("/")[2]
    if chains.kind_of(name) is not ThingKind.RUN or not (number.isascii() and number.isdigit()):
        return None
    return workflow_id, int(number)


def _edge(row: ChainEdge) -> Edge:
    kind = EdgeKind(row.kind)
    return Edge(cause=row.cause, effect=row.effect, kind=kind, removed=row.removed, evidence=row.evidence, at=row.at)
