"""The Responses API's messages: requests as the service reads them, faults in its envelope, tokens as it counts them.

Built after the API reference of OpenAI and the types of its SDK, not after our adapter.
"""

from collections.abc import Mapping
from typing import NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object
from pointsman.sandbox.models.formats import ApiFault

Body = TypeVar("Body", bound=BaseModel)


def fault(status: int, message: str, code: str | None = None, param: str | None = None, kind: str = "") -> ApiFault:
    """An error in the envelope of OpenAI: `{"error": {"message", "type", "param", "code"}}`."""
    error_type = kind or ("server_error" if status >= 500 else "invalid_request_error")
    body: Json = {"message": message, "type": error_type, "param": param, "code": code}
    return ApiFault(status, message, {"error": body})


class CreateResponse(BaseModel):
    """The body of `POST /v1/responses`. A parameter that the API does not know is refused."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: str | list[Object] = Field(default_factory=list)
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, ge=0, le=1)
    max_output_tokens: int | None = Field(default=None, ge=16)
    tools: list[Object] = Field(default_factory=list)
    tool_choice: str | Object | None = None
    parallel_tool_calls: bool | None = None
    text: Object | None = None
    reasoning: Object | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = Field(default=None, max_length=64)
    background: bool | None = None
    context_management: Json = None
    conversation: Json = None
    max_tool_calls: int | None = None
    moderation: Json = None
    previous_response_id: str | None = None
    prompt: Json = None
    prompt_cache_options: Json = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    stream_options: Object | None = None
    top_logprobs: int | None = None
    truncation: str | None = None
    user: str | None = None

    def items(self) -> list[Object]:
        """The input as items; a plain text is one message of the user."""
        if isinstance(self.input, str):
            return [{"type": "message", "role": "user", "content": self.input}]
        return self.input

    def response_format(self) -> Mapping[str, Json]:
        return as_object((self.text or {}).get("format"))


def read_request(raw: bytes) -> CreateResponse:
    """Raises `ApiFault` 400, worded and coded as the service does."""
    return read_body(CreateResponse, raw)


def read_body(kind: type[Body], raw: bytes) -> Body:
    """The same for any body of this service."""
    try:
        return kind.model_validate_json(raw)
    except ValidationError as error:
        _refuse(error)


def _refuse(error: ValidationError) -> NoReturn:
    first = error.errors(include_url=False)[0]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]).lstrip(".")
    match first["type"]:
        case "extra_forbidden":
            raise fault(400, f"Unknown parameter: '{path}'.", "unknown_parameter", path) from error
        case "missing":
            raise fault(400, f"Missing required parameter: '{path}'.", "missing_required_parameter", path) from error
        case "json_invalid":
            text = "We could not parse the JSON body of your request."
            raise fault(400, text, None) from error
        case _:
            raise fault(400, f"Invalid value for '{path}': {first['msg']}", "invalid_type", path) from error


def reasons(model: str) -> bool:
    return model.startswith(("gpt-5", "gpt-6", "o1", "o3", "o4"))
