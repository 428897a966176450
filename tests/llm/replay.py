"""Between an adapter and the stand-in: records an answer once, and gives its bytes again in any pieces."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random
from urllib.parse import urlsplit

Pieces = Callable[[bytes], Iterable[bytes]]


def whole(body: bytes) -> Iterable[bytes]:
    return [body]


def single(body: bytes) -> Iterable[bytes]:
    """Each byte alone."""
    return [body[at : at + 1] for at in range(len(body))]


def cut_at_random(seed: int) -> Pieces:
    """At up to nine places, the same ones for the same seed."""

    def pieces(body: bytes) -> Iterator[bytes]:
        chance = Random(seed)
        cuts = sorted(chance.sample(range(1, len(body)), chance.randint(1, 9)))
        return (body[start:end] for start, end in pairwise([0, *cuts, len(body)]))

    return pieces


@dataclass
class Replay:
    """`pieces` makes what is sent of what was recorded. `sent` counts it, `asked` keeps the bodies of requests."""

    stand_in: str
    root: str = ""
    kind: bytes = b""
    recorded: bytes | None = None
    pieces: Pieces = whole
    sent: int = 0
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _message(reader):
                head, body = request
                self.asked.append(body)
                if self.recorded is None:
                    await self._record(head, body)
                await self._answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # an adapter that has heard enough
        finally:
            writer.close()

    async def _record(self, head: bytes, body: bytes) -> None:
        target = urlsplit(self.stand_in)
        reader, writer = await asyncio.open_connection(target.hostname, target.port)
        writer.write(head.removesuffix(b"\r\n\r\n") + b"\r\nconnection: close\r\n\r\n" + body)
        answer = await _message(reader)
        writer.close()
        assert answer is not None, "the stand-in answers"
        self.kind = _header(answer[0], b"content-type")
        self.recorded = answer[1]

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        assert self.recorded is not None, "the first answer was recorded"
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: " + self.kind + b"\r\n\r\n")
        for piece in filter(None, self.pieces(self.recorded)):  # an empty one would be the end
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            self.sent += len(piece)
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@asynccontextmanager
async def replaying(stand_in: str) -> AsyncGenerator[Replay]:
    """A replay whose first request goes on to the stand-in."""
    replay = Replay(stand_in)
    server = await asyncio.start_server(replay.serve, "127.0.0.1", 0)
    replay.root = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield replay


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes] | None:
    """Head and body of a request or an answer; None where no more come."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    if _header(head, b"transfer-encoding") == b"chunked":
        body = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            body += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return head, body
    return head, await reader.readexactly(int(_header(head, b"content-length") or b"0"))


def _header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        found, _, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return b""
