"""Whatever is changed in the audit tables is found, and named: table, row, and which of the witnesses lies."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import Connection, Engine, RowMapping, Table, create_engine, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from pointsman.contracts.records import DeliveryState
from pointsman.store.audit import Audit
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from pointsman.store.tables import metadata
from pointsman.store.verification import Report, verify
from tests.store.samples import delivery, event

IMMUTABLE = ("audit_event", "audit_leaf", "audit_checkpoint")
# An event's sequence and a content's time are not evidence: the log has an order and times of its own.
EVIDENCE = {
    "audit_event": ("id", "tenant", "action", "correlation_id", "organisation", "item_id", "body"),
    "audit_leaf": ("tenant", "position", "event_id", "leaf_hash"),
    "audit_subject": ("subject", "sequence"),
    "audit_tile": ("tenant", "level", "number", "data"),
    "audit_checkpoint": ("tenant", "size", "note"),
    "audit_pending": ("tenant", "event_id", "leaf_hash"),
    "inbox": ("body",),
    "content": ("hash", "data"),
}


@contextmanager
def administrator(url: str) -> Iterator[Engine]:
    """Somebody with every right on the database, who first removes what is in the way."""
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in IMMUTABLE:
            for change in ("update", "delete"):
                suffix = "" if engine.dialect.name == "sqlite" else f" ON {table}"
                connection.execute(text(f"DROP TRIGGER {table}_no_{change}{suffix}"))
    try:
        yield engine
    finally:
        engine.dispose()


async def verified(store: Store, signer: Signer, kept: Sequence[str] = ()) -> Report:
    """Patient with what is pending: the machine may be busy."""
    return await verify(store, signer, kept, pending_max=timedelta(hours=1))


async def fill(store: Store, signer: Signer) -> None:
    sequencer = Sequencer(store, signer)
    for number in range(5):
        await Audit(store).append(event(number))
        if number == 2:
            await sequencer.drain()
    await Inbox(store).accept(delivery("k"))
    await Inbox(store).accept(delivery("k"))
    await sequencer.drain()
    await Contents(store).put(b"abc" * 200)
    await Contents(store).put(b"short")
    await Audit(store).append(event(99))


def flipped(value: object, rng: random.Random) -> object:
    if isinstance(value, bytes):
        at = rng.randrange(len(value))
        return value[:at] + bytes([value[at] ^ 1 << rng.randrange(8)]) + value[at + 1 :]
    if isinstance(value, str):
        at = rng.randrange(len(value))
        return value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :]
    assert isinstance(value, int)
    return value ^ 1 << rng.randrange(8)


def write(connection: Connection, table: Table, row: RowMapping, column: str, value: object, was: object) -> None:
    change = table.update().values({column: value})
    for key in table.primary_key.columns:
        change = change.where(key == (was if key.name == column else row[key.name]))
    assert connection.execute(change).rowcount == 1


def spots(engine: Engine, rng: random.Random, count: int) -> list[tuple[Table, RowMapping, str]]:
    """Columns of rows to change: each column of each table at least once."""
    chosen = []
    for name, columns in EVIDENCE.items():
        table = metadata.tables[name]
        with engine.connect() as connection:
            rows = connection.execute(select(table)).mappings().all()
        chosen += [(table, rng.choice(rows), column) for column in columns for _ in range(count)]
    return chosen


@pytest.mark.slow
async def test_one_flipped_bit_anywhere_is_found_and_named(store: Store, url: str, signer: Signer) -> None:
    rng = random.Random(20261121)
    await fill(store, signer)
    assert (await verified(store, signer)).findings == ()
    with administrator(url) as engine:
        for table, row, column in spots(engine, rng, count=4):
            value = flipped(row[column], rng)
            try:
                with engine.begin() as connection:
                    write(connection, table, row, column, value, row[column])
            except IntegrityError:
                continue  # the database itself refuses this one
            report = await verified(store, signer)
            said = "\n".join(map(str, report.findings))
            assert not report.ok, f"{table.name}.{column} of {row}: {value!r} was not found"
            assert table.name in said or "leaf" in said, f"{table.name}.{column} of {row}: {said}"
            with engine.begin() as connection:
                write(connection, table, row, column, row[column], value)
        assert (await verified(store, signer)).findings == ()


CHANGES = {
    "UPDATE audit_event SET body = replace(body, 'item.routed', 'item.lost!!') WHERE id = 'event-default-1'": (
        "audit_event 'event-default-1' (leaf 1): its body hashes to",
    ),
    "UPDATE audit_event SET action = 'item.lost' WHERE id = 'event-default-1'": (
        "audit_event 'event-default-1' (leaf 1): column action is 'item.lost', the signed body says 'item.routed'",
    ),
    "UPDATE audit_leaf SET leaf_hash = substr(leaf_hash, 2) || substr(leaf_hash, 1, 1) WHERE position = 1": (
        "audit_leaf 1: its hash is",
    ),
    "DELETE FROM audit_event WHERE id = 'event-default-1'": (
        "audit_event 'event-default-1': is missing: leaf 1 names it",
    ),
    "DELETE FROM audit_leaf WHERE position = 1": (
        "audit_leaf 1: is missing: the next one is 2",
        "audit_event 'event-default-1': is neither in the tree nor pending",
    ),
    "DELETE FROM audit_tile": ("audit_tile 0/0: is missing",),
    "DELETE FROM audit_checkpoint WHERE size = 7": ("audit_leaf 3: no checkpoint covers it and what follows",),
    "DELETE FROM audit_pending": ("audit_event 'event-default-99': is neither in the tree nor pending",),
    "UPDATE audit_checkpoint SET note = (SELECT note FROM audit_checkpoint WHERE size = 3) WHERE size = 7": (
        "audit_checkpoint of size 7: its note is about size 3",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_done_is_told(sqlite_url: str, signer: Signer, change: str) -> None:
    async with Store.open(sqlite_url) as store:
        await fill(store, signer)
        with administrator(sqlite_url) as engine, engine.begin() as connection:
            connection.execute(text(change.replace("replace(body,", "replace(CAST(body AS TEXT),")))
            if "SET body" in change:
                connection.execute(text("UPDATE audit_event SET body = CAST(body AS BLOB)"))
            if "leaf_hash" in change:
                connection.execute(text("UPDATE audit_leaf SET leaf_hash = CAST(leaf_hash AS BLOB)"))
        said = [str(finding) for finding in (await verified(store, signer)).findings]
    for start in CHANGES[change]:
        assert any(line.startswith(start) for line in said), said


async def test_a_log_that_was_cut_off_is_found_by_a_checkpoint_kept_outside(
    store: Store, url: str, signer: Signer
) -> None:
    await fill(store, signer)
    kept = (await verified(store, signer)).logs[0].checkpoint
    assert (await verified(store, signer, kept=[kept])).ok
    with administrator(url) as engine, engine.begin() as connection:
        for cut in (
            "DELETE FROM audit_leaf WHERE position >= 3",
            "DELETE FROM audit_checkpoint WHERE size > 3",
            "DELETE FROM audit_event WHERE id NOT IN (SELECT event_id FROM audit_leaf)",
            "DELETE FROM audit_pending",
            "UPDATE audit_tile SET data = substr(data, 1, 96)",
        ):
            connection.execute(text(cut))
    blind = await verified(store, signer)
    assert blind.ok, "a database alone cannot know its own past"
    told = await verified(store, signer, kept=[kept])
    assert [str(finding) for finding in told.findings] == [
        "audit_checkpoint of size 7: the log has only 3 leaves in a row"
    ]


async def test_a_checkpoint_of_another_log_fits_nothing(store: Store, signer: Signer) -> None:
    await fill(store, signer)
    report = await verified(store, signer, kept=["nonsense"])
    assert [finding.place for finding in report.findings] == ["kept checkpoint"]


async def test_an_event_that_waits_too_long_is_reported(store: Store, signer: Signer) -> None:
    await fill(store, signer)
    report = await verify(store, signer, pending_max=timedelta(0))
    assert [finding.fault.split(" waits")[0] for finding in report.findings] == ["event 'event-default-99'"]
    assert report.pending == 1


@pytest.mark.parametrize("table", IMMUTABLE)
@pytest.mark.parametrize("change", ["UPDATE {} SET tenant = 'x'", "DELETE FROM {}"])
async def test_the_database_refuses_changes_to_what_is_written(
    store: Store, url: str, signer: Signer, table: str, change: str
) -> None:
    await fill(store, signer)
    engine = create_engine(url)
    with pytest.raises(DBAPIError, match=f"{table} is never changed: {change[:6]} refused"), engine.begin() as session:
        session.execute(text(change.format(table)))
    assert (await verified(store, signer)).ok


async def test_a_settled_delivery_is_still_the_one_that_was_accepted(store: Store, signer: Signer) -> None:
    sent = delivery()
    await Inbox(store).accept(sent)
    await Inbox(store).settle(sent.id, DeliveryState.DISPATCHED)
    await Sequencer(store, signer).drain()
    report = await verified(store, signer)
    assert (report.ok, report.logs[0].size) == (True, 2)
