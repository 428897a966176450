"""The write ledger: what we were about to write outside, and whether it was written. Echoes are known by it."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.chains import EdgeKind
from pointsman.contracts.records import Caller, WriteIntent, WriteRecord
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.sync.recognising import shown
from pointsman.ports import Missing, Rejected
from pointsman.store import audit, edges
from pointsman.store.chains import chain_of, columns_of, needed_key
from pointsman.store.engine import Store
from pointsman.store.locks import wait_turn
from pointsman.store.tables import LedgerRow, col

INTENDED, WRITTEN, ABANDONED = "intended", "written", "abandoned"
_SETTLED = {WRITTEN: Action.WRITE_WRITTEN, ABANDONED: Action.WRITE_ABANDONED}


class Ledger:
    """`ports.Ledger` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def intend(self, intent: WriteIntent, caller: Caller) -> WriteRecord:
        """Idempotent by operation: the row that stands comes back, whatever the intent says."""
        needed_key(intent.chain)

        def change(session: Session) -> WriteRecord:
            wait_turn(session, f"ledger:{intent.operation}")
            if (standing := session.get(LedgerRow, intent.operation)) is not None:
                return _record(standing)
            row = LedgerRow(
                operation=intent.operation,
                **columns_of(intent.chain),
                base_rev=intent.base_rev,
                fields=json.dumps(intent.values),
                intended_at=datetime.now(UTC),
                rev=0,
                status=INTENDED,
                settled_at=None,
            )
            session.add(row)
            # Names only: values may be personal, and are in the row.
            told: dict[str, Json] = {"base_rev": intent.base_rev, "fields": [*sorted(shown(intent.values))]}
            _tell(session, row, Action.WRITE_INTENDED, caller, told)
            _connect(session, row, caller)
            return _record(row)

        return await self._store.write(change)

    async def settle(self, operation: str, status: str, rev: int, caller: Caller, evidence: str = "") -> None:
        """The first settlement stands, except that what was given up may yet turn out to be written.

        Raises:
            Missing: nobody intended that operation.
            Rejected: `status` is neither `written` nor `abandoned`.
        """
        if status not in _SETTLED:
            raise Rejected(f"a write is settled as {WRITTEN!r} or {ABANDONED!r}, not {status!r}: nothing was changed")

        def change(session: Session) -> None:
            row = session.get(LedgerRow, operation, with_for_update=True)
            if row is None:
                raise Missing(f"no write {operation!r} in the ledger: nothing was changed")
            if row.status in (WRITTEN, status):
                return
            row.status, row.rev, row.settled_at = status, rev, datetime.now(UTC)
            told: dict[str, Json] = {"rev": rev, **({"evidence": evidence} if evidence else {})}
            _tell(session, row, _SETTLED[status], caller, told)

        await self._store.write(change)

    async def writes(self, key: WorkItemKey) -> Sequence[WriteRecord]:
        """All writes to the item, oldest first."""
        query = (
            select(LedgerRow)
            .where(col(LedgerRow.organisation) == key.organisation, col(LedgerRow.item_id) == key.id)
            .order_by(col(LedgerRow.intended_at), col(LedgerRow.operation))
        )
        return await self._store.read(lambda session: [_record(row) for row in session.scalars(query)])

    async def doubtful(self, limit: int = 200) -> Sequence[WriteRecord]:
        """Writes of which nobody knows whether they were carried out, or that are under way, oldest first."""
        query = (
            select(LedgerRow)
            .where(col(LedgerRow.status) == INTENDED)
            .order_by(col(LedgerRow.intended_at), col(LedgerRow.operation))
            .limit(limit)
        )
        return await self._store.read(lambda session: [_record(row) for row in session.scalars(query)])


def _connect(session: Session, row: LedgerRow, caller: Caller) -> None:
    write = edges.write(row.operation)
    edges.add(
        session,
        row.tenant,
        (edges.run(caller.workflow_id), EdgeKind.WROTE, write),
        (write, EdgeKind.CHANGED, edges.item(row.organisation, row.item_id)),
    )


def _record(row: LedgerRow) -> WriteRecord:
    return WriteRecord(
        operation=row.operation,
        key=needed_key(chain_of(row)),
        base_rev=row.base_rev,
        values=json.loads(row.fields),
        intended_at=row.intended_at,
        rev=row.rev,
        status=row.status,
    )


def _tell(session: Session, row: LedgerRow, action: Action, caller: Caller, told: dict[str, Json]) -> None:
    about: dict[str, Json] = {"operation": row.operation, **told}
    once = (row.operation,)
    audit.add(session, audit.event_of(action, audit.by(caller), chain_of(row), about, once=once))
