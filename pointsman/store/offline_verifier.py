"""Verify an export of Pointsman's audit log: python verify.py EXPORT.zip [--key BASE64]

Needs Python 3.11 and the package `cryptography`; no network, and nothing else of Pointsman. Exit 0: every byte of the
archive is as it was written, every event is in the signed log, in its place, and the log has only ever grown.
Exit 1: it says what is not so. Give --key with the public key as you know it from elsewhere: without it you
learn only that the export agrees with itself.

Formats: RFC 9162 (tree, proofs), C2SP signed-note and tlog-checkpoint, RFC 8785 (canonical JSON), ZIP without
compression. An event is one line of events.jsonl, its leaf SHA-256 over a zero byte and that line.
"""

import argparse
import json
import re
import struct
import sys
import zlib
from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "pointsman-audit-export@v1"
MANIFEST = "manifest.json"
LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
DOS_EPOCH = 33  # 1980-01-01, the first day that ZIP knows: files carry no time of their own
MODE = 0o100600 << 16
SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class Fault(Exception):
    """Something is not as it was written."""


@dataclass
class Report:
    """What was verified, and what was found."""

    events: int = 0
    checkpoints: int = 0
    keys: set[str] = field(default_factory=set)
    """Public keys that signed, base64."""
    last: list[str] = field(default_factory=list)
    """Last checkpoint of each log: keep them, and compare with the next export."""
    findings: list[str] = field(default_factory=list)


def verify(archive: bytes, key: str = "") -> Report:
    """Verify a whole export. `key` is the public key, base64 of its 32 bytes, or empty to take the export's own."""
    report = Report()
    try:
        members = dict(read_archive(archive))
        report.findings += [] if write_archive(members) == archive else [_first_difference(members, archive)]
        report.findings += _check_manifest(members)
    except Fault as fault:
        report.findings.append(str(fault))
        return report
    for folder in sorted({name.split("/")[0] for name in members if "/" in name}):
        try:
            _Log(folder, members, key, report).verify()
        except Fault as fault:
            report.findings.append(str(fault))
    return report


def read_archive(archive: bytes) -> Iterator[tuple[str, bytes]]:
    """Members by name, in order. Checksums are left to the comparison with what we would write."""
    at = 0
    while archive[at : at + 4] == LOCAL:
        if len(archive) < at + 30:
            raise Fault(f"archive: header at byte {at} is cut off")
        size, name_size = struct.unpack_from("<I", archive, at + 18)[0], struct.unpack_from("<H", archive, at + 26)[0]
        name = archive[at + 30 : at + 30 + name_size].decode("ascii", "replace")
        start = at + 30 + name_size
        if start + size > len(archive):
            raise Fault(f"archive: member {name!r} at byte {at} is longer than the archive")
        yield name, archive[start : start + size]
        at = start + size
    if archive[at : at + 4] != CENTRAL:
        raise Fault(f"archive: neither a member nor the directory begins at byte {at}")


def write_archive(members: dict[str, bytes]) -> bytes:
    """The one archive with these members: no compression, no times, no comments."""
    body, directory = bytearray(), bytearray()
    for name, data in members.items():
        encoded = name.encode("ascii", "replace")
        sizes = (zlib.crc32(data), len(data), len(data), len(encoded), 0)
        directory += CENTRAL + struct.pack("<BBHHHHH", 20, 3, 20, 0, 0, 0, DOS_EPOCH)
        directory += struct.pack("<IIIHHHHHII", *sizes, 0, 0, 0, MODE, len(body)) + encoded
        body += LOCAL + struct.pack("<HHHHH", 20, 0, 0, 0, DOS_EPOCH) + struct.pack("<IIIHH", *sizes) + encoded + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return bytes(body + directory + END + end)


def _first_difference(members: dict[str, bytes], archive: bytes) -> str:
    """Where the archive departs from the one that its members give."""
    expected = write_archive(members)
    shorter = min(len(expected), len(archive))
    at = bisect_left(range(shorter), True, key=lambda last: expected[: last + 1] != archive[: last + 1])
    start = 0
    for name, data in members.items():
        end = start + 30 + len(name) + len(data)
        if at < end:
            return f"archive: byte {at}, in the header of member {name!r}, is not as it was written"
        start = end
    return f"archive: byte {at}, in the directory at the end, is not as it was written"


