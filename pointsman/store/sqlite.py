"""SQLite as the embedded database: one service, one writer, many readers.

Several writing processes starve each other (p99 of 10 s measured), so a lock file lets one service in.
"""

import fcntl
import logging
import os
import threading
import time
from pathlib import Path
from sqlite3 import Connection as Sqlite
from sqlite3 import OperationalError, connect
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry, QueuePool

from pointsman.ports import Rejected
from pointsman.store import statements
from pointsman.store.commits import QUICK, Committer

log = logging.getLogger(__name__)

BUSY_TIMEOUT_MS = 10_000
CHECKPOINT_SECONDS = 1.0
WAL_BYTES_MAX = 64 * 1024 * 1024
READERS = 8
LOOKED_AT_SECONDS = 0.05  # whoever looks who has the database keeps its lock for less
LEVEL = "synchronous"
"""What a connection was told last: at each statement, the driver hands the interpreter over to another thread."""


class StoreInUse(Rejected):
    """Another service has this database open."""

    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(
            f"database {path} is in use by process {holder}: one service may write to it. Nothing was changed. "
            f"Stop that process (`kill {holder}`), or read with a command of the CLI, which opens it read-only.",
            code="StoreInUse",
        )
        self.holder = holder


class Damaged(Rejected):
    """The file is no database any more, or has pages that do not fit together."""

    def __init__(self, fault: object) -> None:
        super().__init__(
            f"the database is damaged: {fault}. Nothing was changed. Stop what runs on it, and keep a copy of the file "
            "and of the key folder as they are; then go back to the last backup.",
            code="Damaged",
        )


def is_damage(error: DBAPIError) -> bool:
    """The driver has a kind of its own for everything else."""
    return type(error) is DatabaseError


def path_of(url: str) -> Path:
    """The file that a `sqlite:///` URL names.

    Raises:
        Rejected: it names none: the store does not live in memory.
    """
    database = make_url(url).database
    if not database or database == ":memory:":
        raise Rejected(f"store URL {url!r} names no file: write it as sqlite:///path/to/file")
    return Path(database)


def url_of(path: Path) -> URL:
    """Made of its parts: in a text `?` and `%` of a path would mean something else."""
    return URL.create("sqlite", database=str(path))


def uri_of(path: Path, mode: str) -> str:
    """How SQLite itself is told to open a file in no other than this way."""
    return f"file:{quote(str(path))}?mode={mode}"


def holder(database: Path) -> str:
    """Process id of the service that has the database, or empty. The lock tells whether there is one: the process that
    its file names may have ended, and its number may be another's by now, or wait for a parent to collect it.

    Raises:
        OSError: the lock file may not be read.
    """
    try:
        file = os.open(f"{database}.lock", os.O_RDONLY)
    except FileNotFoundError:
        return ""
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(file, 32, 0).decode().strip() or "unknown"
    finally:
        os.close(file)
    return ""


class ServiceLock:
    """The lock file beside a database. The system lets go of it when the process ends, however it ends."""

    def __init__(self, database: Path) -> None:
        self._file = os.open(f"{database}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            self._take()
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode().strip()
            os.close(self._file)
            raise StoreInUse(database, holder or "unknown") from None
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def _take(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(LOOKED_AT_SECONDS)
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        os.close(self._file)


def writer_engine(path: Path) -> Engine:
    """Every transaction takes the write lock at once, so that none fails half way because of another."""
    engine = create_engine(url_of(path), poolclass=QueuePool, pool_size=1, max_overflow=0, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(raw: Sqlite, _: ConnectionPoolEntry) -> None:
        _prepare(raw, ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=0", "cache_size=-65536"))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # The log is synced by the next commit that waits for the disk, or by the next checkpoint.
        level = "NORMAL" if connection.get_execution_options().get(QUICK) else "FULL"
        if connection.info.get(LEVEL) != level:
            statements.count(connection, f"PRAGMA synchronous={level}", ())
            connection.info[LEVEL] = level
        statements.count(connection, "BEGIN IMMEDIATE", ())

    return engine


def reader_engine(path: Path, read_only: bool) -> Engine:
    """Each transaction sees the database as it is when it begins. `read_only` opens the file itself that way."""
    mode = "ro" if read_only else "rw"
    url = URL.create("sqlite", database=f"file:{quote(str(path))}", query={"mode": mode, "uri": "true"})
    engine = create_engine(url, poolclass=QueuePool, pool_size=READERS, max_overflow=0, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def prepare(raw: Sqlite, _: ConnectionPoolEntry) -> None:
        _prepare(raw, ("query_only=ON",))

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        statements.count(connection, "BEGIN", ())

    return engine


def _prepare(raw: Sqlite, pragmas: tuple[str, ...]) -> None:
    raw.isolation_level = None  # we begin transactions ourselves; the driver would do so too late for savepoints
    for pragma in (*pragmas, "foreign_keys=ON", f"busy_timeout={BUSY_TIMEOUT_MS}", "temp_store=MEMORY"):
        raw.execute(f"PRAGMA {pragma}")


class Checkpoints:
    """Moves committed pages from the write-ahead log into the database, in a thread of its own.

    Left to the writer, that would hold up whoever commits next. It is passive: neither writers nor readers wait.
    Only when the log has grown beyond its limit does it keep the writer for the moment that the rest takes,
    so that the log begins again at its start.
    """

    def __init__(self, path: Path, committer: Committer) -> None:
        self._path = path
        self._committer = committer
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="store-checkpoints", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()

    def _serve(self) -> None:
        raw = connect(self._path, isolation_level=None)
        raw.execute(f"PRAGMA journal_size_limit={WAL_BYTES_MAX}")
        page_bytes = int(raw.execute("PRAGMA page_size").fetchone()[0])
        done = -1
        try:
            while not self._stop.wait(CHECKPOINT_SECONDS):
                commits = self._committer.commits
                if commits != done:
                    self._checkpoint(raw, page_bytes)
                done = commits
        finally:
            raw.close()

    def _checkpoint(self, raw: Sqlite, page_bytes: int) -> None:
        try:
            _, pages, _ = raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages * page_bytes > WAL_BYTES_MAX:
                with self._committer.gate:
                    raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except OperationalError as error:  # nothing is lost, the log only grows: the next round tries again
            log.warning("checkpoint of the write-ahead log failed: %s", error)
