"""Our books as a comparison with Azure DevOps reads them, many items at a time, and what each comparison came to."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.reconciliation import OurItem, ReconcileReport, Tombstone
from pointsman.contracts.records import Caller, Chain, DeliveryState, WriteRecord
from pointsman.contracts.work_items import Facts, WorkItemKey, WorkItemState
from pointsman.domain.reconciliation import has_gap
from pointsman.store import audit, contents
from pointsman.store.engine import Store
from pointsman.store.ledger import INTENDED, WRITTEN
from pointsman.store.tables import (
    AgreementRow,
    ConflictRow,
    InboxRow,
    LedgerRow,
    ReconciliationRow,
    TombstoneRow,
    WorkItem,
    col,
)

CONFLICT = "CON-"
RowT = TypeVar("RowT")


class Reconciliations:
    """`ports_sync.Reconciliations` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ids(self, organisation: str, project: str, after: int, limit: int) -> Sequence[int]:
        query = (
            select(col(WorkItem.item_id))
            .where(
                col(WorkItem.organisation) == organisation,
                func.lower(col(WorkItem.project)) == project.lower(),
                col(WorkItem.item_id) > after,
            )
            .order_by(col(WorkItem.item_id))
            .limit(limit)
        )
        return await self._store.read(lambda session: session.scalars(query).all())

    async def known(self, organisation: str, ids: Sequence[int]) -> Mapping[int, OurItem]:
        """Eight queries, each over an index."""
        return await self._store.read(lambda session: _known(session, organisation, ids))

    async def finish(self, report: ReconcileReport, caller: Caller) -> None:
        """Idempotent by workflow, run and project. A dry run leaves nothing behind."""
        if report.dry_run:
            return
        there = select(ReconciliationRow).where(
            col(ReconciliationRow.workflow_id) == caller.workflow_id,
            col(ReconciliationRow.run_id) == caller.run_id,
            col(ReconciliationRow.project) == report.project,
        )

        def change(session: Session) -> None:
            if session.scalar(there) is not None:
                return
            row = ReconciliationRow(
                workflow_id=caller.workflow_id,
                run_id=caller.run_id,
                tenant=report.tenant,
                organisation=report.organisation,
                project=report.project,
                body=report.model_dump_json(),
                at=datetime.now(UTC),
            )
            session.add(row)
            chain = Chain(tenant=report.tenant, correlation_id="")
            once = (caller.workflow_id, caller.run_id, report.project)
            audit.add(session, audit.event_of(Action.PROJECT_RECONCILED, report.by, chain, _told(report), once))

        await self._store.write(change)

    async def latest(self, organisation: str = "") -> Sequence[tuple[datetime, ReconcileReport]]:
        return await self._store.read(lambda session: newest(session, organisation))


def newest(session: Session, organisation: str = "") -> list[tuple[datetime, ReconcileReport]]:
    """The last report of each project."""
    last = select(func.max(col(ReconciliationRow.sequence))).group_by(
        col(ReconciliationRow.organisation), func.lower(col(ReconciliationRow.project))
    )
    query = select(ReconciliationRow).where(col(ReconciliationRow.sequence).in_(last))
    if organisation:
        query = query.where(col(ReconciliationRow.organisation) == organisation)
    query = query.order_by(col(ReconciliationRow.organisation), col(ReconciliationRow.project))
    return [(row.at, ReconcileReport.model_validate_json(row.body)) for row in session.scalars(query)]


def _told(report: ReconcileReport) -> dict[str, Json]:
    tally = report.tally
    return {
        "organisation": report.organisation,
        "project": report.project,
        "reason": report.reason,
        "items": tally.items,
        "counts": dict(tally.counts),
        "events": tally.events,
        "writes": tally.writes,
        "trouble": tally.trouble,
    }


