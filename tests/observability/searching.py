"""Finds a text wherever it hides: as it is, escaped, in Base64 at any offset, compressed, in payloads of a protobuf."""

import gzip
import json
import sqlite3
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from urllib.parse import quote

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload

GZIP, ZLIB = b"\x1f\x8b", b"\x78"


def holds(data: bytes, text: str) -> bool:
    """Whether the data tells the text to whoever looks closely."""
    return any(form in layer for layer in layers(data) for form in forms(text))


@cache
def forms(text: str) -> tuple[bytes, ...]:
    """The text as bytes, and how it looks within JSON, within a URL, in hexadecimal, and in Base64 at any offset."""
    raw = text.encode()
    plain = {raw, json.dumps(text)[1:-1].encode(), quote(text, safe="").encode(), raw.hex().encode()}
    return tuple(plain | set(_base64(raw)))


def _base64(raw: bytes) -> Iterator[bytes]:
    """The characters that do not depend on what stands before or after."""
    for before in range(3):
        encoded = b64encode(bytes(before) + raw)
        sure = encoded[-(-8 * before // 6) : 8 * (before + len(raw)) // 6]
        yield sure
        yield sure.translate(bytes.maketrans(b"+/", b"-_"))


def layers(data: bytes) -> Iterator[bytes]:
    """The data, and what it holds where it is compressed as a whole."""
    yield data
    if data.startswith((GZIP, ZLIB)):
        try:
            yield gzip.decompress(data) if data.startswith(GZIP) else zlib.decompress(data)
        except (OSError, zlib.error):
            return  # it only begins as if it were


def payloads(message: Message) -> Iterator[bytes]:
    """What each payload in it says: its data, its metadata, and JSON with every escape resolved."""
    if isinstance(message, Payload):
        yield message.data
        yield from message.metadata.values()
        yield from texts(message.data)
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = [one for one in value.values() if isinstance(one, Message)]
        else:
            inner = list(value) if isinstance(value, Iterable) else [value]
        for one in inner:
            yield from payloads(one)


def texts(data: bytes) -> Iterator[bytes]:
    """Every text in a JSON document."""
    try:
        document = json.loads(data)
    except ValueError:
        return
    waiting = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value.encode(errors="replace")
        elif isinstance(value, dict):
            waiting += [*value.keys(), *value.values()]
        elif isinstance(value, list):
            waiting += value


def tables(database: Path) -> dict[str, list[bytes]]:
    """Every value of every table of an SQLite file."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        listed = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {
            name: [
                value if isinstance(value, bytes) else str(value).encode()
                for row in connection.execute(f'SELECT * FROM "{name}"')  # noqa: S608 - the name is the file's own
                for value in row
            ]
            for (name,) in listed
        }
