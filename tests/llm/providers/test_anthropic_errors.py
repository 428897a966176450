"""Anthropic's faults: which error they are, when to try again, and that none of them tells a key."""

from datetime import timedelta

import anthropic
import httpx2
import pytest

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.providers.anthropic.faults import AnthropicFaults

KEY = "sk-ant-secret-0123456789"
FAULTS = AnthropicFaults("anthropic", "claude-haiku-5-5", KEY)
REQUEST = httpx2.Request("POST", "https://x.example")


def raised(status: int, body: Json, **headers: str) -> errors.ProviderError:
    """What comes of the SDK's own error for such an answer."""
    response = httpx2.Response(status, json=body, headers={"request-id": "req_1", **headers}, request=REQUEST)
    return FAULTS.of_exception(anthropic.APIStatusError("told", response=response, body=body))


def envelope(kind: str, message: str = "no", code: str = "") -> dict[str, Json]:
    details: dict[str, Json] = {"details": {"error_code": code}} if code else {}
    return {"type": "error", "error": {"type": kind, "message": message, **details}}


@pytest.mark.parametrize(
    ("status", "kind", "message", "code", "expected"),
    [
        (400, "invalid_request_error", "messages: Field required", "", errors.InvalidRequestError),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            "",
            errors.ContextWindowExceededError,
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 9 + 9 > 8",
            "",
            errors.ContextWindowExceededError,
        ),
        (400, "invalid_request_error", "Your credit balance is too low", "", errors.AuthenticationError),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            "",
            errors.AuthenticationError,
        ),
        (400, "invalid_request_error", "Output blocked by content filtering policy", "", errors.ContentRefusedError),
        (401, "authentication_error", "invalid x-api-key", "", errors.AuthenticationError),
        (402, "billing_error", "pay", "", errors.AuthenticationError),
        (403, "permission_error", "not yours", "", errors.AuthenticationError),
        (403, "permission_error", "on hold", "organization_on_hold", errors.AuthenticationError),
        (404, "not_found_error", "model: claude-9", "", errors.ModelNotAllowedError),
        (404, "not_found_error", "model: claude-3-opus was retired", "", errors.ModelRetiredError),
        (404, "not_found_error", "Not found", "", errors.InvalidRequestError),
        (409, "conflict_error", "busy", "", errors.ProviderOverloadedError),
        (413, "request_too_large", "too large", "", errors.InvalidRequestError),
        (429, "rate_limit_error", "slow down", "", errors.RateLimitedError),
        (429, "rate_limit_error", "slow down", "ramp_limit_exceeded", errors.RateLimitedError),
        (429, "rate_limit_error", "no more", "enforced_spend_limit_reached", errors.AuthenticationError),
        (500, "api_error", "oops", "", errors.ProviderOverloadedError),
        (504, "timeout_error", "too long", "", errors.ProviderTimeoutError),
        (529, "overloaded_error", "Overloaded", "", errors.ProviderOverloadedError),
        (599, "new_error", "what", "", errors.ProviderOverloadedError),
    ],
)
def test_answer_that_is_an_error_is_ours(
    status: int, kind: str, message: str, code: str, expected: type[errors.ProviderError]
) -> None:
    error = raised(status, envelope(kind, message, code), **{"retry-after": "300"})
    assert type(error) is expected
    assert error.code == (code or kind)
    assert error.retry_after == (timedelta(seconds=300) if expected.retryable else None)
    assert (error.provider, error.model, error.request_id) == ("anthropic", "claude-haiku-5-5", "req_1")
    assert error.reason == f"HTTP {status}: {message}"


def test_answer_without_the_envelope_is_told_by_its_status() -> None:
    assert type(raised(502, "<html>")) is errors.ProviderOverloadedError
    assert type(raised(418, {"detail": "teapot"})) is errors.InvalidRequestError
    assert type(raised(302, None)) is errors.InvalidResponseError


def test_no_error_tells_a_key() -> None:
    told = str(raised(401, envelope("authentication_error", f"wrong key {KEY} or sk-ant-other-9876")))
    assert KEY not in told
    assert "9876" not in told


def test_faults_of_the_sdk_itself_are_ours() -> None:
    assert type(FAULTS.of_exception(anthropic.APITimeoutError(REQUEST))) is errors.ProviderTimeoutError
    refused = anthropic.APIConnectionError(request=REQUEST)
    refused.__cause__ = httpx2.ConnectError("refused")
    error = FAULTS.of_exception(refused)
    assert type(error) is errors.ProviderConnectionError
    assert "ConnectError" in str(error)
    assert type(FAULTS.of_exception(anthropic.AnthropicError("no"))) is errors.InvalidRequestError
