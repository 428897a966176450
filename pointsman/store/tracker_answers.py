"""What was read of Azure DevOps, for all processes. A cache fails no call: what goes wrong is logged."""

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection, delete, func, select

from pointsman.domain.texts import clean
from pointsman.ports import Unavailable
from pointsman.store.columns import utc_now
from pointsman.store.engine import Store
from pointsman.store.inserts import Insert
from pointsman.store.tables import metadata

LOG = logging.getLogger(__name__)
LIFE = timedelta(hours=6)
"""For how long an answer may be asked for: nobody takes an older one."""
BODY_CHARS_MAX = 1_000_000
ROWS_MAX = 20_000
COUNTED_EVERY = 256  # answers that are put, after which a process counts the rows
FORGOTTEN = -1
"""In place of a revision: nothing that was read before counts."""

_ANSWER = metadata.tables["tracker_answer"]
_answers = Insert(
    _ANSWER,
    ("scope", "kind", "name", "rev", "read_at", "expires_at", "body"),
    then="ON CONFLICT (scope, kind, name) DO UPDATE SET rev = excluded.rev, read_at = excluded.read_at, "
    "expires_at = excluded.expires_at, body = excluded.body WHERE excluded.read_at > tracker_answer.read_at",
)


class Key(Protocol):
    @property
    def scope(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def name(self) -> str: ...


class Kept(Protocol):
    @property
    def read_at(self) -> datetime: ...
    @property
    def body(self) -> str | None: ...
    @property
    def rev(self) -> int: ...


KeptT = TypeVar("KeptT", bound=Kept)


class _Row(NamedTuple):
    scope: str
    kind: str
    name: str
    rev: int
    read_at: datetime
    expires_at: datetime
    body: str


class StoreLayer(Generic[KeptT]):
    """`clients.azure_devops.caching.Layer` over the store. `kept` makes an answer of moment, body and revision."""

    name = "store"

    def __init__(
        self,
        store: Store,
        kept: Callable[[datetime, str | None, int], KeptT],
        *,
        rows_max: int = ROWS_MAX,
        counted_every: int = COUNTED_EVERY,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._kept = kept
        self._rows_max = rows_max
        self._counted_every = counted_every
        self._now = now
        self._puts = 0

    async def get(self, key: Key) -> KeptT | None:
        """One look, for the answer and for whether all of its kind was forgotten since."""
        names = (clean(key.name), "")
        query = select(_ANSWER.c.name, _ANSWER.c.rev, _ANSWER.c.read_at, _ANSWER.c.body).where(
            _ANSWER.c.scope == clean(key.scope), _ANSWER.c.kind == key.kind, _ANSWER.c.name.in_(names)
        )
        try:
            found = {row.name: row for row in await self._store.read(lambda session: list(session.execute(query)))}
        except Unavailable as error:
            LOG.warning("what was read of Azure DevOps cannot be looked up: %s", error)
            return None
        row, all_of_it = found.get(names[0]), found.get("")
        if all_of_it is not None and (row is None or row.read_at <= all_of_it.read_at):
            return self._kept(all_of_it.read_at, None, 0)
        if row is None:
            return None
        return self._kept(row.read_at, None, 0) if row.rev == FORGOTTEN else self._kept(row.read_at, row.body, row.rev)

    async def put(self, key: Key, kept: Kept) -> None:
        body, rev = (kept.body, kept.rev) if kept.body is not None else ("", FORGOTTEN)
        if len(body) > BODY_CHARS_MAX:
            return
        row = _Row(clean(key.scope), key.kind, clean(key.name), rev, kept.read_at, kept.read_at + LIFE, clean(body))
        try:
            await self._store.write_each(_put, row, is_quick=True)
            self._puts += 1
            if self._puts % self._counted_every == 0:
                await self._store.write_each(_trim, (self._rows_max, self._now()), is_quick=True)
        except Unavailable as error:
            LOG.warning("what was read of Azure DevOps cannot be kept: %s", error)


def _put(connection: Connection, rows: Sequence[_Row]) -> list[None]:
    latest: dict[tuple[str, str, str], _Row] = {}
    for row in rows:
        known = latest.get(row[:3])
        if known is None or row.read_at > known.read_at:
            latest[row[:3]] = row
    _answers.rows(connection, [latest[key] for key in sorted(latest)])
    return [None] * len(rows)


def _trim(connection: Connection, limits: Sequence[tuple[int, datetime]]) -> list[None]:
    """What has ended goes, and of too many those that would end next."""
    rows_max, now = limits[-1]
    connection.execute(delete(_ANSWER).where(_ANSWER.c.expires_at < now))
    too_many = (connection.scalar(select(func.count()).select_from(_ANSWER)) or 0) - rows_max
    if too_many > 0:
        oldest = select(_ANSWER.c.expires_at).order_by(_ANSWER.c.expires_at).offset(too_many - 1).limit(1)
        connection.execute(delete(_ANSWER).where(_ANSWER.c.expires_at <= oldest.scalar_subquery()))
    return [None] * len(limits)