def _check_manifest(members: dict[str, bytes]) -> Iterator[str]:
    """The manifest vouches for the other files; nothing vouches for it, so it must have its one canonical form."""
    data = members.get(MANIFEST, b"")
    manifest = _read_json(data, MANIFEST)
    files = manifest.get("files") if isinstance(manifest, dict) else None
    canonical = json.dumps({"files": files, "format": FORMAT}, sort_keys=True, separators=(",", ":")).encode()
    if not isinstance(files, dict) or canonical != data:
        yield f"{MANIFEST}: is not a manifest of format {FORMAT} in its one canonical form"
        return
    for name in sorted({*members, *files} - {MANIFEST}):
        if name not in members:
            yield f"{name}: is missing, the manifest lists it"
        elif files.get(name) != sha256(members[name]).hexdigest():
            yield f"{name}: is not what the manifest says"


class _Log:
    """One tenant's log: a folder of the export."""

    def __init__(self, folder: str, members: dict[str, bytes], key: str, report: Report) -> None:
        self._folder = folder
        self._members = members
        self._report = report
        self.origin, self._public = self._key()
        known = b64encode(self._public).decode()
        report.keys.add(known)
        if key and key != known:
            raise Fault(f"{folder}/log.vkey: the key is {known}, not the one that you know, {key}")

    def verify(self) -> None:
        leaves = self._leaves()
        roots = _roots(leaves)
        size, signed_root = self._check_checkpoints(roots)
        self._report.events += len(leaves)
        if size != len(leaves):
            self._find("events.jsonl", f"has {len(leaves)} events, the last checkpoint is about {size}")
        self._check_proofs(leaves, size, signed_root)

    def _find(self, name: str, fault: str) -> None:
        self._report.findings.append(f"{self._folder}/{name}: {fault}")

    def _read(self, name: str) -> bytes:
        try:
            return self._members[f"{self._folder}/{name}"]
        except KeyError:
            raise Fault(f"{self._folder}/{name}: is missing") from None

    def _lines(self, name: str) -> list[bytes]:
        lines = self._read(name).split(b"\n")
        if lines.pop():
            self._find(name, "does not end with a newline")
        return lines

    def _key(self) -> tuple[str, bytes]:
        line = self._read("log.vkey").decode("utf-8", "replace")
        name, _, rest = line.removesuffix("\n").partition("+")
        stated, _, encoded = rest.partition("+")
        public = _decode(encoded, f"{self._folder}/log.vkey")
        if len(public) != 33 or public[:1] != b"\x01" or _key_id(name, public[1:]).hex() != stated:
            raise Fault(f"{self._folder}/log.vkey: is not an Ed25519 verifier key")
        return name, public[1:]

    def _leaves(self) -> list[bytes]:
        leaves = []
        for number, line in enumerate(self._lines("events.jsonl"), 1):
            try:
                _read_json(line, f"{self._folder}/events.jsonl, line {number}")
            except Fault as fault:
                self._report.findings.append(str(fault))
            leaves.append(sha256(b"\x00" + line).digest())
        return leaves

    def _check_checkpoints(self, roots: dict[int, bytes]) -> tuple[int, bytes]:
        """Each is signed, fits the events, and goes on from the one before. Returns the last size and root."""
        old, old_root, note, misled = 0, b"", "", 0
        for number, line in enumerate(self._lines("checkpoints.jsonl"), 1):
            place = f"checkpoints.jsonl, line {number}"
            try:
                entry = _fields(line, ("consistency", "note"), f"{self._folder}/{place}")
                note = str(entry["note"])
                size, root = self._signed(note, place)
                if size <= old:
                    raise Fault(f"{self._folder}/{place}: size {size} after size {old}")
                proof = _hashes(entry["consistency"], f"{self._folder}/{place}")
                if consistent(old, old_root, size, root, proof) is False:
                    self._find(place, f"the log of {size} does not go on from the log of {old}")
                if roots.get(size) != root:
                    misled += 1
                    if misled == 1:  # the rest follows from it, and would hide what else there is
                        self._find(place, f"signs another root than the first {size} events give")
                old, old_root = size, root
            except Fault as fault:
                self._report.findings.append(str(fault))
            self._report.checkpoints += 1
        if misled > 1:
            self._find("checkpoints.jsonl", f"{misled - 1} more behind it sign other roots, too")
        self._report.last.append(note)
        return old, old_root

    def _signed(self, note: str, place: str) -> tuple[int, bytes]:
        """Size and root that a note signs."""
        text, separator, signature = note.rpartition("\n\n")
        lines = text.split("\n")
        if not separator or len(lines) != 3 or lines[0] != self.origin or not SIZE.fullmatch(lines[1]):
            raise Fault(f"{self._folder}/{place}: is not a checkpoint of log {self.origin!r}")
        root = _decode(lines[2], f"{self._folder}/{place}")
        encoded = signature.removeprefix(f"\N{EM DASH} {self.origin} ").removesuffix("\n")
        signed = _decode(encoded, f"{self._folder}/{place}")
        if signature != f"\N{EM DASH} {self.origin} {encoded}\n" or signed[:4] != _key_id(self.origin, self._public):
            raise Fault(f"{self._folder}/{place}: is not signed by the key in log.vkey")
        try:
            Ed25519PublicKey.from_public_bytes(self._public).verify(signed[4:], f"{text}\n".encode())
        except InvalidSignature:
            raise Fault(f"{self._folder}/{place}: the signature does not fit the text") from None
        return int(lines[1]), root

    def _check_proofs(self, leaves: list[bytes], size: int, root: bytes) -> None:
        lines = self._lines("proofs.jsonl")
        if len(lines) != len(leaves):
            self._find("proofs.jsonl", f"has {len(lines)} proofs for {len(leaves)} events")
        for index, (line, leaf) in enumerate(zip(lines, leaves, strict=False)):
            place = f"{self._folder}/proofs.jsonl, line {index + 1}"
            try:
                entry = _fields(line, ("inclusion", "index"), place)
                proof = _hashes(entry["inclusion"], place)
            except Fault as fault:
                self._report.findings.append(str(fault))
                continue
            stated = entry["index"]
            if type(stated) is not int or stated != index or not included(leaf, index, size, proof, root):
                self._find(f"proofs.jsonl, line {index + 1}", f"does not lead from event {index} to the signed root")


