"""Names for rows: fresh ones that sort by time, and derived ones that a repeated effect finds again."""

import os
import time
from hashlib import sha256
from uuid import UUID


def new_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): milliseconds since 1970, then random bits."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def derived_id(*parts: object) -> str:
    """A UUIDv8 (RFC 9562, 5.8) from SHA-256 over the parts: the same parts always give the same id."""
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    told = "".join(f"{len(str(part))}:{part}" for part in parts)
    number = int.from_bytes(sha256(told.encode("utf-8", "replace")).digest()[:16])
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=number))
