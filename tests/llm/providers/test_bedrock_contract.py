"""Bedrock's Converse keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.providers.bedrock.converse import BedrockConverse
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from tests.llm.contract import ProviderContract
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    credentials = AwsCredentials(access_key_id=ACCESS_KEY_ID, secret_access_key=key)
    return BedrockConverse(credentials, "us-east-1", f"{root}/bedrock", timeout)


class TestBedrockConverse(ProviderContract):
    wiring = Wiring(
        provider="bedrock",
        model="global.anthropic.claude-haiku-5-5",
        make=make,
        counts_reasoning=False,
        faults={
            errors.RateLimitedError: Said(429, "ThrottlingException"),
            errors.ProviderOverloadedError: Said(503, "ServiceUnavailableException"),
            errors.AuthenticationError: Said(403, "AccessDeniedException"),
            errors.InvalidRequestError: Said(400, "ValidationException"),
            errors.ContextWindowExceededError: Said(
                400, "ValidationException", "Input is too long for requested model."
            ),
            errors.ModelNotAllowedError: Said(404, "ResourceNotFoundException"),
        },
    )
