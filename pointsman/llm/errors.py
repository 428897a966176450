"""What can go wrong with a model call: the same failure is the same error at every provider.

Each error says whether another attempt can help (`retryable`), when (`retry_after`), and what the failed attempt
was billed (`usage`), as far as the provider told. No message ever carries a key or the conversation.
"""

from datetime import date, timedelta
from typing import ClassVar

from pointsman.llm.types import TokenUsage


class LLMError(Exception):
    """A model call that came to nothing."""


class ProviderError(LLMError):
    """A call to a provider that failed. `code` is the provider's own name of the fault."""

    retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        request_id: str = "",
        code: str = "",
        retry_after: timedelta | None = None,
        usage: TokenUsage | None = None,
    ) -> None:
        self.reason = message
        self.provider = provider
        self.model = model
        self.request_id = request_id
        self.code = code
        self.retry_after = retry_after
        self.usage = usage
        self.others: tuple[str, ...] = ()
        """Models that may take the request over, where it was an attempt of the service's and that can help."""
        super().__init__(message)

    def __str__(self) -> str:
        named = (("provider", self.provider), ("model", self.model), ("code", self.code), ("request", self.request_id))
        where = ", ".join(f"{name} {value}" for name, value in named if value)
        return f"{self.reason} ({where})" if where else self.reason


class RateLimitedError(ProviderError):
    """Too many requests or tokens for this key now."""

    retryable = True


class ProviderOverloadedError(ProviderError):
    """The provider has a fault of its own, or no capacity."""

    retryable = True


class ProviderTimeoutError(ProviderError):
    """No answer in time. The provider may go on and bill it."""

    retryable = True


class ProviderConnectionError(ProviderError):
    """Not reached, or the connection broke."""

    retryable = True


class TruncatedStreamError(ProviderError):
    """The stream ended without its terminal event. `received` is the text that had arrived: never a whole answer."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        received: str = "",
        provider: str = "",
        model: str = "",
        request_id: str = "",
        usage: TokenUsage | None = None,
    ) -> None:
        super().__init__(message, provider=provider, model=model, request_id=request_id, usage=usage)
        self.received = received


class InvalidResponseError(ProviderError):
    """The provider answered what its protocol does not allow."""

    retryable = True


class ContextWindowExceededError(ProviderError):
    """The conversation is longer than the model's window."""


class ContentRefusedError(ProviderError):
    """The provider's policy refuses this content, before any answer."""


class AuthenticationError(ProviderError):
    """The key is missing, wrong, expired, out of quota, or may not use this."""


class InvalidRequestError(ProviderError):
    """The provider says that the request is wrong."""


class BudgetExceededError(ProviderError):
    """The call might cost more than is left. Nothing was sent."""


class BooksUnavailableError(ProviderError):
    """What a call may cost could not be written down, so that no budget would hold. Nothing was sent."""

    retryable = True


class QueueFullError(ProviderError):
    """Too many calls wait for this provider already. Nothing was sent; `retry_after` is how long they wait."""


class CircuitOpenError(ProviderError):
    """The provider failed too often lately; until `retry_after` it is not asked. Nothing was sent."""

    retryable = True


class ModelNotAllowedError(ProviderError):
    """The model is not on the list of allowed models, or does not exist for this key."""


class ModelRetiredError(ProviderError):
    """The model is gone since `since`; `replacement` takes its place."""

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        model: str = "",
        request_id: str = "",
        replacement: str = "",
        since: date | None = None,
    ) -> None:
        super().__init__(message, provider=provider, model=model, request_id=request_id)
        self.replacement = replacement
        self.since = since
