"""Verifies the audit log against itself: everything that is signed is derived again from the events.

Each hash is stored twice (leaf and tile) and follows from a third thing (the event), so that of three witnesses the
one that lies can be named.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from pointsman.contracts.records import AuditEvent
from pointsman.domain import merkle, tiles
from pointsman.domain.checkpoints import NoteError
from pointsman.ports import Rejected
from pointsman.store import contents, sqlite, subjects, witnesses
from pointsman.store.engine import Store
from pointsman.store.sequencer import LOG_NAME, origin_of
from pointsman.store.signing import Verifier
from pointsman.store.tables import AuditPending, Content
from pointsman.store.witnesses import Event, Leaf, Signed

PENDING_MAX = timedelta(seconds=10)
DATABASE = "database file"
PAGES_TOLD_MAX = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written. `place` names table and row."""

    tenant: str
    place: str
    fault: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fault}"


@dataclass(frozen=True)
class LogState:
    """A tenant's log as its last checkpoint tells it. Keep `checkpoint` elsewhere: a later verification that knows
    it finds a log that was cut off or begun again."""

    tenant: str
    size: int
    root: str
    checkpoints: int
    checkpoint: str


@dataclass(frozen=True)
class Report:
    logs: tuple[LogState, ...]
    pending: int
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        return not self.findings


async def verify(
    store: Store, verifier: Verifier, kept: Sequence[str] = (), pending_max: timedelta = PENDING_MAX
) -> Report:
    """Verify all logs, and what events bind by hash: bodies of deliveries, contents. Reads every row once.

    `kept` are checkpoints that were kept outside the database.
    """

    def look(session: Session) -> Report:
        started = time.monotonic()
        with witnesses.any_text(session), session.no_autoflush:
            try:
                return _verify(session, verifier, kept, pending_max)
            except DBAPIError as error:
                if not sqlite.is_damage(error):
                    raise
                findings = (Finding("", DATABASE, str(error.orig)), *_misfits_of_pages(session))
                return Report((), 0, findings, time.monotonic() - started)

    return await store.read(look)


def _verify(session: Session, verifier: Verifier, kept: Sequence[str], pending_max: timedelta) -> Report:
    started = time.monotonic()
    findings = [Finding(*misfit) for misfit in witnesses.misfits(session)]
    logs = []
    tenants = witnesses.tenants(session)
    if tenants and not witnesses.has_log_name(session):
        findings.append(Finding("", f"setting {LOG_NAME!r}", "is missing: it names what was signed"))
    unread = set(kept)
    for tenant in tenants:
        log = _Log(session, verifier, tenant)
        logs.append(log.verify(unread))
        findings += log.findings
    findings += [Finding("", "kept checkpoint", f"no log here fits it: {note!r}") for note in sorted(unread)]
    findings += _loose_events(session)
    findings += _pending(session, pending_max)
    findings += _unlisted(session)
    findings += _deliveries(session)
    findings += _contents(session)
    findings += _misfits_of_pages(session)
    pending = session.scalar(select(func.count()).select_from(AuditPending)) or 0
    return Report(tuple(logs), pending, tuple(findings), time.monotonic() - started)


