"""Chat Completions, OpenAI's older API and the one that other servers speak: vLLM, Ollama, gateways.

Through the official SDK with its retries off, over aiohttp. The SDK does the key, the transport and its errors; answers
are read as JSON, because compatible servers say more, and less, than its objects know.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta

import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream
from pydantic import SecretStr

from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.completion_stream import chunks
from pointsman.llm.completions import Completion
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.lenient import count_of, date_of, objects, text_of
from pointsman.llm.providers.openai.chat_request import body_of
from pointsman.llm.providers.openai.faults import OpenAIFaults
from pointsman.llm.providers.openai.sdk import open_sdk
from pointsman.llm.types import LLMRequest, LLMResponse

PATH = "/chat/completions"


class OpenAIChat(LLMClient):
    """A server that speaks Chat Completions, under one key. An operator's own server has a `provider` of its own.

    `timeout` is the longest silence: from the request to its answer, and between two pieces of a stream. Servers that
    want no key get whatever is given.
    """

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
        provider: str = "openai",
        sdk: AsyncOpenAI | None = None,
    ) -> None:
        self.provider = provider
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=provider)
        self._key = api_key
        self._timeout = timeout
        self._sdk = sdk or open_sdk(api_key, base_url, timeout)

    def __repr__(self) -> str:
        where = f"provider={self.provider!r}, base_url={str(self._sdk.base_url)!r}"
        return f"OpenAIChat({where}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        await self._sdk.close()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        body, notes = body_of(request, self.provider)
        reading = self._reading(request, notes)
        try:
            http = await self._sdk.post(PATH, cast_to=httpx2.Response, body=body)
        except openai.OpenAIError as error:
            raise self._faults(request.model).of_exception(error) from None
        reading.attempt.request_id = http.headers.get("x-request-id", "")
        try:
            completion = http.json()
        except ValueError:
            completion = None
        if not isinstance(completion, dict):
            kind = http.headers.get("content-type", "nothing")
            raise reading.attempt.invalid(f"{len(http.content)} bytes of {kind} where a JSON object belongs")
        reading.take_whole(completion)
        return await reading.finish(streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        body, notes = body_of(request, self.provider)
        body |= {"stream": True, "stream_options": {"include_usage": True}}
        reading = self._reading(request, notes)
        try:
            events = await self._sdk.post(PATH, cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object])
        except openai.OpenAIError as error:
            raise self._faults(request.model).of_exception(error) from None
        reading.attempt.request_id = events.response.headers.get("x-request-id", "")
        async with events, aclosing(chunks(events.response, reading, self._timeout)) as told:
            async for chunk in told:
                for said in reading.take(chunk):
                    yield said
        response = await reading.finish(streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def list_models(self) -> Sequence[ListedModel]:
        try:
            listed = await self._sdk.get("/models", cast_to=object)
        except openai.OpenAIError as error:
            raise self._faults("").of_exception(error) from None
        found = objects(listed.get("data")) if isinstance(listed, dict) else ()
        return [
            ListedModel(
                name=text_of(model, "id"),
                context_window=count_of(model, "max_model_len") or None,  # vLLM tells it
                shutdown_on=date_of(model, "shutdown_date"),
            )
            for model in found
        ]

    async def health(self) -> Health:
        return await healthy(self.list_models)

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> Completion:
        attempt, faults = self.begin(request, notes), self._faults(request.model)
        return Completion(attempt, self.provider, lambda body: faults.of_body(body, attempt.request_id))

    def _faults(self, model: str) -> OpenAIFaults:
        return OpenAIFaults(self.provider, model, self._key.get_secret_value())
