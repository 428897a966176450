"""The stand-in's server: `POST /v1/responses`, `GET /v1/models`, and the control API under `/_sandbox/`."""

import asyncio
import json
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from pointsman.contracts.base import Json
from pointsman.sandbox.models.checks import check_key, check_request
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Hold, Outcome, Script, Seen, as_text
from pointsman.sandbox.models.events import chunks, events, server_sent
from pointsman.sandbox.models.planner import plan
from pointsman.sandbox.models.replies import Answer, PromptCache, Reply, answer, frame
from pointsman.sandbox.models.wire import ApiFault, CreateResponse, read_request

OPENED_AT = 1_786_000_000  # when the models were published, for lists


class ConnectionDropped(Exception):
    """Raised in the middle of a body by order, so that the server closes the connection."""


def create_app(config: ModelsConfig) -> FastAPI:
    """The provider. Its state lives in memory, as long as the app does; `app.state.control` is all of it."""
    app = FastAPI(title="Model provider stand-in", docs_url=None, redoc_url=None)
    control = Control()
    app.state.control = control
    provider = _Provider(config, control)

    @app.exception_handler(ApiFault)
    async def _refuse(request: Request, fault: ApiFault) -> Response:
        return JSONResponse(fault.body, fault.status, headers=fault.headers)

    @app.get("/v1/models")
    async def _models(request: Request) -> dict[str, Json]:
        check_key(request.headers.get("authorization", ""), config)
        data: list[Json] = [
            {"id": name, "object": "model", "created": OPENED_AT, "owned_by": "system", "shutdown_date": None}
            for name in config.models
        ]
        return {"object": "list", "data": data}

    app.add_api_route("/v1/responses", provider.respond, methods=["POST"], response_model=None)
    _add_control(app, control)
    return app


def _add_control(app: FastAPI, control: Control) -> None:
    @app.post("/_sandbox/scripts", status_code=204)
    async def _script(script: Script) -> None:
        control.scripts.append(script)

    @app.post("/_sandbox/faults", status_code=204)
    async def _fault(fault: Fault) -> None:
        control.faults.append(fault)

    @app.post("/_sandbox/holds", status_code=201)
    async def _hold(hold: Hold) -> Hold:
        control.add_hold(hold)
        return hold

    @app.get("/_sandbox/holds")
    async def _holds() -> list[Hold]:
        return list(control.holds.values())

    @app.post("/_sandbox/holds/{hold_id}/release", status_code=204)
    async def _release(hold_id: str) -> None:
        if not control.release(hold_id):
            raise HTTPException(404, f"no hold {hold_id!r}: there are {sorted(control.holds)}")

    @app.get("/_sandbox/requests")
    async def _requests() -> list[Seen]:
        return control.seen

    @app.get("/_sandbox/counters")
    async def _counters() -> dict[str, object]:
        return control.counters()

    @app.post("/_sandbox/reset", status_code=204)
    async def _reset() -> None:
        control.reset()


