"""A copy of the database while it is in use."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy import make_url

from pointsman.ports import Rejected
from pointsman.store import sqlite


def backup(url: str, target: Path) -> None:
    """Write a consistent copy of a SQLite database to `target`, also while a service writes to it.

    Raises:
        Rejected: `target` exists, there is no such database, it cannot be read or the copy not be written, the copy is
            damaged, or the database is PostgreSQL, which has tools of its own.
    """
    if make_url(url).get_backend_name() != "sqlite":
        raise Rejected(
            "backups of PostgreSQL are made with its own tools, for example "
            f"`pg_dump --format=custom --file={target} DATABASE_URL`. Nothing was written."
        )
    source = sqlite.path_of(url)
    if not source.exists():
        raise Rejected(f"no database at {source}: nothing was written")
    if target.exists():
        raise Rejected(f"{target} exists already: nothing was written. Name another file.")
    os.close(os.open(target, os.O_CREAT | os.O_EXCL, 0o600))  # it holds what people wrote: for its owner alone
    try:
        with closing(sqlite3.connect(sqlite.uri_of(source, "ro"), uri=True)) as database:
            database.execute("VACUUM INTO ?", (str(target),))
    except sqlite3.DatabaseError as error:
        target.unlink()
        raise Rejected(f"{source} cannot be copied to {target}: {error}. Nothing was left there.") from error
    with closing(sqlite3.connect(sqlite.uri_of(target, "ro"), uri=True)) as copy:
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
    if verdict != "ok":
        raise Rejected(f"the copy at {target} is damaged ({verdict}): do not rely on it, and check {source}")