def _known(session: Session, organisation: str, ids: Sequence[int]) -> dict[int, OurItem]:
    rows = {row.item_id: row for row in _rows(session, WorkItem, organisation, ids)}
    states = _deliveries(session, organisation, ids)
    written, doubtful = _writes(session, organisation, ids)
    conflicts, gaps = _conflicts(session, organisation, ids), _gaps(session, organisation, ids)
    stones = {row.item_id: row for row in _rows(session, TombstoneRow, organisation, ids)}
    agreed = {row.item_id: row for row in _rows(session, AgreementRow, organisation, ids)}
    found = {}
    for item_id in ids:
        heard = states.get(item_id, Counter())
        ours = OurItem(
            id=item_id,
            heard=heard.total(),
            pending=heard[DeliveryState.PENDING],
            dead=heard[DeliveryState.DEAD],
            gap=item_id in gaps,
            conflicts=tuple(conflicts.get(item_id, ())),
            in_doubt=tuple(doubtful.get(item_id, ())),
            tombstone=_stone(stones.get(item_id)),
            rev=written.get(item_id, 0),
        )
        if (row := rows.get(item_id)) is not None:
            ours = _with_row(ours, row)
        if (agreement := agreed.get(item_id)) is not None:
            fields = json.loads(contents.load(session, agreement.snapshot))
            ours = ours.model_copy(update={"agreed_rev": agreement.rev, "agreed": fields})
        found[item_id] = ours
    return found


def _rows(session: Session, table: type[RowT], organisation: str, ids: Sequence[int]) -> Iterable[RowT]:
    columns = vars(table)
    query = select(table).where(columns["organisation"] == organisation, columns["item_id"].in_(ids))
    return session.scalars(query)


def _with_row(ours: OurItem, row: WorkItem) -> OurItem:
    rev = Facts.model_validate_json(row.facts).rev if row.facts else 0
    return ours.model_copy(
        update={
            "project": row.project,
            "tenant": row.tenant,
            "correlation_id": row.correlation_id,
            "state": WorkItemState(row.state),
            "changed_at": row.changed_at,
            "rev": max(ours.rev, rev),
        }
    )


def _deliveries(session: Session, organisation: str, ids: Sequence[int]) -> dict[int, Counter[str]]:
    """By item, how many in each state."""
    item, state = col(InboxRow.item_id), col(InboxRow.state)
    query = (
        select(item, state, func.count())
        .where(item.in_(ids), col(InboxRow.organisation) == organisation)
        .group_by(item, state)
    )
    found: dict[int, Counter[str]] = {}
    for item_id, name, count in session.execute(query):
        found.setdefault(item_id, Counter())[name] = count
    return found


def _gaps(session: Session, organisation: str, ids: Sequence[int]) -> set[int]:
    """Items of which an event between others never came."""
    query = select(col(InboxRow.item_id), col(InboxRow.idempotency_key)).where(
        col(InboxRow.item_id).in_(ids), col(InboxRow.organisation) == organisation, col(InboxRow.duplicate_of) == ""
    )
    keys: dict[int, list[str]] = {}
    for item_id, key in session.execute(query):
        keys.setdefault(item_id, []).append(key)
    return {item_id for item_id, found in keys.items() if has_gap(found)}


def _writes(
    session: Session, organisation: str, ids: Sequence[int]
) -> tuple[dict[int, int], dict[int, list[WriteRecord]]]:
    """By item the highest revision that we made, and the writes of which nobody knows."""
    item = col(LedgerRow.item_id)
    mine = (col(LedgerRow.organisation) == organisation, item.in_(ids))
    made = select(item, func.max(col(LedgerRow.rev))).where(*mine, col(LedgerRow.status) == WRITTEN).group_by(item)
    doubtful: dict[int, list[WriteRecord]] = {}
    for row in session.scalars(select(LedgerRow).where(*mine, col(LedgerRow.status) == INTENDED)):
        doubtful.setdefault(row.item_id, []).append(_write(row))
    return {row[0]: row[1] for row in session.execute(made)}, doubtful


def _write(row: LedgerRow) -> WriteRecord:
    return WriteRecord(
        operation=row.operation,
        key=WorkItemKey(organisation=row.organisation, project=row.project, id=row.item_id),
        base_rev=row.base_rev,
        values=json.loads(row.fields),
        intended_at=row.intended_at,
        rev=row.rev,
        status=row.status,
    )


def _conflicts(session: Session, organisation: str, ids: Sequence[int]) -> dict[int, list[str]]:
    query = (
        select(col(ConflictRow.item_id), col(ConflictRow.number))
        .where(
            col(ConflictRow.organisation) == organisation,
            col(ConflictRow.item_id).in_(ids),
            col(ConflictRow.closed_at).is_(None),
        )
        .order_by(col(ConflictRow.number))
    )
    found: dict[int, list[str]] = {}
    for item_id, number in session.execute(query):
        found.setdefault(item_id, []).append(f"{CONFLICT}{number}")
    return found


def _stone(row: TombstoneRow | None) -> Tombstone | None:
    return Tombstone(since=row.since, cleared_at=row.cleared_at) if row else None
