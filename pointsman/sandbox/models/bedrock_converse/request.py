"""Requests of Converse, ConverseStream and CountTokens, after the service's published model of 2023-09-30.

Of its blocks those are here that the models here take: no video, audio, citations or guards.
"""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, ValidationError, model_validator

from pointsman.contracts.base import Json
from pointsman.sandbox.models.bedrock_converse.faults import invalid
from pointsman.sandbox.models.documents import Object

ToolName = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
ToolUseId = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_.:-]{1,64}$")]
# "Alphanumeric characters, whitespace (no more than one in a row), hyphens, parentheses, square brackets".
DocumentName = Annotated[str, Field(pattern=r"^\s?(?:[a-zA-Z0-9()\[\]-]+\s?)+$", min_length=1, max_length=200)]
MetadataText = Annotated[str, Field(pattern=r"^[a-zA-Z0-9\s:_@$#=/+,\-.]{0,256}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=False)


class _Union(_Strict):
    """Exactly one member is set."""

    @model_validator(mode="after")
    def _has_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError(f"exactly one member of the union must be set, got {sorted(self.model_fields_set)}")
        return self


class CachePoint(_Strict):
    type: Literal["default"]
    ttl: Literal["5m", "1h"] | None = None


class ByteSource(_Strict):
    bytes: Base64Bytes = Field(min_length=1)


class Image(_Strict):
    format: Literal["png", "jpeg", "gif", "webp"]
    source: ByteSource


class DocumentText(_Union):
    text: str | None = None


class DocumentSource(_Union):
    bytes: Base64Bytes | None = Field(default=None, min_length=1)
    text: str | None = None
    content: list[DocumentText] | None = None


class Document(_Strict):
    format: Literal["pdf", "csv", "doc", "docx", "xls", "xlsx", "html", "txt", "md"] | None = None
    name: DocumentName
    source: DocumentSource
    context: str | None = None


class ToolUse(_Strict):
    toolUseId: ToolUseId
    name: ToolName
    input: Json


class ResultBlock(_Union):
    json_: Json = Field(default=None, alias="json")
    text: str | None = None
    image: Image | None = None
    document: Document | None = None


class ToolResult(_Strict):
    toolUseId: ToolUseId
    content: list[ResultBlock]
    status: Literal["success", "error"] | None = None


class ReasoningText(_Strict):
    text: str
    signature: str | None = None


class Reasoning(_Union):
    reasoningText: ReasoningText | None = None
    redactedContent: Base64Bytes | None = None


class Content(_Union):
    text: str | None = None
    image: Image | None = None
    document: Document | None = None
    toolUse: ToolUse | None = None
    toolResult: ToolResult | None = None
    reasoningContent: Reasoning | None = None
    cachePoint: CachePoint | None = None


class Turn(_Strict):
    role: Literal["user", "assistant", "system"]
    content: list[Content]


class SystemBlock(_Union):
    text: str | None = Field(default=None, min_length=1)
    cachePoint: CachePoint | None = None


class Inference(_Strict):
    maxTokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=1)
    topP: float | None = Field(default=None, ge=0, le=1)
    stopSequences: list[Annotated[str, Field(min_length=1)]] = Field(default_factory=list, max_length=2500)


class InputSchema(_Strict):
    json_: Object = Field(alias="json")


class Spec(_Strict):
    name: ToolName
    description: str | None = Field(default=None, min_length=1)
    inputSchema: InputSchema
    strict: bool | None = None


class Tool(_Union):
    toolSpec: Spec | None = None
    cachePoint: CachePoint | None = None


class Named(_Strict):
    name: ToolName


class Empty(_Strict):
    pass


class Choice(_Union):
    auto: Empty | None = None
    any: Empty | None = None
    tool: Named | None = None


class ToolConfig(_Strict):
    tools: list[Tool] = Field(min_length=1)
    toolChoice: Choice | None = None


class JsonSchema(_Strict):
    schema_: str = Field(alias="schema")
    name: str | None = None
    description: str | None = None


class Structure(_Strict):
    jsonSchema: JsonSchema


class TextFormat(_Strict):
    type: Literal["json_schema"]
    structure: Structure


class OutputConfig(_Strict):
    textFormat: TextFormat | None = None
    effort: str | None = None


class Prompt(_Strict):
    """What may be counted of a request."""

    messages: list[Turn] = Field(min_length=1)
    system: list[SystemBlock] = Field(default_factory=list)
    toolConfig: ToolConfig | None = None
    additionalModelRequestFields: Object = Field(default_factory=dict)


class Converse(Prompt):
    """The body of `POST /model/{modelId}/converse` and of `converse-stream`."""

    inferenceConfig: Inference = Field(default_factory=Inference)
    outputConfig: OutputConfig = Field(default_factory=OutputConfig)
    requestMetadata: dict[MetadataText, MetadataText] = Field(default_factory=dict, max_length=16)
    additionalModelResponseFieldPaths: list[str] = Field(default_factory=list, max_length=10)


class CountInput(_Strict):
    converse: Prompt


class CountTokens(_Strict):
    """The body of `POST /model/{modelId}/count-tokens`."""

    input: CountInput


R = TypeVar("R", bound=BaseModel)


def read_request(raw: bytes, kind: type[R]) -> R:
    """Raises `ApiFault` 400, worded as the service does."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise invalid(
            f"1 validation error detected: Value at '{where}' failed to satisfy constraint: {first['msg']}"
        ) from error
