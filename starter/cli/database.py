"""The store's schema and backup on the command line."""

from collections.abc import Sequence
from pathlib import Path

from pointsman.config import Settings
from pointsman.store import backups, schema
from starter.cli.errors import CliError, must_be_new, usage
from starter.cli.output import Single

NEWEST, PREVIOUS, NONE = "head", "previous", "base"


def upgrade(settings: Settings, revision: str, *, dry_run: bool) -> Single:
    url = settings.database_url.get_secret_value()
    before = _known(url)
    aim = schema.head() if revision == NEWEST else revision
    _must_be(aim, schema.revisions(), revision, NEWEST)
    if aim < before:
        raise _other_way(revision, before, "older", "downgrade")
    if not dry_run:
        schema.upgrade(url, aim)
    return _moved(url, before, revision, dry_run)


def downgrade(settings: Settings, revision: str, *, dry_run: bool) -> Single:
    url = settings.database_url.get_secret_value()
    before = _known(url)
    steps = ("", *schema.revisions())
    named = {NONE: "", PREVIOUS: steps[max(0, steps.index(before) - 1)]}
    aim = named.get(revision, revision)
    _must_be(aim, steps, revision, NONE, PREVIOUS)
    if aim > before:
        raise _other_way(revision, before, "newer", "upgrade")
    if not dry_run and aim != before:
        schema.downgrade(url, aim or NONE)
    return _moved(url, before, revision, dry_run)


def current(settings: Settings) -> Single:
    found = schema.current(settings.database_url.get_secret_value())
    return Single("schema", {"revision": found, "newest": schema.head(), "up_to_date": found == schema.head()})


def backup(settings: Settings, file: Path) -> Single:
    """Copy the SQLite store while it is in use.

    Raises:
        Rejected: there is none, the file exists, or the copy is damaged.
    """
    must_be_new(file, "pointsman db backup")
    backups.backup(settings.database_url.get_secret_value(), file)
    return Single("backup", {"file": str(file), "bytes": file.stat().st_size})


def _known(url: str) -> str:
    """The revision that the database has; empty where it has none."""
    if (found := schema.current(url)) and found not in schema.revisions():
        raise CliError(
            "schema",
            f"The database has schema {found}, which this version does not know: its newest is {schema.head()}. "
            "Nothing was changed.",
            "Use the version of the program that made it: pointsman --version",
        )
    return found


def _must_be(aim: str, known: Sequence[str], given: str, *also: str) -> None:
    if aim not in known:
        raise usage(
            f"There is no schema revision {given!r}: there are {known[-1]} and those before it, and "
            f"{' and '.join(also)}. Nothing was changed.",
            "pointsman db current",
        )


def _other_way(revision: str, before: str, how: str, command: str) -> CliError:
    return usage(
        f"Revision {revision} is {how} than {before or 'none'}, which the database has. Nothing was changed.",
        f"Go the other way: pointsman db {command} {revision}",
    )


def _moved(url: str, before: str, revision: str, dry_run: bool) -> Single:
    after = before if dry_run else schema.current(url)
    return Single("schema", {"before": before, "after": after, "asked": revision, "dry_run": dry_run})
