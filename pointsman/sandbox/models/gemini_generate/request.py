"""The messages of GenerateContent: requests as the service reads them, faults in Google's envelope.

Built after the API reference of the Gemini API, version v1, and the types of its SDK, not after our adapter.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Sequence
from typing import Annotated, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object
from pointsman.sandbox.models.formats import ApiFault

# Canonical codes of Google's APIs by HTTP status (google.rpc.Code).
STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
CANONICAL = {*STATUSES.values(), "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNKNOWN", "DATA_LOSS", "ALREADY_EXISTS"}


def error_of(status: int, message: str, code: str | None = None) -> Object:
    """The envelope: `{"error": {"code", "message", "status", "details"}}`. Other codes are reasons in the details."""
    name = STATUSES.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    error: Object = {"code": status, "message": message, "status": code if code in CANONICAL else name}
    if code and code not in CANONICAL:
        info: Json = {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": code,
            "domain": "googleapis.com",
            "metadata": {"service": "generativelanguage.googleapis.com"},
        }
        error["details"] = [info]
    return {"error": error}


def fault(status: int, message: str, code: str | None = None) -> ApiFault:
    return ApiFault(status, message, error_of(status, message, code))


def _check_bytes(text: str) -> str:
    try:
        decoded(text)
    except (Base64Error, ValueError) as error:
        raise ValueError("Base64 decoding failed") from error
    return text


def decoded(text: str) -> bytes:
    """Bytes of JSON: Base64, standard or URL-safe, with its padding or without (ProtoJSON)."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    return b64decode(plain + "=" * (-len(plain) % 4), validate=True)


Base64 = Annotated[str, AfterValidator(_check_bytes)]


class Strict(BaseModel):
    """A message whose unknown fields are refused; field names come in both spellings of ProtoJSON."""

    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel, populate_by_name=True)


class Blob(Strict):
    mime_type: str = Field(min_length=1)
    data: Base64
    display_name: str | None = None


class FileData(Strict):
    file_uri: str = Field(min_length=1)
    mime_type: str | None = None


class FunctionCall(Strict):
    name: str = ""
    args: Object = Field(default_factory=dict)
    id: str | None = None


class FunctionResponsePart(Strict):
    inline_data: Blob | None = None
    file_data: FileData | None = None


class FunctionResponse(Strict):
    name: str = ""
    response: Object
    id: str | None = None
    parts: list[FunctionResponsePart] = Field(default_factory=list)
    will_continue: bool | None = None
    scheduling: str | None = None


class Part(Strict):
    """Exactly one of the fields that are data is given; an empty text counts as none unless it is signed."""

    text: str | None = None
    inline_data: Blob | None = None
    file_data: FileData | None = None
    function_call: FunctionCall | None = None
    function_response: FunctionResponse | None = None
    executable_code: Json = None
    code_execution_result: Json = None
    tool_call: Json = None
    tool_response: Json = None
    thought: bool | None = None
    thought_signature: Base64 | None = None
    media_resolution: Json = None
    media_processing: Json = None
    video_metadata: Json = None
    part_metadata: Object | None = None

    def holds(self) -> int:
        """How many of the data fields are given."""
        text = self.text or (self.text is not None and self.thought_signature)
        given: Sequence[object] = (
            self.inline_data,
            self.file_data,
            self.function_call,
            self.function_response,
            self.executable_code,
            self.code_execution_result,
            self.tool_call,
            self.tool_response,
        )
        return bool(text) + sum(field is not None for field in given)


class Content(Strict):
    parts: list[Part] = Field(default_factory=list)
    role: str | None = None

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if part.text and not part.thought)

    @property
    def calls(self) -> list[FunctionCall]:
        return [part.function_call for part in self.parts if part.function_call is not None]

    @property
    def responses(self) -> list[FunctionResponse]:
        return [part.function_response for part in self.parts if part.function_response is not None]


