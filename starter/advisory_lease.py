"""The lease of processes that share a PostgreSQL. Its driver takes 0.1 s to load, which SQLite's need not pay."""

import asyncio
import time
from contextlib import suppress

import psycopg
from sqlalchemy import make_url

from pointsman.observability.logs import CREDENTIALS

NAME = "pointsman dispatcher"
CONFIRM_SECONDS = 1.0
"""So old may an answer be, yes or no. Two leaders for that long do no harm: hand-over is at least once anyway."""
CONNECT_SECONDS = 5
_KEY = "hashtextextended(%s, 0)"


class AdvisoryLease:
    """A session's advisory lock in PostgreSQL: gone with the connection, so a dead holder holds nothing."""

    def __init__(self, url: str) -> None:
        """`url` is SQLAlchemy's."""
        libpq = make_url(url).set(drivername="postgresql")
        self._conninfo = libpq.render_as_string(hide_password=False)
        self._connection: psycopg.AsyncConnection | None = None
        self._asked_at = -CONFIRM_SECONDS
        self.trouble = ""
        """Why it is not held, for people; empty when another process has it."""

    async def held(self) -> bool:
        if time.monotonic() - self._asked_at < CONFIRM_SECONDS:
            return self._connection is not None
        self._asked_at = time.monotonic()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                held = await (self._confirm(self._connection) if self._connection else self._take())
        except (psycopg.Error, OSError, TimeoutError) as error:
            self.trouble = CREDENTIALS.sub("", f"{type(error).__name__}: {error}").strip()[:200]
            await self.release()
            return False
        self.trouble = ""
        return held

    async def release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(psycopg.Error, OSError, TimeoutError):
            async with asyncio.timeout(CONNECT_SECONDS):
                # Closing lets go as well, but only when the server gets round to it: another would wait for nothing.
                await connection.execute(f"SELECT pg_advisory_unlock({_KEY})", (NAME,))
        with suppress(psycopg.Error, OSError):
            await connection.close()

    async def _confirm(self, connection: psycopg.AsyncConnection) -> bool:
        await connection.execute("SELECT 1")
        return True

    async def _take(self) -> bool:
        connection = await psycopg.AsyncConnection.connect(
            self._conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name=NAME
        )
        try:
            row = await (await connection.execute(f"SELECT pg_try_advisory_lock({_KEY})", (NAME,))).fetchone()
        except BaseException:  # also when we are cancelled: a connection left open would keep the lock
            await connection.close()
            raise
        if row is None or not row[0]:
            await connection.close()
            return False
        self._connection = connection
        return True
