"""The methods: what they take, what they do, what they answer. Knows no HTTP."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from pointsman.contracts.base import Json
from pointsman.llm.errors import LLMError
from pointsman.llm.events import StreamEvent, StreamFinished
from pointsman.llm.service import LLMService
from pointsman.llm.types import LLMRequest, LLMResponse
from starter.web.rpc.callers import Caller
from starter.web.rpc.catalogue import Catalogue
from starter.web.rpc.codes import INVALID_REQUEST, STREAM_CLOSED, error_of
from starter.web.rpc.context import Context
from starter.web.rpc.parameters import Ask, ListModels, Nothing, request_of
from starter.web.rpc.protocol import Call, Method, Methods, failed, internal, read_parameters, succeeded
from starter.web.rpc.streams import Documents, Source
from starter.web.rpc.tally import tally
from starter.web.rpc.wire import encoded

COMPLETE, STREAM, MODELS, METRICS = "llm.complete", "llm.stream", "llm.models", "llm.metrics"
EVENT = "llm.event"
"""Method of the notifications that a stream is made of."""


@dataclass(frozen=True)
class Asker:
    """Who calls, and what the headers say of the context."""

    caller: Caller
    told: Context


@dataclass(frozen=True)
class ModelRoom:
    """What the methods need: the service, what is known of models, and where is counted."""

    service: LLMService
    catalogue: Catalogue
    counted: CollectorRegistry


def methods_of(room: ModelRoom) -> Methods[Asker]:
    async def complete(asked: Ask, asker: Asker) -> Json:
        request = request_of(asked, asker.caller, asker.told)
        try:
            response = await room.service.complete(request, asked.prefer)
        except LLMError as error:
            raise error_of(error, _context(request)) from None
        return answer_of(response, request)

    async def stream(asked: Ask, asker: Asker) -> Json:
        raise INVALID_REQUEST.error(f"{STREAM} is one call with an id in a request of its own: its answer is a stream")

    async def models(asked: ListModels, asker: Asker) -> Json:
        return await room.catalogue.tell(asker.caller, asked.usable_only)

    async def metrics(asked: Nothing, asker: Asker) -> Json:
        return tally(room.counted)

    handlers: dict[str, Method[Ask, Asker] | Method[ListModels, Asker] | Method[Nothing, Asker]] = {
        COMPLETE: Method(Ask, complete),
        STREAM: Method(Ask, stream),
        MODELS: Method(ListModels, models),
        METRICS: Method(Nothing, metrics),
    }
    made: dict[str, Method[BaseModel, Asker]] = dict(handlers)  # type: ignore[arg-type]  # each takes its own
    return made


def source_of(call: Call, asker: Asker, service: LLMService) -> Source:
    """The answer to `llm.stream`: a notification for each event of the model's, then the response to the call.

    Raises:
        RpcError: the parameters do not fit.
    """
    asked = read_parameters(call, Ask)
    request = request_of(asked, asker.caller, asker.told)

    async def documents(stream_id: str) -> Documents:
        opened: dict[str, Json] = {"kind": "opened", "stream_id": stream_id, **_context(request)._asdict()}
        yield encoded({"jsonrpc": "2.0", "method": EVENT, "params": opened})
        try:
            async with aclosing(service.stream(request, asked.prefer)) as events:
                async for document in _told(events, call, request):
                    yield document
        except LLMError as error:
            yield encoded(failed(call.call_id, error_of(error, _context(request))))
        except Exception as error:  # whatever it is, the caller gets the answer that ends the stream
            yield encoded(failed(call.call_id, internal(error)))

    why = "nobody read it in time, it was closed, or the process ends"
    closed = STREAM_CLOSED.error(why, retryable=True, **_context(request)._asdict())
    return Source(documents, encoded(failed(call.call_id, closed)))


async def _told(events: AsyncGenerator[StreamEvent], call: Call, request: LLMRequest) -> Documents:
    async for event in events:
        if isinstance(event, StreamFinished):
            yield encoded(succeeded(call.call_id, answer_of(event.response, request)))
        else:
            yield encoded({"jsonrpc": "2.0", "method": EVENT, "params": event.model_dump(mode="json")})


def answer_of(response: LLMResponse, request: LLMRequest) -> Json:
    """The response, its text at hand, and the whole context of the call."""
    told: dict[str, Json] = response.model_dump(mode="json")
    return {"text": response.text, **told, **_context(request)._asdict()}


def _context(request: LLMRequest) -> Context:
    return Context(request.trace_id, request.source_agent, request.session_id)
