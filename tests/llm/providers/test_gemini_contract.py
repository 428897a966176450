"""Gemini's GenerateContent keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent
from tests.llm.contract import ProviderContract
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return GeminiGenerateContent(key, f"{root}/gemini", timeout)


class TestGeminiGenerateContent(ProviderContract):
    wiring = Wiring(
        provider="gemini",
        model="gemini-3.8-flash",
        make=make,
        streams_arguments=False,
        refuses_in_words=False,
        faults={
            errors.RateLimitedError: Said(429, "RESOURCE_EXHAUSTED"),
            errors.ProviderOverloadedError: Said(503, "UNAVAILABLE"),
            errors.AuthenticationError: Said(400, "API_KEY_INVALID"),
            errors.InvalidRequestError: Said(400, "INVALID_ARGUMENT"),
            errors.ContextWindowExceededError: Said(
                400, message="The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
            ),
            errors.ModelNotAllowedError: Said(404, "NOT_FOUND"),
        },
    )
