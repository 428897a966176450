"""Google's faults as ours: the codes of its APIs, what the SDK and aiohttp raise, and what its streams report."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

import aiohttp
from google.genai import errors as sdk

from pointsman.contracts.base import Json
from pointsman.llm.errors import (
    AuthenticationError,
    ContextWindowExceededError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotAllowedError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from pointsman.llm.faults import Faults
from pointsman.llm.lenient import object_of, objects, text_of

FAILURES = (sdk.APIError, aiohttp.ClientError, TimeoutError, OSError, ValueError, AttributeError, TypeError)
"""All that a call of the SDK over aiohttp may raise; the last two where an answer has another shape than it thinks."""

_TOO_LONG = re.compile(r"token count\b.*\bexceeds|exceeds the maximum number of tokens", re.IGNORECASE | re.DOTALL)
_SPENT = re.compile(r"credits are depleted|spend(?:ing)? (?:cap|limit)", re.IGNORECASE)
_DELAY = re.compile(r"(\d{1,7}(?:\.\d{1,9})?)s")


class GeminiFaults(Faults):
    by_code: ClassVar[Mapping[str, type[ProviderError]]] = {
        # Canonical codes (google.rpc.Code); most of them say no more than the status.
        "ABORTED": ProviderOverloadedError,
        "CANCELLED": ProviderOverloadedError,
        "DEADLINE_EXCEEDED": ProviderTimeoutError,
        "FAILED_PRECONDITION": AuthenticationError,  # a region or a plan that this may not be used from
        "INTERNAL": ProviderOverloadedError,
        "INVALID_ARGUMENT": InvalidRequestError,
        "NOT_FOUND": ModelNotAllowedError,
        "OUT_OF_RANGE": InvalidRequestError,
        "PERMISSION_DENIED": AuthenticationError,
        "RESOURCE_EXHAUSTED": RateLimitedError,
        "UNAUTHENTICATED": AuthenticationError,
        "UNAVAILABLE": ProviderOverloadedError,
        # Reasons (google.rpc.ErrorInfo): a wrong key comes as INVALID_ARGUMENT.
        "API_KEY_EXPIRED": AuthenticationError,
        "API_KEY_INVALID": AuthenticationError,
        "API_KEY_SERVICE_BLOCKED": AuthenticationError,
        "BILLING_DISABLED": AuthenticationError,
        "CONSUMER_SUSPENDED": AuthenticationError,
        "SERVICE_DISABLED": AuthenticationError,
    }

    def of_exception(self, error: BaseException, request_id: str = "") -> ProviderError:
        """What the SDK raised, or aiohttp below it."""
        if isinstance(error, sdk.APIError):
            headers = headers_of(error.response)
            request_id = request_id_of(headers) or request_id
            details = error.details if isinstance(error.details, dict) else {}
            return self.of_error(details, headers, request_id, error.code)
        if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ConnectionTimeoutError):
            return self.timed_out(request_id)
        if isinstance(error, aiohttp.ClientError | OSError):
            return self.not_reached(error, request_id)
        if type(error) is ValueError:
            return self.make(InvalidRequestError, f"the SDK refuses the request: {error}", request_id=request_id)
        # The text of the others repeats what could not be read.
        reason = f"the answer is none of this API: {type(error).__name__}"
        return self.make(InvalidResponseError, reason, request_id=request_id)

    def of_error(
        self, body: Mapping[str, Json], headers: Mapping[str, str], request_id: str, status: int = 0
    ) -> ProviderError:
        """An error in Google's envelope, or without it, as proxies have it."""
        error = object_of(body, "error") or body
        told = error.get("code")
        status = status or (told if isinstance(told, int) and not isinstance(told, bool) else 0) or 500
        details = list(objects(error.get("details")))
        reasons = [text_of(detail, "reason") for detail in details]
        code = next((reason for reason in reasons if reason in self.by_code), text_of(error, "status"))
        found = self.of_status(status, code, text_of(error, "message") or code or "no reason", headers, request_id)
        if found.retryable and found.retry_after is None:
            found.retry_after = _retry_delay(details)
        return found

    def kind_of(self, code: str, reason: str) -> type[ProviderError] | None:
        kind = super().kind_of(code, reason)
        if kind is InvalidRequestError and _TOO_LONG.search(reason):
            return ContextWindowExceededError
        return AuthenticationError if kind is RateLimitedError and _SPENT.search(reason) else kind


def headers_of(response: object) -> Mapping[str, str]:
    """The headers of what the SDK hands out as response, with names in small letters."""
    headers = getattr(response, "headers", None)
    return {str(name).lower(): str(value) for name, value in headers.items()} if headers else {}


def request_id_of(headers: Mapping[str, str]) -> str:
    return headers.get("x-request-id") or headers.get("x-goog-request-id") or ""


def _retry_delay(details: list[Mapping[str, Json]]) -> timedelta | None:
    """`google.rpc.RetryInfo`: when to come back, in seconds with up to nine decimals."""
    for detail in details:
        found = _DELAY.fullmatch(text_of(detail, "retryDelay"))
        if found and text_of(detail, "@type").endswith("google.rpc.RetryInfo"):
            return timedelta(seconds=float(found[1]))
    return None