def included(leaf: bytes, index: int, size: int, proof: list[bytes], root: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    node, last, seen = index, size - 1, leaf
    if index >= size:
        return False
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            seen = _node(sibling, seen)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            seen = _node(seen, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and seen == root


def consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: list[bytes]) -> bool:
    """RFC 9162, 2.1.4.2. From an empty log there is nothing to prove, and no proof."""
    if old == 0 or not proof:
        return old == 0 and not proof
    path = proof if old & (old - 1) else [old_root, *proof]
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_seen = new_seen = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_seen, new_seen = _node(sibling, old_seen), _node(sibling, new_seen)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_seen = _node(new_seen, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_seen == old_root and new_seen == new_root


def _roots(leaves: list[bytes]) -> dict[int, bytes]:
    """Root after each event."""
    roots = {0: sha256().digest()}
    peaks: list[bytes] = []
    for size, leaf in enumerate(leaves, 1):
        carry = size
        while not carry & 1:
            leaf, carry = _node(peaks.pop(), leaf), carry >> 1
        peaks.append(leaf)
        root = peaks[-1]
        for peak in reversed(peaks[:-1]):
            root = _node(peak, root)
        roots[size] = root
    return roots


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n\x01" + public).digest()[:4]


def _read_json(data: bytes, place: str) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Fault(f"{place}: is not JSON: {error}") from None


def _fields(line: bytes, names: tuple[str, ...], place: str) -> dict[str, object]:
    value = _read_json(line, place)
    if not isinstance(value, dict) or tuple(sorted(value)) != names:
        raise Fault(f"{place}: expected the fields {', '.join(names)}")
    return value


def _hashes(value: object, place: str) -> list[bytes]:
    hashes = [_decode(str(text), place) for text in value] if isinstance(value, list) else []
    if not isinstance(value, list) or any(len(hashed) != 32 for hashed in hashes):
        raise Fault(f"{place}: is not a list of hashes")
    return hashes


def _decode(text: str, place: str) -> bytes:
    try:
        data = b64decode(text, validate=True)
    except ValueError as error:
        raise Fault(f"{place}: is not base64: {error}") from None
    if b64encode(data).decode() != text:
        raise Fault(f"{place}: is base64 in another than its one valid form")
    return data


def main() -> int:
    """Print what was verified and what was found."""
    parser = argparse.ArgumentParser(description="Verify an export of Pointsman's audit log, offline.")
    parser.add_argument("export", type=Path, help="the ZIP file")
    parser.add_argument("--key", default="", help="public key in base64, as you know it from elsewhere")
    arguments = parser.parse_args()
    try:
        archive = arguments.export.read_bytes()
    except OSError as error:
        parser.error(f"{arguments.export} cannot be read: {error.strerror}")  # exit 2: nothing was verified
    report = verify(archive, arguments.key)
    out = sys.stdout
    for finding in report.findings:
        out.write(f"FAULT  {finding}\n")
    out.write(f"{report.events} events, {report.checkpoints} checkpoints, {len(report.findings)} faults\n")
    for known in sorted(report.keys):
        out.write(f"signed by {known}{'' if arguments.key else ' (from the export itself: compare it)'}\n")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
