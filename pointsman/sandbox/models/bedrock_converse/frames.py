"""Messages of `application/vnd.amazon.eventstream`, after AWS's published framing ("Event stream encoding").

A message: total length, length of the headers, CRC-32 of these eight bytes, headers, payload, CRC-32 of all before.
Numbers are big-endian; a header's value is a string (type 7) here.
"""

import json
from struct import pack
from zlib import crc32

from pointsman.contracts.base import Json

STREAM_TYPE = "application/vnd.amazon.eventstream"
STRING = 7


def event(kind: str, payload: Json) -> bytes:
    """An event of that kind."""
    return _message(payload, {":event-type": kind, ":content-type": "application/json", ":message-type": "event"})


def exception(kind: str, message: str) -> bytes:
    """An exception that ends a stream, which goes by a member of its union: `throttlingException`."""
    told = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return _message({"message": message}, told)


def broken() -> bytes:
    """An event that was changed on its way: its checksum does not hold."""
    whole = event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "x"}})
    return whole[:-1] + bytes([whole[-1] ^ 1])


def _message(payload: Json, headers: dict[str, str]) -> bytes:
    told = b"".join(_header(name, value) for name, value in headers.items())
    body = json.dumps(payload, separators=(",", ":")).encode()
    prelude = pack(">II", 16 + len(told) + len(body), len(told))
    whole = prelude + pack(">I", crc32(prelude)) + told + body
    return whole + pack(">I", crc32(whole))


def _header(name: str, value: str) -> bytes:
    return pack(">B", len(name)) + name.encode() + pack(">BH", STRING, len(value.encode())) + value.encode()
