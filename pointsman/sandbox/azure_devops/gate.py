"""The outermost layer: makes routes case-insensitive, as the service's are, keeps allowances, and injects faults."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointsman.sandbox.azure_devops.sandbox import Fault, Sandbox

APIS = "/_apis/"


class Gate:
    def __init__(self, app: ASGIApp, sandbox: Sandbox) -> None:
        self._app = app
        self._sandbox = sandbox

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or APIS not in scope["path"].lower():
            await self._app(scope, receive, send)
            return
        route = _lower_route(scope)
        fault = self._sandbox.take_fault(scope["method"], scope["path"]) or self._sandbox.take_unit(_account(scope))
        if fault is None:
            await self._app(route, receive, send)
        else:
            await self._faulty(fault, route, receive, send)

    async def _faulty(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if not fault.after and fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        if not (fault.status or fault.drop):
            await self._app(scope, receive, _later(fault, send))
            return
        if fault.after:
            await self._app(scope, receive, _swallow)
            await asyncio.sleep(fault.delay_seconds)
        await (_drop(send) if fault.drop else _answer(fault, send))


def _account(scope: Scope) -> str:
    """Whoever asks, by what they prove themselves with."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"), "")


def _lower_route(scope: Scope) -> Scope:
    """What stands behind `_apis/` in lower case; names before it stay as they are."""
    path: str = scope["path"]
    place = path.lower().index(APIS)
    return {**scope, "path": path[:place] + path[place:].lower()}


def _later(fault: Fault, send: Send) -> Send:
    """The service's own answer, with more headers and perhaps some time after the work was done."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            if fault.after:
                await asyncio.sleep(fault.delay_seconds)
            message = {**message, "headers": [*message["headers"], *_headers(fault)]}
        await send(message)

    return sending


async def _swallow(message: Message) -> None:
    """The request did its work; nobody hears of it."""


async def _drop(send: Send) -> None:
    """Promise a body and stop: the server closes the connection in the middle of the answer."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _answer(fault: Fault, send: Send) -> None:
    headers = [*_headers(fault), (b"content-type", fault.content_type.encode())]
    await send({"type": "http.response.start", "status": fault.status, "headers": headers})
    await send({"type": "http.response.body", "body": fault.body.encode()})


def _headers(fault: Fault) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in fault.headers.items()]