class _Provider:
    """Answers requests, as planned, as scripted, or as faults order."""

    def __init__(self, config: ModelsConfig, control: Control) -> None:
        self._config = config
        self._control = control
        self._cache = PromptCache()

    async def respond(self, request: Request) -> Response:
        raw = await request.body()
        seen = self._control.receive(raw)
        try:
            check_key(request.headers.get("authorization", ""), self._config)
            asked = read_request(raw)
            self._control.note(seen, asked)
            check_request(asked, self._config)
            body = as_text(raw)
            response = await _unless_gone(request, seen, self._answered(asked, body, seen))
        except ApiFault as fault:
            seen.end(Outcome.REFUSED if fault.status in (400, 401) else Outcome.FAULTED, str(fault))
            fault.headers["x-request-id"] = seen.request_id
            raise
        response.headers["x-request-id"] = seen.request_id
        response.headers["openai-version"] = "2020-10-01"
        return response

    async def _answered(self, asked: CreateResponse, body: str, seen: Seen) -> Response:
        fault = self._control.fault(body, asked.model)
        await self._before(fault)
        await self._control.wait(body, asked.model, seen)
        whole = self._whole(asked, body, fault)
        seen.response_id = str(whole.body["id"])
        first = self._config.first_token.total_seconds()
        await asyncio.sleep(fault.seconds if fault and fault.kind is FaultKind.SLOW else first)
        if asked.stream:
            # Proxies must not collect the events.
            headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
            return StreamingResponse(
                self._streamed(whole, fault, seen), media_type="text/event-stream", headers=headers
            )
        await asyncio.sleep(self._config.chunk.total_seconds() * len(chunks(json.dumps(whole.body["output"]))))
        return self._plain(whole, fault, seen)

    async def _before(self, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.kind is FaultKind.SILENCE:
            await asyncio.Event().wait()
        if fault.kind is FaultKind.STATUS:
            refused = ApiFault(fault.status, fault.message, fault.code)
            if fault.retry_after:
                refused.headers["retry-after"] = fault.retry_after
            raise refused

    def _whole(self, asked: CreateResponse, body: str, fault: Fault | None) -> Answer:
        reply = self._control.scripted(body) or plan(asked)
        if fault and fault.kind is FaultKind.BAD_ARGUMENTS:
            reply = _with_broken_arguments(reply)
        if fault and fault.kind is FaultKind.FAILED:
            error: Json = {"code": fault.code or "server_error", "message": fault.message}
            return Answer({**frame(asked), "status": "failed", "error": error})
        return answer(asked, reply, self._cache.cached_tokens(asked))

    def _plain(self, whole: Answer, fault: Fault | None, seen: Seen) -> Response:
        if fault and fault.kind is FaultKind.BAD_JSON:
            seen.end(Outcome.FAULTED, fault.kind)
            return Response("<html>upstream</html>", media_type="text/html")
        seen.end(Outcome.FAULTED if fault and fault.kind is FaultKind.FAILED else Outcome.ANSWERED)
        return JSONResponse(whole.body)

    async def _streamed(self, whole: Answer, fault: Fault | None, seen: Seen) -> AsyncIterator[bytes]:
        try:
            for number, event in enumerate(events(whole)):
                if fault and number == fault.after and fault.kind in _BREAKING:
                    async for last in self._broken(fault, number, seen):
                        yield last
                    return
                yield server_sent(event)
                if str(event["type"]).endswith(".delta"):
                    await asyncio.sleep(self._config.chunk.total_seconds())
            seen.end(Outcome.ANSWERED)
        finally:
            # Whoever closes the generator before its end is a client that went away.
            seen.end(Outcome.ABORTED, "the client closed the stream")

    async def _broken(self, fault: Fault, number: int, seen: Seen) -> AsyncIterator[bytes]:
        if fault.kind is FaultKind.STALL:
            await asyncio.Event().wait()
        seen.end(Outcome.FAULTED, f"{fault.kind} after {number} events")
        if fault.kind is FaultKind.DROP:
            raise ConnectionDropped
        if fault.kind is FaultKind.BAD_JSON:
            yield b'event: response.output_text.delta\ndata: {"type": "response.out\n\n'
        if fault.kind is FaultKind.ERROR_EVENT:
            error: dict[str, Json] = {"type": "error", "code": fault.code or "server_error", "message": fault.message}
            yield server_sent({**error, "param": None, "sequence_number": number})


_BREAKING = (FaultKind.CUT, FaultKind.DROP, FaultKind.STALL, FaultKind.ERROR_EVENT, FaultKind.BAD_JSON)


async def _unless_gone(request: Request, seen: Seen, work: Coroutine[None, None, Response]) -> Response:
    """Do the work, and stop as soon as the client is gone."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            seen.end(Outcome.ABORTED, "the client went away before the answer")
            return Response(status_code=499)
        return await working
    finally:
        for task in (working, leaving):
            task.cancel()
            with suppress(asyncio.CancelledError, ApiFault):
                await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _with_broken_arguments(reply: Reply) -> Reply:
    calls = [call.model_copy(update={"raw": call.text()[: len(call.text()) // 2]}) for call in reply.calls]
    return reply.model_copy(update={"calls": tuple(calls)})
