"""Google's faults: its codes and reasons, how long to wait, and what the SDK and aiohttp raise, as our errors."""

from datetime import timedelta

import aiohttp
import pytest
from google.genai import errors as sdk
from google.genai import types
from pydantic import ValidationError

from pointsman.contracts.base import Json
from pointsman.llm import errors
from pointsman.llm.errors import ProviderError
from pointsman.llm.providers.gemini.faults import GeminiFaults

FAULTS = GeminiFaults("gemini", "gemini-3.8-flash", "AIzaSecretOfTheTest")


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "INVALID_ARGUMENT", "bad", errors.InvalidRequestError),
        (400, "FAILED_PRECONDITION", "User location is not supported for the API use.", errors.AuthenticationError),
        (400, "INVALID_ARGUMENT", "The input token count (9) exceeds the maximum", errors.ContextWindowExceededError),
        (401, "UNAUTHENTICATED", "no", errors.AuthenticationError),
        (403, "PERMISSION_DENIED", "no", errors.AuthenticationError),
        (404, "NOT_FOUND", "models/x is not found for API version v1", errors.ModelNotAllowedError),
        (404, "NOT_FOUND", "This model models/x is no longer available.", errors.ModelRetiredError),
        (409, "ABORTED", "no", errors.ProviderOverloadedError),
        (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota", errors.RateLimitedError),
        (429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted.", errors.AuthenticationError),
        (499, "CANCELLED", "no", errors.ProviderOverloadedError),
        (500, "INTERNAL", "no", errors.ProviderOverloadedError),
        (503, "UNAVAILABLE", "The model is overloaded.", errors.ProviderOverloadedError),
        (504, "DEADLINE_EXCEEDED", "no", errors.ProviderTimeoutError),
        (502, "", "Bad Gateway", errors.ProviderOverloadedError),
        (418, "", "", errors.InvalidRequestError),
    ],
)
def test_code_and_status_name_the_error(status: int, name: str, message: str, kind: type[ProviderError]) -> None:
    error = FAULTS.of_error({"error": {"code": status, "status": name, "message": message}}, {}, "req_1")
    assert type(error) is kind
    assert (error.code, error.request_id) == (name, "req_1")
    assert message in error.reason


@pytest.mark.parametrize(
    ("delay", "waits"),
    [("37s", 37.0), ("0.5s", 0.5), ("1.123456789s", 1.123457), ("soon", None), ("", None), (7, None), ("-1s", None)],
)
def test_wait_is_read_from_the_body(delay: Json, waits: float | None) -> None:
    details: Json = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": []},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay},
    ]
    body: dict[str, Json] = {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details}}
    found = FAULTS.of_error(body, {}, "").retry_after
    assert found == (timedelta(seconds=waits) if waits is not None else None)
    assert FAULTS.of_error(body, {"retry-after": "9"}, "").retry_after == timedelta(seconds=9)
    body = {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": details}}
    assert FAULTS.of_error(body, {"retry-after": "9"}, "").retry_after is None, "there is nothing to wait for"


def test_faults_of_the_transport_are_ours_and_tell_no_address() -> None:
    key = aiohttp.client_reqrep.ConnectionKey("x.example", 443, True, True, None, None, None)
    of = FAULTS.of_exception
    assert type(of(TimeoutError())) is errors.ProviderTimeoutError
    assert type(of(aiohttp.ServerTimeoutError())) is errors.ProviderTimeoutError
    assert type(of(aiohttp.ConnectionTimeoutError())) is errors.ProviderConnectionError
    refused = of(aiohttp.ClientConnectorError(key, OSError("no")))
    assert type(refused) is errors.ProviderConnectionError
    assert refused.reason == "the connection failed: ClientConnectorError"
    assert type(of(aiohttp.ClientPayloadError("half"))) is errors.ProviderConnectionError
    assert type(of(aiohttp.ServerDisconnectedError())) is errors.ProviderConnectionError
    assert type(of(ConnectionResetError())) is errors.ProviderConnectionError
    assert type(of(ValueError("invalid model parameter."))) is errors.InvalidRequestError
    told = of(sdk.UnknownApiResponseError("Raw response: what nobody should read"))
    assert type(told) is errors.InvalidResponseError
    assert "nobody" not in str(told)


def test_text_that_the_sdk_could_not_read_is_not_repeated() -> None:
    with pytest.raises(ValidationError) as caught:
        types.CountTokensResponse.model_validate({"totalTokens": "secret"})
    error = FAULTS.of_exception(caught.value)
    assert type(error) is errors.InvalidResponseError
    assert "secret" not in str(error)


@pytest.mark.parametrize("text", ["API key AIzaSecretOfTheTest is wrong", "key=AIzaSyAnother0123456789 is wrong"])
def test_no_error_tells_a_key(text: str) -> None:
    error = FAULTS.of_error({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": text}}, {}, "")
    assert "AIza" not in str(error)
    assert "***" in str(error)
