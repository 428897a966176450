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
    tells the provider to stop.
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
