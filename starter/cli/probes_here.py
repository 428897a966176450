"""Probes of this machine and of what lies on it. None of them changes anything."""

import asyncio
import os
import platform
import re
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from pointsman.config import Misconfigured, Settings, variable
from pointsman.domain.organisations import is_loopback
from pointsman.domain.words import how_many
from pointsman.policies import loading
from pointsman.store import schema, sqlite
from starter.accounts import tracker_accounts
from starter.cli.context import opened, stored_in_sqlite
from starter.cli.probes import Finding, fail, ok, warn

MIB = 1024 * 1024
DISK_FREE_MIN = 200 * MIB
DISK_FREE_WANTED = 2_048 * MIB
CLOCK_AHEAD_MAX = timedelta(minutes=2)
LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)")
LOCKS = ("run.txt", "dev.txt")


async def python(settings: Settings) -> Finding:
    found = f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {platform.system()}"
    return ok(f"{found} {platform.machine()}")


async def packages(settings: Settings) -> Finding:
    """Installed versions against the lock beside the code. Packages for other platforms are not expected here."""
    lock = _lock()
    if lock is None:
        return ok("installed without the lock of a checkout: nothing to compare with")
    differing = [
        f"{name} {found}, locked {wanted}"
        for name, wanted in _locked(lock)
        if (found := _installed(name)) not in ("", wanted)
    ]
    if differing:
        return warn(
            "; ".join(differing[:5]) + (" ..." if len(differing) > 5 else ""),
            f"pip install -r requirements/{lock.name}",
        )
    return ok(f"as in requirements/{lock.name}")


def _lock() -> Path | None:
    folder = Path(__file__).resolve().parents[2] / "requirements"
    return next((folder / name for name in LOCKS if (folder / name).is_file()), None)


def _locked(lock: Path) -> Iterator[tuple[str, str]]:
    for line in lock.read_text(encoding="utf-8").splitlines():
        # A line with a marker may be for another platform, and is left out.
        if (match := LOCKED.match(line)) and " ; " not in line:
            yield match[1], match[2]


@cache  # its metadata is parsed for it, a millisecond each, and stays as it is
def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


async def data_dir(settings: Settings) -> Finding:
    folder = settings.data_dir
    if folder.is_dir():
        if os.access(folder, os.W_OK | os.X_OK):
            return ok(f"{folder} can be written")
        return fail(f"{folder} cannot be written by {os.environ.get('USER', 'this user')}", f"chmod u+rwx {folder}")
    above = next(parent for parent in folder.parents if parent.exists())
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return ok(f"{folder} does not exist yet, and will be made")
    return fail(f"{folder} cannot be made in {above}", f"export {variable('data_dir')}=$HOME/pointsman")


async def disk(settings: Settings) -> Finding:
    place = next(path for path in (settings.data_dir, *settings.data_dir.parents) if path.exists())
    free = shutil.disk_usage(place).free
    found = f"{free // MIB:,} MiB free at {place}"
    if free < DISK_FREE_MIN:
        return fail(f"{found}, {DISK_FREE_MIN // MIB} MiB are needed", f"export {variable('data_dir')}=...")
    if free < DISK_FREE_WANTED:
        return warn(f"{found}, {DISK_FREE_WANTED // MIB:,} MiB are wanted", f"du -sh {place}")
    return ok(found)


async def database(settings: Settings) -> Finding:
    """Reachable, at the newest schema, and who holds it."""
    url = settings.database_url.get_secret_value()
    shown = next(one.value for one in settings.explain() if one.name == "database_url")
    if stored_in_sqlite(settings) and not sqlite.path_of(url).exists():
        return warn(f"{shown} does not exist yet", "pointsman db upgrade")
    try:
        found = await asyncio.to_thread(schema.current, url)
        await asyncio.to_thread(_answers, url)
    except sqlite.Damaged as error:
        return fail(f"{shown}: {error}", "pointsman audit verify")
    except SQLAlchemyError as error:
        return fail(
            f"{shown} does not answer: {getattr(error, 'orig', error)}", "pointsman config explain database_url"
        )
    if found > schema.head():
        return fail(f"{shown} has schema {found}, this version knows {schema.head()}", "pointsman --version")
    if found != schema.head():
        return fail(f"{shown} has schema {found or 'none'}, needed is {schema.head()}", "pointsman db upgrade")
    return ok(f"{shown}, schema {found}{_holder(settings)}")


def _answers(url: str) -> None:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        connection.execute(text("select 1"))


def _holder(settings: Settings) -> str:
    if not stored_in_sqlite(settings):
        return ""
    try:
        pid = sqlite.holder(sqlite.path_of(settings.database_url.get_secret_value()))
    except OSError:
        return ", and we may not see who holds it"
    return f", held by process {pid}" if pid else ", held by no service"


async def clock(settings: Settings) -> Finding:
    """What was kept last cannot lie in the future, unless a clock was set back."""
    try:
        async with opened(settings) as books:
            rows = await books.items.find(limit=1)
    except Exception as error:  # any reason: the database's own check tells it
        return warn(f"nothing to compare with: {str(error).rstrip('.')}", "pointsman db current")
    now = datetime.now(UTC)
    if rows and rows[0].changed_at - now > CLOCK_AHEAD_MAX:
        return fail(
            f"it is {now:%Y-%m-%dT%H:%M:%SZ}, and a row says {rows[0].changed_at:%Y-%m-%dT%H:%M:%SZ}",
            "timedatectl status",
        )
    return ok(f"{now:%Y-%m-%dT%H:%M:%SZ}, not behind what was kept")


async def policy(settings: Settings) -> Finding:
    try:
        loaded = await asyncio.to_thread(loading.load, settings.policy_dir)
    except loading.PolicyError as error:
        return fail(str(error), "pointsman policy check")
    return ok(
        f"version {loaded.policy.version}, {how_many(len(loaded.policy.routes), 'route')}, "
        f"{how_many(len(loaded.policy.agents), 'agent')}"
    )


async def webhook_secrets(settings: Settings) -> Finding:
    name = variable("webhook_secrets")
    if not settings.webhook_secrets:
        return warn(f"{name} is not set", f'export {name}="$(openssl rand -hex 24)"')
    return ok(f"{len(settings.webhook_secrets)} set, user {settings.webhook_user}")


async def public_url(settings: Settings) -> Finding:
    name, url = variable("public_url"), settings.public_url
    if not settings.azure_devops_url:
        return ok("not needed as long as no organisation is named")
    if not url:
        return warn(f"{name} is not set", f"export {name}=https://HOST")
    if url.startswith("http:") and not is_loopback(url):
        what = f"{url}: Azure DevOps posts with a user name and a password to https only"
        return warn(what, f"export {name}=https:{url.partition(':')[2]}")
    return ok(url)


async def azure_devops(settings: Settings) -> Finding:
    if not settings.azure_devops_url:
        return warn(
            "no organisation is named", f"export {variable('azure_devops_url')}=https://dev.azure.com/ORGANISATION"
        )
    try:
        found = tracker_accounts(settings)
    except Misconfigured as error:
        return fail(str(error).removesuffix(" Nothing was started."), "pointsman config explain azure_devops_auth")
    return ok(", ".join(f"{one.url} by {one.auth.value.replace('_', ' ')}" for one in found))
