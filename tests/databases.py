"""Migrated PostgreSQL databases that tests use one after the other: emptied between two, which takes a fifth of the
time of making one anew and dropping it."""

from collections.abc import Generator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from pointsman.store import schema
from tests import servers

# Whatever of ours a test could have changed for good. What differs from the first is dropped and not used again.
SHAPE = """
SELECT md5(string_agg(line, '|' ORDER BY line)) FROM (
    SELECT concat_ws(' ', relname, relkind, relhastriggers, relrowsecurity) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', attrelid::regclass, attname, atttypid, attnotnull, atthasdef, attidentity)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT concat_ws(' ', conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT concat_ws(' ', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
) AS lines(line)
"""
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Databases:
    """All of one server, for one process."""

    def __init__(self, server_url: str, first: str) -> None:
        self._server, self._first, self._free = server_url, first, list[str]()
        with self._open(first) as connection:
            self._shape = _shape(connection)
            self._rows = {table: _read(connection, table) for table in _filled(connection)}
            assert not _counted(connection), "a sequence begins anew when its database is emptied"

    @contextmanager
    def one(self) -> Generator[str]:
        """As URL for SQLAlchemy."""
        name = self._free.pop() if self._free else servers.postgres_made(self._server, self._first)
        try:
            yield servers.named(self._server, name).replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            self._take_back(name)

    def _take_back(self, name: str) -> None:
        with self._open(name) as connection:
            connection.execute(OTHERS)
            same = _shape(connection) == self._shape
            if same:
                self._empty(connection)
        if same:
            self._free.append(name)
        else:
            servers.postgres_dropped(self._server, name)

    def _empty(self, connection: psycopg.Connection) -> None:
        for name in _counted(connection):
            connection.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(name)))
        filled = _filled(connection)
        gone = [table for table in self._rows if table not in filled or _read(connection, table) != self._rows[table]]
        emptied = gone + [table for table in filled if table not in self._rows]
        if emptied:
            connection.execute("SET session_replication_role = replica")  # neither triggers nor foreign keys ask
            connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(map(sql.Identifier, emptied))))
        for table in gone:
            with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copy:
                copy.write(self._rows[table])

    def _open(self, name: str) -> psycopg.Connection:
        return psycopg.connect(servers.named(self._server, name), autocommit=True)


@contextmanager
def migrated(server_url: str) -> Generator[Databases]:
    """Migrating takes longer than most tests: the first is what the others are copied from."""
    with servers.postgres_database(server_url) as url:
        schema.upgrade(url)
        yield Databases(server_url, url.partition("?")[0].rpartition("/")[2])


def _shape(connection: psycopg.Connection) -> str:
    row = connection.execute(SHAPE).fetchone()
    assert row is not None
    return str(row[0])


def _filled(connection: psycopg.Connection) -> list[str]:
    """Tables with rows in them."""
    asked = [
        sql.SQL("(SELECT {} WHERE EXISTS (SELECT 1 FROM {}))").format(sql.Literal(table), sql.Identifier(table))
        for (table,) in connection.execute(TABLES).fetchall()
    ]
    return [str(table) for (table,) in connection.execute(sql.SQL(" UNION ALL ").join(asked)).fetchall()]


def _read(connection: psycopg.Connection, table: str) -> bytes:
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copy:
        return b"".join(bytes(piece) for piece in copy)


def _counted(connection: psycopg.Connection) -> list[str]:
    """Sequences that were asked for a number."""
    return [
        str(name)
        for (name,) in connection.execute(
            "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"
        ).fetchall()
    ]
