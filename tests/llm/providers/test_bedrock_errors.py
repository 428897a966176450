"""Bedrock's errors by what they say, and credentials that none of them shows."""

from datetime import timedelta
from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.keys import AWS_CHAIN
from pointsman.llm.providers.bedrock.connections import Exchange, ExchangeEnded
from pointsman.llm.providers.bedrock.converse import BedrockConverse
from pointsman.llm.providers.bedrock.credentials import AwsCredentials, credentials_of
from pointsman.llm.providers.bedrock.faults import BedrockFaults

MODEL = "global.anthropic.claude-haiku-5-5"
SECRET, TOKEN = "wJalrXUtnFEMI/K7MDENG", "FwoGZXIvYXdzEBYaDA"
OWN = AwsCredentials(access_key_id="AKIA0", secret_access_key=SecretStr(SECRET))


def test_credentials_are_read_from_one_text() -> None:
    assert credentials_of(AWS_CHAIN) is None
    both = credentials_of(SecretStr(f"AKIA0:{SECRET}"))
    assert both is not None
    assert (both.access_key_id, both.secrets()) == ("AKIA0", (SECRET,))
    assert SECRET not in repr(both)
    for wrong in (SECRET, f"AKIA0:{SECRET}:{TOKEN}:x", f":{SECRET}"):
        with pytest.raises(errors.AuthenticationError, match="parts, not `access key id:secret`") as caught:
            credentials_of(SecretStr(wrong))
        assert SECRET not in str(caught.value)


def test_client_wants_a_key_and_a_region() -> None:
    with pytest.raises(errors.AuthenticationError, match="no access key given"):
        BedrockConverse(AwsCredentials(access_key_id="AKIA0", secret_access_key=SecretStr("")), "us-east-1")
    with pytest.raises(errors.InvalidRequestError, match="AWS_REGION"):
        BedrockConverse(OWN, "")


def answered(status: int, code: str, message: str) -> exceptions.ClientError:
    meta = {"HTTPStatusCode": status, "RequestId": "r-1", "HTTPHeaders": {"retry-after": "3"}}
    told: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": meta}
    return exceptions.ClientError(told, "Converse")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answered(429, "ThrottlingException", "no"), errors.RateLimitedError),
        (answered(429, "ModelNotReadyException", "no"), errors.ProviderOverloadedError),
        (answered(400, "ServiceQuotaExceededException", "no"), errors.RateLimitedError),
        (answered(424, "ModelErrorException", "no"), errors.ProviderOverloadedError),
        (answered(408, "ModelTimeoutException", "no"), errors.ProviderTimeoutError),
        (answered(500, "Unheard", "no"), errors.ProviderOverloadedError),
        (answered(403, "ExpiredTokenException", "no"), errors.AuthenticationError),
        (answered(403, "AccessDeniedException", "You don't have access to the model."), errors.ModelNotAllowedError),
        (answered(404, "ResourceNotFoundException", "reached the end of its life."), errors.ModelRetiredError),
        (answered(400, "ValidationException", "prompt is too long: 2 > 1"), errors.ContextWindowExceededError),
        (
            answered(400, "ValidationException", "Invocation with on-demand throughput isn’t supported"),
            errors.ModelNotAllowedError,
        ),
        (
            answered(400, "ValidationException", "Output blocked by content filtering policy"),
            errors.ContentRefusedError,
        ),
        (exceptions.ConnectTimeoutError(endpoint_url="x"), errors.ProviderConnectionError),
        (exceptions.EndpointConnectionError(endpoint_url="x"), errors.ProviderConnectionError),
        (ResponseParserError("x"), errors.InvalidResponseError),
        (ExchangeEnded("x"), errors.ProviderConnectionError),
    ],
)
def test_failures_by_what_they_say(error: Exception, kind: type[errors.ProviderError]) -> None:
    found = BedrockFaults("bedrock", MODEL, (SECRET,)).of_exception(error)
    assert type(found) is kind
    if isinstance(error, exceptions.ClientError):
        assert found.request_id == "r-1"
        assert found.retry_after == (timedelta(seconds=3) if kind.retryable else None)


def test_refused_signature_tells_no_secret() -> None:
    canonical = f"The Canonical String for this request should have been\n'POST\nx-amz-security-token:{TOKEN}'"
    error = answered(403, "InvalidSignatureException", f"AKIAIOSFODNN7EXAMPLE {SECRET} does not match.\n\n{canonical}")
    found = BedrockFaults("bedrock", MODEL, (SECRET,)).of_exception(error)
    assert isinstance(found, errors.AuthenticationError)
    assert str(found).startswith("HTTP 403: *** *** does not match. (provider bedrock")


def test_call_that_was_ended_gets_no_connection() -> None:
    exchange = Exchange()
    exchange.end()
    with pytest.raises(ExchangeEnded), exchange.current():
        exchange.attach(None)  # type: ignore[arg-type]  # it is not looked at
