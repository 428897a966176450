"""Chat Completions keeps every adapter's promises."""

from datetime import timedelta

import pytest
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.providers.openai.chat import OpenAIChat
from tests.llm.contract import ProviderContract
from tests.llm.providers.openai_faults import FAULTS
from tests.llm.wiring import Wiring

pytestmark = pytest.mark.asyncio(loop_scope="module")


def make(root: str, key: SecretStr, timeout: timedelta) -> LLMClient:
    return OpenAIChat(key, f"{root}/v1", timeout)


class TestOpenAIChat(ProviderContract):
    wiring = Wiring(
        provider="openai",
        model="gpt-5-mini",
        make=make,
        has_own_transport=False,  # that of `OpenAIResponses`
        shows_reasoning=False,
        faults=FAULTS,
    )