class _Log:
    """The verification of one tenant's log."""

    def __init__(self, session: Session, verifier: Verifier, tenant: str) -> None:
        self._session = session
        self._verifier = verifier
        self._tenant = tenant
        self._range = merkle.CompactRange()
        self._tile: tuple[int, bytes] = (-1, b"")
        self._signed: dict[int, bytes] = {}
        self._gap = False
        self.findings: list[Finding] = []

    def verify(self, kept: set[str]) -> LogState:
        rows = witnesses.checkpoints(self._session, self._tenant)
        origin = origin_of(self._session, self._tenant)
        for row in rows:
            self._read_checkpoint(row.note, origin, row.size)
        self._read_kept(kept, origin)
        for found in witnesses.leaves(self._session, self._tenant):
            self._check_leaf(found)
        self._check_ends(rows)
        self._check_tiles()
        last = rows[-1].note if rows else ""
        return LogState(self._tenant, self._range.size, self._range.root().hex(), len(rows), last)

    def _find(self, place: str, fault: str) -> None:
        self.findings.append(Finding(self._tenant, place, fault))

    def _read_checkpoint(self, note: str, origin: str, size: int) -> None:
        place = f"audit_checkpoint of size {size}"
        try:
            checkpoint = self._verifier.check(note, origin)
        except NoteError as error:
            self._find(place, str(error))
            return
        if checkpoint.size != size:
            self._find(place, f"its note is about size {checkpoint.size}")
        else:
            self._signed[size] = checkpoint.root

    def _read_kept(self, kept: set[str], origin: str) -> None:
        for note in sorted(kept):
            try:
                checkpoint = self._verifier.check(note, origin)
            except NoteError:
                continue  # of another tenant's log, or of none: whoever is left over is reported
            kept.discard(note)
            if self._signed.setdefault(checkpoint.size, checkpoint.root) != checkpoint.root:
                self._find(f"audit_checkpoint of size {checkpoint.size}", "is not the one that was kept outside")

    def _check_leaf(self, row: Leaf) -> None:
        position, event_id, stored, event = row
        if position != self._range.size:
            if not self._gap:
                self._find(f"audit_leaf {self._range.size}", f"is missing: the next one is {position}")
            self._gap = True  # what follows is not at its place any more: going on would blame each of them
            return
        tiled = self._tiled(position)
        if event is None:
            self._find(f"audit_event {event_id!r}", f"is missing: leaf {position} names it")
            self._append(tiled or stored)
            return
        derived = merkle.leaf_hash(event.body)
        self._judge(position, event, derived, stored, tiled)
        self._append(tiled if tiled in (derived, stored) else stored)

    def _judge(self, position: int, event: Event, derived: bytes, stored: bytes, tiled: bytes) -> None:
        """Of event, leaf and tile two must agree: the third was changed."""
        named = f"audit_event {event.id!r} (leaf {position})"
        if derived != stored and derived != tiled:
            self._find(named, f"its body hashes to {derived.hex()}, the log has {(tiled or stored).hex()}")
        else:
            for fault in _repeated(event):
                self._find(named, fault)
        if stored != derived and stored != tiled:
            self._find(f"audit_leaf {position}", f"its hash is {stored.hex()}, the event's is {derived.hex()}")
        if tiled != stored and tiled != derived:
            tile, place = divmod(position, tiles.WIDTH)
            self._find(f"audit_tile 0/{tile}", f"hash {place} is {tiled.hex() or 'missing'}, the leaf's {stored.hex()}")

    def _append(self, leaf: bytes) -> None:
        self._range.append(leaf)
        signed = self._signed.pop(self._range.size, None)
        if signed is not None and signed != self._range.root():
            self._find(
                f"audit_checkpoint of size {self._range.size}",
                f"signs the root {signed.hex()}, the events give {self._range.root().hex()}",
            )

    def _tiled(self, position: int) -> bytes:
        number, place = divmod(position, tiles.WIDTH)
        if self._tile[0] != number:
            self._tile = (number, witnesses.tile(self._session, self._tenant, 0, number))
        return self._tile[1][place * merkle.HASH_BYTES : (place + 1) * merkle.HASH_BYTES]

    def _check_ends(self, rows: Sequence[Signed]) -> None:
        size = self._range.size
        for signed in sorted(self._signed):
            self._find(f"audit_checkpoint of size {signed}", f"the log has only {size} leaves in a row")
        if size and (not rows or rows[-1].size < size):
            self._find(f"audit_leaf {rows[-1].size if rows else 0}", "no checkpoint covers it and what follows")

    def _check_tiles(self) -> None:
        expected = tiles.widths(self._range.size)
        seen: set[tiles.Tile] = set()
        above: dict[tiles.Tile, bytes] = {}
        for row in witnesses.tiles(self._session, self._tenant):
            tile = (row.level, row.number)
            seen.add(tile)
            self._check_tile(tile, row.data, expected.get(tile), above)
        for level, number in sorted(expected.keys() - seen):
            self._find(f"audit_tile {level}/{number}", "is missing")

    def _check_tile(self, tile: tiles.Tile, data: bytes, width: int | None, above: dict[tiles.Tile, bytes]) -> None:
        """Compare a tile with what the tiles below it give; keep what it gives to the one above it."""
        level, number = tile
        place = f"audit_tile {level}/{number}"
        if width is None or len(data) != width * merkle.HASH_BYTES:
            self._find(place, f"has {len(data)} bytes, the log gives it {(width or 0) * merkle.HASH_BYTES}")
            return
        if level and (below := above.get(tile, b"")) != data:
            at = next(at for at in range(len(data)) if data[at : at + 1] != below[at : at + 1])
            self._find(place, f"hash {at // merkle.HASH_BYTES} is not what the tile below gives (byte {at})")
            data = below
        if width == tiles.WIDTH and len(data) == tiles.WIDTH * merkle.HASH_BYTES:
            parent = (level + 1, number // tiles.WIDTH)
            above[parent] = above.get(parent, b"") + merkle.complete_root(tiles.split(data))


def _repeated(event: Event) -> Iterator[str]:
    """Columns that do not say what the body says."""
    try:
        said = AuditEvent.model_validate_json(event.body)
    except ValueError:
        yield "its body is not an event"
        return
    key = said.chain.key
    told = {
        "id": said.id,
        "tenant": said.chain.tenant,
        "action": said.action,
        "correlation_id": said.chain.correlation_id,
        "organisation": key.organisation if key else "",
        "item_id": key.id if key else 0,
    }
    for column, value in told.items():
        if getattr(event, column) != value:
            yield f"column {column} is {getattr(event, column)!r}, the signed body says {value!r}"


def _misfits_of_pages(session: Session) -> Iterator[Finding]:
    """What SQLite finds in its own file: pages, and indexes that do not say what their tables say."""
    if session.get_bind().dialect.name != "sqlite":
        return
    try:
        told = [str(row[0]) for row in session.execute(text(f"PRAGMA integrity_check({PAGES_TOLD_MAX})"))]
    except DBAPIError as error:
        if not sqlite.is_damage(error):
            raise
        told = [str(error.orig)]
    yield from (Finding("", DATABASE, fault) for fault in told if fault != "ok")


def _loose_events(session: Session) -> Iterator[Finding]:
    for tenant, event_id in witnesses.loose(session):
        yield Finding(tenant, f"audit_event {event_id!r}", "is neither in the tree nor pending")


def _pending(session: Session, pending_max: timedelta) -> Iterator[Finding]:
    now = datetime.now(UTC)
    for row in witnesses.waiting(session):
        place, event = f"audit_pending {row.sequence}", row.event
        if event is None:
            yield Finding(row.tenant, place, f"names event {row.event_id!r}, which is missing")
            continue
        if merkle.leaf_hash(event.body) != row.leaf_hash or event.tenant != row.tenant:
            yield Finding(row.tenant, place, f"does not fit the body of event {event.id!r}")
        for fault in _repeated(event):
            yield Finding(row.tenant, f"audit_event {event.id!r} (pending)", fault)
        if (waited := now - row.added_at) > pending_max:
            seconds = waited.total_seconds()
            yield Finding(row.tenant, place, f"event {event.id!r} waits for {seconds:.0f} s: is the sequencer running?")


def _unlisted(session: Session) -> Iterator[Finding]:
    for tenant, event_id in subjects.unlisted(session):
        yield Finding(tenant, f"audit_subject of event {event_id!r}", "is missing: a search would not find the event")


def _deliveries(session: Session) -> Iterator[Finding]:
    """Bodies in the inbox against the hash in the event that told of them."""
    for row in witnesses.bodies(session):
        if sha256(row.body).hexdigest().encode() not in row.event:
            yield Finding(row.tenant, f"inbox {row.id!r}", "its body is not the one that was accepted")


def _contents(session: Session) -> Iterator[Finding]:
    for row in witnesses.contents(session):
        try:
            contents.unpacked(Content(**row._asdict()))
        except Rejected as error:
            yield Finding("", f"content {row.hash!r}", str(error))
