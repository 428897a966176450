"""Mistral's chat API, through the official SDK.

The SDK does the key, the requests and its errors. Answers are read as JSON beside it: it refuses whatever it does not
know, and its streams end the same whether they are whole or cut. It has no retries of its own unless told so.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import timedelta
from typing import Protocol, cast

from mistralai.client import Mistral
from mistralai.client.models import CompletionEvent
from mistralai.client.utils.eventstreaming import EventStreamAsync
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.completion_stream import chunks
from pointsman.llm.completions import Completion
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.lenient import count_of, date_of, flags_of, object_of, objects, text_of
from pointsman.llm.providers.mistral.faults import FAILURES, request_id_of
from pointsman.llm.providers.mistral.request import body_of
from pointsman.llm.providers.mistral.sdk import MistralSdk, json_of
from pointsman.llm.types import LLMRequest, LLMResponse


class _Chat(Protocol):
    """The SDK's chat, for bodies that are JSON."""

    async def complete_async(self, **body: Json) -> object: ...

    async def stream_async(self, **body: Json) -> EventStreamAsync[CompletionEvent]: ...


class MistralChat(LLMClient):
    """Mistral under one key. `base_url` is the server's, with `/v1` or without.

    `timeout` is the longest silence: from the request to its answer, and between two pieces of a stream.
    """

    provider = "mistral"

    def __init__(
        self, api_key: SecretStr, base_url: str | None = None, timeout: timedelta = timedelta(seconds=60)
    ) -> None:
        self._sdk = MistralSdk(api_key, base_url, timeout)

    def __repr__(self) -> str:
        return f"MistralChat({self._sdk.where})"

    async def aclose(self) -> None:
        await self._sdk.aclose()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        body, notes = body_of(request, self.provider)
        reading = self._reading(request, notes)
        response = await self._sdk.answer(lambda sdk: _chat(sdk).complete_async(**body), request.model)
        reading.attempt.request_id = request_id_of(response.headers)
        completion = json_of(response)
        if completion is None:
            raise reading.attempt.invalid(f"{len(response.content)} bytes where a JSON object belongs")
        reading.take_whole(completion)
        return await reading.finish(streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        body, notes = body_of(request, self.provider)
        reading = self._reading(request, notes)
        try:
            events = await _chat(self._sdk.client).stream_async(**body)
        except FAILURES as error:
            raise self._sdk.faults(request.model).of_exception(error) from None
        reading.attempt.request_id = request_id_of(events.response.headers)
        async with events, aclosing(chunks(events.response, reading, self._sdk.timeout)) as told:
            async for chunk in told:
                for said in reading.take(chunk):
                    yield said
        response = await reading.finish(streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def list_models(self) -> Sequence[ListedModel]:
        listed = json_of(await self._sdk.answer(lambda sdk: sdk.models.list_async(), "")) or {}
        return [
            ListedModel(
                name=text_of(model, "id"),
                context_window=count_of(model, "max_context_length") or None,
                shutdown_on=date_of(model, "deprecation"),
                can=flags_of(object_of(model, "capabilities"), _ABILITIES),
                answers=flags_of(object_of(model, "capabilities"), _CHAT).get("chat"),
            )
            for model in objects(listed.get("data"))
        ]

    async def health(self) -> Health:
        return await healthy(self.list_models)

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> Completion:
        attempt, faults = self.begin(request, notes), self._sdk.faults(request.model)
        return Completion(attempt, self.provider, lambda body: faults.of_body(body, attempt.request_id))


def _chat(sdk: Mistral) -> _Chat:
    return cast(_Chat, sdk.chat)


_ABILITIES = {"tools": "function_calling", "images": "vision", "reasoning": "reasoning"}
_CHAT = {"chat": "completion_chat"}
