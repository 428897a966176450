"""Mistral's chat API keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.providers.mistral.chat import MistralChat
from tests.llm.contract import ProviderContract
from tests.llm.wiring import Said, Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return MistralChat(key, f"{root}/mistral", timeout)


class TestMistralChat(ProviderContract):
    wiring = Wiring(
        provider="mistral",
        model="mistral-medium-3-5",
        make=make,
        counts_reasoning=False,
        streams_arguments=False,
        marks_refusals=False,
        faults={
            errors.RateLimitedError: Said(429, "rate_limited"),
            errors.ProviderOverloadedError: Said(429, "service_tier_capacity_exceeded"),
            errors.AuthenticationError: Said(401),
            errors.InvalidRequestError: Said(400, "invalid_request_message_order"),
            errors.ContextWindowExceededError: Said(
                400,
                "invalid_request_prompt",
                "Prompt contains 300000 tokens, too large for model with 262144 maximum context length",
            ),
            errors.ModelNotAllowedError: Said(400, "invalid_model", "Invalid model: mistral-medium-3-5"),
        },
    )
