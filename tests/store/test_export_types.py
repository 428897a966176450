"""An export with a value of the wrong type, forged with its manifest repaired, is found and named: never a crash."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pointsman.contracts.base import Json
from pointsman.store import offline_verifier
from pointsman.store.engine import Store
from pointsman.store.signing import Signer
from tests.store.test_exports import exported

LOG = ("events.jsonl", "proofs.jsonl", "checkpoints.jsonl")
WRONG: tuple[Json, ...] = (None, True, 0, 1, -1, 1.5, "", "\ud800", "²", "9" * 5_000, [], [[]], [None], {}, {"a": 1})


@pytest.fixture
async def members(sqlite_url: str, signer: Signer, tmp_path: Path) -> dict[str, bytes]:
    async with Store.open(sqlite_url) as store:
        return dict(offline_verifier.read_archive(await exported(store, signer, tmp_path / "evidence.zip", events=3)))


def found(members: dict[str, bytes]) -> list[str]:
    """What is found when the forger repairs the manifest, too."""
    files: dict[str, Json] = {name: sha256(data).hexdigest() for name, data in members.items()}
    del files["manifest.json"]
    manifest = json.dumps({"files": files, "format": offline_verifier.FORMAT}, sort_keys=True, separators=(",", ":"))
    return offline_verifier.verify(
        offline_verifier.write_archive({**members, "manifest.json": manifest.encode()})
    ).findings


def changed(value: Json, wrong: Json) -> Iterator[Json]:
    """The value with one of its parts, at any depth, replaced; itself, too."""
    yield wrong
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ({**value, key: part} for part in changed(inner, wrong))
            yield {name: part for name, part in value.items() if name != key}
    if isinstance(value, list):
        for at, inner in enumerate(value):
            yield from ([*value[:at], part, *value[at + 1 :]] for part in changed(inner, wrong))


def written(value: Json) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", LOG)
def test_a_value_of_another_type_is_found_and_named(members: dict[str, bytes], name: str) -> None:
    lines = members[f"default/{name}"].splitlines()
    assert found(members) == []
    for at, line in enumerate(lines):
        for wrong in WRONG:
            for value in changed(json.loads(line), wrong):
                forged = b"\n".join([*lines[:at], written(value), *lines[at + 1 :], b""])
                if (same := json.loads(line)) == value and written(same) == written(value):
                    continue
                told = "\n".join(found({**members, f"default/{name}": forged}))
                assert "default/" in told, f"line {at + 1} of {name} became {value!r}: {told!r}"


@pytest.mark.parametrize("name", [f"default/{name}" for name in (*LOG, "log.vkey")])
@pytest.mark.parametrize("data", [b"", b"\n", b"[" * 100_000, b"\xff\xfe\n", b"5\n", b"null\n" * 3, b"NaN\n"])
def test_a_file_of_something_else_is_found_and_named(members: dict[str, bytes], name: str, data: bytes) -> None:
    assert any("default/" in fault for fault in found({**members, name: data}))


@pytest.mark.parametrize(
    "files", [None, 5, [], {"a": 5}, {"default/events.jsonl": ["x"]}, {"default/events.jsonl": None}]
)
def test_a_manifest_of_another_shape_is_found_and_named(members: dict[str, bytes], files: Json) -> None:
    for manifest in (written({"files": files, "format": offline_verifier.FORMAT}), written(files), b"[" * 100_000):
        archive = offline_verifier.write_archive({**members, "manifest.json": manifest})
        assert any(
            "manifest" in fault or "is missing" in fault for fault in offline_verifier.verify(archive).findings
        ), manifest


Forge = Callable[[str], str]


@pytest.mark.parametrize(
    "forge", [lambda size: "²", lambda size: "9" * 5_000, lambda size: f"0{size}", lambda size: f" {size}"]
)
def test_a_size_that_is_no_number_is_no_checkpoint_even_if_signed(members: dict[str, bytes], forge: Forge) -> None:
    """The forger signs with a key of his own and puts it into the export."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    entry = json.loads(members["default/checkpoints.jsonl"].splitlines()[0])
    origin, size, root = entry["note"].split("\n")[:3]
    text = f"{origin}\n{forge(size)}\n{root}\n"
    key = sha256(origin.encode() + b"\n\x01" + public).digest()[:4]
    signature = b64encode(key + private.sign(text.encode())).decode()
    note = f"{text}\n\N{EM DASH} {origin} {signature}\n"
    vkey = f"{origin}+{key.hex()}+{b64encode(bytes([1]) + public).decode()}\n"
    assert b64decode(signature)[:4] == key
    forged = {
        "default/checkpoints.jsonl": written({"consistency": [], "note": note}) + b"\n",
        "default/log.vkey": vkey.encode(),
    }
    told = found({**members, **forged})
    assert any("line 1: is not a checkpoint of log" in fault for fault in told), told
