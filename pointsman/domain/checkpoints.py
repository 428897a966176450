"""The text of a signed checkpoint, after C2SP tlog-checkpoint and signed-note: format only, no cryptography.

A checkpoint is three lines: origin, size, root in base64. A note is such a text, an empty line, and a line for
each signature: em dash, space, name of the key, space, base64 of the key's id (4 bytes) and the signature.
"""

from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256

from pointsman.domain.merkle import HASH_BYTES

ED25519 = b"\x01"
"""Signature type of C2SP signed-note for Ed25519."""
ED25519_BYTES = 32


class NoteError(ValueError):
    """Not a note, or not a checkpoint: says what is wrong."""


@dataclass(frozen=True)
class Checkpoint:
    """What a log says about itself: under `origin` it has `size` entries, and this root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True)
class VerifierKey:
    """Public half of a signing key. Written as `name+id+base64`, one line, so that people can pass it on."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """First four bytes of SHA-256 over name, newline, type and key."""
        return sha256(self.name.encode() + b"\n" + ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(ED25519 + self.public).decode()}"


def parse_key(line: str) -> VerifierKey:
    """Read a verifier key as `VerifierKey` writes it.

    Raises:
        NoteError: it is not one, or its id is not that of its key.
    """
    name, _, rest = line.strip().partition("+")
    stated, _, encoded = rest.partition("+")
    data = _decode(encoded, "verifier key")
    if not name or data[:1] != ED25519 or len(data) != 1 + ED25519_BYTES:
        raise NoteError(f"{line.strip()!r} is not an Ed25519 verifier key: expected name+id+base64")
    key = VerifierKey(name, data[1:])
    if key.id.hex() != stated:
        raise NoteError(f"verifier key {name!r} states the id {stated!r}, its key has {key.id.hex()!r}")
    return key


def note(text: str, key: VerifierKey, signature: bytes) -> str:
    """The signed text: `signature` is over the bytes of `text`."""
    return f"{text}\n\N{EM DASH} {key.name} {b64encode(key.id + signature).decode()}\n"


def signature_of(signed: str, key: VerifierKey) -> tuple[str, bytes]:
    """The text of a note, and the signature by this key. Lines of other keys are left alone, as the format asks.

    Raises:
        NoteError: it is not a note, or has no signature by this key, or more than one.
    """
    text, separator, lines = signed.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise NoteError("not a signed note: no empty line before the signatures, or no newline at the end")
    found = []
    for line in lines[:-1].split("\n"):
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "\N{EM DASH}" or not name or not encoded:
            raise NoteError(f"not a signature line: {line!r}")
        data = _decode(encoded, "signature")
        if name == key.name and data[:4] == key.id:
            found.append(data[4:])
    if len(found) != 1:
        raise NoteError(f"{len(found)} signatures by key {key.name}+{key.id.hex()}, expected one")
    return text + "\n", found[0]


def parse(text: str) -> Checkpoint:
    """Read a checkpoint's three lines; the text must be exactly what `Checkpoint.text` writes.

    Raises:
        NoteError: it is anything else.
    """
    lines = text.split("\n")
    if len(lines) != 4 or not lines[0] or not lines[1].isascii() or not lines[1].isdigit():
        raise NoteError("not a checkpoint: expected origin, size and root, each on a line of its own")
    checkpoint = Checkpoint(lines[0], int(lines[1]), _decode(lines[2], "root"))
    if len(checkpoint.root) != HASH_BYTES or checkpoint.text() != text:
        raise NoteError(f"checkpoint of {checkpoint.origin!r} is not in its one valid form")
    return checkpoint


def _decode(encoded: str, what: str) -> bytes:
    try:
        data = b64decode(encoded, validate=True)
    except ValueError as error:
        raise NoteError(f"{what} is not base64: {error}") from error
    if b64encode(data).decode() != encoded:
        raise NoteError(f"{what} is base64 in another than its one valid form")
    return data
