"""What both sides agreed on last, by item: read, advanced and looked up. Nothing here tells an audit event of its own:
the read, the write or the delivery that it follows from has told one."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import reduce

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.contracts.base import Json
from pointsman.contracts.records import Chain
from pointsman.contracts.sync import Advance, Agreed, SyncState
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.sync import agreeing
from pointsman.store import contents
from pointsman.store.chains import needed_key
from pointsman.store.engine import Store
from pointsman.store.ledger import INTENDED
from pointsman.store.locks import wait_turn
from pointsman.store.tables import AgreementRow, ConflictRow, LedgerRow, QuarantineRow, col

Step = Callable[[Agreed], Agreed]


class Agreements:
    """`ports_sync.Agreements` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, key: WorkItemKey) -> Agreed | None:
        return await self._store.read(lambda session: _found(session, key))

    async def read(self, chain: Chain, rev: int, fields: Mapping[str, Json], links: Sequence[str]) -> Agreed:
        """Idempotent. A look that is older than the last one changes nothing."""
        key = needed_key(chain)

        def change(session: Session) -> Agreed:
            _wait(session, key)
            before = _found(session, key) or Agreed(key=key, tenant=chain.tenant)
            # The project may have changed: an item that is moved keeps its number.
            before = before.model_copy(update={"key": key})
            return _kept(session, agreeing.read_whole(before, rev, fields, links))

        return await self._store.write(change)

    async def advance(
        self,
        chain: Chain,
        rev: int,
        changes: Mapping[str, Json],
        *,
        links: Sequence[str] | None = None,
        comments: Mapping[int, int] | None = None,
        link_update: int = 0,
    ) -> Agreed | None:
        """Idempotent. None where nothing was agreed before."""
        return await self._change(chain, lambda one: agreeing.advanced(one, rev, changes, links, comments, link_update))

    async def advance_all(self, chain: Chain, steps: Sequence[Advance]) -> None:
        """Idempotent. All or nothing, and one snapshot for all."""
        if steps:
            await self._change(chain, lambda one: reduce(agreeing.stepped, steps, one))

    async def own_comment(self, chain: Chain, comment_id: int, *, is_status: bool = False) -> None:
        """Idempotent."""
        await self._change(chain, lambda one: agreeing.commented(one, comment_id, is_status=is_status))

    async def _change(self, chain: Chain, step: Step) -> Agreed | None:
        key = needed_key(chain)

        def change(session: Session) -> Agreed | None:
            _wait(session, key)
            before = _found(session, key)
            if before is None:
                return None
            after = step(before)
            return before if after == before else _kept(session, after)

        return await self._store.write(change)

    async def find(self, organisation: str, project: str = "", after: int = 0, limit: int = 200) -> Sequence[Agreed]:
        """By ascending id, those above `after`."""
        query = (
            select(AgreementRow)
            .where(col(AgreementRow.organisation) == organisation, col(AgreementRow.item_id) > after)
            .order_by(col(AgreementRow.item_id))
            .limit(limit)
        )
        if project:
            query = query.where(func.lower(col(AgreementRow.project)) == project.lower())
        return await self._store.read(lambda session: [_agreed(session, row) for row in session.scalars(query)])

    async def forget(self, key: WorkItemKey) -> None:
        """Idempotent."""

        def change(session: Session) -> None:
            row = session.get(AgreementRow, (key.organisation, key.id))
            if row is not None:
                session.delete(row)

        await self._store.write(change)

    async def states(self, organisation: str = "") -> Sequence[SyncState]:
        return await self._store.read(lambda session: _states(session, organisation))


def _wait(session: Session, key: WorkItemKey) -> None:
    wait_turn(session, f"agreement:{key.organisation}/{key.id}")


def _found(session: Session, key: WorkItemKey) -> Agreed | None:
    row = session.get(AgreementRow, (key.organisation, key.id))
    return _agreed(session, row) if row else None


def _agreed(session: Session, row: AgreementRow) -> Agreed:
    fields = json.loads(contents.load(session, row.snapshot))
    return Agreed.model_validate_json(row.body).model_copy(update={"fields": fields})


def _kept(session: Session, agreed: Agreed) -> Agreed:
    snapshot = contents.keep(session, agreeing.canonical(agreed.fields))
    now = datetime.now(UTC)
    kept = agreed.model_copy(update={"snapshot": snapshot, "at": now})
    row = AgreementRow(
        organisation=kept.key.organisation,
        item_id=kept.key.id,
        project=kept.key.project,
        tenant=kept.tenant,
        rev=kept.rev,
        snapshot=snapshot,
        body=kept.model_dump_json(exclude={"fields"}),
        at=now,
    )
    session.merge(row)
    return kept


def _states(session: Session, organisation: str) -> list[SyncState]:
    place = (col(AgreementRow.organisation), col(AgreementRow.project))
    agreed = select(*place, func.count(), func.max(col(AgreementRow.at))).group_by(*place)
    found: dict[tuple[str, str], dict[str, object]] = {}
    for where, project, items, newest in session.execute(agreed):
        found[where, project] = {"items": items, "newest_at": newest}
    for name, table, open_rows in (
        ("conflicts", ConflictRow, col(ConflictRow.closed_at).is_(None)),
        ("quarantined", QuarantineRow, col(QuarantineRow.released_at).is_(None)),
        ("in_doubt", LedgerRow, col(LedgerRow.status) == INTENDED),
    ):
        columns = (col(table.organisation), col(table.project))
        for where, project, count in session.execute(
            select(*columns, func.count()).where(open_rows).group_by(*columns)
        ):
            found.setdefault((where, project), {})[name] = count
    return [
        SyncState.model_validate({"organisation": where, "project": project, **told})
        for (where, project), told in sorted(found.items())
        if organisation in ("", where)
    ]
