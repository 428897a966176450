"""The store: one database, opened once, through which everything is read and changed.

`sqlite:///path` for one service on one machine, `postgresql+psycopg://…` for more. Both keep the same promise:
when `write` returns, the change is on disk.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from pointsman.ports import Rejected, Unavailable
from pointsman.store import schema, sqlite
from pointsman.store.commits import Committer, Work

T = TypeVar("T")
A = TypeVar("A")
R = TypeVar("R")

JOBS_PER_COMMIT = 128
POSTGRES_WRITERS = 8
READERS = sqlite.READERS
KEPT_ALIVE = {"keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""For libpq: seconds, seconds, times, milliseconds."""


class Store:
    """Made by `Store.open`. Methods may be called from any event loop; `close` ends what waits."""

    def __init__(
        self,
        reader: Engine,
        committer: Committer | None,
        quick: Committer | None,
        closers: Sequence[Callable[[], None]],
    ) -> None:
        self._reader = reader
        self._committer = committer
        self._quick = quick
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._closers = closers

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open a database whose schema is up to date (`schema.upgrade` sees to that).

        `read_only` is for whoever looks on while a service runs: SQLite's file is opened that way.

        Raises:
            StoreInUse: another service writes to this SQLite file; the message names its process id.
            SchemaMismatch: the schema is not the one of this version.
        """
        kind = make_url(url).get_backend_name()
        if kind not in ("sqlite", "postgresql"):
            raise Rejected(f"store URL of kind {kind!r}: expected sqlite:///path or postgresql+psycopg://…")
        if kind == "sqlite":
            return cls._open_sqlite(url, read_only)
        return cls._open_postgres(url, read_only)

    @classmethod
    def _open_sqlite(cls, url: str, read_only: bool) -> Self:
        path = sqlite.path_of(url)
        if not path.exists():
            raise Rejected(f"no database at {path}: create it with `pointsman db upgrade`")
        if read_only:
            reader = sqlite.reader_engine(path, read_only=True)
            _check(reader)
            return cls(reader, None, None, [reader.dispose])
        lock = sqlite.ServiceLock(path)
        reader = sqlite.reader_engine(path, read_only=False)
        try:
            _check(reader)
        except Rejected:
            lock.release()
            raise
        writer = sqlite.writer_engine(path)
        committer = Committer(writer, threads=1, jobs_per_commit=JOBS_PER_COMMIT, is_mixed=True)
        checkpoints = sqlite.Checkpoints(path, committer)
        closers = [committer.close, checkpoints.close, reader.dispose, writer.dispose, lock.release]
        return cls(reader, committer, committer, closers)

    @classmethod
    def _open_postgres(cls, url: str, read_only: bool) -> Self:
        engine = create_engine(
            url, pool_size=POSTGRES_WRITERS + READERS, max_overflow=0, pool_pre_ping=True, hide_parameters=True
        )
        # A view that is consistent over several statements is not what PostgreSQL gives unasked.
        reader = engine.execution_options(isolation_level="REPEATABLE READ")
        if read_only:
            event.listen(engine, "connect", _look_only)
        _check(engine)
        if read_only:
            return cls(reader, None, None, [engine.dispose])
        committer = Committer(engine, threads=POSTGRES_WRITERS, jobs_per_commit=JOBS_PER_COMMIT, is_mixed=False)
        # Quick changes are many, small, and of few rows: several writers would only wait for each other's.
        # Nobody asks beforehand whether the connection lives, which is a way to the server: what meets a dead one is
        # repeated. One that was lost in silence must not be waited for.
        hurried = create_engine(url, pool_size=1, max_overflow=0, hide_parameters=True, connect_args=KEPT_ALIVE)
        event.listen(hurried, "connect", _wait_for_no_disk)
        quick = Committer(hurried, threads=1, jobs_per_commit=JOBS_PER_COMMIT, is_mixed=False)
        return cls(reader, committer, quick, [committer.close, quick.close, hurried.dispose, engine.dispose])

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._reader.dialect.name

    @property
    def waiting(self) -> int:
        """Changes that wait for a writer: what to look at before taking in more."""
        return self._committer.waiting if self._committer else 0

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in one transaction. Durable when it returns; nothing is changed when it raises.

        Raises:
            Unavailable: the database cannot now. If the connection broke during the commit, the change may
                stand nevertheless: repeat it under the same key.
        """

        def alone(connection: Connection, _: Sequence[None]) -> Sequence[T]:
            with Session(connection, join_transaction_mode="rollback_only", expire_on_commit=False) as session:
                result = work(session)
                session.commit()
            return [result]

        return await self.write_each(alone, None)

    async def write_each(self, work: Work[A, R], argument: A, *, is_quick: bool = False) -> R:
        """Like `write`; calls of one `work` that wait at the same time run as one. It gets all their arguments.

        If they fail together each runs again alone: `work` must bear being repeated when a commit's answer was lost.
        One that `is_quick` waits for no disk: when this returns it survives the end of the process, however that
        comes, but the end of the machine (or of PostgreSQL) only about a second later.
        """
        committer = self._quick if is_quick else self._committer
        if committer is None:
            raise Rejected("the store was opened read-only: nothing was changed. Ask the running service instead.")
        try:
            return await committer.submit(work, argument, is_quick)
        except DBAPIError as error:
            raise _translated(error) from error

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` on one consistent view of the database. Sees every change whose `write` has returned."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._readers, self._look, work)
        except DBAPIError as error:
            raise _translated(error) from error

    async def close(self) -> None:
        """Finish what waits, then let go of the database. May be called twice."""
        closers, self._closers = self._closers, ()
        await asyncio.to_thread(self._readers.shutdown)
        for close in closers:
            await asyncio.to_thread(close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _look(self, work: Callable[[Session], T]) -> T:
        with Session(self._reader) as session:
            return work(session)


def _check(engine: Engine) -> None:
    """On a connection that the store goes on with."""
    try:
        schema.check(engine)
    except BaseException:
        engine.dispose()
        raise


def _look_only(raw: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _prepare(raw, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")


def _wait_for_no_disk(raw: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _prepare(raw, "SET synchronous_commit = off")


def _prepare(raw: DBAPIConnection, statement: str) -> None:
    cursor = raw.cursor()
    cursor.execute(statement)
    cursor.close()
    raw.commit()


def _translated(error: DBAPIError) -> Exception:
    """What may pass by itself is `Unavailable`; what is no fault of ours but the file's is `Damaged`."""
    if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return Unavailable(f"the database cannot do this now: {error.orig}. Safe to repeat under the same key.")
    return sqlite.Damaged(error.orig) if sqlite.is_damage(error) else error
