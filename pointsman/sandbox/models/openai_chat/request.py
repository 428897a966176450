"""The Chat Completions API's requests, as OpenAI reads them.

Built after the API reference of OpenAI and the types of its SDK, not after our adapter.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, objects
from pointsman.sandbox.models.openai_responses.request import fault

# From these on, Chat Completions takes function tools only where the model is told not to reason.
_TOOLS_OR_REASONING = re.compile(r"^gpt-(?:5\.[4-9]|[6-9])")


class StreamOptions(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class CreateCompletion(BaseModel):
    """The body of `POST /v1/chat/completions`. A parameter that the API does not know is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    messages: list[Object] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    store: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    tools: list[Object] | None = Field(default=None, min_length=1, max_length=128)
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    response_format: Object | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    metadata: dict[str, str] | None = None
    n: Literal[1] | None = None
    prompt_cache_key: str | None = Field(default=None, max_length=64)
    audio: Json = None
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    moderation: Json = None
    prediction: Json = None
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    prompt_cache_options: Json = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    top_logprobs: int | None = None
    user: str | None = None
    verbosity: str | None = None
    web_search_options: Json = None

    @property
    def limit(self) -> int | None:
        """Of output tokens."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def with_usage(self) -> bool:
        return bool(self.stream_options and self.stream_options.include_usage)

    def functions(self) -> list[Object]:
        """The tools that are functions, each with `name`, `description` and `parameters`."""
        return [dict(as_object(tool.get("function"))) for tool in self.tools or () if tool.get("type") == "function"]

    def schema_of_answer(self) -> Mapping[str, Json]:
        return as_object(as_object((self.response_format or {}).get("json_schema")).get("schema"))


R = TypeVar("R", bound=CreateCompletion)


def read_request(raw: bytes, kind: type[R]) -> R:
    """Raises `ApiFault` 400, worded and coded as the service does."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        _refuse(error)


def calls_of(message: Object) -> Iterator[Object]:
    """The calls of a message of the assistant."""
    yield from objects(message.get("tool_calls"))


def reasons(request: CreateCompletion) -> bool:
    """Whether the model reasons before it answers."""
    is_model_that_does = request.model.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4"))
    return is_model_that_does and request.reasoning_effort != "none"


def needs_silence_for_tools(model: str) -> bool:
    return _TOOLS_OR_REASONING.match(model) is not None


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    match first["type"]:
        case "extra_forbidden":
            raise fault(400, f"Unrecognized request argument supplied: {path}", None) from error
        case "missing":
            raise fault(400, f"Missing required parameter: '{path}'.", "missing_required_parameter", path) from error
        case "json_invalid":
            raise fault(400, "We could not parse the JSON body of your request.", None) from error
        case _:
            raise fault(400, f"Invalid value for '{path}': {first['msg']}", "invalid_value", path) from error
