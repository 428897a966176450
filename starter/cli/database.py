"""The store's schema and backup on the command line."""

from pathlib import Path

from pointsman.config import Settings
from pointsman.store import backups, schema
from starter.cli.output import Single


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
    """Copy the SQLite store while it is in use.

    Raises:
        Rejected: there is none, the file exists, or the copy is damaged.
    """
    backups.backup(settings.database_url.get_secret_value(), file)
    return Single("backup", {"file": str(file), "bytes": file.stat().st_size})


def _moved(url: str, before: str, revision: str, dry_run: bool) -> Single:
    after = before if dry_run else schema.current(url)
    return Single("schema", {"before": before, "after": after, "asked": revision, "dry_run": dry_run})
