"""Puts pending events into the tree, and signs a checkpoint over it. One log for each tenant.

Writers never touch the tree: they leave their events in `audit_pending`. A turn takes some of them, gives each the
next position, grows the tiles and signs, all in one transaction: killed at any point, the log has the old size or
the new one. A turn is short, because on SQLite every other writer waits for it.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from urllib.parse import quote

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pointsman.domain import merkle, tiles
from pointsman.domain.checkpoints import Checkpoint, NoteError
from pointsman.ports import Rejected, Unavailable
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inserts import Insert
from pointsman.store.lists import Among
from pointsman.store.locks import take_turn
from pointsman.store.signing import Signer
from pointsman.store.tables import AuditCheckpoint, AuditPending, AuditTile, Setting, col, metadata

log = logging.getLogger(__name__)

LEAVES_PER_TURN = 512
PAUSE = timedelta(milliseconds=250)
PAUSE_BUSY = timedelta(milliseconds=10)
PAUSE_UNAVAILABLE = timedelta(seconds=1)
LOG_NAME = "audit.log"
"""Setting that names the log of this database among all others."""

_FORGET = Among("DELETE FROM audit_pending WHERE sequence {among}")
_leaves = Insert(metadata.tables["audit_leaf"], ("tenant", "position", "event_id", "leaf_hash"))

_PENDING = metadata.tables["audit_pending"].c["tenant", "sequence", "event_id", "leaf_hash"]

Leaf = tuple[str, bytes]
"""Id and leaf hash of an event."""


class LogDamaged(Rejected):
    """The stored tree is not what its last checkpoint says. Nothing may be signed on top of it."""


class Sequencer:
    """`run` is a task of the service. Several may run against one PostgreSQL: they take turns."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self._signer = signer

    async def run(self) -> None:
        """Until cancelled. A database that is away is waited for.

        Raises:
            LogDamaged: somebody changed the tree; `audit verify` tells where.
        """
        while True:
            try:
                taken = await self.turn()
            except Unavailable as error:
                log.warning("no audit checkpoint for now: %s", error)
                await asyncio.sleep(PAUSE_UNAVAILABLE.total_seconds())
                continue
            pause = PAUSE_BUSY if taken == LEAVES_PER_TURN else PAUSE
            await asyncio.sleep(pause.total_seconds())

    async def turn(self) -> int:
        """Put at most `LEAVES_PER_TURN` events into their logs; returns how many."""
        if not await self._store.read(_has_pending):
            return 0
        return await self._store.write(self._turn)

    async def drain(self) -> int:
        """Turns until nothing is pending; returns how many events they took."""
        total = 0
        while taken := await self.turn():
            total += taken
        return total

    def _turn(self, session: Session) -> int:
        if not take_turn(session, "audit.sequencer"):
            return 0
        query = select(*_PENDING).order_by(col(AuditPending.sequence)).limit(LEAVES_PER_TURN)
        pending = sorted(session.execute(query), key=lambda row: (row[0], row[1]))
        if not pending:
            return 0
        for tenant, rows in groupby(pending, key=lambda row: row[0]):
            self._append(session, tenant, [(event_id, leaf) for _, _, event_id, leaf in rows])
        # By number: others may have committed rows in between that this turn has not seen.
        _FORGET.run(session, [row[1] for row in pending])
        return len(pending)

    def _append(self, session: Session, tenant: str, leaves: Sequence[Leaf]) -> None:
        size = latest_size(session, tenant)
        edge = {tile: read_tile(session, tenant, *tile) for tile in tiles.edge(size)}
        origin = origin_of(session, tenant)
        if size:
            self._check_edge(session, tenant, origin, size, edge)
        grown = tiles.grow(size, edge, [leaf for _, leaf in leaves])
        for (level, number), data in grown.items():
            session.merge(AuditTile(tenant=tenant, level=level, number=number, data=data))
        _leaves.rows(session, [(tenant, size + at, *leaf) for at, leaf in enumerate(leaves)])
        new_size = size + len(leaves)
        new_root = merkle.root(new_size, _nodes({**edge, **grown}))
        note = self._signer.sign(Checkpoint(origin, new_size, new_root))
        session.add(AuditCheckpoint(tenant=tenant, size=new_size, note=note))

    def _check_edge(self, session: Session, tenant: str, origin: str, size: int, edge: dict[tiles.Tile, bytes]) -> None:
        """A log must not sign what contradicts what it signed before."""
        last = session.get_one(AuditCheckpoint, (tenant, size))
        try:
            signed = self._signer.check(last.note, origin)
            intact = signed.size == size and signed.root == merkle.root(size, _nodes(edge))
        except (NoteError, IndexError) as error:
            raise LogDamaged(f"checkpoint {size} of tenant {tenant!r}: {error}. Nothing was signed.") from error
        if not intact:
            raise LogDamaged(
                f"the tree of tenant {tenant!r} is not what its checkpoint at size {size} says: nothing was signed. "
                "Run `pointsman audit verify` to see what was changed."
            )


def latest_size(session: Session, tenant: str) -> int:
    """Events in the tenant's tree, by its last checkpoint."""
    query = select(func.max(col(AuditCheckpoint.size))).where(col(AuditCheckpoint.tenant) == tenant)
    return session.scalar(query) or 0


def read_tile(session: Session, tenant: str, level: int, number: int) -> bytes:
    row = session.get(AuditTile, (tenant, level, number))
    return row.data if row else b""


def origin_of(session: Session, tenant: str) -> str:
    """Name of the tenant's log, unlike that of any other log. Made when the first is asked for."""
    name = session.get(Setting, LOG_NAME)
    if name is None:
        name = Setting(name=LOG_NAME, value=f"pointsman/{new_id()}")
        session.add(name)
    return f"{name.value}/{quote(tenant, safe='')}"


def _has_pending(session: Session) -> bool:
    return session.scalar(select(col(AuditPending.sequence)).limit(1)) is not None


def _nodes(stored: dict[tiles.Tile, bytes]) -> merkle.Nodes:
    return lambda height, number: tiles.node_of(lambda level, at: stored[level, at], height, number)
