"""What is said to a model and what it answers, the same for every provider. `events` has the pieces of a stream.

Messages are kept in transcripts for ever, so a field is only ever added, with a default, and unknown fields are
ignored. Bytes travel as URL-safe base64 in JSON.
"""

import json
from base64 import b64encode
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pointsman.contracts.base import Json


class Value(BaseModel):
    """A frozen value of this package; unknown fields of a newer writer are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")


class Provider(StrEnum):
    """The providers that have an adapter here. An operator's own server, OpenAI-compatible, has a name of its own."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    MISTRAL = "mistral"
    BEDROCK = "bedrock"


class ModelTier(StrEnum):
    """What a task needs, where it does not name a model."""

    FAST = "fast"
    BALANCED = "balanced"
    PREMIUM = "premium"


class Complexity(StrEnum):
    """How hard a task is, where whoever asks knows it and names neither model nor tier."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class ProviderState(Value):
    """What a provider wants back unread: encrypted reasoning, signatures, item ids. Only ever sent to `provider`."""

    provider: str
    data: Json = None


class _Part(Value):
    provider_state: ProviderState | None = None

    def for_provider(self, provider: str) -> Self:
        """The part as `provider` may see it: without the state of any other provider."""
        if self.provider_state is None or self.provider_state.provider == provider:
            return self
        return self.model_copy(update={"provider_state": None})


def _check_source(kind: str, data: bytes, url: str) -> None:
    if bool(data) == bool(url):
        raise ValueError(f"{kind}: give either data or url, got " + ("both" if data else "neither"))


def _data_url(media_type: str, data: bytes) -> str:
    """RFC 2397."""
    return f"data:{media_type};base64,{b64encode(data).decode()}"


class TextPart(_Part):
    kind: Literal["text"] = "text"
    text: str


class ImagePart(_Part):
    """An image by its bytes or by URL: exactly one of them."""

    kind: Literal["image"] = "image"
    data: bytes = b""
    url: str = ""
    media_type: str = "image/png"

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        _check_source("image", self.data, self.url)
        return self

    @property
    def address(self) -> str:
        """Its URL, or its bytes as one."""
        return self.url or _data_url(self.media_type, self.data)


class DocumentPart(_Part):
    """A document, PDF unless it says otherwise, by its bytes or by URL: exactly one of them."""

    kind: Literal["document"] = "document"
    data: bytes = b""
    url: str = ""
    media_type: str = "application/pdf"
    name: str = ""
    """What the model is told that it is called."""

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        _check_source("document", self.data, self.url)
        return self

    @property
    def address(self) -> str:
        """Its URL, or its bytes as one."""
        return self.url or _data_url(self.media_type, self.data)


class ToolCallPart(_Part):
    """A call that the model asks for."""

    kind: Literal["tool_call"] = "tool_call"
    call_id: str
    name: str
    arguments: dict[str, Json] = Field(default_factory=dict)
    """Parsed; empty when `invalid` says why they could not be."""
    raw_arguments: str = ""
    """Exactly what the model wrote: it goes back unchanged, so that the provider's prompt cache holds."""
    invalid: str = ""
    """Why the arguments cannot be used (no JSON object, or against the tool's schema); empty when they can."""


class ToolResultPart(_Part):
    """What the call came to. `is_error` marks a tool's own error, which the model gets to read."""

    kind: Literal["tool_result"] = "tool_result"
    call_id: str
    name: str = ""
    text: str
    is_error: bool = False
    data: Json = None
    """The result as JSON, where it is; providers that take none get it as text."""
    images: tuple[ImagePart, ...] | None = None

    @property
    def content(self) -> str:
        """Text and JSON as one text."""
        if self.data is None:
            return self.text
        told = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return f"{self.text}\n{told}" if self.text else told


class ReasoningPart(_Part):
    """What the model let see of its reasoning. `signature` goes back only with `provider_state`, to its provider."""

    kind: Literal["reasoning"] = "reasoning"
    text: str = ""
    signature: str = ""

    def for_provider(self, provider: str) -> Self:
        if self.provider_state is not None and self.provider_state.provider == provider:
            return self
        return self.model_copy(update={"provider_state": None, "signature": ""})


class RefusalPart(_Part):
    kind: Literal["refusal"] = "refusal"
    text: str


Part = Annotated[
    TextPart | ImagePart | DocumentPart | ToolCallPart | ToolResultPart | ReasoningPart | RefusalPart,
    Field(discriminator="kind"),
]


