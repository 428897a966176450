"""Anthropic's faults as ours: its types and codes, what its SDK raises, and what its streams report."""

import re
from collections.abc import Mapping
from typing import ClassVar

import anthropic
import httpx2

from pointsman.contracts.base import Json
from pointsman.llm.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextWindowExceededError,
    InvalidRequestError,
    InvalidResponseError,
    ModelNotAllowedError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from pointsman.llm.faults import ByText, Faults
from pointsman.llm.lenient import object_of, text_of

# What vague codes leave to the text (Anthropic API, "Errors").
_BY_TEXT: ByText = tuple(
    (re.compile(pattern, re.IGNORECASE), kind)
    for pattern, kind in (
        (r"prompt is too long|exceeds? (?:the )?(?:model's )?context (?:limit|window)", ContextWindowExceededError),
        (r"credit balance is too low|(?:spend|usage) limits?\b", AuthenticationError),
        (r"content filtering policy", ContentRefusedError),
        (r"^model: |\bmodel\b.*\b(?:not exist|not found|not available)\b", ModelNotAllowedError),
    )
)
_VAGUE = frozenset({"not_found_error", "invalid_request_error", ""})


class AnthropicFaults(Faults):
    by_text, vague = _BY_TEXT, _VAGUE
    by_code: ClassVar[Mapping[str, type[ProviderError]]] = {
        "api_error": ProviderOverloadedError,
        "authentication_error": AuthenticationError,
        "billing_error": AuthenticationError,
        "conflict_error": ProviderOverloadedError,
        "contract_spend_limit_reached": AuthenticationError,
        "enforced_spend_limit_reached": AuthenticationError,
        "invalid_request_error": InvalidRequestError,
        "linked_organization_spend_limit_reached": AuthenticationError,
        "organization_on_hold": AuthenticationError,
        "overloaded_error": ProviderOverloadedError,
        "permission_error": AuthenticationError,
        "ramp_limit_exceeded": RateLimitedError,
        "rate_limit_error": RateLimitedError,
        "timeout_error": ProviderTimeoutError,
    }

    def of_exception(self, error: anthropic.AnthropicError, request_id: str = "") -> ProviderError:
        """What the SDK raised."""
        if isinstance(error, anthropic.APITimeoutError) and not isinstance(error.__cause__, httpx2.ConnectTimeout):
            return self.timed_out(request_id)
        if isinstance(error, anthropic.APIConnectionError):
            return self.not_reached(error.__cause__, request_id)
        if isinstance(error, anthropic.APIStatusError):
            return self._of_answer(error, request_id)
        return self.make(InvalidRequestError, str(error), request_id=request_id)

    def of_body(self, body: Mapping[str, Json], request_id: str) -> ProviderError:
        """What came inside a stream, or under a status of success: there is nothing to wait for."""
        error = object_of(body, "error")
        code = text_of(object_of(error, "details"), "error_code") or text_of(error, "type")
        reason = text_of(error, "message") or "the answer is an error"
        kind = self.kind_of(code, reason) or ProviderOverloadedError
        return self.make(kind, reason, code=code, request_id=request_id)

    def _of_answer(self, error: anthropic.APIStatusError, request_id: str) -> ProviderError:
        request_id = error.request_id or request_id
        if error.status_code >= 300:
            code, reason = error.error_code or error.type or "", error.api_message or error.message
            return self.of_status(error.status_code, code, reason, error.response.headers, request_id)
        if isinstance(error.body, dict):  # the SDK raises the error events of a stream under the stream's own 200
            return self.of_body(error.body, request_id)
        return self.make(InvalidResponseError, "an error event that is not JSON", request_id=request_id)
