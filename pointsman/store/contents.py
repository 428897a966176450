"""Content-addressed bytes: the same content is stored once. Nothing here tells an audit event of its own: whatever
refers to a content by its hash does."""

import zlib
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy.orm import Session

from pointsman.ports import Missing, Rejected
from pointsman.store.engine import Store
from pointsman.store.inserts import Insert
from pointsman.store.tables import Content, metadata

COMPRESSED_BYTES_MIN = 256
"""Below this, compression saves nothing worth its time."""

CHECKED = "zlib+crc32"
"""Compressed, then CRC-32 of that: the same content may be compressed in two ways that differ by a bit."""
SUM_BYTES = 4

_contents = Insert(metadata.tables["content"], ("hash", "encoding", "data", "at"), ignore_conflicts=True)


class Contents:
    """`ports.Contents` over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def put(self, data: bytes) -> str:
        """Idempotent. Returns the SHA-256 in hex."""
        return await self._store.write(lambda session: keep(session, data))

    async def get(self, digest: str) -> bytes:
        """Raises `Missing` if there is no such content, `Rejected` if it is not what its name says."""
        return await self._store.read(lambda session: load(session, digest))


def keep(session: Session, data: bytes) -> str:
    """Store in a transaction that does more."""
    digest = sha256(data).hexdigest()
    if session.get(Content, digest) is None:
        encoding, stored = _packed(data)
        _contents.rows(session.connection(), [(digest, encoding, stored, datetime.now(UTC))])
    return digest


def load(session: Session, digest: str) -> bytes:
    row = session.get(Content, digest)
    if row is None:
        raise Missing(f"no content {digest!r} in the store")
    return unpacked(row)


def unpacked(row: Content) -> bytes:
    """The bytes of a row, checked against the hash that names them, and as they are stored."""
    try:
        data = _plain(row)
    except zlib.error as error:
        raise Rejected(f"content {row.hash} is damaged: {error}", code="Damaged") from error
    if (found := sha256(data).hexdigest()) != row.hash:
        raise Rejected(f"content {row.hash} is damaged: its bytes have the hash {found}", code="Damaged")
    return data


def _packed(data: bytes) -> tuple[str, bytes]:
    if len(data) >= COMPRESSED_BYTES_MIN and len(packed := zlib.compress(data)) < len(data):
        return CHECKED, packed + _sum(packed)
    return "raw", data


def _plain(row: Content) -> bytes:
    if row.encoding == CHECKED:
        packed, told = row.data[:-SUM_BYTES], row.data[-SUM_BYTES:]
        if _sum(packed) != told:
            raise zlib.error("its checksum does not fit")
        return zlib.decompress(packed)
    return zlib.decompress(row.data) if row.encoding == "zlib" else row.data


def _sum(packed: bytes) -> bytes:
    return zlib.crc32(packed).to_bytes(SUM_BYTES)
