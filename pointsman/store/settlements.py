"""How deliveries leave the queue, and what must be known before: a handful of statements, however many there are."""

from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain, groupby
from typing import Any

from sqlalchemy import Connection

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.chains import Edge, EdgeKind
from pointsman.contracts.records import DeliveryState
from pointsman.contracts.work_items import WorkItemState
from pointsman.domain.echoes import write_told
from pointsman.domain.texts import clean
from pointsman.ports import Missing
from pointsman.ports_inbox import Ended, ItemName, Known
from pointsman.store import audit, edges, statements
from pointsman.store.columns import microseconds
from pointsman.store.ids import new_id
from pointsman.store.lists import Among

EARLIER_MAX = 20

_ITEMS = Among(
    "SELECT item_id, workflow_id, project, state FROM work_item WHERE organisation = :organisation AND item_id {among}"
)
_EARLIER = (
    "SELECT workflow_id, project FROM inbox WHERE item_id = ? AND organisation = ? ORDER BY sequence DESC LIMIT ?"
)
# What was dispatched may turn out to be an echo; any other row that is done stays.
_SETTLE = Among(
    "UPDATE inbox SET state = :state, reason = :reason, "
    "dispatched_at = coalesce(CAST(:dispatched_at AS timestamptz), dispatched_at), "  # to SQLite a number stays one
    "workflow_id = CASE WHEN :workflow_id = '' THEN workflow_id ELSE :workflow_id END "
    "WHERE (state = 'pending' OR (state = 'dispatched' AND :state = 'echo')) AND id {among} "
    "RETURNING id, tenant, chain_id, organisation, project, item_id, attempts, workflow_id"
)
_PRESENT = Among("SELECT id FROM inbox WHERE id {among}")


def known(connection: Connection, items: Collection[ItemName]) -> dict[ItemName, Known]:
    """What the books tell of these items; nothing of those that they do not know."""
    found: dict[ItemName, Known] = {}
    for organisation in {organisation for organisation, _ in items}:
        numbers = [number for where, number in items if where == organisation]
        for number, workflow_id, project, state in _ITEMS.run(connection, numbers, organisation=organisation):
            found[organisation, number] = Known(workflow_id, project, WorkItemState(state))
    for item in items:
        if item not in found and (earlier := _earlier(connection, item)):
            found[item] = earlier
    return found


def settle(connection: Connection, endings: Sequence[Sequence[Ended]]) -> list[None]:
    """Settle a batch for each caller. A row that is done already stays.

    Raises:
        Missing: there is no such delivery.
    """
    settled = list(chain.from_iterable(endings))
    changed: list[Row] = []
    for alike, group in groupby(sorted(settled, key=_alike), key=_alike):
        changed += _end(connection, [one.delivery_id for one in group], *alike)
    if len(changed) < len(settled):
        _all_present(connection, settled)
    audit.add_rows(connection, [_event(row) for row in changed])
    edges.add_rows(connection, [edge for row in changed for edge in _echoed(row)])
    return [None for _ in endings]


Row = tuple[Any, DeliveryState, str]
"""Columns as `_SETTLE` returns them, new state, and reason."""


def _alike(one: Ended) -> tuple[DeliveryState, str, str]:
    return one.state, one.reason, one.workflow_id


def _end(
    connection: Connection, ids: Iterable[str], state: DeliveryState, reason: str, workflow_id: str
) -> Iterable[Row]:
    at = datetime.now(UTC) if state is DeliveryState.DISPATCHED else None
    told: dict[str, Any] = {
        "state": state.value,
        "reason": clean(reason),
        "workflow_id": clean(workflow_id),
        "dispatched_at": at and (microseconds(at) if connection.dialect.name == "sqlite" else at.isoformat()),
    }
    return [(row, state, reason) for row in _SETTLE.run(connection, ids, **told)]


def _all_present(connection: Connection, settled: Sequence[Ended]) -> None:
    wanted = {one.delivery_id for one in settled}
    missing = wanted - {present for (present,) in _PRESENT.run(connection, wanted)}
    if missing:
        raise Missing(f"no delivery {min(missing)!r} in the inbox: nothing was changed")


def _event(changed: Row) -> audit.EventRow:
    (delivery_id, tenant, chain_id, organisation, project, item_id, attempts, workflow_id), state, _ = changed
    told: dict[str, Json] = {"attempts": attempts, "delivery": delivery_id, "workflow_id": workflow_id}
    action, where = Action(f"delivery.{state.value}"), (organisation, project, item_id)
    return audit.row(new_id(), action, "pointsman", datetime.now(UTC), tenant, chain_id, where, told)


def _echoed(changed: Row) -> list[edges.Row]:
    """That the delivery repeats a write of ours."""
    (delivery_id, tenant, *_), state, reason = changed
    write = write_told(reason) if state is DeliveryState.ECHO else ""
    if not write:
        return []
    edge = Edge(cause=edges.write(write), kind=EdgeKind.ECHOED, effect=edges.event(delivery_id))
    return [edges.row(edge, tenant, datetime.now(UTC))]


def _earlier(connection: Connection, item: ItemName) -> Known | None:
    """Workflow and project, each as the newest delivery that has one tells it; bodies are not read."""
    asked = _EARLIER if connection.dialect.name == "sqlite" else _EARLIER.replace("?", "%s")
    rows = statements.rows(connection, asked, (item[1], item[0], EARLIER_MAX))
    workflow_id = next((one for one, _ in rows if one), "")
    project = next((one for _, one in rows if one), "")
    return Known(workflow_id, project) if workflow_id or project else None
