"""The Responses API keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.providers.openai.responses import OpenAIResponses
from tests.llm.contract import ProviderContract
from tests.llm.providers.openai_faults import FAULTS
from tests.llm.wiring import Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return OpenAIResponses(key, f"{root}/v1", timeout)


class TestOpenAIResponses(ProviderContract):
    wiring = Wiring(
        provider="openai",
        model="gpt-6-luna",
        make=make,
        shows_reasoning=False,
        faults=FAULTS,
        long_stream_bytes=100_000_000,
    )
