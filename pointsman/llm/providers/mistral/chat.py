"""Mistral's chat API, through the official SDK.

The SDK does the key, the requests and its errors. Answers are read as JSON beside it: it refuses whatever it does not
know, and its streams end the same whether they are whole or cut. It has no retries of its own unless told so.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from datetime import timedelta
from typing import Protocol, cast

import httpx2
from mistralai.client import Mistral
from mistralai.client.errors import ResponseValidationError
from mistralai.client.models import CompletionEvent
from mistralai.client.utils.eventstreaming import EventStreamAsync
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.client import Health, ListedModel, LLMClient, healthy
from pointsman.llm.completion_stream import chunks
from pointsman.llm.completions import Completion
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.events import StreamEvent, StreamFinished, UsageReported
from pointsman.llm.lenient import count_of, date_of, flags_of, object_of, objects, text_of
from pointsman.llm.providers.mistral.faults import FAILURES, MistralFaults, request_id_of
from pointsman.llm.providers.mistral.request import body_of
from pointsman.llm.tls import tls_context
from pointsman.llm.types import LLMRequest, LLMResponse

IDLE_CONNECTIONS_MAX = 100

_answers: ContextVar[list[httpx2.Response] | None] = ContextVar("answers", default=None)


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
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=self.provider)
        self._key = api_key
        self._base_url = base_url.rstrip("/").removesuffix("/v1") if base_url else None
        self._timeout = timeout
        # How many calls may run is not the transport's to decide.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=IDLE_CONNECTIONS_MAX)
        self._http = httpx2.AsyncClient(
            verify=tls_context(), limits=limits, follow_redirects=True, event_hooks={"response": [_keep]}
        )
        self._unused = httpx2.Client(verify=tls_context())  # the SDK wants one, and reads the certificates for its own
        self._sdk = Mistral(
            api_key=api_key.get_secret_value(),
            server_url=self._base_url,
            client=self._unused,
            async_client=self._http,
            retry_config=None,  # one owner of retries, and it is not the SDK
            timeout_ms=int(timeout.total_seconds() * 1000),
        )

    def __repr__(self) -> str:
        return f"MistralChat(base_url={self._base_url!r}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        self._unused.close()
        await self._http.aclose()

    async def complete(self, request: LLMRequest) -> LLMResponse:
        body, notes = body_of(request, self.provider)
        reading = self._reading(request, notes)
        response = await self._answer(lambda: self._chat.complete_async(**body), request.model)
        reading.attempt.request_id = request_id_of(response.headers)
        completion = _json_of(response)
        if completion is None:
            raise reading.attempt.invalid(f"{len(response.content)} bytes where a JSON object belongs")
        reading.take_whole(completion)
        return await reading.finish(streamed=False)

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        body, notes = body_of(request, self.provider)
        reading = self._reading(request, notes)
        try:
            events = await self._chat.stream_async(**body)
        except FAILURES as error:
            raise self._faults(request.model).of_exception(error) from None
        reading.attempt.request_id = request_id_of(events.response.headers)
        async with events, aclosing(chunks(events.response, reading, self._timeout)) as told:
            async for chunk in told:
                for said in reading.take(chunk):
                    yield said
        response = await reading.finish(streamed=True)
        yield UsageReported(usage=response.usage)
        yield StreamFinished(response=response)

    async def list_models(self) -> Sequence[ListedModel]:
        listed = _json_of(await self._answer(self._sdk.models.list_async, "")) or {}
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

    async def _answer(self, call: Callable[[], Awaitable[object]], model: str) -> httpx2.Response:
        """What was answered, as it came, whether the SDK can read it or not."""
        answers = list[httpx2.Response]()
        token = _answers.set(answers)
        try:
            await call()
        except FAILURES as error:
            if not isinstance(error, ResponseValidationError) or error.status_code >= 400:
                raise self._faults(model).of_exception(error) from None
        finally:
            _answers.reset(token)
        return answers[-1]

    @property
    def _chat(self) -> _Chat:
        return cast(_Chat, self._sdk.chat)

    def _reading(self, request: LLMRequest, notes: Sequence[str]) -> Completion:
        attempt, faults = self.begin(request, notes), self._faults(request.model)
        return Completion(attempt, self.provider, lambda body: faults.of_body(body, attempt.request_id))

    def _faults(self, model: str) -> MistralFaults:
        return MistralFaults(self.provider, model, self._key.get_secret_value())


# Our names of what a model can do, and the API's.
_ABILITIES = {"tools": "function_calling", "images": "vision", "reasoning": "reasoning"}
_CHAT = {"chat": "completion_chat"}


async def _keep(response: httpx2.Response) -> None:
    """Hook of the transport: keeps what was answered to the call that is under way in this task."""
    answers = _answers.get()
    if answers is not None:
        answers.append(response)


def _json_of(response: httpx2.Response) -> Mapping[str, Json] | None:
    """The JSON object that it is, if it is one."""
    try:
        found = response.json()
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
