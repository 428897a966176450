"""The base of every provider's adapter."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from datetime import date
from time import perf_counter
from types import TracebackType
from typing import Self

from pydantic import Field

from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import ProviderError
from pointsman.llm.estimates import estimate_tokens
from pointsman.llm.events import StreamEvent
from pointsman.llm.types import LLMRequest, LLMResponse, Value


class ListedModel(Value):
    """A model as its provider lists it; what a provider does not tell is None."""

    name: str
    context_window: int | None = None
    """Tokens."""
    output_tokens_max: int | None = None
    shutdown_on: date | None = None
    can: Mapping[str, bool] = Field(default_factory=dict)
    """What it says that it can do or cannot, by the names of `registry.Ability`; the rest is not told."""
    answers: bool | None = None
    """Whether it is asked as a chat model is. False: it draws, speaks, transcribes, makes embeddings."""


class Health(Value):
    """Whether the provider answers now, under this key."""

    ok: bool
    latency_ms: float = 0.0
    reason: str = ""
    """Why it does not; empty when it does."""


class LLMClient(ABC):
    """One provider under one key. Makes exactly one attempt per call: whoever calls owns the retries.

    Every failure is a `ProviderError`. Cancelling a call, or closing its stream, closes the connection, which
    tells the provider to stop. A complete adapter, for a server that speaks text over Chat Completions:

        class SmallChat(LLMClient):
            provider = "small"

            def __init__(self, key: SecretStr, base_url: str, timeout: timedelta) -> None:
                self._key, self._timeout = key.get_secret_value(), timeout
                headers = {"authorization": f"Bearer {self._key}"}
                self._http = httpx2.AsyncClient(
                    base_url=base_url, headers=headers, timeout=timeout.total_seconds(), verify=tls_context()
                )

            async def complete(self, request: LLMRequest) -> LLMResponse:
                reading = self._reading(request)
                async with self._open(request, reading) as http:
                    reading.take_whole(await self._json(http, reading))
                return await reading.finish(streamed=False)

            async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
                reading = self._reading(request)
                counted = {"include_usage": True}
                async with self._open(request, reading, stream=True, stream_options=counted) as http:
                    async with aclosing(chunks(http, reading, self._timeout)) as told:
                        async for chunk in told:
                            for event in reading.take(chunk):
                                yield event
                response = await reading.finish(streamed=True)
                yield UsageReported(usage=response.usage)
                yield StreamFinished(response=response)

            async def list_models(self) -> Sequence[ListedModel]:
                reading = self._reading(LLMRequest(messages=(text_message(Role.USER, ""),)))
                async with self._sent("GET", "/models", None, reading) as http:
                    listed = await self._json(http, reading)
                return [ListedModel(name=text_of(model, "id")) for model in objects(listed.get("data"))]

            async def health(self) -> Health:
                return await healthy(self.list_models)

            async def aclose(self) -> None:
                await self._http.aclose()

            def _reading(self, request: LLMRequest) -> Completion:
                faults = Faults(self.provider, request.model, self._key)
                return Completion(
                    self.begin(request),
                    self.provider,
                    lambda body: faults.make(ProviderOverloadedError, text_of(object_of(body, "error"), "message")),
                )

            def _open(self, request: LLMRequest, reading: Completion, **more: Json) -> AsyncContextManager[Response]:
                told = [{"role": message.role.value, "content": message.text} for message in request.messages]
                body = {"model": request.model, "messages": told, **more}
                if request.max_tokens:
                    body["max_completion_tokens"] = request.max_tokens
                return self._sent("POST", "/chat/completions", body, reading)

            @asynccontextmanager
            async def _sent(self, method: str, path: str, body: Json, reading: Completion) -> AsyncGenerator[Response]:
                model = body.get("model", "") if isinstance(body, dict) else ""
                faults = Faults(self.provider, model, self._key)
                try:
                    http = await self._http.send(self._http.build_request(method, path, json=body), stream=True)
                except httpx2.TimeoutException:
                    raise faults.timed_out() from None
                except httpx2.HTTPError as error:
                    raise faults.not_reached(error) from None
                try:
                    reading.attempt.request_id = request_id = http.headers.get("x-request-id", "")
                    if http.status_code != 200:
                        error = object_of(await self._json(http, reading), "error")
                        code, reason = text_of(error, "code"), text_of(error, "message")
                        raise faults.of_status(http.status_code, code, reason, http.headers, request_id)
                    yield http
                finally:
                    await http.aclose()

            async def _json(self, http: Response, reading: Completion) -> Mapping[str, Json]:
                try:
                    found = json.loads(await http.aread())
                except ValueError:
                    found = None
                if not isinstance(found, dict):
                    raise reading.attempt.invalid("an answer that is no JSON object")
                return found

    `docs/llm/new-provider.md` goes on from here; `tests/llm/contract.py` says what every adapter promises.
    """

    provider: str
    """The name that its answers, errors, prices and states go by."""

    def begin(self, request: LLMRequest, notes: Sequence[str] = ()) -> Attempt:
        """The clock runs from here. `Attempt.answer` makes a response of whatever the provider answered."""
        return Attempt(self.provider, request, notes)

    @abstractmethod
    async def complete(self, request: LLMRequest) -> LLMResponse:
        """The whole answer at once."""

    @abstractmethod
    def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        """The answer as it comes. A stream that ends well ends with `StreamFinished`, all others raise."""

    @abstractmethod
    async def list_models(self) -> Sequence[ListedModel]:
        """The models that this key may use."""

    async def count_tokens(self, request: LLMRequest) -> int:
        """Tokens of the prompt: as the provider counts them where it does, else estimated, rather too many."""
        return estimate_tokens(request)

    @abstractmethod
    async def health(self) -> Health:
        """Ask for something that costs nothing. Never raises a `ProviderError`."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give the connections back. Calls under way fail."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


async def healthy(ask: Callable[[], Awaitable[object]]) -> Health:
    """The health that a call which costs nothing shows."""
    started = perf_counter()
    try:
        await ask()
    except ProviderError as error:
        return Health(ok=False, latency_ms=_ms_since(started), reason=str(error))
    return Health(ok=True, latency_ms=_ms_since(started))


def _ms_since(moment: float) -> float:
    return round((perf_counter() - moment) * 1000, 3)
