"""What the contract suite needs to know of a provider, and what its tests say and ask."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.client import LLMClient
from pointsman.llm.errors import ProviderError
from pointsman.llm.events import StreamEvent, StreamFinished
from pointsman.llm.types import LLMRequest, LLMResponse, Role, ToolSpec, text_message

HELLO = text_message(Role.USER, "hello")
LOOK = ToolSpec(
    name="look",
    description="Look at a place.",
    parameters={
        "type": "object",
        "properties": {"at": {"type": "string"}},
        "required": ["at"],
        "additionalProperties": False,
    },
)
COLOUR = {
    "type": "object",
    "properties": {"colour": {"type": "string"}},
    "required": ["colour"],
    "additionalProperties": False,
}
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
MODES = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
ERRORS = (
    errors.RateLimitedError,
    errors.ProviderOverloadedError,
    errors.AuthenticationError,
    errors.InvalidRequestError,
    errors.ContextWindowExceededError,
    errors.ModelNotAllowedError,
)


class Said(NamedTuple):
    """How a provider says what is wrong."""

    status: int
    code: str = ""
    message: str = "no"


@dataclass(frozen=True)
class Wiring:
    """What the suite needs to know of a provider."""

    provider: str
    """The name that answers and errors go by."""
    model: str
    """One that reasons, calls tools, sees images and answers by schema."""
    make: Callable[[str, SecretStr, timedelta], LLMClient]
    """The adapter, from the root URL of the stand-in, a key and the longest silence."""
    faults: Mapping[type[ProviderError], Said]
    """For each of `ERRORS`, as far as the adapter tells them apart."""
    has_own_transport: bool = True
    """Whether its bytes go another way than those of the adapters that are tested beside it."""
    long_stream_bytes: int = 40_000_000
    """What is streamed to see that half of it is never held at once."""
    is_priced: bool = True
    """Whether the price of its models is known."""
    shows_reasoning: bool = True
    counts_reasoning: bool = True
    """Whether the provider says how many tokens of the answer were reasoning."""
    streams_arguments: bool = True
    """Whether arguments of a call come in pieces."""
    marks_refusals: bool = True
    """Whether a refusal can be told from an answer."""
    refuses_in_words: bool = True
    """Whether a refusal has a text."""


async def ask(adapter: LLMClient, asked: LLMRequest, streamed: bool) -> LLMResponse:
    """The same question in both modes."""
    if not streamed:
        return await adapter.complete(asked)
    last: StreamEvent | None = None
    async for event in adapter.stream(asked):
        last = event
    assert isinstance(last, StreamFinished)
    return last.response


async def until(holds: Callable[[], bool], pause: float = 0.01) -> None:
    """Wait for what the stand-in notices by itself; `pause` is in seconds."""
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110 - the stand-in keeps a record, it tells nobody
            await asyncio.sleep(pause)
