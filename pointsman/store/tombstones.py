"""Items in the recycle bin, as far as we know. Nothing of ours is deleted with an item: it may come back."""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.contracts.reconciliation import Tombstone
from pointsman.contracts.records import Caller, Chain
from pointsman.contracts.work_items import WorkItemKey
from pointsman.store import audit
from pointsman.store.chains import needed_key
from pointsman.store.engine import Store
from pointsman.store.locks import wait_turn
from pointsman.store.tables import TombstoneRow


class Tombstones:
    """`ports_sync.Tombstones` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def keep(self, chain: Chain, rev: int, caller: Caller, *, deleted: bool) -> None:
        """Idempotent: a tombstone that stands keeps the moment since when it does."""
        key = needed_key(chain)

        def change(session: Session) -> None:
            wait_turn(session, f"tombstone:{key.organisation}/{key.id}")
            row = session.get(TombstoneRow, (key.organisation, key.id))
            if deleted is (row is not None and row.cleared_at is None):
                return
            now = datetime.now(UTC)
            if deleted:
                _bury(session, chain, rev, now)
            elif row is not None:
                row.cleared_at = now
            action = Action.ITEM_BURIED if deleted else Action.ITEM_RETURNED
            audit.add(session, audit.event_of(action, audit.by(caller), chain, {"rev": rev}))

        await self._store.write(change)

    async def get(self, key: WorkItemKey) -> Tombstone | None:
        row = await self._store.read(lambda session: session.get(TombstoneRow, (key.organisation, key.id)))
        return Tombstone(since=row.since, cleared_at=row.cleared_at) if row else None


def _bury(session: Session, chain: Chain, rev: int, now: datetime) -> None:
    key = needed_key(chain)
    session.merge(
        TombstoneRow(
            organisation=key.organisation,
            item_id=key.id,
            project=key.project,
            tenant=chain.tenant,
            rev=rev,
            since=now,
            cleared_at=None,
        )
    )
