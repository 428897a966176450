"""The bytes of a streamed chat completion, as an SDK's HTTP response gives them: events, ends and breaks.

Read beside the SDKs' own readers, which hide the mark that ends a stream, or refuse whatever they do not know.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from datetime import timedelta

import httpx2

from pointsman.contracts.base import Json
from pointsman.llm.completions import Completion
from pointsman.llm.sse import EventReader

# The end of the body follows the last chunk at once; waiting for it lets the connection be used again.
DRAIN_TIMEOUT = timedelta(milliseconds=250)
DONE = b"[DONE]"


async def chunks(
    response: httpx2.Response, completion: Completion, timeout: timedelta
) -> AsyncGenerator[Mapping[str, Json]]:
    """The chunks of the stream, until nothing more comes.

    Raises:
        ProviderError: it broke, fell silent, or says what is no JSON, before the completion was whole.
    """
    events = EventReader()
    async with aclosing(response.aiter_bytes()) as pieces:
        while piece := await _next(pieces, completion, timeout):
            for data in events.feed(piece):
                if data.startswith(DONE):
                    completion.end()
                elif (chunk := _read(data, completion)) is not None:
                    yield chunk
    events.finish()
    if events.stray.strip() and not completion.is_complete:
        # Gateways report a fault as bare JSON, also where a stream was promised.
        chunk = _read(events.stray, completion)
        if chunk is not None:
            yield chunk
    if not completion.is_complete:
        raise completion.missing()


async def _next(pieces: AsyncIterator[bytes], completion: Completion, timeout: timedelta) -> bytes:
    """The next bytes, none at the end. Once the completion is whole, nothing that goes wrong matters any more."""
    limit = DRAIN_TIMEOUT if completion.is_complete else timeout
    try:
        async with asyncio.timeout(limit.total_seconds()):
            return await anext(pieces, b"")
    except (TimeoutError, httpx2.HTTPError, OSError) as error:
        if completion.is_complete:
            return b""
        if isinstance(error, TimeoutError | httpx2.TimeoutException):
            raise completion.attempt.silent(timeout) from None
        cause = f"the connection broke in the middle of the stream: {type(error).__name__}"
        raise completion.attempt.truncated(cause) from None


def _read(data: bytes, completion: Completion) -> Mapping[str, Json] | None:
    """The JSON object of an event; other JSON is passed over."""
    try:
        chunk = json.loads(data)
    except (ValueError, RecursionError) as error:
        if completion.is_complete:
            return None
        raise completion.attempt.invalid(f"an event of the stream is not JSON: {type(error).__name__}") from None
    return chunk if isinstance(chunk, dict) else None
