"""The Messages API keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.providers.anthropic.messages import AnthropicMessages
from tests.llm.contract import ProviderContract
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return AnthropicMessages(key, f"{root}/anthropic", timeout)


class TestAnthropicMessages(ProviderContract):
    wiring = Wiring(
        provider="anthropic",
        model="claude-haiku-5-5",
        make=make,
        faults={
            errors.RateLimitedError: Said(429, "rate_limit_error"),
            errors.ProviderOverloadedError: Said(529, "overloaded_error", "Overloaded"),
            errors.AuthenticationError: Said(401, "authentication_error"),
            errors.InvalidRequestError: Said(400, "invalid_request_error"),
            errors.ContextWindowExceededError: Said(
                400, "invalid_request_error", "prompt is too long: 1000001 tokens > 1000000 maximum"
            ),
            errors.ModelNotAllowedError: Said(404, "not_found_error", "model: claude-haiku-5-5"),
        },
    )
