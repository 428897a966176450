"""Mistral's faults as ours: its types and codes, what its SDK raises, and what its streams report."""

import json
import re
from collections.abc import Mapping
from typing import ClassVar

import httpx2
from mistralai.client.errors import MistralError, NoResponseError, ResponseValidationError

from pointsman.contracts.base import Json
from pointsman.llm.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextWindowExceededError,
    InvalidResponseError,
    ModelNotAllowedError,
    ProviderError,
    ProviderOverloadedError,
    RateLimitedError,
)
from pointsman.llm.faults import ByText, Faults
from pointsman.llm.lenient import object_of, objects, text_of

# What the SDK lets through: its own errors, and those of the transport as they are.
FAILURES = (MistralError, NoResponseError, httpx2.HTTPError)
_BY_TEXT: ByText = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"too large for model|maximum context length", ContextWindowExceededError),
        (r"invalid model|model .*\b(?:not exist|not found)\b", ModelNotAllowedError),
    )
)


class MistralFaults(Faults):
    by_text = _BY_TEXT
    by_code: ClassVar[Mapping[str, type[ProviderError]]] = {
        "guardrail_violation": ContentRefusedError,
        "internal_server_error": ProviderOverloadedError,
        "invalid_model": ModelNotAllowedError,
        "rate_limited": RateLimitedError,
        "service_tier_capacity_exceeded": ProviderOverloadedError,
        "unauthorized": AuthenticationError,
    }

    def of_exception(self, error: Exception, request_id: str = "") -> ProviderError:
        """What the SDK raised, one of `FAILURES`."""
        if isinstance(error, MistralError):
            return self._of_answer(error)
        if isinstance(error, httpx2.TimeoutException) and not isinstance(error, httpx2.ConnectTimeout):
            return self.timed_out(request_id)
        return self.not_reached(error, request_id)

    def of_body(self, body: Mapping[str, Json], request_id: str) -> ProviderError:
        """What came in place of a chunk, or of an answer under a status of success: there is nothing to wait for."""
        error = object_of(body, "error") or body
        code, reason = text_of(error, "type"), reason_of(error) or "the answer is an error"
        kind = self.kind_of(code, reason) or ProviderOverloadedError
        return self.make(kind, reason, code=code, request_id=request_id)

    def _of_answer(self, error: MistralError) -> ProviderError:
        request_id = request_id_of(error.headers)
        if isinstance(error, ResponseValidationError) and error.status_code < 400:
            reason = f"HTTP {error.status_code} with a body that is not of the protocol"
            return self.make(InvalidResponseError, reason, request_id=request_id)
        try:
            body = json.loads(error.body)
        except ValueError:
            body = None
        body = body if isinstance(body, dict) else {}
        kind = error.headers.get("content-type", "nothing")
        reason = reason_of(body) or f"{len(error.body)} characters of {kind} where an answer belongs"
        return self.of_status(error.status_code, text_of(body, "type"), reason, error.headers, request_id)


def request_id_of(headers: Mapping[str, str]) -> str:
    return headers.get("mistral-correlation-id") or headers.get("x-request-id") or ""


def reason_of(body: Mapping[str, Json]) -> str:
    """The text of an error, which stands in one of several places."""
    told = object_of(body, "message") or body
    detail = told.get("detail")
    if isinstance(detail, list):
        return "; ".join(_field(entry) for entry in objects(detail))
    return text_of(body, "message") or text_of(told, "detail") or text_of(body, "error")


def _field(wrong: Mapping[str, Json]) -> str:
    """One field that the service refuses. What was sent in it is not repeated."""
    where = wrong.get("loc")
    path = ".".join(str(step) for step in where) if isinstance(where, list) else ""
    return f"{path}: {text_of(wrong, 'msg')}" if path else text_of(wrong, "msg")
