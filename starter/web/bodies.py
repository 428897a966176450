"""Bodies of requests, read with a limit before anything looks into them."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from datetime import timedelta

from fastapi import Request
from starlette.requests import ClientDisconnect

# What comes beyond the limit is read and thrown away up to this many times the limit: a sender that is cut off
# while it still sends sees a broken connection instead of the answer that tells why.
DRAIN_FACTOR = 8


class TooLarge(Exception):
    """The body is larger than the limit, as sent or once inflated."""


class Incomplete(Exception):
    """The body did not arrive in time, or its sender went away."""


class Garbled(Exception):
    """The body is not what its Content-Encoding says. `body` is what came."""

    def __init__(self, message: str, body: bytes) -> None:
        super().__init__(message)
        self.body = body


async def read_body(request: Request, limit: int, timeout: timedelta) -> bytes:
    """The body as it was meant: inflated where it says so.

    Raises:
        TooLarge, Incomplete: there is no body to work with.
        Garbled: there is, and it is not to be understood.
    """
    body = await read_raw(request, limit, timeout)
    encoding = request.headers.get("content-encoding", "identity").strip().casefold()
    if encoding in ("", "identity"):
        return body
    if encoding not in ("gzip", "x-gzip"):
        raise Garbled(f"content encoding {encoding[:40]!r} is not understood; allowed: gzip, identity", body)
    return _inflate(body, limit)


async def read_raw(request: Request, limit: int, timeout: timedelta) -> bytes:
    """The body as sent. Holds at most `limit` bytes of it in memory.

    Raises:
        TooLarge, Incomplete
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit * DRAIN_FACTOR:
        raise TooLarge
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            return await _gather(request.stream(), limit)
    except (TimeoutError, ClientDisconnect) as error:
        raise Incomplete from error


async def _gather(stream: AsyncIterator[bytes], limit: int) -> bytes:
    kept, size = bytearray(), 0
    async for chunk in stream:
        size += len(chunk)
        if size <= limit:
            kept += chunk
        elif size > limit * DRAIN_FACTOR:
            break
        else:
            kept.clear()
    if size > limit:
        raise TooLarge
    return bytes(kept)


def _inflate(body: bytes, limit: int) -> bytes:
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = inflater.decompress(body, limit + 1)
    except zlib.error as error:
        raise Garbled(f"not gzip: {error}", body) from error
    if len(plain) > limit:
        raise TooLarge
    if not inflater.eof or inflater.unused_data:
        raise Garbled("gzip that ends too early, or does not end where it should", body)
    return plain
