"""Puts pending events into the tree, and signs a checkpoint over it. One log for each tenant.

Writers never touch the tree: they leave their events in `audit_pending`. A turn takes some of them, gives each the
next position, grows the tiles and signs. All of that is worked out beside the writers, from one view of the database;
the transaction that writes it takes place only if the logs have not grown meanwhile. Killed at any point, a log has
the old size or the new one. A turn is short, because on SQLite every other writer waits for it.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, func, select, text
from sqlalchemy.orm import Session

from pointsman.domain import merkle, tiles
from pointsman.domain.checkpoints import Checkpoint, NoteError
from pointsman.ports import Rejected, Unavailable
from pointsman.store import subjects
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inserts import Insert
from pointsman.store.lists import Among
from pointsman.store.locks import take_turn
from pointsman.store.signing import Signer
from pointsman.store.tables import AuditCheckpoint, AuditTile, Setting, col, metadata

log = logging.getLogger(__name__)

LEAVES_PER_TURN = 512
PAUSE = timedelta(milliseconds=250)
PAUSE_BUSY = timedelta(milliseconds=10)
PAUSE_UNAVAILABLE = timedelta(seconds=1)
LOG_NAME = "audit.log"
"""Setting that names the log of this database among all others."""

_PENDING = text("SELECT tenant, sequence, leaf_hash FROM audit_pending ORDER BY sequence LIMIT :limit")
# By number: others may have committed rows in between that this turn has not seen.
_PLACE = Among(
    "INSERT INTO audit_leaf (tenant, position, event_id, leaf_hash) "
    "SELECT tenant, :size - 1 + row_number() OVER (ORDER BY sequence), event_id, leaf_hash "
    "FROM audit_pending WHERE sequence {among}"
)
_FORGET = Among("DELETE FROM audit_pending WHERE sequence {among}")
_names = Insert(metadata.tables["setting"], ("name", "value"), ignore_conflicts=True)
_tiles = Insert(
    metadata.tables["audit_tile"],
    ("tenant", "level", "number", "data"),
    then="ON CONFLICT (tenant, level, number) DO UPDATE SET data = excluded.data",
)
_checkpoints = Insert(metadata.tables["audit_checkpoint"], ("tenant", "size", "note"))


Pending = Sequence[Any]
"""Tenant, sequence, leaf hash."""


@dataclass(frozen=True)
class Growth:
    """What a turn adds to the log of one tenant."""

    tenant: str
    size: int
    """Of the log before."""
    sequences: list[int]
    """Pending events in the order in which they follow."""
    tiles: dict[tiles.Tile, bytes]
    note: str


class LogDamaged(Rejected):
    """The stored tree is not what its last checkpoint says. Nothing may be signed on top of it."""


class Sequencer:
    """`run` is a task of the service. Several may run against one PostgreSQL: they take turns."""

    def __init__(self, store: Store, signer: Signer) -> None:
        self._store = store
        self._signer = signer
        self._named = False

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
        if not self._named:
            self._named = await self._store.write_each(_name, f"pointsman/{new_id()}")
        growths = await self._store.read(self._plan)
        return await self._store.write_each(_grow, growths) if growths else 0

    async def drain(self) -> int:
        """Turns until nothing is pending; returns how many events they took."""
        total = 0
        while taken := await self.turn():
            total += taken
        return total

    def _plan(self, session: Session) -> list[Growth]:
        """What the next turn adds to which logs."""
        pending = sorted(
            session.execute(_PENDING, {"limit": LEAVES_PER_TURN}).all(), key=itemgetter(0)
        )  # keeps their order
        return [self._growth(session, tenant, list(rows)) for tenant, rows in groupby(pending, key=itemgetter(0))]

    def _growth(self, session: Session, tenant: str, pending: Sequence[Pending]) -> Growth:
        size = latest_size(session, tenant)
        edge = {tile: read_tile(session, tenant, *tile) for tile in tiles.edge(size)}
        origin = origin_of(session, tenant)
        if size:
            self._check_edge(session, tenant, origin, size, edge)
        grown = tiles.grow(size, edge, [leaf for _, _, leaf in pending])
        new_size = size + len(pending)
        new_root = merkle.root(new_size, _nodes({**edge, **grown}))
        note = self._signer.sign(Checkpoint(origin, new_size, new_root))
        return Growth(tenant, size, [sequence for _, sequence, _ in pending], grown, note)

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


def latest_size(database: Session | Connection, tenant: str) -> int:
    """Events in the tenant's tree, by its last checkpoint."""
    query = select(func.max(col(AuditCheckpoint.size))).where(col(AuditCheckpoint.tenant) == tenant)
    return database.scalar(query) or 0


def read_tile(session: Session, tenant: str, level: int, number: int) -> bytes:
    row = session.get(AuditTile, (tenant, level, number))
    return row.data if row else b""


def origin_of(session: Session, tenant: str) -> str:
    """Name of the tenant's log, unlike that of any other log."""
    name = session.get(Setting, LOG_NAME)
    return f"{name.value if name else ''}/{quote(tenant, safe='')}"


def _name(connection: Connection, names: Sequence[str]) -> list[bool]:
    """Give the log its name, unless it has one."""
    _names.rows(connection, [(LOG_NAME, name) for name in names])
    return [True for _ in names]


def _grow(connection: Connection, turns: Sequence[list[Growth]]) -> list[int]:
    """Write turns, each whole or, where another sequencer was faster, not at all; how many events each took."""
    return [_grow_once(connection, growths) for growths in turns]


def _grow_once(connection: Connection, growths: list[Growth]) -> int:
    if not take_turn(connection, "audit.sequencer"):
        return 0
    if any(latest_size(connection, growth.tenant) != growth.size for growth in growths):
        return 0
    for one in growths:
        _PLACE.run(connection, one.sequences, size=one.size)
        subjects.enter(connection, one.sequences)
        _FORGET.run(connection, one.sequences)
        _tiles.rows(connection, [(one.tenant, *tile, data) for tile, data in one.tiles.items()])
        _checkpoints.rows(connection, [(one.tenant, one.size + len(one.sequences), one.note)])
    return sum(len(growth.sequences) for growth in growths)


def _nodes(stored: dict[tiles.Tile, bytes]) -> merkle.Nodes:
    return lambda height, number: tiles.node_of(lambda level, at: stored[level, at], height, number)
