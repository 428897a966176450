"""One shape for every error that leaves the web process, and the frame around each request that sees to it."""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pointsman.observability import names
from pointsman.observability.logs import bound
from pointsman.store.ids import new_id

LOG = structlog.get_logger(__name__)
CORRELATION_HEADER = "x-correlation-id"
RETRY = {"Retry-After": "2"}
# No page of ours needs more than our own style sheet.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)


class Fault(BaseModel):
    code: str
    message: str
    hint: str
    correlation_id: str


class Failure(BaseModel):
    """Body of every answer that is no success."""

    error: Fault


def correlation_id(request: Request) -> str:
    """Given to the request by `Frame`; the delivery that it brings gets the same."""
    return str(request.state.correlation_id)


def failure(
    request: Request, status: int, code: str, message: str, hint: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    fault = Fault(code=code, message=message, hint=hint, correlation_id=correlation_id(request))
    return JSONResponse(Failure(error=fault).model_dump(), status, headers)


def handle_errors(app: FastAPI) -> None:
    """Give the framework's own errors our shape."""

    async def http_error(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "refused")
        headers = dict(error.headers) if error.headers else None
        hint = "GET /openapi.json lists what there is"
        return failure(request, error.status_code, code, f"{request.method}: {error.detail}", hint, headers)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        return failure(request, 422, "invalid_request", "a parameter is not valid", "GET /openapi.json says what is")

    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)


class Frame:
    """Around each request: a correlation id, headers for safety, and an answer without traceback if all else fails."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = new_id()
        scope.setdefault("state", {})["correlation_id"] = given
        started = False

        async def framed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name for name, _ in message["headers"]}
                own = [(name, value) for name, value in HEADERS if name not in present]
                message["headers"] = [*message["headers"], *own, (CORRELATION_HEADER.encode(), given.encode())]
            await send(message)

        with bound(**{names.CORRELATION_ID: given}):
            try:
                await self._app(scope, receive, framed)
            except Exception:  # whatever it is, the caller must not see it
                LOG.exception("request failed", path=scope["path"], method=scope["method"])
                if started:
                    raise  # the answer is cut off, and the server has to say so by closing the connection
                answer = failure(Request(scope), 500, "internal", "the request failed", "the log has the reason")
                await answer(scope, receive, framed)
