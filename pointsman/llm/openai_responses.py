"""OpenAI's Responses API, through the official SDK with its retries off, over aiohttp.

The SDK does the key, the transport, the events of a stream and its errors; its objects are not built, because reading
the JSON is cheaper and survives what they would not. Nothing is kept at the provider: reasoning comes back encrypted
and travels in the transcript.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from time import perf_counter

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.client import LLMClient
from pointsman.llm.errors import (
    AuthenticationError,
    InvalidResponseError,
    ProviderError,
    ProviderTimeoutError,
    TruncatedStreamError,
)
from pointsman.llm.openai_errors import OpenAIFaults, is_silence
from pointsman.llm.openai_reply import count_of, object_of, objects, read_call, read_reply, read_usage, text_of
from pointsman.llm.openai_request import body_of
from pointsman.llm.prices import price
from pointsman.llm.types import (
    LLMRequest,
    LLMResponse,
    Message,
    ReasoningDelta,
    Role,
    StreamEvent,
    StreamFinished,
    StreamStarted,
    TextDelta,
    TokenUsage,
    ToolArgumentsDelta,
    ToolCallComplete,
    ToolCallStarted,
    UsageReported,
)

CONNECT_TIMEOUT = timedelta(seconds=5)
# The end of the body follows the terminal event at once; waiting for it lets the connection be used again.
DRAIN_TIMEOUT = timedelta(milliseconds=250)


class OpenAIResponses(LLMClient):
    """OpenAI, or a server that speaks its Responses API, under one key.

    `timeout` is the longest silence: from the request to its answer, and between two pieces of a stream.
    """

    provider = "openai"

    def __init__(
        self, api_key: SecretStr, base_url: str | None = None, timeout: timedelta = timedelta(seconds=60)
    ) -> None:
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=self.provider)
        self._key = api_key
        limits = httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
        self._timeout = timeout
        self._sdk = AsyncOpenAI(
            api_key=api_key.get_secret_value(),
            base_url=base_url,
            timeout=limits,
            max_retries=0,  # one owner of retries, and it is not the SDK
            http_client=DefaultAioHttpClient(timeout=limits),
        )

    def __repr__(self) -> str:
        return f"OpenAIResponses(base_url={str(self._sdk.base_url)!r}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        await self._sdk.close()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        started, faults = perf_counter(), self._faults(request)
        body, notes = body_of(request, self.provider)
        try:
            http = await self._sdk.post("/responses", cast_to=httpx2.Response, body=body)
        except openai.OpenAIError as error:
            raise faults.of_exception(error) from None
        request_id = http.headers.get("x-request-id", "")
        reading = _Reading(self.provider, request, faults, request_id, notes, started)
        try:
            response = http.json()
        except ValueError:
            response = None
        if not isinstance(response, dict):
            kind = http.headers.get("content-type", "nothing")
            raise reading.invalid(f"{len(http.content)} bytes of {kind} where a JSON object belongs")
        return await reading.finish(response, streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        started, faults = perf_counter(), self._faults(request)
        body, notes = body_of(request, self.provider)
        body["stream"] = True
        try:
            events = await self._sdk.post(
                "/responses", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
            )
        except openai.OpenAIError as error:
            raise faults.of_exception(error) from None
        request_id = events.response.headers.get("x-request-id", "")
        reading = _Reading(self.provider, request, faults, request_id, notes, started)
        async with events:
            async for event in self._events(events, reading):
                for said in reading.take(event):
                    yield said
                if reading.terminal is not None:
                    break
            if reading.terminal is None:
                raise reading.truncated("the stream ended without its terminal event")
            await _drain(events)
        response = await reading.finish(reading.whole(), streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def _events(self, events: AsyncStream[object], reading: "_Reading") -> AsyncGenerator[Mapping[str, Json]]:
        """The events that are JSON objects; a stream that breaks is a truncated one."""
        try:
            async for event in events:
                if isinstance(event, dict):
                    yield event
        except openai.APIConnectionError as error:
            if is_silence(error):
                raise reading.silent(self._timeout) from None
            cause = type(error.__cause__).__name__
            raise reading.truncated(f"the connection broke in the middle of the stream: {cause}") from None
        except openai.OpenAIError as error:
            raise reading.failed(error) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise reading.invalid(f"an event of the stream is not JSON: {type(error).__name__}") from None

    def _faults(self, request: LLMRequest) -> OpenAIFaults:
        return OpenAIFaults(self.provider, request.model, self._key.get_secret_value())


async def _drain(events: AsyncStream[object]) -> None:
    with suppress(TimeoutError, openai.OpenAIError, ValueError):
        async with asyncio.timeout(DRAIN_TIMEOUT.total_seconds()):
            async for _ in events:
                pass


class _Reading:
    """One answer while it is read: what has arrived, and how it ends."""

    def __init__(
        self,
        provider: str,
        request: LLMRequest,
        faults: OpenAIFaults,
        request_id: str,
        notes: tuple[str, ...],
        started: float,
    ) -> None:
        self.terminal: Mapping[str, Json] | None = None
        self._provider = provider
        self._model = request.model
        self._faults = faults
        self._request_id = request_id
        self._notes = notes
        self._started = started
        self._first_token: float | None = None
        self._text: list[str] = []
        self._items: dict[int, Mapping[str, Json]] = {}
        self._calls: dict[int, str] = {}

    def take(self, event: Mapping[str, Json]) -> Iterator[StreamEvent]:
        """What an event of the wire means. An event of an unknown type means nothing."""
        kind = text_of(event, "type")
        match kind:
            case "response.created":
                response = object_of(event, "response")
                yield StreamStarted(response_id=text_of(response, "id"), model=text_of(response, "model"))
            case "response.output_text.delta":
                self._text.append(text_of(event, "delta"))
                yield TextDelta(text=self._token(event))
            case "response.reasoning_summary_text.delta" | "response.reasoning_text.delta":
                yield ReasoningDelta(text=self._token(event))
            case "response.function_call_arguments.delta":
                call_id = self._calls.get(count_of(event, "output_index"), "")
                yield ToolArgumentsDelta(call_id=call_id, text=self._token(event))
            case "response.output_item.added" | "response.output_item.done":
                yield from self._item(kind, event)
            case "response.completed" | "response.incomplete" | "response.failed":
                self.terminal = object_of(event, "response")
            case "error":
                raise self._reported(event)

    def whole(self) -> Mapping[str, Json]:
        """The response of the terminal event. Items are taken as they were when done, where it leaves them out."""
        response = dict(self.terminal or {})
        done = {text_of(item, "id"): item for item in self._items.values() if item.get("id")}
        output: list[Json] = [
            # Only the finished item is sure to carry all of its encrypted content.
            dict(done.get(text_of(item, "id"), item)) if item.get("type") == "reasoning" else dict(item)
            for item in objects(response.get("output"))
        ]
        response["output"] = output or [dict(self._items[index]) for index in sorted(self._items)]
        return response

    async def finish(self, response: Mapping[str, Json], *, streamed: bool) -> LLMResponse:
        """The whole answer, priced; raises what the provider reports instead of one."""
        usage = read_usage(response)
        self._check(response, usage)
        reply = read_reply(response, self._provider)
        model = text_of(response, "model") or self._model
        cost = await price(self._provider, model, usage)
        return LLMResponse(
            message=Message(role=Role.ASSISTANT, parts=reply.parts),
            finish_reason=reply.finish_reason,
            usage=usage,
            model=model,
            provider=self._provider,
            response_id=text_of(response, "id"),
            request_id=self._request_id,
            cost_usd=cost.cost_usd,
            price_version=cost.version,
            latency_ms=self._ms(perf_counter()),
            time_to_first_token_ms=self._ms(self._first_token) if streamed and self._first_token else None,
            notes=tuple(note for note in (*self._notes, *reply.notes, cost.note) if note),
        )

    def invalid(self, reason: str) -> ProviderError:
        return InvalidResponseError(reason, provider=self._provider, model=self._model, request_id=self._request_id)

    def truncated(self, reason: str) -> ProviderError:
        return TruncatedStreamError(
            f"{reason}, after {len(self._items)} whole items",
            received="".join(self._text),
            provider=self._provider,
            model=self._model,
            request_id=self._request_id,
        )

    def silent(self, timeout: timedelta) -> ProviderError:
        reason = f"nothing more arrived for {timeout.total_seconds():g} s"
        return ProviderTimeoutError(reason, provider=self._provider, model=self._model, request_id=self._request_id)

    def failed(self, error: openai.OpenAIError) -> ProviderError:
        return self._faults.of_exception(error, self._request_id)

    def _item(self, kind: str, event: Mapping[str, Json]) -> Iterator[StreamEvent]:
        item, index = object_of(event, "item"), count_of(event, "output_index")
        is_call = text_of(item, "type") == "function_call"
        if kind == "response.output_item.done":
            self._items[index] = item
            if is_call:
                yield ToolCallComplete(call=read_call(item, self._provider))
        elif is_call:
            self._calls[index] = text_of(item, "call_id")
            yield ToolCallStarted(call_id=text_of(item, "call_id"), name=text_of(item, "name"))

    def _token(self, event: Mapping[str, Json]) -> str:
        self._first_token = self._first_token or perf_counter()
        return text_of(event, "delta")

    def _reported(self, event: Mapping[str, Json]) -> ProviderError:
        code, reason = text_of(event, "code"), text_of(event, "message")
        return self._faults.of_code(code, reason or "the stream reports an error", self._request_id)

    def _check(self, response: Mapping[str, Json], usage: TokenUsage) -> None:
        status, error = text_of(response, "status"), object_of(response, "error")
        if status == "failed" or error:
            failed = self._faults.of_code(text_of(error, "code"), text_of(error, "message"), self._request_id)
            failed.usage = usage
            raise failed
        if status not in ("completed", "incomplete", "") or not isinstance(response.get("output"), list):
            raise self.invalid(f"a response of status {self._faults.safe(status)!r} without an answer in it")

    def _ms(self, moment: float) -> float:
        return round((moment - self._started) * 1000, 3)
