"""The store's schema and backup on the command line."""

import sqlite3
from contextlib import closing
from pathlib import Path

from pointsman.config import Settings
from pointsman.store import schema, sqlite
from starter.cli.context import stored_in_sqlite
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Single

PAGES_AT_ONCE = 4_096  # writers get their turn in between


def upgrade(settings: Settings, revision: str, *, dry_run: bool) -> Single:
    url = settings.database_url.get_secret_value()
    before = schema.current(url)
    if not dry_run:
        schema.upgrade(url, revision)
    return _moved(url, before, revision, dry_run)


def downgrade(settings: Settings, revision: str, *, dry_run: bool) -> Single:
    url = settings.database_url.get_secret_value()
    before = schema.current(url)
    if not dry_run:
        schema.downgrade(url, "-1" if revision == "previous" else revision)
    return _moved(url, before, revision, dry_run)


def current(settings: Settings) -> Single:
    found = schema.current(settings.database_url.get_secret_value())
    return Single("schema", {"revision": found, "newest": schema.head(), "up_to_date": found == schema.head()})


def backup(settings: Settings, file: Path) -> Single:
    """Copy with SQLite's own backup: what was committed when it ends is in the copy, whole.

    Raises:
        CliError: the store is not SQLite, or the file exists.
    """
    if not stored_in_sqlite(settings):
        raise CliError(
            "not_sqlite",
            "The store is PostgreSQL, which has its own tool.",
            "Run: pg_dump --format=custom",
            ExitCode.USAGE,
        )
    if file.exists():
        raise CliError(
            "exists", f"{file} exists already. Nothing was written.", "Name another file.", ExitCode.CONFLICT
        )
    path = sqlite.path_of(settings.database_url.get_secret_value())
    if not path.exists():
        raise CliError(
            "not_found", f"There is no database at {path}.", "Make one: pointsman db upgrade", ExitCode.NOT_FOUND
        )
    file.touch(mode=0o600)  # it holds what people wrote
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source, closing(sqlite3.connect(file)) as target:
        source.backup(target, pages=PAGES_AT_ONCE)
        whole = target.execute("PRAGMA quick_check").fetchone()[0]
    return Single("backup", {"file": str(file), "bytes": file.stat().st_size, "check": str(whole)})


def _moved(url: str, before: str, revision: str, dry_run: bool) -> Single:
    after = before if dry_run else schema.current(url)
    return Single("schema", {"before": before, "after": after, "asked": revision, "dry_run": dry_run})
