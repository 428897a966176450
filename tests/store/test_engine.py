"""The store keeps its promise: durable when it returns, alone when it fails, one service for a file."""

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from pointsman.ports import Rejected, Unavailable
from pointsman.store import schema, sqlite
from pointsman.store.backups import backup
from pointsman.store.engine import Store
from pointsman.store.schema import SchemaMismatch
from pointsman.store.sqlite import StoreInUse
from pointsman.store.tables import Setting, col


def put(connection: Connection, names: Sequence[str]) -> Sequence[int]:
    connection.execute(insert(Setting), [{"name": name, "value": "v"} for name in names])
    return [len(names)] * len(names)


def put_large(connection: Connection, names: Sequence[str]) -> Sequence[None]:
    connection.execute(insert(Setting), [{"name": name, "value": "x" * 50_000} for name in names])
    return [None] * len(names)


async def names(store: Store) -> list[str]:
    query = select(col(Setting.name)).order_by(col(Setting.name))
    return await store.read(lambda session: list(session.scalars(query)))


async def test_each_of_many_callers_gets_their_own_result(store: Store) -> None:
    def doubled(number: int) -> Callable[[Session], int]:
        return lambda _: number * 2

    results = await asyncio.gather(*[store.write(doubled(at)) for at in range(300)])
    assert results == [at * 2 for at in range(300)]


async def test_calls_of_one_work_run_together_and_are_all_kept(store: Store) -> None:
    together = await asyncio.gather(*[store.write_each(put, f"{at:03}") for at in range(200)])
    assert await names(store) == [f"{at:03}" for at in range(200)]
    assert max(together) > 1


async def test_what_one_caller_gets_wrong_is_undone_alone(store: Store) -> None:
    await store.write_each(put, "taken")

    def half_done(session: Session) -> None:
        session.add(Setting(name="half", value="v"))
        session.flush()
        raise ValueError("no")

    changes = [store.write_each(put, name) for name in ("a", "taken", "b")]
    results = await asyncio.gather(*changes, store.write(half_done), store.write_each(put, "c"), return_exceptions=True)
    assert [type(result) for result in results] == [int, IntegrityError, int, ValueError, int]
    assert await names(store) == ["a", "b", "c", "taken"]


async def test_a_caller_who_gave_up_does_not_disturb_the_others(store: Store) -> None:
    impatient = asyncio.create_task(store.write_each(put, "a"))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await store.write_each(put, "b") >= 1
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert "b" in await names(store)


async def test_a_reader_sees_what_was_written_before(store: Store) -> None:
    for at in range(20):
        await store.write_each(put, f"{at:02}")
        assert len(await names(store)) == at + 1


async def test_closing_finishes_what_waits_and_then_refuses(url: str) -> None:
    store = Store.open(url)
    waiting = [asyncio.create_task(store.write_each(put, f"{at:02}")) for at in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*waiting)
    with pytest.raises(Unavailable, match="the store is closed: nothing was changed"):
        await store.write_each(put, "late")
    await store.close()
    async with Store.open(url, read_only=True) as again:
        assert len(await names(again)) == 50