class Message(Value):
    """One message of a conversation. Tool results are a message of role `tool`; it may hold several of them."""

    role: Role
    parts: tuple[Part, ...]
    provider_state: ProviderState | None = None
    cache: Literal[True] | None = None
    """A hint: what goes up to the end of this message comes again, so the provider may cache it."""

    @property
    def text(self) -> str:
        """All text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return tuple(part for part in self.parts if isinstance(part, ToolCallPart))

    def for_provider(self, provider: str) -> "Message":
        """The message as `provider` may see it: without the state of any other provider."""
        state = self.provider_state
        own = state if state is not None and state.provider == provider else None
        parts = tuple(part.for_provider(provider) for part in self.parts)
        return self.model_copy(update={"parts": parts, "provider_state": own})

    def to_bytes(self) -> bytes:
        """Canonical JSON (sorted keys, no blanks, UTF-8): equal messages have equal bytes."""
        content = self.model_dump(mode="json", exclude_none=True)
        return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Message":
        """Read what `to_bytes` wrote, in this version or another.

        Raises:
            pydantic.ValidationError: the bytes are no message.
        """
        return cls.model_validate_json(data)


def text_message(role: Role, text: str) -> Message:
    return Message(role=role, parts=(TextPart(text=text),))


def _no_arguments() -> dict[str, Json]:
    return {"type": "object", "properties": {}}


class ToolSpec(Value):
    """A tool as it is offered to a model. `parameters` is the JSON Schema of its arguments, of type object."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = ""
    parameters: dict[str, Json] = Field(default_factory=_no_arguments)


class ReasoningEffort(StrEnum):
    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class LLMRequest(Value):
    """One model call, and the context that it is made in."""

    model: str = ""
    """As the provider names it. Adapters need one; the service finds one for `tier`, or takes its default."""
    tier: ModelTier | None = None
    complexity: Complexity | None = None
    """Leads to a tier. Where none of the three is given, the request itself is measured."""
    messages: tuple[Message, ...] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, gt=0)
    """Of output, reasoning included."""
    tools: tuple[ToolSpec, ...] = ()
    tool_choice: str = "auto"
    """auto | none | required | the name of a tool"""
    parallel_tool_calls: bool = True
    response_schema: dict[str, Json] | None = None
    """JSON Schema that the answer's text must follow."""
    response_schema_name: str = Field(default="answer", pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    reasoning_effort: ReasoningEffort | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    """Sent to the provider where its API takes any."""
    trace_id: str = ""
    """Empty: the service makes one up. It is in the response, the log line, the span and the books."""
    source_agent: str = ""
    session_id: str = ""
    tenant: str = ""
    user: str = ""
    work_item: str = ""
    budget: str = ""
    """Name of a budget that it is charged to beside those of the others: a project, a cost centre, an experiment."""

    @property
    def labels(self) -> dict[str, str]:
        """Metadata, and the context of the call over it, for providers whose API takes such pairs."""
        names = ("trace_id", "source_agent", "session_id", "tenant")
        return {**self.metadata, **{name: value for name in names if (value := str(getattr(self, name)))}}

    @model_validator(mode="after")
    def _names_one_choice(self) -> Self:
        if self.model and self.tier is not None:
            raise ValueError(f"give a model or a tier, not both: got model {self.model!r} and tier {self.tier.value!r}")
        if self.complexity is not None and (self.model or self.tier is not None):
            named = f"model {self.model!r}" if self.model else f"tier {self.tier.value!r}" if self.tier else ""
            raise ValueError(f"give a complexity or something that it would choose, not both: got {named}")
        return self


class FinishReason(StrEnum):
    STOP = "stop"
    LENGTH = "length"
    TOOL_CALLS = "tool_calls"
    CONTENT_FILTER = "content_filter"
    REFUSAL = "refusal"
    PAUSED = "paused"


class TokenUsage(Value):
    """What the provider bills. The finer counts are parts of the coarser ones, never added to them."""

    prompt_tokens: int = Field(default=0, ge=0)
    """Cached and cache-written tokens included."""
    completion_tokens: int = Field(default=0, ge=0)
    """Reasoning tokens included."""
    total_tokens: int = Field(default=0, ge=0)
    cached_tokens: int = Field(default=0, ge=0)
    cache_write_tokens: int = Field(default=0, ge=0)
    reasoning_tokens: int = Field(default=0, ge=0)


class LLMResponse(Value):
    """The whole answer. Times are of this one call, in milliseconds."""

    message: Message
    finish_reason: FinishReason
    usage: TokenUsage = TokenUsage()
    model: str
    """The model that answered, as the provider names it."""
    provider: str
    response_id: str = ""
    request_id: str = ""
    """The provider's name of the HTTP request, for its support."""
    cost_usd: Decimal = Decimal(0)
    price_version: str = ""
    latency_ms: float = 0.0
    time_to_first_token_ms: float | None = None
    """Only of a streamed answer."""
    attempts: int = Field(default=1, ge=0)
    """How often a provider was asked for this answer; 0 where it comes from a cache."""
    rationale: str = ""
    """Why this model was chosen; empty where the request named it."""
    trace_id: str = ""
    notes: tuple[str, ...] = ()
    """What was dropped, emulated, repaired or could not be priced."""

    @property
    def text(self) -> str:
        return self.message.text

    @property
    def tool_calls(self) -> tuple[ToolCallPart, ...]:
        return self.message.tool_calls
