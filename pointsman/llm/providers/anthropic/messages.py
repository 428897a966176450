"""Anthropic's Messages API, through the official SDK with its retries off, over aiohttp.

The SDK does the key, the version, the transport, the events of a stream and its errors; its objects are not built,
because reading the JSON is cheaper and survives what they would not. Its spans are off: the service draws its own.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta

import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncStream, DefaultAioHttpClient
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.lenient import count_of, date_of, flags_of, object_of, objects, text_of
from pointsman.llm.providers.anthropic.faults import AnthropicFaults
from pointsman.llm.providers.anthropic.reply import Reading
from pointsman.llm.providers.anthropic.request import body_of
from pointsman.llm.tls import tls_context
from pointsman.llm.types import LLMRequest, LLMResponse

CONNECT_TIMEOUT = timedelta(seconds=15)
# The end of the body follows the terminal event at once; waiting for it lets the connection be used again.
DRAIN_TIMEOUT = timedelta(milliseconds=250)
MODELS_PAGE = 1_000
# Of our body, what `POST /v1/messages/count_tokens` takes (Anthropic API reference, "Count tokens in a Message").
_COUNTED = frozenset({"messages", "model", "output_config", "system", "thinking", "tool_choice", "tools"})


class AnthropicMessages(LLMClient):
    """Anthropic, or a server that speaks its Messages API, under one key.

    `timeout` is the longest silence: from the request to its answer, and between two pieces of a stream.
    """

    provider = "anthropic"

    def __init__(
        self, api_key: SecretStr, base_url: str | None = None, timeout: timedelta = timedelta(seconds=60)
    ) -> None:
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=self.provider)
        self._key = api_key
        limits = httpx2.Timeout(timeout.total_seconds(), connect=CONNECT_TIMEOUT.total_seconds())
        self._timeout = timeout
        self._sdk = AsyncAnthropic(
            api_key=api_key.get_secret_value(),
            base_url=base_url,
            timeout=limits,
            max_retries=0,  # one owner of retries, and it is not the SDK, which would sleep as long as it is told
            open_telemetry=False,
            http_client=DefaultAioHttpClient(timeout=limits, verify=tls_context()),
        )

    def __repr__(self) -> str:
        return f"AnthropicMessages(base_url={str(self._sdk.base_url)!r}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        await self._sdk.close()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        body = body_of(request, self.provider)
        reading = self._reading(request, body.notes)
        try:
            http = await self._sdk.post(
                "/v1/messages", cast_to=httpx2.Response, body=body.content, options={"headers": body.headers}
            )
        except anthropic.AnthropicError as error:
            raise reading.faults.of_exception(error) from None
        reading.attempt.request_id = http.headers.get("request-id", "")
        try:
            message = http.json()
        except ValueError:
            message = None
        if not isinstance(message, dict):
            kind = http.headers.get("content-type", "nothing")
            raise reading.attempt.invalid(f"{len(http.content)} bytes of {kind} where a JSON object belongs")
        reading.take_whole(message)
        return await reading.finish(streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        body = body_of(request, self.provider)
        reading = self._reading(request, body.notes)
        try:
            events = await self._sdk.post(
                "/v1/messages",
                cast_to=object,
                body={**body.content, "stream": True},
                options={"headers": body.headers},
                stream=True,
                stream_cls=AsyncStream[object],
            )
        except anthropic.AnthropicError as error:
            raise reading.faults.of_exception(error) from None
        reading.attempt.request_id = events.response.headers.get("request-id", "")
        async with events:
            async for event in self._events(events, reading):
                for said in reading.take(event):
                    yield said
                if reading.ended:
                    break
            if not reading.ended:
                raise reading.attempt.truncated("the stream ended without its terminal event")
            await _drain(events)
        response = await reading.finish(streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def count_tokens(self, request: LLMRequest) -> int:
        """As the service counts them: one request, nothing is billed."""
        body = body_of(request, self.provider)
        counted = {key: value for key, value in body.content.items() if key in _COUNTED}
        try:
            count = await self._sdk.post(
                "/v1/messages/count_tokens", cast_to=object, body=counted, options={"headers": body.headers}
            )
        except anthropic.AnthropicError as error:
            raise self._faults(request.model).of_exception(error) from None
        return count_of(count, "input_tokens") if isinstance(count, dict) else 0

    async def list_models(self) -> Sequence[ListedModel]:
        listed: list[ListedModel] = []
        after: dict[str, object] = {}
        while True:
            page = await self._models({"limit": MODELS_PAGE, **after})
            listed += [_listed(model) for model in objects(page.get("data"))]
            last = text_of(page, "last_id")
            if page.get("has_more") is not True or not last or after.get("after_id") == last:
                return listed
            after = {"after_id": last}

    async def health(self) -> Health:
        return await healthy(lambda: self._models({"limit": 1}))

    async def _models(self, query: Mapping[str, object]) -> Mapping[str, Json]:
        try:
            page = await self._sdk.get("/v1/models", cast_to=object, options={"params": query})
        except anthropic.AnthropicError as error:
            raise self._faults("").of_exception(error) from None
        return page if isinstance(page, dict) else {}

    async def _events(self, events: AsyncStream[object], reading: Reading) -> AsyncGenerator[Mapping[str, Json]]:
        """The events that are JSON objects; a stream that breaks is a truncated one."""
        try:
            async for event in events:
                if isinstance(event, dict):
                    yield event
        except anthropic.APIStatusError as error:
            raise reading.attempt.billed(reading.faults.of_exception(error, reading.attempt.request_id)) from None
        except httpx2.TimeoutException:
            raise reading.attempt.silent(self._timeout) from None
        except httpx2.HTTPError as error:
            cause = type(error).__name__
            raise reading.attempt.truncated(f"the connection broke in the middle of the stream: {cause}") from None
        except ValueError as error:
            raise reading.attempt.invalid(f"an event of the stream is not JSON: {type(error).__name__}") from None

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> Reading:
        return Reading(self.begin(request, notes), self._faults(request.model), self.provider)

    def _faults(self, model: str) -> AnthropicFaults:
        return AnthropicFaults(self.provider, model, self._key.get_secret_value())


# Our names of what a model can do, and the API's. Every Claude model calls tools and caches.
_ABILITIES = {
    "images": "image_input",
    "documents": "pdf_input",
    "schema": "structured_outputs",
    "reasoning": "thinking",
}


def _listed(model: Mapping[str, Json]) -> ListedModel:
    return ListedModel(
        name=text_of(model, "id"),
        context_window=count_of(model, "max_input_tokens") or None,
        output_tokens_max=count_of(model, "max_tokens") or None,
        shutdown_on=date_of(model, "retires_at"),
        can=flags_of(object_of(model, "capabilities"), _ABILITIES),
    )


async def _drain(events: AsyncStream[object]) -> None:
    with suppress(TimeoutError, anthropic.AnthropicError, httpx2.HTTPError, ValueError):
        async with asyncio.timeout(DRAIN_TIMEOUT.total_seconds()):
            async for _ in events:
                pass
