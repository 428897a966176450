"""The schema's version: up, down, and which one a database has. The steps are in `migrations/versions`.

Alembic is imported where a step is taken: most starts find the schema as they need it, and it takes 0.2 s to load.
"""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from pointsman.ports import Rejected
from pointsman.store import sqlite

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
STEP = re.compile(r"(\d{4})_\w+\.py")  # the number in its name is the step's revision
VERSION_TABLE = "alembic_version"
HAS_TABLE = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name",
    "postgresql": "SELECT to_regclass(:name)",
}
"""What SQLAlchemy asks for the same takes longer than all else at the opening of a database."""


class SchemaMismatch(Rejected):
    """The database has another schema than this version of the program."""


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the schema up; creates SQLite's file where there is none. Does nothing when it is up already.

    Raises:
        StoreInUse: a service runs on this SQLite file.
    """
    if current(url) == (head() if revision == "head" else revision):
        return
    from alembic import command

    _migrate(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str) -> None:
    """Take the schema down to `revision`; `base` removes everything, rows included.

    Raises:
        StoreInUse: a service runs on this SQLite file.
    """
    from alembic import command

    _migrate(url, lambda config: command.downgrade(config, revision))


def current(url: str) -> str:
    """The revision that the database has; empty when it has none."""
    if _is_sqlite(url) and not sqlite.path_of(url).exists():
        return ""
    return _found(create_engine(url, poolclass=NullPool))


def _found(engine: Engine) -> str:
    is_there = HAS_TABLE[engine.dialect.name]
    try:
        with engine.connect() as connection:
            if connection.scalar(text(is_there), {"name": VERSION_TABLE}) is None:
                return ""
            return connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")) or ""  # noqa: S608 - of ours
    except DBAPIError as error:
        if sqlite.is_damage(error):
            raise sqlite.Damaged(error.orig) from error
        raise


def head() -> str:
    """The revision that this version of the program needs."""
    return revisions()[-1]


@cache
def revisions() -> tuple[str, ...]:
    """All that this version of the program knows, in order."""
    found = (STEP.fullmatch(path.name) for path in (MIGRATIONS / "versions").iterdir())
    return tuple(sorted(step[1] for step in found if step))


def check(engine: Engine) -> None:
    """Raises `SchemaMismatch` unless the database has the schema of this version."""
    if (found := _found(engine)) != head():
        raise SchemaMismatch(
            f"the database has schema {found or 'none'!r}, this version needs {head()!r}. Nothing was changed. "
            "Run `pointsman db upgrade`, or start the version of the program that fits.",
            code="SchemaMismatch",
        )


def _migrate(url: str, step: Callable[["Config"], None]) -> None:
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


def _run(engine: Engine, step: Callable[["Config"], None]) -> None:
    config = _config()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Several services may start at once: the second finds nothing left to do.
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('pointsman.schema'))"))
        config.attributes["connection"] = connection
        step(config)


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"
