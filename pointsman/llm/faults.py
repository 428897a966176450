"""What providers report instead of an answer, as our errors: by HTTP status and code, or by code alone in a stream.

Each provider adds its codes. Errors are raised without their cause: an SDK's keeps the request, and its text may
repeat the key.
"""

import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import ClassVar

from pointsman.llm.errors import (
    AuthenticationError,
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
ByText = tuple[tuple[re.Pattern[str], type[ProviderError]], ...]

BY_STATUS: Mapping[int, type[ProviderError]] = {
    401: AuthenticationError,
    402: AuthenticationError,
    403: AuthenticationError,
    408: ProviderTimeoutError,
    409: ProviderOverloadedError,
    425: ProviderOverloadedError,
    429: RateLimitedError,
}
_KEY = re.compile(r"\b(?:(?:sk|sess|pk)-|AIza|AKIA|ASIA)[\w*.\-]{4,}")
_RETIRED = re.compile(r"\b(deprecated|retired|shut down|no longer available)\b", re.IGNORECASE)


_CAUSES: tuple[tuple[type[BaseException], str], ...] = (
    (ConnectionRefusedError, "nobody listens there (ConnectionRefusedError)"),
    (socket.gaierror, "the host's name has no address (gaierror)"),
    (ssl.SSLError, "TLS could not be agreed on (SSLError)"),
)


class Faults:
    """For one provider, one model and one key."""

    by_code: ClassVar[Mapping[str, type[ProviderError]]] = {}
    """The provider's own codes; they say more than a status does."""
    by_text: ClassVar[ByText] = ()
    """What a reason says where no code does."""
    vague: ClassVar[frozenset[str] | None] = None
    """Codes that leave it to the reason; None: those that are not known."""

    def __init__(self, provider: str, model: str, key: str) -> None:
        self._provider = provider
        self._model = model
        self._key = key

    def of_status(
        self, status: int, code: str, reason: str, headers: Mapping[str, str], request_id: str = ""
    ) -> ProviderError:
        """What the provider answered instead of a response."""
        kind = self.kind_of(code, reason) or BY_STATUS.get(status)
        if kind is None:
            kind = ProviderOverloadedError if status >= 500 else InvalidRequestError
        if kind is ModelNotAllowedError and _RETIRED.search(reason):
            kind = ModelRetiredError
        if kind is InvalidRequestError and status < 400:
            kind = InvalidResponseError
        waits = retry_after(headers) if kind.retryable else None
        return self.make(kind, f"HTTP {status}: {reason}", code=code, request_id=request_id, waits=waits)

    def kind_of(self, code: str, reason: str) -> type[ProviderError] | None:
        """The error that code and reason name; none where they leave it to the status."""
        named = self.by_code.get(code)
        if code not in self.vague if self.vague is not None else named is not None:
            return named
        return next((kind for pattern, kind in self.by_text if pattern.search(reason)), named)

    def timed_out(self, request_id: str = "") -> ProviderError:
        return self.make(ProviderTimeoutError, "no answer in time", request_id=request_id)

    def not_reached(self, cause: BaseException | None, request_id: str = "") -> ProviderError:
        """Names the kind of the cause only: its text may hold the request."""
        return self.make(ProviderConnectionError, f"the connection failed: {_cause_of(cause)}", request_id=request_id)

    def safe(self, text: str) -> str:
        """The text without anything that looks like a key, at most 500 characters."""
        hidden = text.replace(self._key, "***") if self._key else text
        return clean(_KEY.sub("***", hidden))[:REASON_CHARS_MAX]

    def make(
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


def _cause_of(error: BaseException | None) -> str:
    """What is at the bottom of it: SDKs and transports wrap it, and some call every failure to connect a time-out."""
    cause = error
    while cause is not None:
        if "Proxy" in type(cause).__name__:
            return f"{type(cause).__name__}, the proxy did not let it through"
        for kind, told in _CAUSES:
            if isinstance(cause, kind):
                return told
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__ if error else "no cause given"


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
