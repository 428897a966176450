"""The sequencer puts each event into the tree once, in order, and signs nothing that contradicts what it signed."""

import asyncio
import stat
from base64 import b64decode
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.domain import merkle
from pointsman.ports import Rejected
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.sequencer import LogDamaged, Sequencer, origin_of
from pointsman.store.signing import KEY_FILE, Signer, Verifier
from pointsman.store.tables import AuditCheckpoint, AuditEntry, AuditLeaf, AuditTile, col
from pointsman.store.verification import verify
from tests.store.samples import event


async def leaves(store: Store, tenant: str = "default") -> list[tuple[int, str, bytes]]:
    query = select(col(AuditLeaf.position), col(AuditLeaf.event_id), col(AuditEntry.body))
    query = query.join(AuditEntry, col(AuditEntry.id) == col(AuditLeaf.event_id))
    query = query.where(col(AuditLeaf.tenant) == tenant).order_by(col(AuditLeaf.position))
    return await store.read(lambda session: [(place, name, body) for place, name, body in session.execute(query)])


async def notes(store: Store, tenant: str = "default") -> list[str]:
    query = select(col(AuditCheckpoint.note)).where(col(AuditCheckpoint.tenant) == tenant)
    return await store.read(lambda session: list(session.scalars(query.order_by(col(AuditCheckpoint.size)))))


async def test_events_get_positions_in_order_and_a_signed_root(store: Store, signer: Signer) -> None:
    sequencer, audit = Sequencer(store, signer), Audit(store)
    for start in (0, 3):
        await asyncio.gather(*[audit.append(event(number)) for number in range(start, start + 3)])
        assert await sequencer.turn() == 3
    assert await sequencer.turn() == 0
    rows = await leaves(store)
    assert [position for position, _, _ in rows] == list(range(6))
    assert sorted(event_id for _, event_id, _ in rows) == [f"event-default-{number}" for number in range(6)]
    origin = await store.read(lambda session: origin_of(session, "default"))
    nodes = merkle.nodes_of([merkle.leaf_hash(body) for _, _, body in rows])
    signed = [signer.check(note, origin) for note in await notes(store)]
    assert [(one.size, one.root) for one in signed] == [(3, merkle.root(3, nodes)), (6, merkle.root(6, nodes))]


async def test_each_tenant_has_a_log_of_its_own(store: Store, signer: Signer) -> None:
    for number, tenant in enumerate(["a", "b", "a b/ö"] * 2):
        await Audit(store).append(event(number, tenant))
    await Sequencer(store, signer).drain()
    for tenant in ("a", "b", "a b/ö"):
        assert [position for position, _, _ in await leaves(store, tenant)] == [0, 1]
    assert {note.split("\n")[0].rpartition("/")[2] for note in await notes(store, "a b/ö")} == {"a%20b%2F%C3%B6"}
    assert (await verify(store, signer)).findings == ()


@pytest.mark.slow
async def test_a_backlog_is_worked_off_in_turns_and_over_many_tiles(
    store: Store, signer: Signer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman.store.sequencer.LEAVES_PER_TURN", 300)
    audit = Audit(store)
    await asyncio.gather(*[audit.append(event(number)) for number in range(550)])
    sequencer = Sequencer(store, signer)
    assert [await sequencer.turn() for _ in range(3)] == [300, 250, 0]
    report = await verify(store, signer)
    assert report.findings == ()
    assert [(log.size, log.checkpoints) for log in report.logs] == [(550, 2)]


async def test_two_sequencers_make_one_log(store: Store, url: str, signer: Signer) -> None:
    await asyncio.gather(*[Audit(store).append(event(number)) for number in range(40)])
    second = store if url.startswith("sqlite") else Store.open(url)
    racing = [Sequencer(store, signer), Sequencer(second, signer)]
    while sum(await asyncio.gather(*[sequencer.turn() for sequencer in racing])):
        await Audit(store).append(event(99))
    report = await verify(store, signer)
    assert report.findings == ()
    assert [log.size for log in report.logs] == [41]
    if second is not store:
        await second.close()


async def test_it_runs_until_cancelled(store: Store, signer: Signer) -> None:
    running = asyncio.create_task(Sequencer(store, signer).run())
    await Audit(store).append(event(1))
    while not await leaves(store):  # noqa: ASYNC110 - another task works: the database is where it shows
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_nothing_is_signed_on_top_of_a_changed_tree(store: Store, signer: Signer) -> None:
    await Audit(store).append(event(1))
    await Sequencer(store, signer).drain()

    def forge(session: Session) -> None:
        tile = session.get_one(AuditTile, ("default", 0, 0))
        tile.data = bytes([tile.data[0] ^ 1]) + tile.data[1:]

    await store.write(forge)
    await Audit(store).append(event(2))
    with pytest.raises(LogDamaged, match="nothing was signed"):
        await Sequencer(store, signer).turn()
    assert len(await leaves(store)) == 1


async def test_another_key_does_not_go_on_with_the_log(store: Store, signer: Signer, tmp_path: Path) -> None:
    await Audit(store).append(event(1))
    await Sequencer(store, signer).drain()
    await Audit(store).append(event(2))
    with pytest.raises(LogDamaged, match="0 signatures by key"):
        await Sequencer(store, Signer.open(tmp_path / "other")).turn()


def test_the_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first, second = Signer.open(tmp_path / "keys"), Signer.open(tmp_path / "keys")
    assert first.public == second.public == Verifier.open(tmp_path / "keys").public
    assert b64decode((tmp_path / "keys" / "audit.pub").read_text()) == first.public
    key = tmp_path / "keys" / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    key.chmod(0o640)
    with pytest.raises(Rejected, match="mode 640, so others can read it: run `chmod 600"):
        Signer.open(tmp_path / "keys")
    key.chmod(0o600)
    key.write_text("no key")
    with pytest.raises(Rejected, match="holds no private key"):
        Signer.open(tmp_path / "keys")


def test_a_verifier_without_a_key_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match=r"no public key at .*audit\.pub"):
        Verifier.open(tmp_path)
    (tmp_path / "audit.pub").write_text("nonsense")
    with pytest.raises(Rejected, match="no Ed25519 public key"):
        Verifier.open(tmp_path)
