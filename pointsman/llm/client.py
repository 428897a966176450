"""The base of every provider's adapter."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import ClassVar, Self

from pointsman.llm.types import LLMRequest, LLMResponse, StreamEvent


class LLMClient(ABC):
    """One provider under one key. Makes exactly one attempt per call: whoever calls owns the retries.

    Every failure is a `ProviderError`. Cancelling a call, or closing its stream, closes the connection, which
    tells the provider to stop.
    """

    provider: ClassVar[str]

    @abstractmethod
    async def complete(self, request: LLMRequest) -> LLMResponse:
        """The whole answer at once."""

    @abstractmethod
    def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        """The answer as it comes. A stream that ends well ends with `StreamFinished`, all others raise."""

    @abstractmethod
    async def aclose(self) -> None:
        """Give the connections back. Calls under way fail."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
