"""Azure OpenAI by key keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.providers.openai.azure import AzureOpenAI
from tests.llm.contract import ProviderContract
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return AzureOpenAI(f"{root}/azure", key, timeout=timeout)


class TestAzureOpenAI(ProviderContract):
    wiring = Wiring(
        provider="azure_openai",
        model="gpt-6-luna",
        make=make,
        has_own_transport=False,  # that of `OpenAIResponses`
        shows_reasoning=False,
        faults={
            errors.RateLimitedError: Said(429, "429"),
            errors.ProviderOverloadedError: Said(503, "ServiceUnavailable"),
            errors.AuthenticationError: Said(401, "401"),
            errors.InvalidRequestError: Said(400, "unknown_parameter"),
            errors.ContextWindowExceededError: Said(400, "context_length_exceeded"),
            errors.ModelNotAllowedError: Said(404, "DeploymentNotFound"),
        },
    )
