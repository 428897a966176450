"""Vectors of the stand-in: texts that share words point to the same side, and the same text always says the same."""

import re
from array import array
from base64 import b64encode
from collections.abc import Sequence
from hashlib import blake2b
from math import hypot

_WORDS = re.compile(r"\w+")


def vector(text: str, size: int) -> list[float]:
    """Of length 1. Every word adds to eight of its numbers."""
    numbers = [0.0] * size
    for word in _WORDS.findall(text.lower()) or [text]:
        digest = blake2b(word.encode(errors="replace"), digest_size=32).digest()
        for at in range(0, 32, 4):
            place = int.from_bytes(digest[at : at + 3], "big") % size
            numbers[place] += 1.0 if digest[at + 3] & 1 else -1.0
    length = hypot(*numbers)
    return [number / length for number in numbers] if length else [1.0, *numbers[1:]]


def packed(numbers: Sequence[float]) -> str:
    """Floats of four bytes, little-endian, in base64."""
    return b64encode(array("f", numbers).tobytes()).decode()
