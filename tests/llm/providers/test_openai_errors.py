"""OpenAI's faults: which error they are, when to try again, and that none of them tells a key."""

from datetime import UTC, datetime, timedelta

import httpx2
import openai
import pytest

from pointsman.llm import errors
from pointsman.llm.faults import retry_after
from pointsman.llm.providers.openai.faults import OpenAIFaults

NOW = datetime(2026, 11, 21, 8, 0, 0, tzinfo=UTC)
FAULTS = OpenAIFaults("openai", "gpt-6-luna", "sk-secret-key-0123456789")


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "300", "retry-after-ms": "1200"}, 1.2),
        ({"retry-after": "Sat, 21 Nov 2026 08:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 21 Nov 2026 07:00:00 GMT"}, 0.0),
        ({"retry-after": "21 Nov 2026 08:00:05 -0000"}, 5.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
    ],
)
def test_wait_is_read_from_the_headers(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers, NOW) == (None if wait is None else timedelta(seconds=wait))


@pytest.mark.parametrize(
    ("status", "code", "reason", "kind"),
    [
        (400, "", "bad", errors.InvalidRequestError),
        (400, "context_length_exceeded", "too long", errors.ContextWindowExceededError),
        (400, "content_policy_violation", "no", errors.ContentRefusedError),
        (400, "model_not_found", "The requested model 'x' does not exist.", errors.ModelNotAllowedError),
        (404, "model_not_found", "The model `gpt-4` has been deprecated.", errors.ModelRetiredError),
        (401, "invalid_api_key", "Incorrect API key", errors.AuthenticationError),
        (402, "", "pay", errors.AuthenticationError),
        (403, "", "not yours", errors.AuthenticationError),
        (404, "", "no such path", errors.InvalidRequestError),
        (408, "", "slow", errors.ProviderTimeoutError),
        (409, "", "busy", errors.ProviderOverloadedError),
        (422, "", "odd", errors.InvalidRequestError),
        (429, "rate_limit_exceeded", "slow down", errors.RateLimitedError),
        (429, "insufficient_quota", "no money", errors.AuthenticationError),
        (500, "", "oops", errors.ProviderOverloadedError),
        (503, "server_is_overloaded", "full", errors.ProviderOverloadedError),
        (302, "", "moved", errors.InvalidResponseError),
    ],
)
def test_status_and_code_name_the_error(status: int, code: str, reason: str, kind: type[errors.ProviderError]) -> None:
    error = FAULTS.of_status(status, code, reason, {"retry-after": "7"}, "req_1")
    assert type(error) is kind
    assert error.retry_after == (timedelta(seconds=7) if kind.retryable else None)
    assert (error.provider, error.model, error.request_id, error.code) == ("openai", "gpt-6-luna", "req_1", code)
    assert str(error).startswith(f"HTTP {status}: {reason} (provider openai, model gpt-6-luna")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", errors.ProviderOverloadedError),
        ("rate_limit_exceeded", errors.RateLimitedError),
        ("invalid_image", errors.InvalidRequestError),
        ("bio_policy", errors.ContentRefusedError),
        ("vector_store_timeout", errors.ProviderTimeoutError),
        ("something_of_tomorrow", errors.ProviderOverloadedError),
        ("", errors.ProviderOverloadedError),
    ],
)
def test_fault_inside_a_stream_is_told_by_its_code(code: str, kind: type[errors.ProviderError]) -> None:
    assert type(FAULTS.of_code(code, "reason", "req_1")) is kind


@pytest.mark.parametrize(
    ("reason", "wait"),
    [
        ("Rate limit reached. Please try again in 20ms.", timedelta(milliseconds=20)),
        ("Please try again in 1.5s.", timedelta(seconds=1.5)),
        ("Slow down.", None),
    ],
)
def test_wait_inside_a_stream_is_in_the_text(reason: str, wait: timedelta | None) -> None:
    assert FAULTS.of_code("rate_limit_exceeded", reason, "").retry_after == wait


@pytest.mark.parametrize(
    "text",
    ["key sk-secret-key-0123456789 is wrong", "Incorrect API key provided: sk-secre********6789.", "sk-proj-abcdef"],
)
def test_no_error_tells_a_key(text: str) -> None:
    error = FAULTS.of_status(401, "", text, {}, "")
    assert "secre" not in str(error)
    assert "abcdef" not in str(error)
    assert "***" in str(error)


def test_reason_is_cut_so_that_no_conversation_leaks() -> None:
    assert len(FAULTS.of_code("x", "word " * 1_000, "").reason) == 500


def test_faults_of_the_sdk_itself_are_ours() -> None:
    request = httpx2.Request("POST", "https://x.example")
    assert type(FAULTS.of_exception(openai.APITimeoutError(request))) is errors.ProviderTimeoutError
    assert type(FAULTS.of_exception(openai.APIConnectionError(request=request))) is errors.ProviderConnectionError
    refused = openai.APITimeoutError(request)
    refused.__cause__ = httpx2.ConnectTimeout("refused")  # as the SDK has it over aiohttp
    assert type(FAULTS.of_exception(refused)) is errors.ProviderConnectionError
    assert type(FAULTS.of_exception(openai.OpenAIError("no"))) is errors.InvalidRequestError
    in_stream = openai.APIError("full", request, body={"code": "server_error"})
    assert type(FAULTS.of_exception(in_stream, "req_9")) is errors.ProviderOverloadedError


def test_an_error_says_who_and_where() -> None:
    error = errors.ModelRetiredError("gone", model="gpt-4", replacement="gpt-6-luna", since=NOW.date())
    assert (str(error), error.replacement) == ("gone (model gpt-4)", "gpt-6-luna")
    assert str(errors.ProviderError("bare")) == "bare"
