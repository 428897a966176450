"""An export verifies on its own, and not a bit of it can change without being found and named."""

import asyncio
import random
import subprocess
import sys
import zipfile
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from pointsman.ports import Rejected
from pointsman.store import offline_verifier
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.exports import export
from pointsman.store.sequencer import Sequencer
from pointsman.store.signing import Signer
from tests.store.samples import event


async def exported(
    store: Store, signer: Signer, path: Path, tenants: tuple[str, ...] = ("default",), events: int = 5
) -> bytes:
    sequencer = Sequencer(store, signer)
    for number in range(events):
        for tenant in tenants:
            await Audit(store).append(event(number, tenant))
        if number != 3:
            await sequencer.drain()
    await export(store, signer, path)
    return path.read_bytes()  # noqa: ASYNC240 - a few kilobytes, in a test


async def test_the_export_verifies_offline_with_the_verifier_inside_it(
    store: Store, signer: Signer, tmp_path: Path
) -> None:
    path = tmp_path / "evidence.zip"
    await exported(store, signer, path, tenants=("default", "b/ö"))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert "b%2F%C3%B6/events.jsonl" in archive.namelist()
        archive.extract("verify.py", tmp_path)
    command = [sys.executable, "-I", "verify.py", str(path), "--key", b64encode(signer.public).decode()]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "10 events, 8 checkpoints, 0 faults" in done.stdout


async def test_a_verifier_that_knows_another_key_refuses(store: Store, signer: Signer, tmp_path: Path) -> None:
    archive = await exported(store, signer, tmp_path / "evidence.zip")
    other = b64encode(Signer.open(tmp_path / "other").public).decode()
    assert "not the one that you know" in offline_verifier.verify(archive, key=other).findings[0]
    assert offline_verifier.verify(archive).findings == []


@pytest.fixture
async def archive(sqlite_url: str, signer: Signer, tmp_path: Path) -> bytes:
    async with Store.open(sqlite_url) as store:
        return await exported(store, signer, tmp_path / "evidence.zip")


@pytest.mark.slow
async def test_one_flipped_bit_in_any_byte_is_found_and_named(sqlite_url: str, signer: Signer, tmp_path: Path) -> None:
    async with Store.open(sqlite_url) as store:
        archive = await exported(store, signer, tmp_path / "small.zip", events=2)
    members = dict(offline_verifier.read_archive(archive))
    rng = random.Random(20261121)
    start = 0
    for name, data in members.items():
        end = start + 30 + len(name) + len(data)
        # Text that proves nothing is sampled; of what proves something, every byte is changed.
        step = 100 if name in ("verify.py", "README.txt") else 1
        for at in [*range(start, end - len(data)), *range(end - len(data), end, step)]:
            damaged = bytearray(archive)
            damaged[at] ^= 1 << rng.randrange(8)
            findings = offline_verifier.verify(bytes(damaged)).findings
            assert findings, f"byte {at} of {name} was changed and nobody noticed"
            assert any(name in found or "archive: " in found for found in findings), (at, name, findings)
        start = end
    for at in range(start, len(archive)):
        damaged = bytearray(archive)
        damaged[at] ^= 1 << rng.randrange(8)
        assert offline_verifier.verify(bytes(damaged)).findings, f"byte {at} in the directory"


def rewritten(archive: bytes, name: str, old: bytes, new: bytes) -> list[str]:
    """What is found when somebody changes a member and repairs the manifest, too."""
    members = dict(offline_verifier.read_archive(archive))
    assert old in members[name]
    before = sha256(members[name]).hexdigest().encode()
    members[name] = members[name].replace(old, new, 1)
    after = sha256(members[name]).hexdigest().encode()
    members["manifest.json"] = members["manifest.json"].replace(before, after)
    return offline_verifier.verify(offline_verifier.write_archive(members)).findings


def test_a_forger_who_repairs_the_manifest_is_found_by_the_tree(archive: bytes) -> None:
    events, notes = "default/events.jsonl", "default/checkpoints.jsonl"
    found = rewritten(archive, events, b'"n":2', b'"n":7')
    assert "default/checkpoints.jsonl, line 3: signs another root than the first 3 events give" in found
    assert any("more behind it sign other roots, too" in line for line in found)
    assert sum("signs another root" in line for line in found) == 1
    assert any("proofs.jsonl, line 3: does not lead from event 2 to the signed root" in line for line in found)
    first = dict(offline_verifier.read_archive(archive))[events].split(b"\n")[0] + b"\n"
    assert any(
        "has 4 events, the last checkpoint is about 5" in line for line in rewritten(archive, events, first, b"")
    )
    assert any("signature does not fit" in line for line in rewritten(archive, notes, b"\\n3\\n", b"\\n4\\n"))
    assert any(
        "size 3" in line or "go on" in line
        for line in rewritten(archive, notes, b'"consistency":[]', b'"consistency":["' + b64encode(bytes(32)) + b'"]')
    )


@pytest.mark.parametrize("damage", [b"", b"PK", b"PK\x03\x04", b"not a ZIP at all"])
def test_what_is_no_export_is_said_to_be_none(damage: bytes) -> None:
    assert offline_verifier.verify(damage).findings


def test_a_cut_off_export_is_found(archive: bytes) -> None:
    for size in range(0, len(archive), 997):
        assert offline_verifier.verify(archive[:size]).findings


async def test_an_export_replaces_nothing(store: Store, signer: Signer, tmp_path: Path) -> None:
    path = tmp_path / "evidence.zip"
    path.write_bytes(b"mine")
    with pytest.raises(Rejected, match=r"evidence\.zip exists already: nothing was written"):
        await export(store, signer, path)
    assert path.read_bytes() == b"mine"


def test_the_verifier_of_an_export_says_which_file_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["verify.py", str(tmp_path / "evidence.zip")])
    with pytest.raises(SystemExit) as ended:
        offline_verifier.main()
    assert (ended.value.code, "evidence.zip cannot be read: No such file" in capsys.readouterr().err) == (2, True)
