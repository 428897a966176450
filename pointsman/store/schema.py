"""The schema's version: up, down, and which one a database has. The steps are in `migrations/versions`."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

from pointsman.ports import Rejected
from pointsman.store import sqlite

MIGRATIONS = Path(__file__).parent / "migrations"


class SchemaMismatch(Rejected):
    """The database has another schema than this version of the program."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up; creates SQLite's file where there is none. Does nothing when it is up already.

    Raises:
        StoreInUse: a service runs on this SQLite file.
    """
    if current(url) != _revision(revision):
        _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema down to `revision`; `base` removes everything, rows included.

    Raises:
        StoreInUse: a service runs on this SQLite file.
    """
    _migrate(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str:
    """The revision that the database has; empty when it has none."""
    if _is_sqlite(url) and not sqlite.path_of(url).exists():
        return ""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision() or ""


def head() -> str:
    """The revision that this version of the program needs."""
    return _revision("head")


def check(url: str) -> None:
    """Raises `SchemaMismatch` unless the database has the schema of this version."""
    if (found := current(url)) != head():
        raise SchemaMismatch(
            f"the database has schema {found or 'none'!r}, this version needs {head()!r}. Nothing was changed. "
            "Run `pointsman db upgrade`, or start the version of the program that fits.",
            code="SchemaMismatch",
        )


def _migrate(url: str, step: Callable[[Config], None]) -> None:
    """Run a step in one transaction: it happens whole or not at all, on both databases."""
    if not _is_sqlite(url):
        _run(create_engine(url, poolclass=NullPool), step)
        return
    path = sqlite.path_of(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = sqlite.ServiceLock(path)
    engine = sqlite.writer_engine(path)
    try:
        _run(engine, step)
    finally:
        engine.dispose()
        lock.release()


def _run(engine: Engine, step: Callable[[Config], None]) -> None:
    config = _config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Several services may start at once: the second finds nothing left to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('pointsman.schema'))"))
        config.attributes["connection"] = connection
        step(config)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _revision(name: str) -> str:
    return ScriptDirectory.from_config(_config()).get_revision(name).revision


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"
