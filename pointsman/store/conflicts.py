"""Fields that both sides changed, and items that are not written to: each opened once, closed with who and why."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.conflicts import Quarantine, SyncConflict
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.work_items import WorkItemKey
from pointsman.store import audit
from pointsman.store.chains import needed_key
from pointsman.store.engine import Store
from pointsman.store.locks import wait_turn
from pointsman.store.tables import ConflictRow, QuarantineRow, col

PREFIX = "CON-"
SYNCHRONISATION = "synchronisation"


class Conflicts:
    """`ports_sync.Conflicts` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def open(
        self, chain: Chain, operation: str, their_rev: int, conflicts: Sequence[FieldConflict]
    ) -> Sequence[SyncConflict]:
        """Idempotent by item and field: a conflict that stands gets the newest values."""
        key = needed_key(chain)

        def change(session: Session) -> list[SyncConflict]:
            _wait(session, key)
            standing = {row.field: row for row in _standing(session, key)}
            kept: list[SyncConflict] = []
            for one in conflicts:
                row = standing.get(one.field) or _opened(session, chain, operation, one)
                told = SyncConflict.model_validate_json(row.body)
                told = told.model_copy(update={"operation": operation, "their_rev": their_rev, "conflict": one})
                row.body = told.model_dump_json()
                kept.append(told)
            return kept

        return await self._store.write(change)

    async def settle(self, key: WorkItemKey, outcomes: Mapping[str, str], by: str) -> Sequence[SyncConflict]:
        """Idempotent: what is closed stays as it was closed."""

        def change(session: Session) -> list[SyncConflict]:
            _wait(session, key)
            rows = [row for row in _standing(session, key) if row.field in outcomes]
            return [_closed(session, row, outcomes[row.field], by) for row in rows]

        return await self._store.write(change)

    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[SyncConflict]:
        """Newest first; closed ones only with `every`."""
        query = select(ConflictRow).order_by(col(ConflictRow.number).desc()).limit(limit)
        if organisation:
            query = query.where(col(ConflictRow.organisation) == organisation)
        if project:
            query = query.where(col(ConflictRow.project) == project)
        if item_id:
            query = query.where(col(ConflictRow.item_id) == item_id)
        if not every:
            query = query.where(col(ConflictRow.closed_at).is_(None))
        return await self._store.read(
            lambda session: [SyncConflict.model_validate_json(row.body) for row in session.scalars(query)]
        )


