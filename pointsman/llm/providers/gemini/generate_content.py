"""Google's Gemini API, version v1, through the official SDK with its retries off, over aiohttp.

The SDK does the key, the addresses and its errors. What it does on its own is off: calling functions, going on after a
limit, trying again. Bodies go past it as JSON, in both directions: its objects know the fields of yesterday only, and a
stream that it reads keeps its connection until the garbage collector comes by.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import timedelta

import aiohttp
from google.genai import types as sdk
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.attempt import Attempt
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.errors import AuthenticationError, InvalidResponseError
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.lenient import objects
from pointsman.llm.providers.gemini.contents import Object
from pointsman.llm.providers.gemini.faults import FAILURES, GeminiFaults, headers_of, request_id_of
from pointsman.llm.providers.gemini.reply import Reading
from pointsman.llm.providers.gemini.request import Body, body_of, wire_names
from pointsman.llm.providers.gemini.sdk import CONNECT_TIMEOUT, GeminiSdk
from pointsman.llm.sse import EventReader
from pointsman.llm.types import LLMRequest, LLMResponse

# The end of the body follows the last response at once; waiting for it lets the connection be used again.
DRAIN_TIMEOUT = timedelta(milliseconds=250)
MODELS_PER_PAGE = 1_000
_COUNTED = ("contents", "systemInstruction", "tools", "toolConfig", "generationConfig")
# The SDK insists on contents; those of the body take their place.
_CONTENTS = "."

_takes_stream: ContextVar[bool] = ContextVar("takes_stream", default=False)


class GeminiGenerateContent(LLMClient):
    """Google's Gemini API under one key.

    `timeout` is the longest silence: from the request to its answer, and between two pieces of a stream.
    `connect_timeout` is how long a connection may take.
    """

    provider = "gemini"

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
        connect_timeout: timedelta = CONNECT_TIMEOUT,
    ) -> None:
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=self.provider)
        self._key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._sdk = GeminiSdk(api_key, base_url, connect_timeout, _hand_over)

    def __repr__(self) -> str:
        return f"GeminiGenerateContent(base_url={self._base_url!r}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        await self._sdk.aclose()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        body = body_of(request, self.provider)
        reading = self._reading(request, body.notes)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                answered = await self._sdk.models().generate_content(
                    model=request.model,
                    contents=_CONTENTS,
                    config=_config(body.content, is_streamed=False),
                )
        except FAILURES as error:
            raise reading.failed(error) from None
        http = answered.sdk_http_response
        headers = headers_of(http)
        reading.attempt.request_id = request_id_of(headers)
        text = (http.body if http is not None else None) or ""
        for _ in reading.take(_read(text, reading.attempt, headers.get("content-type", "nothing"))):
            pass
        return await reading.finish(streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        body = body_of(request, self.provider)
        reading = self._reading(request, body.notes)
        response = await self._open(request, body, reading)
        try:
            reading.attempt.request_id = request_id_of(headers_of(response))
            async for piece in self._pieces(response, reading):
                for said in reading.take(piece):
                    yield said
            if not reading.is_complete:
                raise reading.attempt.truncated("the stream ended without a finish reason")
        finally:
            response.close()
        answer = await reading.finish(streamed=True)
        yield UsageReported(usage=answer.usage)
        yield StreamFinished(response=answer)

    async def count_tokens(self, request: LLMRequest) -> int:
        """As the service counts them: one request, nothing is billed."""
        body = body_of(request, self.provider).content
        whole: Object = {"model": f"models/{request.model.removeprefix('models/')}"}
        whole |= {key: body[key] for key in _COUNTED if key in body}
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                counted = await self._sdk.models().count_tokens(
                    model=request.model,
                    contents=_CONTENTS,
                    config={"http_options": {"extra_body": {"contents": [], "generateContentRequest": whole}}},
                )
        except FAILURES as error:
            raise self._faults(request.model).of_exception(error) from None
        if counted.total_tokens is None or counted.total_tokens < 0:
            raise self._faults(request.model).make(InvalidResponseError, "a count of tokens without the count")
        return counted.total_tokens

    async def list_models(self) -> Sequence[ListedModel]:
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                pages = await self._sdk.models().list(config={"page_size": MODELS_PER_PAGE})
                return [_listed(model) async for model in pages]
        except FAILURES as error:
            raise self._faults("").of_exception(error) from None

    async def health(self) -> Health:
        return await healthy(self.list_models)

    async def _open(self, request: LLMRequest, body: Body, reading: Reading) -> aiohttp.ClientResponse:
        """The response of a stream, of which nothing is read yet."""
        token = _takes_stream.set(True)
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                chunks = await self._sdk.models().generate_content_stream(
                    model=request.model, contents=_CONTENTS, config=_config(body.content, is_streamed=True)
                )
                await anext(chunks)
        except _Opened as opened:
            return opened.response
        except FAILURES as error:
            raise reading.failed(error) from None
        finally:
            _takes_stream.reset(token)
        raise reading.attempt.invalid("the SDK read the stream itself")

    async def _pieces(self, response: aiohttp.ClientResponse, reading: Reading) -> AsyncIterator[Mapping[str, Json]]:
        """The responses of the stream, and an error that stands between them."""
        events = EventReader()
        while data := await self._more(response, reading):
            for event in events.feed(data):
                yield _read(event, reading.attempt, "an event of the stream")
        events.finish()
        if events.stray.strip() and not reading.is_complete:
            yield _read(events.stray, reading.attempt, "what stands beside the events")

    async def _more(self, response: aiohttp.ClientResponse, reading: Reading) -> bytes:
        """The next bytes, none at the end. After the last response nothing that goes wrong matters any more."""
        limit = DRAIN_TIMEOUT if reading.is_complete else self._timeout
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return await response.content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            if reading.is_complete:
                return b""
            if isinstance(error, TimeoutError):
                raise reading.attempt.silent(self._timeout) from None
            cause = f"the connection broke in the middle of the stream: {type(error).__name__}"
            raise reading.attempt.truncated(cause) from None

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> Reading:
        return Reading(self.begin(request, notes), self._faults(request.model), self.provider, wire_names(request))

    def _faults(self, model: str) -> GeminiFaults:
        return GeminiFaults(self.provider, model, self._key.get_secret_value())


class _Opened(Exception):
    """Carries the response of a stream past the SDK's own reading of it."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        super().__init__()
        self.response = response


async def _hand_over(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware of the session: a stream that opens well goes to us, errors go to the SDK."""
    response = await handler(request)
    if _takes_stream.get() and response.status == 200:
        raise _Opened(response)
    return response


def _config(body: Object, *, is_streamed: bool) -> sdk.GenerateContentConfigDict:
    """As a mapping, because the SDK copies all of an object before it is used."""
    return {
        "automatic_function_calling": {"disable": True},
        "automatic_continuation": False,
        "should_return_http_response": not is_streamed,
        "http_options": {"extra_body": body},
    }


def _read(text: str | bytes, attempt: Attempt, what: str) -> Mapping[str, Json]:
    """The JSON object; of a list, as older front ends send it, the first."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, list):
        found = next(objects(found), None)
    if not isinstance(found, dict):
        raise attempt.invalid(f"{len(text)} bytes of {what} where a JSON object belongs")
    return found


def _listed(model: sdk.Model) -> ListedModel:
    name = (model.name or "").removeprefix("models/")
    return ListedModel(
        name=name,
        context_window=model.input_token_limit,
        output_tokens_max=model.output_token_limit,
        can={} if model.thinking is None else {"reasoning": model.thinking},
        answers=None if model.supported_actions is None else "generateContent" in model.supported_actions,
    )
