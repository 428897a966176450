"""OpenAI's faults as ours: its codes, what its SDK raises, and what its streams report."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import ClassVar

import httpx2
import openai

from pointsman.contracts.base import Json
from pointsman.llm.errors import (
    AuthenticationError,
    ContentRefusedError,
    ContextWindowExceededError,
    InvalidRequestError,
    ModelNotAllowedError,
    ProviderError,
    ProviderOverloadedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from pointsman.llm.faults import ByText, Faults
from pointsman.llm.lenient import object_of, text_of

# What servers without codes of their own leave to the text (vLLM, Ollama, gateways).
_TOO_LONG = r"maximum context length|context (?:window|length)\b.*\bexceed|exceed\w*\b.*\bcontext (?:window|length)"
_NO_MODEL = r"\bmodel\b.*\b(?:not exist|not found)\b"
_BY_TEXT: ByText = (
    (re.compile(_TOO_LONG, re.IGNORECASE), ContextWindowExceededError),
    (re.compile(_NO_MODEL, re.IGNORECASE), ModelNotAllowedError),
)
_RETRY_HINT = re.compile(r"try again in (\d+(?:\.\d+)?)\s?(ms|s)\b", re.IGNORECASE)


class OpenAIFaults(Faults):
    by_text = _BY_TEXT
    by_code: ClassVar[Mapping[str, type[ProviderError]]] = {
        "DeploymentNotFound": ModelNotAllowedError,
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

    def of_exception(self, error: openai.OpenAIError, request_id: str = "") -> ProviderError:
        """What the SDK raised."""
        if is_silence(error):
            return self.timed_out(request_id)
        if isinstance(error, openai.APIConnectionError):
            return self.not_reached(error.__cause__, request_id)
        if isinstance(error, openai.APIStatusError):
            return self.of_status(
                error.status_code, _code(error), error.message, error.response.headers, error.request_id or ""
            )
        if isinstance(error, openai.APIError):
            return self.of_code(_code(error) or error.type or "", error.message, request_id)
        return self.make(InvalidRequestError, str(error), request_id=request_id)

    def of_body(self, body: Mapping[str, Json], request_id: str) -> ProviderError:
        """What stands in place of an answer, or of a piece of it: an error, or its text alone."""
        error = object_of(body, "error")
        reason = text_of(error, "message") or text_of(body, "error")
        return self.of_code(text_of(error, "code") or text_of(error, "type"), reason, request_id)

    def of_code(self, code: str, reason: str, request_id: str) -> ProviderError:
        """What came inside a stream, or in a response that failed: there is no status, and nothing to wait for."""
        kind = self.kind_of(code, reason)
        if kind is None:
            known = code.startswith(("invalid_", "image_", "unsupported_", "empty_", "failed_to_", "data_residency"))
            kind = InvalidRequestError if known else ProviderOverloadedError
        hint = _RETRY_HINT.search(reason) if kind is RateLimitedError else None
        waits = None
        if hint:
            waits = timedelta(**{"milliseconds" if hint[2].lower() == "ms" else "seconds": float(hint[1])})
        return self.make(kind, reason or "the response failed", code=code, request_id=request_id, waits=waits)


def _code(error: openai.APIError) -> str:
    """The code; some servers give a number, which is the status once more."""
    return error.code if isinstance(error.code, str) else ""


def is_silence(error: openai.OpenAIError) -> bool:
    """Whether the provider was reached and said nothing. Over aiohttp the SDK calls a refused connection a time-out."""
    return isinstance(error, openai.APITimeoutError) and not isinstance(error.__cause__, httpx2.ConnectTimeout)
