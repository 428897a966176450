"""Chat Completions keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.providers.openai.chat import OpenAIChat
from tests.llm.contract import ProviderContract
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return OpenAIChat(key, f"{root}/v1", timeout)


class TestOpenAIChat(ProviderContract):
    wiring = Wiring(
        provider="openai",
        model="gpt-5-mini",
        make=make,
        shows_reasoning=False,
        faults={
            errors.RateLimitedError: Said(429, "rate_limit_exceeded"),
            errors.ProviderOverloadedError: Said(503, "server_is_overloaded"),
            errors.AuthenticationError: Said(401, "invalid_api_key"),
            errors.InvalidRequestError: Said(400, "unknown_parameter"),
            errors.ContextWindowExceededError: Said(400, "context_length_exceeded"),
            errors.ModelNotAllowedError: Said(404, "model_not_found"),
        },
    )