async def test_a_full_queue_refuses_at_once(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.store.commits.WAITING_LIMIT", 3)
    begun, held = threading.Event(), threading.Event()

    def hold(_: Session) -> None:
        begun.set()
        held.wait(timeout=60)

    async with Store.open(sqlite_url) as store:
        first = asyncio.create_task(store.write(hold))
        await asyncio.to_thread(begun.wait, 60)
        waiting = [asyncio.create_task(store.write_each(put, f"{at}")) for at in range(3)]
        await asyncio.sleep(0)
        assert store.waiting == 3
        with pytest.raises(Unavailable, match="3 changes wait already: nothing was changed"):
            await store.write_each(put, "late")
        held.set()
        await asyncio.gather(first, *waiting)


async def test_a_full_disk_fails_everybody_in_the_transaction_and_nothing_else(sqlite_url: str) -> None:
    async with Store.open(sqlite_url) as store:
        await store.write_each(put, "before")
        pages = await store.read(lambda session: session.scalar(text("PRAGMA page_count")))
        await store.write(lambda session: session.execute(text(f"PRAGMA max_page_count = {pages + 2}")).all())

        def large(session: Session) -> None:
            session.execute(text("INSERT INTO setting VALUES ('large', hex(randomblob(100000)))"))

        results = await asyncio.gather(
            store.write_each(put, "a"), store.write(large), store.write_each(put, "b"), return_exceptions=True
        )
        assert isinstance(results[1], Unavailable)
        kept = await names(store)
        assert [name in kept for name in ("before", "large")] == [True, False]
        # Whoever was told of success is there, whoever was told of failure is not.
        for name, result in zip(("a", "b"), (results[0], results[2]), strict=True):
            assert (name in kept) == isinstance(result, int)
        await store.write(lambda session: session.execute(text("PRAGMA max_page_count = 1000000")).all())
        await store.write_each(put, "after")
        assert "after" in await names(store)


async def test_a_second_service_is_refused_with_the_first_ones_process_id(sqlite_url: str) -> None:
    async with Store.open(sqlite_url):
        with pytest.raises(StoreInUse, match=f"in use by process {os.getpid()}.*Nothing was changed") as refused:
            Store.open(sqlite_url)
        with pytest.raises(StoreInUse):
            schema.downgrade(sqlite_url, "base")
    assert refused.value.code == "StoreInUse"
    async with Store.open(sqlite_url) as again:
        await again.write_each(put, "a")


async def test_a_killed_service_leaves_no_lock_behind(sqlite_url: str) -> None:
    code = (
        "import sys, time; from pointsman.store.engine import Store; Store.open(sys.argv[1]); "
        "print('open', flush=True); time.sleep(60)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, sqlite_url, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"open\n"
    with pytest.raises(StoreInUse, match=f"in use by process {process.pid}"):
        Store.open(sqlite_url)
    process.kill()
    await process.wait()
    async with Store.open(sqlite_url) as store:
        await store.write_each(put, "a")


async def test_whoever_looks_on_reads_beside_the_service_and_changes_nothing(url: str) -> None:
    async with Store.open(url) as store, Store.open(url, read_only=True) as looking:
        await store.write_each(put, "a")
        assert await names(looking) == ["a"]
        with pytest.raises(Rejected, match="opened read-only: nothing was changed"):
            await looking.write_each(put, "b")
        with pytest.raises(Exception, match=r"read.?only"):
            await looking.read(lambda session: session.execute(text("DELETE FROM setting")))
        assert await names(store) == ["a"]


async def test_sqlite_syncs_fully_and_leaves_checkpoints_to_their_thread(sqlite_url: str) -> None:
    async with Store.open(sqlite_url) as store:

        def pragmas(session: Session) -> list[object]:
            return [
                session.scalar(text(f"PRAGMA {name}"))
                for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "foreign_keys")
            ]

        assert await store.write(pragmas) == ["wal", 2, 0, 1]


async def test_the_write_ahead_log_is_moved_into_the_database(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "CHECKPOINT_SECONDS", 0.02)
    monkeypatch.setattr(sqlite, "WAL_BYTES_MAX", 100_000)
    path = sqlite.path_of(sqlite_url)
    async with Store.open(sqlite_url) as store:
        for at in range(60):
            await store.write_each(put_large, f"{at}")
            await asyncio.sleep(0.005)
        async with asyncio.timeout(60):
            while os.path.getsize(f"{path}-wal") >= 60 * 50_000:  # noqa: ASYNC110, ASYNC240 - a thread of its own does it
                await asyncio.sleep(0.02)
        with sqlite3.connect(f"file:{path}?immutable=1", uri=True) as looking:  # the file alone, without its log
            (kept,) = looking.execute("SELECT count(*) FROM setting").fetchone()
        assert kept > 0


async def test_a_database_of_another_version_is_refused(url: str) -> None:
    schema.downgrade(url, "base")
    with pytest.raises(SchemaMismatch, match=r"the database has schema 'none'.*Run `pointsman db upgrade`"):
        Store.open(url)


def test_a_database_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"no database at .*gone\.db: create it with `pointsman db upgrade`"):
        Store.open(f"sqlite:///{tmp_path}/gone.db")
    with pytest.raises(Rejected, match="names no file"):
        Store.open("sqlite://")
    with pytest.raises(Rejected, match="store URL of kind 'mysql'"):
        Store.open("mysql://x/y")


async def test_a_database_that_is_away_is_said_to_be(postgres_database: str) -> None:
    schema.upgrade(postgres_database)
    async with Store.open(postgres_database) as store:
        await store.write_each(put, "a")

        def cut(session: Session) -> None:
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))

        with pytest.raises(Unavailable, match="Safe to repeat under the same key"):
            await store.write(cut)
        await store.write_each(put, "b")
        assert await names(store) == ["a", "b"]


SYNCED = {"1": "quick", "off": "quick", "2": "synced", "on": "synced"}


def commits_how(connection: Connection, asked: Sequence[None]) -> Sequence[str]:
    """Whether the transaction will wait for the disk, as the database says."""
    question = "PRAGMA synchronous" if connection.dialect.name == "sqlite" else "SHOW synchronous_commit"
    return [SYNCED[str(connection.exec_driver_sql(question).scalar())]] * len(asked)


async def test_only_a_quick_change_waits_for_no_disk(store: Store) -> None:
    for is_quick in (True, False, True):
        assert await store.write_each(commits_how, None, is_quick=is_quick) == ("quick" if is_quick else "synced")


async def test_a_transaction_waits_for_the_disk_if_anything_in_it_must(sqlite_url: str) -> None:
    """With one writer, changes of both kinds share one."""
    go = threading.Event()

    def block(_: Session) -> bool:
        return go.wait(60)

    async with Store.open(sqlite_url) as store:
        blocked = asyncio.ensure_future(store.write(block))
        while store.waiting:  # noqa: ASYNC110 - a thread takes it
            await asyncio.sleep(0.001)
        together = [
            asyncio.ensure_future(store.write_each(commits_how, None, is_quick=True)),
            asyncio.ensure_future(store.write_each(put, "durable")),
            asyncio.ensure_future(store.write_each(commits_how, None, is_quick=True)),
        ]
        await asyncio.sleep(0)
        go.set()
        assert [await blocked, *await asyncio.gather(*together)] == [True, "synced", 1, "synced"]


async def test_quick_changes_begin_again_on_another_connection(postgres_store_url: str) -> None:
    ending = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    def end(session: Session) -> None:
        session.execute(ending)

    async with Store.open(postgres_store_url) as store:
        assert await store.write_each(commits_how, None, is_quick=True) == "quick"
        await store.write(end)
        assert await store.write_each(commits_how, None, is_quick=True) == "quick"


async def test_a_folder_may_have_any_name(tmp_path: Path) -> None:
    file = tmp_path / "50%41 of #1, really?" / "pointsman.db"
    url = sqlite.url_of(file).render_as_string()
    schema.upgrade(url)
    async with Store.open(url) as store:
        await store.write_each(put, "kept")
        async with Store.open(url, read_only=True) as reader:
            assert await names(reader) == ["kept"]
    backup(url, file.with_name("copy.db"))
    assert {one.name for one in file.parent.glob("*.db")} == {"pointsman.db", "copy.db"}
