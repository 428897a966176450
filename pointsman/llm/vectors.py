"""Vectors as providers write them in JSON: lists of numbers, or 32-bit floats in base64."""

import sys
from array import array
from base64 import b64decode
from collections.abc import Sequence
from typing import cast

from pointsman.contracts.base import Json
from pointsman.llm.lenient import count_of, objects

_NUMBERS = frozenset({int, float})
"""The types of JSON's numbers. A million of them are in one answer: none is looked at one by one."""


def vectors_in(data: Json) -> Sequence[Sequence[float]] | None:
    """The vectors of a list of `{"index", "embedding"}`, by their index; None where it is no such list."""
    if not isinstance(data, list):
        return None
    entries = sorted(objects(data), key=lambda entry: count_of(entry, "index"))
    found = [vector_in(entry.get("embedding")) for entry in entries]
    vectors = [vector for vector in found if vector is not None]
    return vectors if len(vectors) == len(data) else None


def vector_in(value: Json) -> Sequence[float] | None:
    """One vector, written in either way; None where it is none."""
    if isinstance(value, str):
        return _packed(value)
    if not isinstance(value, list) or not _NUMBERS.issuperset(map(type, value)):
        return None
    return list(map(float, cast(list[float], value)))


def _packed(text: str) -> Sequence[float] | None:
    """Little-endian floats of four bytes (OpenAI API reference, `encoding_format`)."""
    floats = array("f")
    try:
        floats.frombytes(b64decode(text, validate=True))
    except ValueError:
        return None
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tolist()
