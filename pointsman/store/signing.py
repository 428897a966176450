"""The key that signs checkpoints: Ed25519, in a file that only its owner may read."""

import os
import stat
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from pointsman.domain import checkpoints
from pointsman.domain.checkpoints import Checkpoint, NoteError, VerifierKey
from pointsman.ports import Rejected

KEY_FILE = "audit.key"
PUBLIC_FILE = "audit.pub"


class Verifier:
    """Checks checkpoints by the public key alone."""

    def __init__(self, public: bytes) -> None:
        self.public = public
        self._key = Ed25519PublicKey.from_public_bytes(public)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the public key that `Signer.open` left in `folder`.

        Raises:
            Rejected: there is none, or it is not one.
        """
        path = folder / PUBLIC_FILE
        try:
            return cls(b64decode(path.read_text().strip(), validate=True))
        except FileNotFoundError:
            raise Rejected(f"no public key at {path}: it is made when the service first signs a checkpoint") from None
        except ValueError as error:
            raise Rejected(f"{path} holds no Ed25519 public key in base64: {error}") from error

    def key(self, origin: str) -> VerifierKey:
        """The key as the log `origin` names it: a log's signature carries the log's name."""
        return VerifierKey(origin, self.public)

    def check(self, note: str, origin: str) -> Checkpoint:
        """The checkpoint in a note that this key signed for the log `origin`.

        Raises:
            NoteError: it is not such a note.
        """
        text, signature = checkpoints.signature_of(note, self.key(origin))
        try:
            self._key.verify(signature, text.encode())
        except InvalidSignature:
            raise NoteError("the signature does not fit the text") from None
        checkpoint = checkpoints.parse(text)
        if checkpoint.origin != origin or checkpoints.note(text, self.key(origin), signature) != note:
            raise NoteError(f"not a checkpoint of log {origin!r} in its one valid form")
        return checkpoint


class Signer(Verifier):
    """Signs checkpoints. The private key stays in here: `repr` does not show it."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        super().__init__(private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))
        self._private = private

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Read the key in `folder`, or make one: file mode 0600, the public half beside it.

        Raises:
            Rejected: the file can be read by others, or holds no Ed25519 key.
        """
        path = folder / KEY_FILE
        if not path.exists():
            _create(path)
        if (mode := stat.S_IMODE(path.stat().st_mode)) & 0o077:
            raise Rejected(f"signing key {path} has mode {mode:o}, so others can read it: run `chmod 600 {path}`")
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise Rejected(
                f"signing key {path} holds no private key. Nothing was changed. Put it back from the backup: what "
                "another key signs is another log"
            ) from None
        if not isinstance(private, Ed25519PrivateKey):
            raise Rejected(f"signing key {path} is not an Ed25519 key")
        signer = cls(private)
        public = folder / PUBLIC_FILE
        if not public.exists():
            public.write_text(b64encode(signer.public).decode() + "\n")
        return signer

    def sign(self, checkpoint: Checkpoint) -> str:
        """The checkpoint as a signed note."""
        text = checkpoint.text()
        return checkpoints.note(text, self.key(checkpoint.origin), self._private.sign(text.encode()))


def _create(path: Path) -> None:
    """Write a fresh key. Of two at once one wins, and both use its key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.touch(mode=0o600)
    try:
        draft.write_bytes(pem)
        os.link(draft, path)  # appears whole, and never replaces one that is there
    except FileExistsError:
        pass
    finally:
        draft.unlink()
