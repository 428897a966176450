"""OpenAI's Responses API, through the official SDK with its retries off, over aiohttp.

The SDK does the key, the transport, the events of a stream and its errors; its objects are not built, because reading
the JSON is cheaper and survives what they would not. Nothing is kept at the provider: reasoning comes back encrypted
and travels in the transcript.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.attempt import Attempt
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.errors import AuthenticationError, ProviderError
from pointsman.llm.events import (
    ReasoningDelta,
    StreamEvent,
    StreamFinished,
    StreamStarted,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallComplete,
    ToolCallStarted,
    UsageReported,
)
from pointsman.llm.lenient import count_of, date_of, object_of, objects, text_of
from pointsman.llm.providers.openai.faults import OpenAIFaults, is_silence
from pointsman.llm.providers.openai.responses_reply import read_call, read_reply, read_usage
from pointsman.llm.providers.openai.responses_request import Body, body_of
from pointsman.llm.providers.openai.sdk import open_sdk
from pointsman.llm.types import LLMRequest, LLMResponse

# The end of the body follows the terminal event at once; waiting for it lets the connection be used again.
DRAIN_TIMEOUT = timedelta(milliseconds=250)
# Of our body, what `POST /responses/input_tokens` takes (OpenAI API reference, "Get input token counts").
_COUNTED = frozenset({"input", "model", "parallel_tool_calls", "reasoning", "text", "tool_choice", "tools"})


class OpenAIResponses(LLMClient):
    """OpenAI, or a server that speaks its Responses API, under one key.

    `timeout` is the longest silence: from the request to its answer, and between two pieces of a stream.
    """

    provider = "openai"

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
        sdk: AsyncOpenAI | None = None,
    ) -> None:
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=self.provider)
        self._key = api_key
        self._timeout = timeout
        self._sdk = sdk or open_sdk(api_key, base_url, timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={str(self._sdk.base_url)!r}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        await self._sdk.close()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        body, notes = self._body(request)
        reading = self._reading(request, notes)
        try:
            http = await self._sdk.post("/responses", cast_to=httpx2.Response, body=body)
        except openai.OpenAIError as error:
            raise reading.failed(error) from None
        reading.attempt.request_id = http.headers.get("x-request-id", "")
        try:
            response = http.json()
        except ValueError:
            response = None
        if not isinstance(response, dict):
            kind = http.headers.get("content-type", "nothing")
            raise reading.attempt.invalid(f"{len(http.content)} bytes of {kind} where a JSON object belongs")
        return await reading.finish(response, streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        body, notes = self._body(request)
        body["stream"] = True
        reading = self._reading(request, notes)
        try:
            events = await self._sdk.post(
                "/responses", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
            )
        except openai.OpenAIError as error:
            raise reading.failed(error) from None
        reading.attempt.request_id = events.response.headers.get("x-request-id", "")
        async with events:
            async for event in self._events(events, reading):
                for said in reading.take(event):
                    yield said
                if reading.terminal is not None:
                    break
            if reading.terminal is None:
                raise reading.attempt.truncated("the stream ended without its terminal event")
            await _drain(events)
        response = await reading.finish(reading.whole(), streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def count_tokens(self, request: LLMRequest) -> int:
        """As the service counts them: one request, nothing is billed."""
        body, _ = self._body(request)
        counted = {key: value for key, value in body.items() if key in _COUNTED}
        try:
            count = await self._sdk.post("/responses/input_tokens", cast_to=object, body=counted)
        except openai.OpenAIError as error:
            raise self._faults(request.model).of_exception(error) from None
        return count_of(count, "input_tokens") if isinstance(count, dict) else 0

    async def list_models(self) -> Sequence[ListedModel]:
        try:
            listed = await self._sdk.get("/models", cast_to=object)
        except openai.OpenAIError as error:
            raise self._faults("").of_exception(error) from None
        found = objects(listed.get("data")) if isinstance(listed, dict) else ()
        return [ListedModel(name=text_of(model, "id"), shutdown_on=date_of(model, "shutdown_date")) for model in found]

    async def health(self) -> Health:
        return await healthy(self.list_models)

    async def _events(self, events: AsyncStream[object], reading: "_Reading") -> AsyncGenerator[Mapping[str, Json]]:
        """The events that are JSON objects; a stream that breaks is a truncated one."""
        try:
            async for event in events:
                if isinstance(event, dict):
                    yield event
        except openai.APIConnectionError as error:
            if is_silence(error):
                raise reading.attempt.silent(self._timeout) from None
            cause = type(error.__cause__).__name__
            raise reading.attempt.truncated(f"the connection broke in the middle of the stream: {cause}") from None
        except openai.OpenAIError as error:
            raise reading.failed(error) from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise reading.attempt.invalid(f"an event of the stream is not JSON: {type(error).__name__}") from None

    def _body(self, request: LLMRequest) -> Body:
        return body_of(request, self.provider)

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> "_Reading":
        return _Reading(self.begin(request, notes), self._faults(request.model), self.provider)

    def _faults(self, model: str) -> OpenAIFaults:
        return OpenAIFaults(self.provider, model, self._key.get_secret_value())


async def _drain(events: AsyncStream[object]) -> None:
    with suppress(TimeoutError, openai.OpenAIError, ValueError):
        async with asyncio.timeout(DRAIN_TIMEOUT.total_seconds()):
            async for _ in events:
                pass


class _Reading:
    """One answer while it is read: what has arrived, and how it ends."""

    def __init__(self, attempt: Attempt, faults: OpenAIFaults, provider: str) -> None:
        self.terminal: Mapping[str, Json] | None = None
        self.attempt = attempt
        self._faults = faults
        self._provider = provider
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
                yield TextDelta(text=self.attempt.text(text_of(event, "delta")))
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
        """The whole answer; raises what the provider reports instead of one."""
        self.attempt.usage = read_usage(response)
        self._check(response)
        reply = read_reply(response, self._provider)
        self.attempt.notes += reply.notes
        return await self.attempt.answer(
            reply.parts,
            reply.finish_reason,
            model=text_of(response, "model"),
            response_id=text_of(response, "id"),
            streamed=streamed,
        )

    def failed(self, error: openai.OpenAIError) -> ProviderError:
        return self._faults.of_exception(error, self.attempt.request_id)

    def _item(self, kind: str, event: Mapping[str, Json]) -> Iterator[StreamEvent]:
        item, index = object_of(event, "item"), count_of(event, "output_index")
        is_call = text_of(item, "type") == "function_call"
        if kind == "response.output_item.done":
            self._items[index] = item
            if is_call:
                yield ToolCallComplete(call=self.attempt.checked(read_call(item, self._provider)))
        elif is_call:
            self._calls[index] = text_of(item, "call_id")
            yield ToolCallStarted(call_id=text_of(item, "call_id"), name=text_of(item, "name"))

    def _token(self, event: Mapping[str, Json]) -> str:
        self.attempt.token()
        return text_of(event, "delta")

    def _reported(self, event: Mapping[str, Json]) -> ProviderError:
        code, reason = text_of(event, "code"), text_of(event, "message")
        return self._faults.of_code(code, reason or "the stream reports an error", self.attempt.request_id)

    def _check(self, response: Mapping[str, Json]) -> None:
        status, error = text_of(response, "status"), object_of(response, "error")
        if status == "failed" or error:
            code, reason = text_of(error, "code"), text_of(error, "message")
            failed = self._faults.of_code(code, reason, self.attempt.request_id)
            failed.usage = self.attempt.usage
            raise failed
        if status not in ("completed", "incomplete", "") or not isinstance(response.get("output"), list):
            shown = self._faults.safe(status)
            raise self.attempt.invalid(f"a response of status {shown!r} without an answer in it")
