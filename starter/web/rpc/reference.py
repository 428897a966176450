"""What is written of the endpoint: its description in OpenAPI, and its reference in the documentation."""

import json
from collections.abc import Iterable

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from pointsman.contracts.base import Json
from starter.web.rpc.codes import OF_ENDPOINT, OF_MODELS, Code
from starter.web.rpc.context import CHARS_MAX
from starter.web.rpc.methods import COMPLETE, METRICS, MODELS, STREAM
from starter.web.rpc.parameters import Ask, ListModels, Nothing
from starter.web.rpc.protocol import BATCH_AT_ONCE, BATCH_MAX
from starter.web.rpc.streams import StreamRules

RULES = StreamRules()
METHODS: tuple[tuple[str, type[BaseModel], str], ...] = (
    (COMPLETE, Ask, "The whole answer of a model."),
    (STREAM, Ask, "The answer as it comes, as Server-Sent Events. Not in a batch, and not as a notification."),
    (MODELS, ListModels, "Models with tiers, abilities, lifecycle and prices; providers with key and circuit."),
    (METRICS, Nothing, "The counters of the model service in this process, by provider and model."),
)
_CALL: dict[str, Json] = {
    "type": "object",
    "required": ["jsonrpc", "method"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "method": {"type": "string", "examples": [name for name, _, _ in METHODS]},
        "params": {"type": ["object", "array"]},
        "id": {"type": ["string", "number", "null"], "description": "Without one, the call is a notification."},
    },
}
BODY_SCHEMA: dict[str, Json] = {"oneOf": [_CALL, {"type": "array", "items": _CALL, "minItems": 1}]}
_ANSWER: dict[str, Json] = {
    "type": "object",
    "required": ["jsonrpc", "id"],
    "properties": {
        "jsonrpc": {"const": "2.0"},
        "result": {},
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "data": {"type": "object"},
            },
        },
        "id": {"type": ["string", "number", "null"]},
    },
}


def _response(description: str, kind: str = "application/json") -> dict[str, object]:
    return {"description": description, "content": {kind: {"schema": _ANSWER}}}


_STATUSES = sorted({code.status for code in OF_ENDPOINT if code.status != 200})
RESPONSES: dict[int | str, dict[str, object]] = {
    200: {
        "description": "The answer, or the stream of them.",
        "content": {
            "application/json": {"schema": {"oneOf": [_ANSWER, {"type": "array", "items": _ANSWER}]}},
            "text/event-stream": {"schema": {"type": "string"}},
        },
    },
    204: {"description": "There is nothing to answer."},
    **{
        status: _response("; ".join(code.message for code in OF_ENDPOINT if code.status == status))
        for status in _STATUSES
    },
}


def reference_markdown() -> str:
    """Methods with their parameters, limits and codes, as Markdown."""
    methods = "\n".join(_method(name, parameters, told) for name, parameters, told in METHODS)
    return f"""## Methods

{methods}
By position, parameters come in the order of these tables. A result of `llm.complete`, and the last event of
`llm.stream`, is the answer with `text`, `message`, `finish_reason`, `usage`, `model`, `provider`, `cost_usd`,
`latency_ms`, `attempts`, `rationale`, `notes`, and the context.

## Headers

| Header | Of | What it is |
| --- | --- | --- |
| `Authorization` | request | `Bearer TOKEN`, one of `POINTSMAN_RPC_TOKENS`. |
| `Content-Type` | request | `application/json`, in UTF-8. |
| `Content-Encoding` | request | `gzip`, or none. |
| `traceparent` | request | W3C Trace Context; its trace id is the call's, unless `trace_id` says another. |
| `X-Source-Agent` | request | As `source_agent`, at most {CHARS_MAX} characters. |
| `X-Session-Id` | request | As `session_id`, at most {CHARS_MAX} characters. |
| `Last-Event-ID` | request to a stream | Number of the last event that came; without it, from the first. |
| `X-Stream-Id` | stream | The stream's id. |
| `X-Correlation-Id` | response | What our log calls this request. |

## Limits

| Limit | Value |
| --- | --- |
| Body | `POINTSMAN_RPC_MAX_BYTES`, as sent and unpacked |
| Calls in a batch | {BATCH_MAX}, of which {BATCH_AT_ONCE} are under way at the same time |
| Streams | {RULES.caller_streams_max} of a token, {RULES.streams_max} of a process |
| Time to come back to a stream | {RULES.linger.total_seconds():g} s |
| Kept of a stream | {RULES.buffer_bytes_max // 1024 // 1024} MiB |
| Silence of a stream | {RULES.keep_alive.total_seconds():g} s, then a comment goes out |

## Errors of the endpoint

`data.reason` says more. Where HTTP's status is not 200, nothing was called, and `id` is null.

| Code | Message | HTTP | What to do |
| --- | --- | --- | --- |
{_rows(f"`{one.code}` | {one.message} | {one.status} | {one.remedy}" for one in OF_ENDPOINT)}
## Errors of a model's call

`data` has `type` (the error's class), `reason`, `retryable`, `retry_after` (seconds, or null), `provider`, `model`,
`request_id` (the provider's), `provider_code`, `usage` (what was billed, as far as it is known), and the context.

| Code | Message | Class | What to do |
| --- | --- | --- | --- |
{_rows(f"`{one.code}` | {one.message} | `{_class(one)}` | {one.remedy}" for one in OF_MODELS)}"""


def _method(name: str, parameters: type[BaseModel], told: str) -> str:
    if not parameters.model_fields:
        return f"### {name}\n\n{told} No parameters.\n"
    first = next(other for other, taken, _ in METHODS if taken is parameters)
    if first != name:
        return f"### {name}\n\n{told} Its parameters are those of `{first}`.\n"
    rows = _rows(_parameter(*field) for field in parameters.model_fields.items())
    return f"### {name}\n\n{told}\n\n| Parameter | Default | What it is |\n| --- | --- | --- |\n{rows}"


def _parameter(name: str, field: FieldInfo) -> str:
    default = "required" if field.is_required() else f"`{json.dumps(field.default)}`"
    return f"`{name}` | {default} | {field.description}"


def _class(code: Code) -> str:
    return code.stands_for.__name__ if code.stands_for else ""


def _rows(rows: Iterable[str]) -> str:
    return "".join(f"| {row} |\n" for row in rows)
