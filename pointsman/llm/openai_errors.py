"""OpenAI's faults as ours: by HTTP status and code, or by code alone where they come inside a stream.

Errors are raised without their cause: the SDK's keeps the request, and its text may repeat the key.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2
import openai

from pointsman.llm.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextWindowExceededError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotAllowedError,
    ModelRetiredError,
    ProviderConnectionError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from pointsman.llm.structured import clean

REASON_CHARS_MAX = 500

_BY_CODE: Mapping[str, type[ProviderError]] = {
    "billing_hard_limit_reached": AuthenticationError,
    "bio_policy": ContentRefusedError,
    "content_filter": ContentRefusedError,
    "content_policy_violation": ContentRefusedError,
    "context_length_exceeded": ContextWindowExceededError,
    "cyber_policy": ContentRefusedError,
    "image_content_policy_violation": ContentRefusedError,
    "insufficient_quota": AuthenticationError,
    "invalid_api_key": AuthenticationError,
    "invalid_prompt": ContentRefusedError,
    "misalignment_policy_violation": ContentRefusedError,
    "model_not_found": ModelNotAllowedError,
    "rate_limit_exceeded": RateLimitedError,
    "server_error": ProviderOverloadedError,
    "server_is_overloaded": ProviderOverloadedError,
    "slow_down": ProviderOverloadedError,
    "vector_store_timeout": ProviderTimeoutError,
}
_BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationError,
    402: AuthenticationError,
    403: AuthenticationError,
    408: ProviderTimeoutError,
    409: ProviderOverloadedError,
    425: ProviderOverloadedError,
    429: RateLimitedError,
}
_KEY = re.compile(r"\b(?:sk|sess|pk)-[\w*.\-]{4,}")
_RETRY_HINT = re.compile(r"try again in (\d+(?:\.\d+)?)\s?(ms|s)\b", re.IGNORECASE)
_RETIRED = re.compile(r"\b(deprecated|retired|shut down|no longer available)\b", re.IGNORECASE)


class OpenAIFaults:
    """Turns what the SDK raises, and what a stream reports, into our errors, for one key and one model."""

    def __init__(self, provider: str, model: str, key: str) -> None:
        self._provider = provider
        self._model = model
        self._key = key

    def of_exception(self, error: openai.OpenAIError, request_id: str = "") -> ProviderError:
        """What the SDK raised."""
        if is_silence(error):
            return self._make(ProviderTimeoutError, "no answer in time", request_id=request_id)
        if isinstance(error, openai.APIConnectionError):
            cause = type(error.__cause__).__name__ if error.__cause__ else "no cause given"
            return self._make(ProviderConnectionError, f"the connection failed: {cause}", request_id=request_id)
        if isinstance(error, openai.APIStatusError):
            return self.of_status(
                error.status_code, error.code or "", error.message, error.response.headers, error.request_id or ""
            )
        if isinstance(error, openai.APIError):
            return self.of_code(error.code or error.type or "", error.message, request_id)
        return self._make(InvalidRequestError, str(error), request_id=request_id)

    def of_status(
        self, status: int, code: str, reason: str, headers: Mapping[str, str], request_id: str
    ) -> ProviderError:
        """What the provider answered instead of a response."""
        kind = _BY_CODE.get(code) or _BY_STATUS.get(status)
        if kind is None:
            kind = ProviderOverloadedError if status >= 500 else InvalidRequestError
        if kind is ModelNotAllowedError and _RETIRED.search(reason):
            kind = ModelRetiredError
        if kind is InvalidRequestError and status < 400:
            kind = InvalidResponseError
        waits = retry_after(headers) if kind.retryable else None
        return self._make(kind, f"HTTP {status}: {reason}", code=code, request_id=request_id, waits=waits)

    def of_code(self, code: str, reason: str, request_id: str) -> ProviderError:
        """What came inside a stream, or in a response that failed: there is no status, and nothing to wait for."""
        kind = _BY_CODE.get(code)
        if kind is None:
            known = code.startswith(("invalid_", "image_", "unsupported_", "empty_", "failed_to_", "data_residency"))
            kind = InvalidRequestError if known else ProviderOverloadedError
        hint = _RETRY_HINT.search(reason) if kind is RateLimitedError else None
        waits = None
        if hint:
            waits = timedelta(**{"milliseconds" if hint[2].lower() == "ms" else "seconds": float(hint[1])})
        return self._make(kind, reason or "the response failed", code=code, request_id=request_id, waits=waits)

    def safe(self, text: str) -> str:
        """The text without anything that looks like a key, at most 500 characters."""
        hidden = text.replace(self._key, "***") if self._key else text
        return clean(_KEY.sub("***", hidden))[:REASON_CHARS_MAX]

    def _make(
        self,
        kind: type[ProviderError],
        reason: str,
        *,
        code: str = "",
        request_id: str = "",
        waits: timedelta | None = None,
    ) -> ProviderError:
        error = kind(self.safe(reason), provider=self._provider, model=self._model, request_id=request_id)
        error.code = self.safe(code)
        error.retry_after = waits
        return error


def is_silence(error: openai.OpenAIError) -> bool:
    """Whether the provider was reached and said nothing. Over aiohttp the SDK calls a refused connection a time-out."""
    return isinstance(error, openai.APITimeoutError) and not isinstance(error.__cause__, httpx2.ConnectTimeout)


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> timedelta | None:
    """When the provider wants the next attempt: `retry-after-ms`, or `Retry-After` in seconds or as a date."""
    if (wait := _number(headers.get("retry-after-ms"))) is not None:
        return timedelta(milliseconds=wait)
    text = headers.get("retry-after")
    if (wait := _number(text)) is not None:
        return timedelta(seconds=wait)
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(timedelta(0), date - (now or datetime.now(UTC)))


def _number(text: str | None) -> float | None:
    """A wait of 0 to 10,000,000; anything else is not taken for one."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if 0 <= value <= 10_000_000 else None
