"""The rows that a verification reads, whatever somebody stored in them.

SQLite keeps a value of any type in any column. Read as usual, text where bytes belong raises an error that names no
row; so each value is brought into the type of its column here, and `misfits` names those that had to be.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cache
from sqlite3 import Connection as Sqlite
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.orm import Session

from pointsman.contracts.actions import Action
from pointsman.store.columns import CleanText, UtcTime
from pointsman.store.sequencer import LOG_NAME
from pointsman.store.tables import metadata

ROWS_AT_ONCE = 250
MOMENT_MAX = 253_402_300_799_999_999
"""Microseconds from 1970 to the last that a `datetime` can say."""

_EVENT, _LEAF, _SUBJECT, _TILE, _CHECKPOINT, _PENDING, _INBOX, _CONTENT, _SETTING = (
    metadata.tables[name]
    for name in (
        "audit_event",
        "audit_leaf",
        "audit_subject",
        "audit_tile",
        "audit_checkpoint",
        "audit_pending",
        "inbox",
        "content",
        "setting",
    )
)
# What names a row of each table, and how it is said; all columns of the log's own tables are evidence.
_PLACES = {
    _EVENT: ("{!r}", ("id",), tuple(_EVENT.c.keys())),
    _LEAF: ("{}", ("position",), tuple(_LEAF.c.keys())),
    _SUBJECT: ("{!r} {}", ("subject", "sequence"), tuple(_SUBJECT.c.keys())),
    _TILE: ("{}/{}", ("level", "number"), tuple(_TILE.c.keys())),
    _CHECKPOINT: ("of size {}", ("size",), tuple(_CHECKPOINT.c.keys())),
    _PENDING: ("{}", ("sequence",), tuple(_PENDING.c.keys())),
    _INBOX: ("{!r}", ("id",), ("id", "tenant", "body")),
    _CONTENT: ("{!r}", ("hash",), ("hash", "encoding", "data")),
    _SETTING: ("{!r}", ("name",), ("name", "value")),
}


class Event(NamedTuple):
    id: str
    tenant: str
    action: str
    correlation_id: str
    organisation: str
    item_id: int
    body: bytes


class Leaf(NamedTuple):
    position: int
    event_id: str
    leaf_hash: bytes
    event: Event | None


class Waiting(NamedTuple):
    """A row of `audit_pending`."""

    sequence: int
    tenant: str
    event_id: str
    leaf_hash: bytes
    added_at: datetime
    event: Event | None


class Tile(NamedTuple):
    level: int
    number: int
    data: bytes


class Signed(NamedTuple):
    """A row of `audit_checkpoint`."""

    size: int
    note: str


class Body(NamedTuple):
    """A delivery in the inbox, with the event that told of it."""

    id: str
    tenant: str
    body: bytes
    event: bytes


class Stored(NamedTuple):
    """A row of `content`."""

    hash: str
    encoding: str
    data: bytes


class Misfit(NamedTuple):
    tenant: str
    place: str
    fault: str


@contextmanager
def any_text(session: Session) -> Iterator[None]:
    """Read text that is no UTF-8 with U+FFFD in it, instead of failing at it. PostgreSQL holds none."""
    raw = session.connection().connection.driver_connection
    if not isinstance(raw, Sqlite):
        yield
        return
    raw.create_function("is_utf8", 1, _is_utf8, deterministic=True)
    before, raw.text_factory = raw.text_factory, lambda data: data.decode(errors="replace")
    try:
        yield
    finally:
        raw.text_factory = before


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def misfits(session: Session) -> Iterator[Misfit]:
    """Values of another type than their column's, table by table. PostgreSQL stores none. Inside of `any_text`."""
    if session.get_bind().dialect.name == "sqlite":
        for table, (form, names, watched) in _PLACES.items():
            for row in _stream(session, _misfits(table)):
                row_id, tenant, *about = row
                place = f"{table.name} {form.format(*about[: len(names)])}"
                for name, kind in zip(watched, about[len(names) :], strict=True):
                    if kind != (wanted := _kind(table.c[name])):
                        yield Misfit(tenant, place, f"column {name}{row_id} holds {kind}, not {wanted}")


@cache
def _misfits(table: Table) -> Select[*tuple[Any, ...]]:
    """The same for each verification: making it takes longer than a short log."""
    _, names, watched = _PLACES[table]
    kinds = [_stored_kind(table.c[name]) for name in watched]
    tenant = _firm(table.c.tenant) if "tenant" in table.c else literal("")
    numbered = table.dialect_options["sqlite"]["with_rowid"]
    row_id = literal(" of row ").op("||")(literal_column("rowid")) if numbered else literal("")
    query: Select[*tuple[Any, ...]] = select(row_id, tenant, *(_firm(table.c[name]) for name in names), *kinds)
    wrong = (kind != _kind(table.c[name]) for name, kind in zip(watched, kinds, strict=True))
    return query.select_from(table).where(or_(*wrong))


