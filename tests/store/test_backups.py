"""A backup is a whole database, made while another writes."""

import asyncio
import stat
from pathlib import Path

import pytest

from pointsman.ports import Rejected
from pointsman.store.backups import backup
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from tests.store.samples import delivery


async def test_a_backup_made_under_load_opens_and_holds_what_was_acknowledged(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    async with Store.open(sqlite_url) as store:
        inbox = Inbox(store)
        before = [(await inbox.accept(delivery())).id for _ in range(20)]
        load = asyncio.gather(*[inbox.accept(delivery()) for _ in range(200)])
        await asyncio.to_thread(backup, sqlite_url, target)
        await load
    async with Store.open(f"sqlite:///{target}") as copy:
        kept = {row.id for row in await Inbox(copy).find(limit=1_000)}
    assert kept >= set(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_damaged_database_is_not_copied(tmp_path: Path) -> None:
    source, target = tmp_path / "damaged.db", tmp_path / "backup.db"
    source.write_bytes(b"no database at all " * 400)
    with pytest.raises(Rejected, match="not a database"):
        backup(f"sqlite:///{source}", target)
    assert not target.exists()


def test_a_backup_replaces_nothing(sqlite_url: str, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_bytes(b"mine")
    with pytest.raises(Rejected, match=r"backup\.db exists already: nothing was written"):
        backup(sqlite_url, target)
    with pytest.raises(Rejected, match="no database at"):
        backup(f"sqlite:///{tmp_path}/gone.db", tmp_path / "b.db")


def test_postgresql_is_sent_to_its_own_tools(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="pg_dump --format=custom"):
        backup("postgresql+psycopg://x/y", tmp_path / "b.dump")
