"""JSON-RPC 2.0 over HTTP: `POST /rpc` for calls, `/rpc/streams/ID` for answers that are streamed.

HTTP's status tells of the way (token, size, type of the body), the JSON-RPC answer of the call. Whatever is answered
here has the shape of JSON-RPC.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from fastapi import APIRouter, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.responses import Response
from fastapi.security.base import SecurityBase
from opentelemetry.trace import SpanKind

from pointsman.contracts.base import Json
from pointsman.observability import names, traces
from starter.web.bodies import Garbled, Incomplete, TooLarge, read_body, read_raw
from starter.web.errors import correlation_id
from starter.web.rpc import codes
from starter.web.rpc.answers import EVENT_STREAM, EventStream, document, refusal, refused, unless_gone
from starter.web.rpc.callers import Caller, Callers
from starter.web.rpc.context import TRACEPARENT, context_of
from starter.web.rpc.methods import STREAM, Asker, ModelRoom, methods_of, source_of
from starter.web.rpc.protocol import RpcError, failed, parse, read_call, respond
from starter.web.rpc.reference import BODY_SCHEMA, RESPONSES
from starter.web.rpc.streams import Streams

LOG = structlog.get_logger(__name__)
PATH = "/rpc"
STREAM_PATH = PATH + "/streams/{stream_id}"
LAST_EVENT_ID = "last-event-id"
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="pointsman"'}
BODY_TYPES = ("application/json", "application/json-rpc", "application/jsonrequest")
NOT_FOR_CALLS = ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"]
NOT_FOR_STREAMS = ["POST", "PUT", "PATCH", "OPTIONS"]


Tell = Callable[[Request, str, str], Awaitable[None]]
"""Keeps a refusal: of which request, under which correlation id, and why."""


@dataclass(frozen=True)
class RpcServices:
    """Without tokens, or without a model room, the endpoint says that it is not set up."""

    callers: Callers = field(default_factory=Callers)
    room: ModelRoom | None = None
    streams: Streams = field(default_factory=Streams)
    body_bytes_max: int = 8 * 1024 * 1024
    read_timeout: timedelta = timedelta(seconds=30)


class Bearer(SecurityBase):
    """For the description of the interface only: `Callers` checks, and the answer has the shape of JSON-RPC."""

    def __init__(self) -> None:
        self.model = HTTPBearer()
        self.scheme_name = "rpc"

    async def __call__(self) -> None:
        return None


def router(services: RpcServices, tell: Tell) -> APIRouter:
    endpoint = _Endpoint(services, tell)
    routes = APIRouter()
    secured = [Security(Bearer())]
    routes.add_api_route(
        PATH,
        endpoint.call,
        methods=["POST"],
        summary="JSON-RPC 2.0: llm.complete, llm.stream, llm.models, llm.metrics",
        description="One call or a batch. `llm.stream` is answered as Server-Sent Events.",
        dependencies=secured,
        responses=RESPONSES,
        response_class=Response,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": BODY_SCHEMA}}}},
    )
    routes.add_api_route(
        STREAM_PATH,
        endpoint.resume,
        methods=["GET"],
        summary="Go on with a stream after the event that the header Last-Event-ID names",
        dependencies=secured,
        responses=RESPONSES,
        response_class=Response,
    )
    routes.add_api_route(
        STREAM_PATH,
        endpoint.close,
        methods=["DELETE"],
        summary="End a stream, and the call of the model with it",
        dependencies=secured,
        responses=RESPONSES,
        response_class=Response,
        status_code=204,
    )
    routes.add_api_route(PATH, endpoint.no_call, methods=NOT_FOR_CALLS, include_in_schema=False)
    routes.add_api_route(STREAM_PATH, endpoint.no_stream, methods=NOT_FOR_STREAMS, include_in_schema=False)
    return routes


class _Endpoint:
    def __init__(self, services: RpcServices, tell: Tell) -> None:
        self._services = services
        self._tell = tell
        self._methods = methods_of(services.room) if services.room else {}

    async def call(self, request: Request) -> Response:
        return await self._checked(request, self._call)

    async def resume(self, request: Request) -> Response:
        return await self._checked(request, self._resume)

    async def close(self, request: Request) -> Response:
        return await self._checked(request, self._close)

    async def no_call(self, request: Request) -> Response:
        return refused(codes.WRONG_METHOD, f"{request.method} is not for {PATH}", {"Allow": "POST"})

    async def no_stream(self, request: Request) -> Response:
        return refused(codes.WRONG_METHOD, f"{request.method} is not for a stream", {"Allow": "GET, DELETE"})

    async def _checked(self, request: Request, go_on: Callable[[Request, Caller], Awaitable[Response]]) -> Response:
        services = self._services
        if not services.callers or services.room is None:
            await self._drain(request)
            return refused(codes.NOT_SET_UP, "no token is set: POINTSMAN_RPC_TOKENS. Nothing was called.")
        caller = services.callers.of(request.headers.get("authorization", ""))
        if caller is None:
            await self._drain(request)
            await self._tell(request, correlation_id(request), "token")
            return refused(codes.UNAUTHORIZED, "no token, or none of ours. Nothing was called.", CHALLENGE)
        return await go_on(request, caller)

    async def _call(self, request: Request, caller: Caller) -> Response:
        if refusing := _wrong_type(request):
            await self._drain(request)
            return refusing
        limit = self._services.body_bytes_max
        try:
            told = parse(await read_body(request, limit, self._services.read_timeout))
        except TooLarge:
            return refused(codes.TOO_LARGE, f"the body is larger than {limit} bytes. Nothing was called.", limit=limit)
        except Incomplete:
            return refused(codes.INCOMPLETE, "the body did not arrive as a whole. Nothing was called.")
        except Garbled as error:
            return refused(codes.WRONG_TYPE, f"{error}. Nothing was called.")
        except RpcError as error:
            return document(failed(None, error))
        asker = Asker(caller, context_of(request.headers))
        incoming = request.headers.get(TRACEPARENT, "")
        with traces.span(names.SPAN_RPC, traceparent=incoming, kind=SpanKind.SERVER, tenant=caller.tenant):
            return await self._answer(request, told, asker)

    async def _answer(self, request: Request, told: Json, asker: Asker) -> Response:
        if isinstance(told, dict) and told.get("method") == STREAM and "id" in told:
            return self._stream(request, told, asker)
        answer = await unless_gone(request, respond(told, self._methods, asker))
        return Response(status_code=204) if answer is None else document(answer)

    def _stream(self, request: Request, told: Json, asker: Asker) -> Response:
        room = self._services.room
        assert room is not None, "it was checked"
        try:
            call = read_call(told)
            source = source_of(call, asker, room.service)
        except RpcError as error:
            return document(failed(_id_of(told), error))
        if not _accepts_events(request):
            return refusal(codes.NOT_ACCEPTABLE.error(f"{STREAM} is answered as {EVENT_STREAM}"), 406)
        try:
            stream = self._services.streams.open(asker.caller, source)
        except RpcError as error:
            return _limited(error)
        return EventStream(stream.read(after=0), stream.id)

    async def _resume(self, request: Request, caller: Caller) -> Response:
        try:
            stream = self._services.streams.find(request.path_params["stream_id"], caller)
            after = _last_event_id(request)
            if stream.is_over_after(after):
                return Response(status_code=204)  # tells a client of SSE not to come again
            frames = stream.read(after)
        except RpcError as error:
            return refusal(error, {code.code: code.status for code in _OF_STREAMS}.get(error.code, 400))
        return EventStream(frames, stream.id)

    async def _close(self, request: Request, caller: Caller) -> Response:
        try:
            await self._services.streams.find(request.path_params["stream_id"], caller).close()
        except RpcError as error:
            return refusal(error, codes.NO_STREAM.status)
        return Response(status_code=204)

    async def _drain(self, request: Request) -> None:
        """Read what is being sent, or the sender may see a broken connection instead of the answer."""
        try:
            await read_raw(request, self._services.body_bytes_max, self._services.read_timeout)
        except (TooLarge, Incomplete):
            LOG.debug("body of a refused call left unread")


_OF_STREAMS = (codes.NO_STREAM, codes.EVENTS_GONE)


def _limited(error: RpcError) -> Response:
    waits = {"Retry-After": f"{error.data['retry_after']:.0f}"}
    return refusal(error, codes.TOO_MANY_STREAMS.status, waits)


def _wrong_type(request: Request) -> Response | None:
    given = request.headers.get("content-type", "")
    kind, _, parameters = given.partition(";")
    charset = parameters.replace(" ", "").casefold()
    if kind.strip().casefold() in BODY_TYPES and charset in ("", "charset=utf-8", 'charset="utf-8"'):
        return None
    return refused(codes.WRONG_TYPE, f"Content-Type {given[:100]!r}. Nothing was called.", {"Accept": BODY_TYPES[0]})


def _accepts_events(request: Request) -> bool:
    accepted = [entry.partition(";")[0].strip() for entry in request.headers.get("accept", "*/*").split(",")]
    return any(entry in (EVENT_STREAM, "text/*", "*/*") for entry in accepted)


def _last_event_id(request: Request) -> int:
    """Without the header, a stream is told from its beginning.

    Raises:
        RpcError: the header has no number of an event.
    """
    given = request.headers.get(LAST_EVENT_ID, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise codes.INVALID_PARAMS.error(f"Last-Event-ID: {given[:40]!r} is no number of an event")
    return int(given)


def _id_of(told: Json) -> Json:
    found = told.get("id") if isinstance(told, dict) else None
    return found if isinstance(found, str | int | float) and not isinstance(found, bool) else None