class Quarantines:
    """`ports_sync.Quarantines` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, chain: Chain, reason: str, writes: int, caller: Caller) -> Quarantine:
        """Idempotent while it stands: the first reason stays."""
        key = needed_key(chain)

        def change(session: Session) -> Quarantine:
            _wait(session, key)
            if (standing := _quarantined(session, key)) is not None:
                return Quarantine.model_validate_json(standing.body)
            one = Quarantine(
                key=key,
                tenant=chain.tenant,
                correlation_id=chain.correlation_id,
                reason=reason,
                writes=writes,
                at=datetime.now(UTC),
            )
            row = QuarantineRow(
                tenant=one.tenant,
                organisation=key.organisation,
                project=key.project,
                item_id=key.id,
                body=one.model_dump_json(),
                at=one.at,
                released_at=None,
            )
            session.add(row)
            told = audit.event_of(Action.ITEM_QUARANTINED, audit.by(caller), chain, {"writes": writes})
            audit.add(session, told)
            return one

        return await self._store.write(change)

    async def get(self, key: WorkItemKey) -> Quarantine | None:
        def look(session: Session) -> Quarantine | None:
            row = _quarantined(session, key)
            return Quarantine.model_validate_json(row.body) if row else None

        return await self._store.read(look)

    async def standing(self) -> list[Quarantine]:
        """Of all items, oldest first."""
        query = select(QuarantineRow).where(col(QuarantineRow.released_at).is_(None)).order_by(col(QuarantineRow.at))
        return await self._store.read(
            lambda session: [Quarantine.model_validate_json(row.body) for row in session.scalars(query)]
        )

    async def release(self, key: WorkItemKey, by: str) -> Quarantine | None:
        """None where none stands."""

        def change(session: Session) -> Quarantine | None:
            _wait(session, key)
            row = _quarantined(session, key)
            if row is None:
                return None
            row.released_at = datetime.now(UTC)
            one = Quarantine.model_validate_json(row.body)
            one = one.model_copy(update={"released_at": row.released_at, "released_by": by})
            row.body = one.model_dump_json()
            chain = Chain(tenant=one.tenant, correlation_id=one.correlation_id, key=one.key)
            audit.add(session, audit.event_of(Action.ITEM_RELEASED, by, chain, {}))
            return one

        return await self._store.write(change)

    async def released_at(self, key: WorkItemKey) -> datetime | None:
        query = (
            select(col(QuarantineRow.released_at))
            .where(
                col(QuarantineRow.organisation) == key.organisation,
                col(QuarantineRow.item_id) == key.id,
                col(QuarantineRow.released_at).is_not(None),
            )
            .order_by(col(QuarantineRow.number).desc())
            .limit(1)
        )
        return await self._store.read(lambda session: session.scalar(query))

    async def find(self, *, organisation: str = "", every: bool = False, limit: int = 200) -> Sequence[Quarantine]:
        """Newest first; released ones only with `every`."""
        query = select(QuarantineRow).order_by(col(QuarantineRow.number).desc()).limit(limit)
        if organisation:
            query = query.where(col(QuarantineRow.organisation) == organisation)
        if not every:
            query = query.where(col(QuarantineRow.released_at).is_(None))
        return await self._store.read(
            lambda session: [Quarantine.model_validate_json(row.body) for row in session.scalars(query)]
        )


def _wait(session: Session, key: WorkItemKey) -> None:
    wait_turn(session, f"sync:{key.organisation}/{key.id}")


def _standing(session: Session, key: WorkItemKey) -> Sequence[ConflictRow]:
    query = select(ConflictRow).where(
        col(ConflictRow.organisation) == key.organisation,
        col(ConflictRow.item_id) == key.id,
        col(ConflictRow.closed_at).is_(None),
    )
    return session.scalars(query.order_by(col(ConflictRow.number))).all()


def _quarantined(session: Session, key: WorkItemKey) -> QuarantineRow | None:
    query = select(QuarantineRow).where(
        col(QuarantineRow.organisation) == key.organisation,
        col(QuarantineRow.item_id) == key.id,
        col(QuarantineRow.released_at).is_(None),
    )
    return session.scalar(query)


def _opened(session: Session, chain: Chain, operation: str, conflict: FieldConflict) -> ConflictRow:
    key, now = needed_key(chain), datetime.now(UTC)
    row = ConflictRow(
        tenant=chain.tenant,
        organisation=key.organisation,
        project=key.project,
        item_id=key.id,
        field=conflict.field,
        body="",
        opened_at=now,
        closed_at=None,
    )
    session.add(row)
    session.flush()  # the database gives the number
    one = SyncConflict(
        id=f"{PREFIX}{row.number}",
        key=key,
        tenant=chain.tenant,
        correlation_id=chain.correlation_id,
        operation=operation,
        conflict=conflict,
        opened_at=now,
    )
    row.body = one.model_dump_json()
    # Names only: values may be personal, and are in the row.
    told: dict[str, Json] = {"conflict": one.id, "field": conflict.field, "operation": operation}
    audit.add(session, audit.event_of(Action.CONFLICT_OPENED, SYNCHRONISATION, chain, told))
    return row


def _closed(session: Session, row: ConflictRow, outcome: str, by: str) -> SyncConflict:
    row.closed_at = datetime.now(UTC)
    one = SyncConflict.model_validate_json(row.body)
    conflict = one.conflict.model_copy(update={"outcome": outcome})
    one = one.model_copy(update={"closed_at": row.closed_at, "by": by, "conflict": conflict})
    row.body = one.model_dump_json()
    chain = Chain(tenant=one.tenant, correlation_id=one.correlation_id, key=one.key)
    told: dict[str, Json] = {"conflict": one.id, "field": row.field, "outcome": outcome}
    audit.add(session, audit.event_of(Action.CONFLICT_SETTLED, by, chain, told))
    return one
