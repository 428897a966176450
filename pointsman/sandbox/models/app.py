"""The stand-in's server: one endpoint for each wire format, and the control API under `/_sandbox/`."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from pointsman.sandbox.models.anthropic_messages.format import AnthropicMessagesFormat
from pointsman.sandbox.models.bedrock_converse.format import BedrockConverseFormat
from pointsman.sandbox.models.caching import PromptCache
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind, Hold, Outcome, Script, Seen, as_text
from pointsman.sandbox.models.documents import chunks
from pointsman.sandbox.models.embeddings.bedrock import BedrockEmbeddings
from pointsman.sandbox.models.embeddings.endpoint import EmbeddingEndpoint
from pointsman.sandbox.models.embeddings.gemini import GeminiEmbeddings
from pointsman.sandbox.models.embeddings.mistral import MistralEmbeddings
from pointsman.sandbox.models.embeddings.openai import OpenAIEmbeddings
from pointsman.sandbox.models.formats import ApiFault, Asked, Format, Rendered, cut, sent_by
from pointsman.sandbox.models.gemini_generate.format import GeminiGenerateFormat
from pointsman.sandbox.models.leaving import unless_gone
from pointsman.sandbox.models.mistral_chat.format import MistralChatFormat
from pointsman.sandbox.models.openai_chat.format import OpenAIChatFormat
from pointsman.sandbox.models.openai_chat.vllm import VllmChatFormat
from pointsman.sandbox.models.openai_responses.azure import AzureResponsesFormat
from pointsman.sandbox.models.openai_responses.catalogue import add_catalogue
from pointsman.sandbox.models.openai_responses.format import OpenAIResponsesFormat
from pointsman.sandbox.models.planner import plan
from pointsman.sandbox.models.replies import Reply

FORMATS: Sequence[type[Format]] = (
    OpenAIResponsesFormat,
    AzureResponsesFormat,
    OpenAIChatFormat,
    VllmChatFormat,
    GeminiGenerateFormat,
    AnthropicMessagesFormat,
    MistralChatFormat,
    BedrockConverseFormat,
)


class ConnectionDropped(Exception):
    """Raised in the middle of a body by order, so that the server closes the connection."""


def create_app(config: ModelsConfig) -> FastAPI:
    """The providers. Their state lives in memory, as long as the app does; `app.state.control` is all of it."""
    app = FastAPI(title="Model provider stand-in", docs_url=None, redoc_url=None)
    control = Control()
    app.state.control = control

    @app.exception_handler(ApiFault)
    async def _refuse(request: Request, fault: ApiFault) -> Response:
        return JSONResponse(fault.body, fault.status, headers=fault.headers)

    for kind in FORMATS:
        wire = kind(config)
        endpoint = _Endpoint(wire, control)
        for path in wire.paths:
            app.add_api_route(path, endpoint.respond, methods=["POST"], response_model=None)
        wire.add_routes(app)
    add_catalogue(app, config)
    for made in (
        OpenAIEmbeddings(OpenAIResponsesFormat(config)),
        MistralEmbeddings(MistralChatFormat(config)),
        GeminiEmbeddings(GeminiGenerateFormat(config)),
        BedrockEmbeddings(BedrockConverseFormat(config)),
    ):
        for path in made.paths:
            app.add_api_route(path, EmbeddingEndpoint(made, control).respond, methods=["POST"], response_model=None)
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


class _Endpoint:
    """Answers requests of one format, as planned, as scripted, or as faults order."""

    def __init__(self, wire: Format, control: Control) -> None:
        self._wire = wire
        self._config = wire.config
        self._control = control
        self._cache = PromptCache()

    async def respond(self, request: Request) -> Response:
        raw = await request.body()
        seen = self._control.receive(raw, self._wire.name)
        named = {**self._wire.headers(), self._wire.request_id_header: seen.request_id}
        try:
            asked = self._read(raw, request, seen)
            response = await unless_gone(request, seen, self._answered(asked, as_text(raw), seen))
        except ApiFault as fault:
            seen.end(Outcome.REFUSED if fault.status in (400, 401, 403) else Outcome.FAULTED, str(fault))
            fault.headers.update(named)
            raise
        response.headers.update(named)
        return response

    def _read(self, raw: bytes, request: Request, seen: Seen) -> Asked:
        self._wire.admit(sent_by(request, raw))
        headers = {name: request.headers.get(name, "") for name in self._wire.headers_read}
        parameters: Mapping[str, str] = {**headers, **request.query_params, **request.path_params}
        asked = self._wire.read(raw, request.url.path, parameters)
        self._control.note(seen, asked)
        self._wire.check(asked)
        return asked

    async def _answered(self, asked: Asked, body: str, seen: Seen) -> Response:
        fault = self._control.fault(body, asked.model)
        await self._before(fault)
        await self._control.wait(body, asked.model, seen)
        whole = self._whole(asked, body, fault)
        seen.response_id = whole.id
        first = self._config.first_token.total_seconds()
        await asyncio.sleep(fault.seconds if fault and fault.kind is FaultKind.SLOW else first)
        if asked.stream:
            # Proxies must not collect the events.
            headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
            streamed = self._streamed(whole, fault, seen)
            return StreamingResponse(streamed, media_type=self._wire.stream_type, headers=headers)
        await asyncio.sleep(self._config.chunk.total_seconds() * len(chunks(json.dumps(whole.body))))
        return self._plain(whole, fault, seen)

    async def _before(self, fault: Fault | None) -> None:
        if fault is None:
            return
        if fault.kind is FaultKind.SILENCE:
            await asyncio.Event().wait()
        if fault.kind is FaultKind.STATUS:
            refused = self._wire.refusal(fault.status, fault.message, fault.code)
            if fault.retry_after:
                self._wire.delay(refused, fault.retry_after)
            raise refused

    def _whole(self, asked: Asked, body: str, fault: Fault | None) -> Rendered:
        reply = self._control.scripted(body) or plan(asked)
        if fault and fault.kind is FaultKind.BAD_ARGUMENTS:
            reply = _with_broken_arguments(reply)
        if fault and fault.kind is FaultKind.FAILED:
            return self._wire.failed(asked, fault.message, fault.code)
        return self._wire.render(asked, cut(asked, reply), self._cache.cached_tokens(asked))

    def _plain(self, whole: Rendered, fault: Fault | None, seen: Seen) -> Response:
        if fault and fault.kind is FaultKind.BAD_JSON:
            seen.end(Outcome.FAULTED, fault.kind)
            return Response("<html>upstream</html>", media_type="text/html")
        seen.end(Outcome.FAULTED if fault and fault.kind is FaultKind.FAILED else Outcome.ANSWERED)
        return JSONResponse(whole.body)

    async def _streamed(self, whole: Rendered, fault: Fault | None, seen: Seen) -> AsyncIterator[bytes]:
        try:
            for number, frame in enumerate(whole.frames):
                if fault and number == fault.after and fault.kind in _BREAKING:
                    async for last in self._broken(fault, number, seen):
                        yield last
                    return
                yield frame.data
                if frame.paced:
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
            yield self._wire.broken_frame()
        if fault.kind is FaultKind.ERROR_EVENT:
            yield self._wire.error_frame(fault.message, fault.code)


_BREAKING = (FaultKind.CUT, FaultKind.DROP, FaultKind.STALL, FaultKind.ERROR_EVENT, FaultKind.BAD_JSON)


def _with_broken_arguments(reply: Reply) -> Reply:
    calls = [call.model_copy(update={"raw": call.text()[: len(call.text()) // 2]}) for call in reply.calls]
    return reply.model_copy(update={"calls": tuple(calls)})
