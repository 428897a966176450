"""Answers over HTTP: one JSON document, or events as they come; and how it is noticed that nobody waits any more."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import aclosing
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from pointsman.contracts.base import Json
from starter.web.rpc.codes import Code
from starter.web.rpc.protocol import RpcError, failed
from starter.web.rpc.streams import Documents
from starter.web.rpc.wire import encoded

EVENT_STREAM = "text/event-stream"
T = TypeVar("T")


def document(told: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(encoded(told), status, headers, "application/json")


def refusal(error: RpcError, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """Instead of an answer to a call: what was sent did not come as far as that."""
    return document(failed(None, error), status, headers)


def refused(code: Code, reason: str, headers: Mapping[str, str] | None = None, **data: Json) -> Response:
    return refusal(code.error(reason, **data), code.status, headers)


async def unless_gone(request: Request, work: Coroutine[None, None, T]) -> T | None:
    """What the work comes to. If the client goes away before, the work is cancelled, and nothing comes of it."""
    working, leaving = asyncio.create_task(work), asyncio.create_task(_gone(request.receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        await _end(working, leaving)


class EventStream(Response):
    """Frames of Server-Sent Events (WHATWG HTML, 9.2), until they end or the client goes away."""

    def __init__(self, frames: Documents, stream_id: str) -> None:
        self.status_code = 200
        self.background = None
        self._frames = frames
        self.init_headers(
            {
                "content-type": EVENT_STREAM,
                "x-accel-buffering": "no",  # proxies must not collect the events
                "x-stream-id": stream_id,
            }
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        sending, leaving = asyncio.create_task(self._send(send)), asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            await _end(sending, leaving)

    async def _send(self, send: Send) -> None:
        async with aclosing(self._frames):
            async for frame in self._frames:
                await send({"type": "http.response.body", "body": frame, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _end(*tasks: "asyncio.Task[T] | asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