def _stored_kind(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The type of what is stored. Only what is not plain ASCII is looked at in Python."""
    kind = func.typeof(column)
    if _kind(column) != "text":
        return kind
    suspect = and_(kind == "text", column.op("GLOB")(literal("*[^ -~]*", String())))
    return case((and_(suspect, not_(func.is_utf8(cast(column, LargeBinary())))), "text that is no UTF-8"), else_=kind)


def has_log_name(session: Session) -> bool:
    return session.scalar(select(_SETTING.c.name).where(_SETTING.c.name == LOG_NAME)) is not None


def tenants(session: Session) -> list[str]:
    """Whoever has a log, or a part of one."""
    found: set[str] = set()
    for table in (_LEAF, _CHECKPOINT, _TILE):
        found |= set(session.scalars(select(_of(session, table.c.tenant)).distinct()))
    return sorted(found)


def leaves(session: Session, tenant: str) -> Iterator[Leaf]:
    """In order of position, each with its event."""
    query = (
        select(*_all(session, _LEAF.c.position, _LEAF.c.event_id, _LEAF.c.leaf_hash), *_event(session))
        .outerjoin(_EVENT, _EVENT.c.id == _LEAF.c.event_id)
        .where(_LEAF.c.tenant == tenant)
        .order_by(_LEAF.c.position)
    )
    return (Leaf._make((*row[:3], _said(row[3:]))) for row in _stream(session, query))


def waiting(session: Session) -> Iterator[Waiting]:
    query = (
        select(*_all(session, *_PENDING.c["sequence", "tenant", "event_id", "leaf_hash", "added_at"]), *_event(session))
        .outerjoin(_EVENT, _EVENT.c.id == _PENDING.c.event_id)
        .order_by(_PENDING.c.sequence)
    )
    return (Waiting._make((*row[:5], _said(row[5:]))) for row in _stream(session, query))


def checkpoints(session: Session, tenant: str) -> list[Signed]:
    query = select(*_all(session, _CHECKPOINT.c.size, _CHECKPOINT.c.note)).where(_CHECKPOINT.c.tenant == tenant)
    return [Signed(*row) for row in session.execute(query.order_by(_CHECKPOINT.c.size))]


def tiles(session: Session, tenant: str) -> Iterator[Tile]:
    """From the lowest level to the highest, in order of number."""
    query = select(*_all(session, _TILE.c.level, _TILE.c.number, _TILE.c.data)).where(_TILE.c.tenant == tenant)
    return (Tile(*row) for row in _stream(session, query.order_by(_TILE.c.level, _TILE.c.number)))


def tile(session: Session, tenant: str, level: int, number: int) -> bytes:
    query = select(_of(session, _TILE.c.data))
    query = query.where(_TILE.c.tenant == tenant, _TILE.c.level == level, _TILE.c.number == number)
    return session.scalar(query) or b""


def loose(session: Session) -> Iterator[tuple[str, str]]:
    """(tenant, id) of events that are neither in the tree nor pending."""
    query = (
        select(*_all(session, _EVENT.c.tenant, _EVENT.c.id))
        .outerjoin(_LEAF, _LEAF.c.event_id == _EVENT.c.id)
        .outerjoin(_PENDING, _PENDING.c.event_id == _EVENT.c.id)
        .where(_LEAF.c.event_id.is_(None), _PENDING.c.event_id.is_(None))
    )
    return ((row[0], row[1]) for row in _stream(session, query))


def bodies(session: Session) -> Iterator[Body]:
    query = select(*_all(session, _INBOX.c.id, _INBOX.c.tenant, _INBOX.c.body, _EVENT.c.body))
    query = query.join(_EVENT, _EVENT.c.id == _INBOX.c.id)
    told = _EVENT.c.action.in_((Action.DELIVERY_ACCEPTED, Action.DELIVERY_DUPLICATE))
    return (Body(*row) for row in _stream(session, query.where(told)))


def contents(session: Session) -> Iterator[Stored]:
    query = select(*_all(session, _CONTENT.c.hash, _CONTENT.c.encoding, _CONTENT.c.data))
    return (Stored(*row) for row in _stream(session, query))


def _event(session: Session) -> list[ColumnElement[Any]]:
    return [_EVENT.c.sequence.label("event_sequence"), *_all(session, *(_EVENT.c[name] for name in Event._fields))]


def _said(columns: Sequence[Any]) -> Event | None:
    """The event of an outer join. Only its row number tells that there is none: a misfit may be NULL elsewhere."""
    return None if columns[0] is None else Event._make(columns[1:])


def _stream(session: Session, query: Select[*tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
    for rows in session.execute(query, execution_options={"yield_per": ROWS_AT_ONCE}).partitions():
        yield from (tuple(row) for row in rows)


def _all(session: Session, *columns: ColumnElement[Any]) -> list[ColumnElement[Any]]:
    return [_of(session, column) for column in columns]


def _of(session: Session, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return _firm(column) if session.get_bind().dialect.name == "sqlite" else column


@cache
def _firm(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """The column, whatever is in it, as a value of its type."""
    if isinstance(column.type, UtcTime):
        in_range = column.between(literal(0, Integer()), literal(MOMENT_MAX, Integer()))
        return cast(case((in_range, cast(column, Integer())), else_=0), column.type)
    empty = {"blob": literal(b"", LargeBinary()), "text": literal("", String()), "integer": literal(0, Integer())}
    return func.coalesce(cast(column, column.type), empty[_kind(column)])


def _kind(column: ColumnElement[Any]) -> str:
    """What SQLite calls the type that the column is for."""
    if isinstance(column.type, LargeBinary):
        return "blob"
    return "text" if isinstance(column.type, CleanText) else "integer"
