"""Edges between things, written with the rows that they tell of. Telling one again adds nothing."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from pointsman.contracts.chains import Edge, EdgeKind, ThingKind
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.chains import thing
from pointsman.domain.texts import clean
from pointsman.store.inserts import Insert
from pointsman.store.tables import metadata

Row = tuple[str, str, str, str, str, bool, datetime]
"""Values of `_COLUMNS`, clean."""

_COLUMNS = ("cause", "tenant", "effect", "kind", "evidence", "removed", "at")
_rows = Insert(metadata.tables["chain_edge"], _COLUMNS, ignore_conflicts=True)


def row(edge: Edge, tenant: str, at: datetime) -> Row:
    """`at` counts where the edge does not say when."""
    cause, effect, evidence = clean(edge.cause), clean(edge.effect), clean(edge.evidence)
    return cause, tenant, effect, edge.kind.value, evidence, edge.removed, edge.at or at


def add_rows(connection: Connection, rows: Sequence[Row]) -> None:
    # In one order whoever writes: two transactions that enter the same edges must not wait for each other in a circle.
    if rows:
        _rows.rows(connection, sorted(rows))


def add(session: Session, tenant: str, *edges: tuple[str, EdgeKind, str]) -> None:
    """Enter (cause, kind, effect), told now."""
    now = datetime.now(UTC)
    told: Iterable[Edge] = (Edge(cause=cause, effect=effect, kind=kind) for cause, kind, effect in edges)
    session.flush()
    add_rows(session.connection(), [row(edge, clean(tenant), now) for edge in told])


def event(delivery_id: str) -> str:
    return thing(ThingKind.EVENT, delivery_id)


def item(organisation: str, item_id: int) -> str:
    return thing(ThingKind.ITEM, organisation, item_id)


def item_of(key: WorkItemKey) -> str:
    return item(key.organisation, key.id)


def run(workflow_id: str) -> str:
    return thing(ThingKind.RUN, workflow_id)


def write(operation: str) -> str:
    return thing(ThingKind.WRITE, operation)
