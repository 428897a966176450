"""The pieces of a streamed answer, the same for every provider."""

from collections.abc import AsyncGenerator, AsyncIterable
from typing import Annotated, Literal

from pydantic import Field

from pointsman.llm.errors import TruncatedStreamError
from pointsman.llm.types import LLMResponse, TokenUsage, ToolCallPart, Value


class StreamStarted(Value):
    kind: Literal["started"] = "started"
    response_id: str = ""
    model: str = ""


class TextDelta(Value):
    kind: Literal["text_delta"] = "text_delta"
    text: str


class ReasoningDelta(Value):
    kind: Literal["reasoning_delta"] = "reasoning_delta"
    text: str


class ToolCallStarted(Value):
    kind: Literal["tool_call_started"] = "tool_call_started"
    call_id: str
    name: str


class ToolArgumentsDelta(Value):
    kind: Literal["tool_arguments_delta"] = "tool_arguments_delta"
    call_id: str
    text: str


class ToolCallComplete(Value):
    kind: Literal["tool_call_complete"] = "tool_call_complete"
    call: ToolCallPart


class UsageReported(Value):
    kind: Literal["usage"] = "usage"
    usage: TokenUsage


class StreamFinished(Value):
    """Always the last event of a stream that ends well."""

    kind: Literal["finished"] = "finished"
    response: LLMResponse


class Retrying(Value):
    """The stream begins again, perhaps with another model: what it said until now is void.

    Only from the service, never from an adapter.
    """

    kind: Literal["retrying"] = "retrying"
    attempt: int
    """The one that begins; 1 where nothing was sent before it, because a limit or a circuit of ours stood there."""
    error: str
    wait_seconds: float = 0.0


StreamEvent = Annotated[
    StreamStarted
    | TextDelta
    | ReasoningDelta
    | ToolCallStarted
    | ToolArgumentsDelta
    | ToolCallComplete
    | UsageReported
    | StreamFinished
    | Retrying,
    Field(discriminator="kind"),
]


async def texts(events: AsyncIterable[StreamEvent]) -> AsyncGenerator[str]:
    """The text alone, for those who want nothing else. Ends, or raises, when the stream does.

    Raises:
        TruncatedStreamError: the stream begins again, and text is out already that cannot be taken back.
    """
    said: list[str] = []
    async for event in events:
        if isinstance(event, TextDelta):
            said.append(event.text)
            yield event.text
        elif isinstance(event, Retrying) and said:
            told = f"the answer begins again, and what was said cannot be taken back: {event.error}"
            raise TruncatedStreamError(told, received="".join(said))
