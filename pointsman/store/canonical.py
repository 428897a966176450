"""Canonical JSON, RFC 8785: one value, one form, so that a hash over it means the value."""

import json
from json.encoder import encode_basestring

import rfc8785

from pointsman.contracts.base import Json

INTEGER_MAX = 2**53 - 1
written = encode_basestring
"""Canonical form of text that has no half of a surrogate pair."""
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical(value: Json) -> bytes:
    """The one form of `value`. What the form cannot hold is replaced by text: integers beyond 2^53, infinities,
    NaN, half of a surrogate pair.

    Most values have only text, small integers and ASCII keys. For those Python's encoder writes the same bytes in
    a fifth of the time.
    """
    if is_plain(value):
        try:
            return _encode(value).encode()
        except UnicodeEncodeError:
            pass  # half of a surrogate pair: the long way replaces it
    return rfc8785.dumps(_tame(value))


def is_plain(value: Json) -> bool:
    """Whether two encoders cannot differ: no fractions, no large numbers, no keys that sort in another way."""
    kind = type(value)
    if kind is str or value is None:
        return True
    if isinstance(value, int):
        return -INTEGER_MAX <= value <= INTEGER_MAX
    if isinstance(value, dict):
        return all(map(str.isascii, value)) and all(map(is_plain, value.values()))
    return isinstance(value, list) and all(map(is_plain, value))


def _tame(value: Json) -> Json:
    if isinstance(value, str):
        return _whole(value)
    if isinstance(value, dict):
        return {_whole(key): _tame(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_tame(inner) for inner in value]
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, int) and abs(value) > INTEGER_MAX:
        return str(value)
    return value


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
