"""The Messages API's requests as the service reads them, and faults in its envelope.

Built after the API reference of Anthropic (version 2026-10-21) and the types of its SDK, not after our adapter.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def fault(status: int, message: str, kind: str | None = None) -> ApiFault:
    """An error in the envelope of Anthropic: `{"type": "error", "error": {"type", "message"}}`."""
    error: Json = {"type": kind or TYPES.get(status, "api_error"), "message": message}
    return ApiFault(status, message, {"type": "error", "error": error})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class CacheControl(_Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class _Cacheable(_Strict):
    cache_control: CacheControl | None = None


class Text(_Cacheable):
    type: Literal["text"]
    text: str
    citations: None = None


class Base64Image(_Strict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str = Field(min_length=1)


class Url(_Strict):
    type: Literal["url"]
    url: str = Field(min_length=1)


class Base64Pdf(_Strict):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str = Field(min_length=1)


class PlainText(_Strict):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str = Field(min_length=1)


class Image(_Cacheable):
    type: Literal["image"]
    source: Annotated[Base64Image | Url, Field(discriminator="type")]


class Document(_Cacheable):
    type: Literal["document"]
    source: Annotated[Base64Pdf | PlainText | Url, Field(discriminator="type")]
    title: str | None = Field(default=None, min_length=1, max_length=500)
    context: str | None = None


class ToolResult(_Cacheable):
    type: Literal["tool_result"]
    tool_use_id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    content: str | list[Annotated[Text | Image | Document, Field(discriminator="type")]] | None = None
    is_error: bool | None = None


class ToolUse(_Cacheable):
    type: Literal["tool_use"]
    id: str = Field(pattern=r"^[a-zA-Z0-9_-]+$")
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,200}$")
    input: Object


class Thinking(_Strict):
    type: Literal["thinking"]
    thinking: str
    signature: str


class RedactedThinking(_Strict):
    type: Literal["redacted_thinking"]
    data: str


UserBlock = Annotated[Text | Image | Document | ToolResult, Field(discriminator="type")]
AssistantBlock = Annotated[Text | ToolUse | Thinking | RedactedThinking, Field(discriminator="type")]


class UserTurn(_Strict):
    role: Literal["user"]
    content: str | list[UserBlock]


class AssistantTurn(_Strict):
    role: Literal["assistant"]
    content: str | list[AssistantBlock]


class SystemTurn(_Strict):
    role: Literal["system"]
    content: str | list[Text]


Turn = Annotated[UserTurn | AssistantTurn | SystemTurn, Field(discriminator="role")]
Block = Text | Image | Document | ToolResult | ToolUse | Thinking | RedactedThinking


class Tool(_Cacheable):
    type: Literal["custom"] | None = None
    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,128}$")
    description: str | None = None
    input_schema: Object
    strict: bool | None = None
    eager_input_streaming: bool | None = None


class ToolChoice(_Strict):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class BlockBinding(_Strict):
    prefix_mismatch_behavior: Literal["error", "drop_block"] | None = None


class ThinkingConfig(_Strict):
    type: Literal["adaptive", "enabled", "disabled", "between_tools"]
    budget_tokens: int | None = Field(default=None, ge=1024)
    display: Literal["summarized", "omitted"] | None = None
    block_binding: BlockBinding | None = None


class JsonFormat(_Strict):
    type: Literal["json_schema"]
    schema_: Object = Field(alias="schema")


class OutputConfig(_Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: JsonFormat | None = None


class Metadata(_Strict):
    user_id: str | None = Field(default=None, max_length=256)


class CountTokens(_Strict):
    """The body of `POST /v1/messages/count_tokens`."""

    model: str
    messages: list[Turn] = Field(min_length=1)
    system: str | list[Text] | None = None
    tools: list[Tool] = Field(default_factory=list)
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    speed: str | None = None


class CreateMessage(CountTokens):
    """The body of `POST /v1/messages`. A parameter that the API does not know is refused, and so is sampling."""

    max_tokens: int = Field(ge=1)
    metadata: Metadata | None = None
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    container: Json = None
    diagnostics: Json = None
    inference_geo: str | None = None
    service_tier: Literal["auto", "standard_only"] | None = None


T = TypeVar("T", bound=BaseModel)
R = TypeVar("R", bound=CountTokens)


def blocks_of(content: str | Sequence[T] | None) -> Sequence[T | Text]:
    """Content as blocks; a plain text is short for one."""
    if isinstance(content, str):
        return [Text(type="text", text=content)]
    return content or []


def read_request(raw: bytes, kind: type[R]) -> R:
    """Raises `ApiFault` 400, worded as the service does."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    path = ".".join(str(step) for step in first["loc"] if step not in ("list[union]",))
    match first["type"]:
        case "extra_forbidden":
            raise fault(400, f"{path}: Extra inputs are not permitted") from error
        case "missing":
            raise fault(400, f"{path}: Field required") from error
        case "json_invalid":
            raise fault(400, "The request body is not valid JSON") from error
        case _:
            raise fault(400, f"{path}: {first['msg']}") from error


def plain(value: BaseModel) -> Mapping[str, Json]:
    """The JSON that it was read from."""
    return value.model_dump(mode="json", exclude_unset=True, by_alias=True)


def betas_of(headers: Mapping[str, str]) -> list[str]:
    return [name.strip() for name in headers.get("anthropic-beta", "").split(",") if name.strip()]
