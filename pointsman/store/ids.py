"""Names for rows: fresh ones that sort by time, and derived ones that a repeated effect finds again."""

import os
import time
from collections import deque
from hashlib import sha256
from uuid import UUID

RANDOM_BYTES, AHEAD = 10, 256
_random: deque[bytes] = deque()
"""Ahead of use: asking the system hands the interpreter over, and under load that is a wait."""
os.register_at_fork(after_in_child=_random.clear)


def new_id() -> str:
    """A UUIDv7 (RFC 9562, 5.7): milliseconds since 1970, then random bits."""
    number = time.time_ns() // 1_000_000 << 80 | int.from_bytes(_random_bytes())
    number = number & ~(0xF << 76) | 0x7 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _random_bytes() -> bytes:
    while True:
        try:
            return _random.popleft()  # of threads that ask together each gets its own
        except IndexError:
            many = os.urandom(RANDOM_BYTES * AHEAD)
            _random.extend(many[at : at + RANDOM_BYTES] for at in range(0, len(many), RANDOM_BYTES))


def derived_id(*parts: object) -> str:
    """A UUIDv8 (RFC 9562, 5.8) from SHA-256 over the parts: the same parts always give the same id."""
    # Lengths keep ("ab", "c") and ("a", "bc") apart.
    told = "".join(f"{len(str(part))}:{part}" for part in parts)
    number = int.from_bytes(sha256(told.encode("utf-8", "replace")).digest()[:16])
    number = number & ~(0xF << 76) | 0x8 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=number))
