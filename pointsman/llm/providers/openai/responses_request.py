"""Our request as the body of `POST /v1/responses`. What the model would refuse is left out, and noted.

Reasoning models refuse sampling parameters unless they are told not to reason, and models that do not reason refuse
encrypted reasoning. The Responses API knows neither stop sequences nor a seed.
"""

import json
import re
from hashlib import sha256
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.llm.structured import allows_strict
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    Part,
    ReasoningEffort,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
)

# Limits of the API (OpenAI API reference, "Create a model response").
METADATA_PAIRS_MAX, METADATA_KEY_CHARS_MAX, METADATA_VALUE_CHARS_MAX = 16, 64, 512
CALL_ID_CHARS_MAX = 64

_REASONS = re.compile(r"^(?:[\w.-]+/)?(?:o\d|gpt-(?:[5-9]|\d\d)(?!.*-chat))")


class Body(NamedTuple):
    content: dict[str, Json]
    notes: tuple[str, ...]


def reasons(model: str) -> bool:
    """Whether the model is one of OpenAI's that reason: o-series and gpt-5 upwards, chat variants excepted."""
    return _REASONS.match(model) is not None


def body_of(request: LLMRequest, provider: str) -> Body:
    """The body, without `stream`. Nothing of it is kept by the provider (`store` is false)."""
    notes: list[str] = []
    content: dict[str, Json] = {"model": request.model, "store": False, "input": _input(request, provider)}
    if request.max_tokens is not None:
        content["max_output_tokens"] = request.max_tokens
    if request.tools:
        content["tools"] = [_tool(tool) for tool in request.tools]
        content["tool_choice"] = _choice(request.tool_choice)
        content["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_schema is not None:
        content["text"] = {"format": _format(request)}
    if request.session_id:
        content["prompt_cache_key"] = _short(request.session_id)
    _add_reasoning(request, content, notes)
    _add_metadata(request, content, notes)
    unknown = {"stop": request.stop, "seed": request.seed is not None}
    notes += [f"{name} left out: the Responses API does not take it" for name, given in unknown.items() if given]
    return Body(content, tuple(notes))


def _add_reasoning(request: LLMRequest, content: dict[str, Json], notes: list[str]) -> None:
    if reasons(request.model):
        content["include"] = ["reasoning.encrypted_content"]
        if request.reasoning_effort is not None:
            content["reasoning"] = {"effort": request.reasoning_effort.value}
    elif request.reasoning_effort is not None:
        notes.append(f"reasoning_effort left out: {request.model} does not reason")
    if request.temperature is None:
        return
    if reasons(request.model) and request.reasoning_effort is not ReasoningEffort.NONE:
        notes.append(f"temperature left out: {request.model} refuses it while it reasons")
    else:
        content["temperature"] = request.temperature


def _add_metadata(request: LLMRequest, content: dict[str, Json], notes: list[str]) -> None:
    pairs = request.labels
    kept = list(pairs.items())[:METADATA_PAIRS_MAX]
    if len(kept) < len(pairs):
        notes.append(f"{len(pairs) - len(kept)} of {len(pairs)} metadata pairs left out: at most {METADATA_PAIRS_MAX}")
    if kept:
        content["metadata"] = {name[:METADATA_KEY_CHARS_MAX]: value[:METADATA_VALUE_CHARS_MAX] for name, value in kept}


def _tool(tool: ToolSpec) -> Json:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": allows_strict(tool.parameters),
    }


def _choice(choice: str) -> Json:
    return choice if choice in ("auto", "none", "required") else {"type": "function", "name": choice}


def _format(request: LLMRequest) -> Json:
    schema = request.response_schema or {}
    return {
        "type": "json_schema",
        "name": request.response_schema_name,
        "schema": schema,
        "strict": allows_strict(schema),
    }


def _input(request: LLMRequest, provider: str) -> list[Json]:
    items: list[Json] = []
    for message in request.messages:
        seen = message.for_provider(provider)
        items += _said(seen) if message.role is Role.ASSISTANT else _told(seen)
    return items


def _told(message: Message) -> list[Json]:
    """What we or a tool say: tool results are items of their own, the rest is one message."""
    results = [_result(part) for part in message.parts if isinstance(part, ToolResultPart)]
    shown = [part for part in message.parts if isinstance(part, TextPart | ImagePart | DocumentPart)]
    if not shown:
        return results
    role = "system" if message.role is Role.SYSTEM else "user"
    return [*results, {"type": "message", "role": role, "content": [_content(part) for part in shown]}]


def _content(part: TextPart | ImagePart | DocumentPart) -> Json:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, ImagePart):
        return {"type": "input_image", "image_url": part.address, "detail": "auto"}
    if part.url:
        return {"type": "input_file", "file_url": part.url}
    return {"type": "input_file", "filename": part.name or "document.pdf", "file_data": part.address}


def _result(part: ToolResultPart) -> Json:
    # The API has no flag for a failed call, so the text says it.
    told = f"The tool failed: {part.content}" if part.is_error else part.content
    images = [_content(image) for image in part.images or ()]
    output: Json = [{"type": "input_text", "text": told}, *images] if images else told
    return {"type": "function_call_output", "call_id": _short(part.call_id), "output": output}


def _said(message: Message) -> list[Json]:
    """What the model said, item by item, in its order: reasoning must stand before what it led to."""
    items: list[Json] = []
    for part in message.parts:
        item = _item(part)
        if item is not None and not _joins(items, item):
            items.append(item)
    return items


def _item(part: Part) -> dict[str, Json] | None:
    state = part.provider_state.data if part.provider_state is not None else None
    own: dict[str, Json] = state if isinstance(state, dict) and isinstance(state.get("id"), str) else {}
    match part:
        case ReasoningPart():
            # Without its encrypted content, reasoning says nothing to the model.
            return own if own.get("type") == "reasoning" else None
        case ToolCallPart():
            raw = part.raw_arguments or json.dumps(part.arguments, ensure_ascii=False)
            call = {"type": "function_call", "call_id": _short(part.call_id), "name": part.name, "arguments": raw}
            return {**own, **call}
        case TextPart():
            return _spoken(own, {"type": "output_text", "text": part.text, "annotations": []})
        case RefusalPart():
            return _spoken(own, {"type": "refusal", "refusal": part.text})
        case _:
            return None


def _spoken(own: dict[str, Json], content: dict[str, Json]) -> dict[str, Json] | None:
    if own:
        return {**own, "type": "message", "role": "assistant", "status": "completed", "content": [content]}
    text = content.get("text") or content.get("refusal")
    return {"type": "message", "role": "assistant", "content": text} if text else None


def _joins(items: list[Json], item: dict[str, Json]) -> bool:
    """Whether the item is more content of the message before it, to which it is then added."""
    last = items[-1] if items else None
    if not isinstance(last, dict) or "id" not in item or last.get("id") != item["id"]:
        return False
    content, more = last.get("content"), item.get("content")
    if not isinstance(content, list) or not isinstance(more, list):
        return False
    content.extend(more)
    return True


def _short(name: str) -> str:
    """The name, or its hash where it is longer than the API allows: equal names stay equal."""
    return name if len(name) <= CALL_ID_CHARS_MAX else sha256(name.encode()).hexdigest()
