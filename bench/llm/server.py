"""The fake provider: a process that answers as fast as it can, so that what is measured is its clients.

    python -m bench.llm.server

Prints its URL, and serves until its input ends. HTTP/1.1 is read by hand: a framework would take longer over a request
than some of its clients do.
"""

import asyncio
import json
import random
import re
import sys
from functools import lru_cache

from bench.llm import wire

_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream":\s*true')
_END = b"0\r\n\r\n"
_HEAD_STREAM = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nx-request-id: req_1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)


class Connection(asyncio.Protocol):
    """One client's connection: requests one after the other."""

    def __init__(self) -> None:
        self._held = b""
        self._transport: asyncio.Transport | None = None
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "a listener of streams makes transports of streams"
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None

    def data_received(self, data: bytes) -> None:
        self._held += data
        head, found, rest = self._held.partition(b"\r\n\r\n")
        if not found:
            return
        length = _LENGTH.search(head)
        size = int(length[1]) if length else 0
        if len(rest) < size:
            return
        self._held = rest[size:]
        self._answer(head.split(b" ", 2)[1].decode(), is_streamed=bool(_STREAM.search(rest[:size])))

    def _answer(self, path: str, *, is_streamed: bool) -> None:
        mode, api = wire.read_path(path)
        if not is_streamed:
            self._later(mode.delay * random.uniform(1 - wire.DELAY_SPREAD, 1 + wire.DELAY_SPREAD), _whole(api))
            return
        pieces = _streamed(api, mode.pieces)
        self._later(mode.delay, _HEAD_STREAM)
        for index, piece in enumerate(pieces):
            self._later(mode.delay + index * mode.pace, piece)

    def _later(self, after_ms: float, data: bytes) -> None:
        if after_ms:
            self._loop.call_later(after_ms / 1000, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)


@lru_cache(maxsize=64)
def _whole(api: str) -> bytes:
    body = json.dumps(wire.whole(api)).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-request-id: req_1\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@lru_cache(maxsize=64)
def _streamed(api: str, pieces: int) -> list[bytes]:
    events = [f"{len(event):x}\r\n".encode() + event + b"\r\n" for event in wire.streamed(api, pieces)]
    # The end comes with the last event, as it does from servers that know that it is the last.
    return [*events[:-1], events[-1] + _END]


async def serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=2_048)
    host, port = server.sockets[0].getsockname()
    print(f"http://{host}:{port}", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve())
