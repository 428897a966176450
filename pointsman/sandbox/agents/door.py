"""What stands before the stand-in of an agent service: who is let in, and what goes wrong on the way."""

import json

from pydantic import SecretStr
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointsman.contracts.base import Json

CARD = "/.well-known/agent-card.json"
KEYS = "/.well-known/jwks.json"
NOT_CANCELABLE: Json = {"code": -32002, "message": "Task cannot be canceled"}


class OnTheWay:
    """What was asked for, and what is to happen to that which comes."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """Methods, in the order in which they were called."""
        self.answers_lost = 0
        """So many answers of `SendMessage` get lost on the way back, after the service has done what it was asked."""
        self.answers_held = 0
        """So many of them are never given, until who asked is gone."""
        self.streams_cut = 0
        """So many streams end after their first event, without an end."""
        self.leads_elsewhere = ""
        """Where every call is sent on to, if anywhere."""
        self.refuses: dict[str, int] = {}
        """Methods that are answered with a status of HTTP."""


class Door:
    """`token` opens all but the card and its keys, which are `key_set`."""

    def __init__(self, way: OnTheWay, inner: ASGIApp, token: SecretStr | None, key_set: str, *, stops: bool) -> None:
        self._way = way
        self._inner = inner
        self._token = token
        self._key_set = key_set
        self._stops = stops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        way = self._way
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
        elif way.leads_elsewhere:
            await RedirectResponse(way.leads_elsewhere)(scope, receive, send)
        elif scope["path"] == CARD:
            way.calls.append("GetAgentCard")
            await self._inner(scope, receive, send)
        elif scope["path"] == KEYS:
            way.calls.append("GetKeys")
            await Response(self._key_set, 200 if self._key_set else 404)(scope, receive, send)
        else:
            await self._called(scope, await _body(receive), receive, send)

    async def _called(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        asked = json.loads(body)
        method = str(asked.get("method"))
        self._way.calls.append(method)
        if status := self._refusal(scope, method):
            await PlainTextResponse("not now", status)(scope, receive, send)
        elif method == "CancelTask" and not self._stops:
            refused = {"jsonrpc": "2.0", "id": asked.get("id"), "error": NOT_CANCELABLE}
            await JSONResponse(refused)(scope, receive, send)
        elif method == "SendMessage":
            await self._sent(scope, body, receive, send)
        elif method == "SubscribeToTask" and self._way.streams_cut > 0:
            self._way.streams_cut -= 1
            await self._inner(scope, _again(body, receive), _cut_short(send))
        else:
            await self._inner(scope, _again(body, receive), send)

    async def _sent(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        way = self._way
        if way.answers_held > 0:
            way.answers_held -= 1
            await self._inner(scope, _again(body, receive), _nowhere)
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        lost = way.answers_lost > 0
        await self._inner(scope, _again(body, receive), _nowhere if lost else send)
        if lost:
            way.answers_lost -= 1
            await PlainTextResponse("the answer was lost", 502)(scope, receive, send)

    def _refusal(self, scope: Scope, method: str) -> int:
        given = dict(scope["headers"]).get(b"authorization", b"").decode()
        if self._token is not None and given != f"Bearer {self._token.get_secret_value()}":
            return 401
        return self._way.refuses.get(method, 0)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        part = await receive()
        body, more = body + part.get("body", b""), bool(part.get("more_body"))
    return body


def _again(body: bytes, receive: Receive) -> Receive:
    """The request's body once more, and then whatever the client does."""
    told = False

    async def receive_again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _cut_short(send: Send) -> Send:
    """Until something of the body is sent."""

    async def send_once(message: Message) -> None:
        await send(message)
        if message.get("body"):
            raise ConnectionResetError

    return send_once


async def _nowhere(message: Message) -> None:
    """An answer that nobody gets."""
