"""The audit log as one file that anybody can verify, without us: events, proofs, checkpoints, keys, verifier."""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from pointsman.contracts.base import Json
from pointsman.domain import merkle
from pointsman.ports import Rejected
from pointsman.store import offline_verifier, witnesses
from pointsman.store.canonical import canonical
from pointsman.store.engine import Store
from pointsman.store.offline_verifier import FORMAT, MANIFEST, write_archive
from pointsman.store.sequencer import latest_size, origin_of
from pointsman.store.signing import Verifier
from pointsman.store.tables import AuditCheckpoint, col

ARCHIVE_BYTES_MAX = 2**32 - 1
README = """Export of Pointsman's audit log

  verify.py            verifies this archive offline: python verify.py EXPORT.zip --key PUBLIC_KEY
  manifest.json        SHA-256 of every other file
  TENANT/events.jsonl  the events, one a line, in the order of the log; RFC 8785 canonical JSON
  TENANT/proofs.jsonl  for each event the way from it to the signed root (RFC 9162, 2.1.3)
  TENANT/checkpoints.jsonl
                       all signed checkpoints (C2SP tlog-checkpoint), each with the proof that
                       it goes on from the one before (RFC 9162, 2.1.4)
  TENANT/log.vkey      public key that signed them (C2SP signed-note)

Take verify.py from the installed program, or read it: a forger could change it together with the rest.
Compare the public key with the one that you were given on another way. Keep the last checkpoint of each log:
an export that does not go on from it is of a log that was cut off or begun again.
"""


@dataclass(frozen=True)
class Exported:
    """What went into the file."""

    path: Path
    tenants: tuple[str, ...]
    events: int
    checkpoints: int
    bytes: int
    sha256: str


async def export(store: Store, verifier: Verifier, path: Path) -> Exported:
    """Write all that is in the tree; pending events are not. The content is held in memory: twice its size.

    Raises:
        Rejected: `path` exists, or the log is larger than an archive may be (4 GiB).
    """

    def write(session: Session) -> Exported:
        with witnesses.any_text(session):
            return _write(session, verifier, path)

    return await store.read(write)


def _write(session: Session, verifier: Verifier, path: Path) -> Exported:
    if path.exists():
        raise Rejected(f"{path} exists already: nothing was written. Name another file.")
    tenants = sorted(session.scalars(select(col(AuditCheckpoint.tenant)).distinct()))
    members = {"README.txt": README.encode(), "verify.py": Path(offline_verifier.__file__).read_bytes()}
    for tenant in tenants:
        for name, data in _log_files(session, verifier, tenant):
            members[f"{quote(tenant, safe='')}/{name}"] = data
    files = {name: sha256(data).hexdigest() for name, data in members.items()}
    members[MANIFEST] = canonical({"files": {**files}, "format": FORMAT})
    size = sum(map(len, members.values()))
    if size > ARCHIVE_BYTES_MAX:
        raise Rejected(f"the log has {size} bytes, an archive holds {ARCHIVE_BYTES_MAX}: nothing was written")
    archive = write_archive(members)
    with path.open("xb") as file:
        path.chmod(0o600)
        file.write(archive)
    lines = [data.count(b"\n") for name, data in members.items() if name.endswith("/events.jsonl")]
    signed = [data.count(b"\n") for name, data in members.items() if name.endswith("/checkpoints.jsonl")]
    return Exported(path, tuple(tenants), sum(lines), sum(signed), len(archive), sha256(archive).hexdigest())


def _log_files(session: Session, verifier: Verifier, tenant: str) -> Iterator[tuple[str, bytes]]:
    size = latest_size(session, tenant)
    bodies, leaves = [], []
    for leaf in witnesses.leaves(session, tenant):
        if leaf.event is not None and leaf.position < size:
            bodies.append(leaf.event.body + b"\n")
            leaves.append(leaf.leaf_hash)
    if len(leaves) != size:
        raise Rejected(f"log of tenant {tenant!r} has {len(leaves)} of {size} events: run `pointsman audit verify`")
    nodes = merkle.nodes_of(leaves)
    yield "events.jsonl", b"".join(bodies)
    yield "proofs.jsonl", b"".join(_proof(index, size, nodes) for index in range(size))
    yield "checkpoints.jsonl", b"".join(_checkpoints(session, tenant, nodes))
    yield "log.vkey", f"{verifier.key(origin_of(session, tenant))}\n".encode()


def _proof(index: int, size: int, nodes: merkle.Nodes) -> bytes:
    return canonical({"index": index, "inclusion": _texts(merkle.inclusion_proof(index, size, nodes))}) + b"\n"


def _checkpoints(session: Session, tenant: str, nodes: merkle.Nodes) -> Iterator[bytes]:
    before = 0
    for row in witnesses.checkpoints(session, tenant):
        proof = merkle.consistency_proof(before, row.size, nodes) if before else []
        yield canonical({"consistency": _texts(proof), "note": row.note}) + b"\n"
        before = row.size


def _texts(hashes: list[bytes]) -> list[Json]:
    return [b64encode(hashed).decode() for hashed in hashes]
