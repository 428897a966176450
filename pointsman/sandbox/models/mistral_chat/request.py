"""The requests of Mistral's chat API as the service reads them, and faults in its envelope.

Built after the API reference of Mistral and the types of its SDK, not after our adapter.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault

CODES = {
    "invalid_function_call": "3280",
    "invalid_model": "1500",
    "invalid_request_message_order": "3230",
    "invalid_request_prompt": "3051",
    "rate_limited": "1300",
    "service_tier_capacity_exceeded": "3505",
}
Body = TypeVar("Body", bound=BaseModel)


def fault(status: int, message: Json, kind: str | None = None) -> ApiFault:
    """An error in the envelope of Mistral; its front end refuses keys in another one."""
    if status == 401:
        return ApiFault(status, str(message), {"detail": "Unauthorized"})
    named = kind or ("internal_server_error" if status >= 500 else "invalid_request_error")
    body: Object = {"object": "error", "message": message, "type": named, "param": None, "code": CODES.get(named)}
    return ApiFault(status, str(message), {**body, "raw_status_code": status})


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Text(_Strict):
    type: Literal["text"]
    text: str


class ImageUrl(_Strict):
    url: str
    detail: Literal["low", "auto", "high"] | None = None


class Image(_Strict):
    type: Literal["image_url"]
    image_url: ImageUrl | str


class Document(_Strict):
    type: Literal["document_url"]
    document_url: str
    document_name: str | None = None


class Thinking(_Strict):
    type: Literal["thinking"]
    thinking: list[Text]
    signature: str | None = None
    closed: bool | None = None


Told = str | list[Annotated[Text | Image | Document, Field(discriminator="type")]]
Said = str | list[Annotated[Text | Thinking, Field(discriminator="type")]]
Instructed = str | list[Annotated[Text | Thinking, Field(discriminator="type")]]


class CalledFunction(_Strict):
    name: str
    arguments: Object | str


class ToolCall(_Strict):
    function: CalledFunction
    id: str = "null"
    type: Literal["function"] = "function"
    index: int = 0


class SystemMessage(_Strict):
    role: Literal["system"]
    content: Instructed


class UserMessage(_Strict):
    role: Literal["user"]
    content: Told


class AssistantMessage(_Strict):
    role: Literal["assistant"]
    content: Said | None = None
    tool_calls: list[ToolCall] | None = None
    prefix: bool = False


class ToolMessage(_Strict):
    role: Literal["tool"]
    content: Told
    tool_call_id: str | None = None
    name: str | None = None


Message = SystemMessage | UserMessage | AssistantMessage | ToolMessage


class Function(_Strict):
    name: str = Field(pattern=r"^[a-zA-Z0-9_.-]{1,64}$")
    parameters: Object
    description: str = ""
    strict: bool = False


class Tool(_Strict):
    type: Literal["function"] = "function"
    function: Function


class FunctionName(_Strict):
    name: str


class NamedChoice(_Strict):
    type: Literal["function"] = "function"
    function: FunctionName


class JsonSchema(_Strict):
    name: str
    schema_: Object = Field(alias="schema")
    description: str | None = None
    strict: bool = False


class ResponseFormat(_Strict):
    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: JsonSchema | None = None


class CreateChat(_Strict):
    """The body of `POST /v1/chat/completions`. A parameter that the API does not know is refused."""

    model: str
    messages: list[Annotated[Message, Field(discriminator="role")]] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0, le=1.5)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int | None = Field(default=None, ge=0)
    stream: bool = False
    stop: str | list[str] | None = None
    random_seed: int | None = Field(default=None, ge=0)
    metadata: Object | None = None
    response_format: ResponseFormat | None = None
    tools: list[Tool] | None = None
    tool_choice: Literal["auto", "none", "any", "required"] | NamedChoice = "auto"
    parallel_tool_calls: bool = True
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    prompt_mode: Literal["reasoning"] | None = None
    prompt_cache_key: str | None = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    n: Literal[1] | None = None
    safe_prompt: bool = False
    guardrails: Json = None
    prediction: Json = None
    service_tier: str | None = None


def read_request(raw: bytes) -> CreateChat:
    """Raises `ApiFault` 422, worded as the service does."""
    return read_body(CreateChat, raw)


def read_body(kind: type[Body], raw: bytes) -> Body:
    """The same for any body of this service."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        _refuse(error)


def chunks_of(content: str | Sequence[Text | Image | Document | Thinking] | None) -> Sequence[BaseModel]:
    """Content as chunks; a plain text is short for one."""
    if isinstance(content, str):
        return [Text(type="text", text=content)]
    return content or []


def texts_of(content: str | Sequence[Text | Image | Document | Thinking] | None) -> str:
    return "\n".join(chunk.text for chunk in chunks_of(content) if isinstance(chunk, Text))


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    wrong: Json = {"type": first["type"], "loc": ["body", *first["loc"]], "msg": first["msg"]}
    raise fault(422, {"detail": [wrong]}) from error