class FunctionDeclaration(Strict):
    name: str
    description: str = ""
    parameters: Object | None = None
    parameters_json_schema: Json = None
    response: Object | None = None
    response_json_schema: Json = None
    behavior: str | None = None

    @property
    def schema_of(self) -> Json:
        return self.parameters if self.parameters is not None else self.parameters_json_schema


class Tool(Strict):
    function_declarations: list[FunctionDeclaration] = Field(default_factory=list)
    google_search: Json = None
    google_maps: Json = None
    code_execution: Json = None
    url_context: Json = None
    computer_use: Json = None
    file_search: Json = None
    mcp_servers: Json = None


class FunctionCallingConfig(Strict):
    mode: Literal["MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"] = "AUTO"
    allowed_function_names: list[str] = Field(default_factory=list)


class ToolConfig(Strict):
    function_calling_config: FunctionCallingConfig = FunctionCallingConfig()
    retrieval_config: Json = None
    include_server_side_tool_invocations: bool | None = None


class ThinkingConfig(Strict):
    include_thoughts: bool = False
    thinking_budget: int | None = None
    thinking_level: str | None = None


class GenerationConfig(Strict):
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    top_k: float | None = None
    candidate_count: int | None = Field(default=None, ge=1, le=8)
    max_output_tokens: int | None = Field(default=None, ge=1)
    stop_sequences: list[str] = Field(default_factory=list, max_length=5)
    seed: int | None = Field(default=None, ge=-(2**31), lt=2**31)
    response_mime_type: str | None = None
    response_schema: Object | None = None
    response_json_schema: Json = None
    response_modalities: list[str] | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    thinking_config: ThinkingConfig | None = None
    media_resolution: str | None = None
    speech_config: Json = None
    image_config: Json = None
    enable_enhanced_civic_answers: bool | None = None
    audio_transcription_config: Json = None

    @property
    def answer_schema(self) -> Json:
        return self.response_schema if self.response_schema is not None else self.response_json_schema


class GenerateContent(Strict):
    """The body of `:generateContent` and `:streamGenerateContent`. A field that the API does not know is refused."""

    model: str | None = None
    contents: list[Content] = Field(default_factory=list)
    system_instruction: Content | None = None
    tools: list[Tool] = Field(default_factory=list)
    tool_config: ToolConfig | None = None
    generation_config: GenerationConfig = GenerationConfig()
    safety_settings: list[Object] = Field(default_factory=list)
    labels: dict[str, str] = Field(default_factory=dict)
    cached_content: str | None = None
    continuation_token: str | None = None
    service_tier: str | None = None
    store: bool | None = None

    @property
    def functions(self) -> list[FunctionDeclaration]:
        return [function for tool in self.tools for function in tool.function_declarations]

    @property
    def calling(self) -> FunctionCallingConfig:
        return (self.tool_config or ToolConfig()).function_calling_config


class CountTokens(Strict):
    """The body of `:countTokens`: contents alone, or a whole request, which contents beside it do not change."""

    contents: list[Content] = Field(default_factory=list)
    generate_content_request: GenerateContent | None = None


Body = TypeVar("Body", bound=BaseModel)


def read_body(kind: type[Body], raw: bytes) -> Body:
    """Raises `ApiFault` 400, worded as the service does."""
    try:
        return kind.model_validate_json(raw or b"{}")
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    *within, name = [_snake(part) for part in first["loc"]] or [""]
    path = "".join([*within, name]).lstrip(".")
    match first["type"]:
        case "extra_forbidden":
            place = f" at '{''.join(within).lstrip('.')}'" if within else ""
            text = f'Invalid JSON payload received. Unknown name "{name.lstrip(".")}"{place}: Cannot find field.'
        case "json_invalid":
            text = "Invalid JSON payload received. Unexpected token."
        case _:
            text = f"Invalid value at '{path}': {first['msg']}"
    raise fault(400, text) from error


def _snake(part: int | str) -> str:
    return f"[{part}]" if isinstance(part, int) else "." + re.sub(r"[A-Z]", lambda big: f"_{big[0].lower()}", part)
