"""Our request as the body of `POST /v1/chat/completions`. What the model would refuse is left out, and noted.

OpenAI's own models are known by their names: those that reason refuse stop sequences, `max_tokens`, sampling, and from
gpt-5.4 on tools while they reason. Of any other model nothing is assumed: it gets what was asked for.
"""

import json
import re
from collections.abc import Iterable
from hashlib import sha256

from pointsman.contracts.base import Json
from pointsman.llm.completions import REASONING_FIELDS
from pointsman.llm.providers.openai.responses_request import Body, reasons
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

# Limits of the API (OpenAI API reference, "Create chat completion").
CALL_ID_CHARS_MAX, CACHE_KEY_CHARS_MAX = 40, 64
STOPS_MAX = 4

_SILENT_WITH_TOOLS = re.compile(r"^(?:[\w.-]+/)?gpt-(?:5\.[4-9]|[6-9]|\d\d)(?!.*-chat)")
_PLAIN = re.compile(r"^(?:[\w.-]+/)?gpt-(?:3|4)")


def body_of(request: LLMRequest, provider: str) -> Body:
    """The body, without `stream`."""
    notes: list[str] = []
    content: dict[str, Json] = {"model": request.model, "messages": _messages(request, provider, notes)}
    if request.tools:
        content["tools"] = [_tool(tool) for tool in request.tools]
        content["tool_choice"] = _choice(request.tool_choice)
        if not request.parallel_tool_calls:
            content["parallel_tool_calls"] = False
    if request.response_schema is not None:
        content["response_format"] = _format(request)
    if request.seed is not None:
        content["seed"] = request.seed
    if provider == "openai":
        content["store"] = False
        if request.session_id:
            content["prompt_cache_key"] = _short(request.session_id, CACHE_KEY_CHARS_MAX)
    if request.metadata:
        notes.append("metadata left out: Chat Completions takes it only with answers that it stores")
    _add_limits(request, content, notes)
    _add_reasoning(request, content, notes)
    return Body(content, tuple(notes))


def _add_limits(request: LLMRequest, content: dict[str, Json], notes: list[str]) -> None:
    if request.max_tokens is not None:
        # Compatible servers know the older name for certain, OpenAI's models that reason refuse it.
        content["max_completion_tokens" if reasons(request.model) else "max_tokens"] = request.max_tokens
    if request.stop and reasons(request.model):
        notes.append(f"stop left out: {request.model} does not take it")
    elif request.stop:
        content["stop"] = [*request.stop[:STOPS_MAX]]
        if len(request.stop) > STOPS_MAX:
            notes.append(f"{len(request.stop) - STOPS_MAX} of {len(request.stop)} stop left out: at most {STOPS_MAX}")


def _add_reasoning(request: LLMRequest, content: dict[str, Json], notes: list[str]) -> None:
    effort = request.reasoning_effort
    if request.tools and _SILENT_WITH_TOOLS.match(request.model) and effort is not ReasoningEffort.NONE:
        effort = ReasoningEffort.NONE
        notes.append(f"reasoning_effort set to none: {request.model} takes tools in Chat Completions only so")
    if effort is not None and _PLAIN.match(request.model):
        notes.append(f"reasoning_effort left out: {request.model} does not reason")
    elif effort is not None:
        content["reasoning_effort"] = effort.value
    if request.temperature is None:
        return
    if reasons(request.model) and effort is not ReasoningEffort.NONE:
        notes.append(f"temperature left out: {request.model} refuses it while it reasons")
    else:
        content["temperature"] = request.temperature


def _tool(tool: ToolSpec) -> Json:
    function: dict[str, Json] = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    if allows_strict(tool.parameters):
        function["strict"] = True
    return {"type": "function", "function": function}


def _choice(choice: str) -> Json:
    return choice if choice in ("auto", "none", "required") else {"type": "function", "function": {"name": choice}}


def _format(request: LLMRequest) -> Json:
    schema = request.response_schema or {}
    shape: dict[str, Json] = {"name": request.response_schema_name, "schema": schema}
    if allows_strict(schema):
        shape["strict"] = True
    return {"type": "json_schema", "json_schema": shape}


def _messages(request: LLMRequest, provider: str, notes: list[str]) -> list[Json]:
    # Reasoning belongs to the turn under way: servers drop or refuse that of turns which are over.
    users = [index for index, message in enumerate(request.messages) if message.role is Role.USER]
    turn_begins = users[-1] if users else 0
    told: list[Json] = []
    for index, message in enumerate(request.messages):
        seen = message.for_provider(provider)
        if message.role is Role.ASSISTANT:
            told += _said(seen, with_reasoning=index > turn_begins)
        else:
            told += _told(seen, notes)
    return told


def _told(message: Message, notes: list[str]) -> list[Json]:
    """What we or a tool say: each result is a message of its own, and what is shown beside them follows."""
    results: list[Json] = []
    shown: list[dict[str, Json]] = []
    for part in message.parts:
        if isinstance(part, ToolResultPart):
            results.append(_result(part))
            shown += [_image(image) for image in part.images or ()]
            if part.images:
                _note(notes, "images of tool results sent as a message of the user: a result takes text only")
        elif (content := _content(part, notes)) is not None:
            shown.append(content)
    role = "system" if message.role is Role.SYSTEM else "user"
    return [*results, {"role": role, "content": _plain(shown)}] if shown else results


def _content(part: Part, notes: list[str]) -> dict[str, Json] | None:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return _image(part)
        case DocumentPart():
            return _document(part, notes)
        case _:
            return None


def _image(part: ImagePart) -> dict[str, Json]:
    return {"type": "image_url", "image_url": {"url": part.address}}


def _document(part: DocumentPart, notes: list[str]) -> dict[str, Json]:
    if part.url:
        _note(notes, "documents by URL named in the text: Chat Completions takes their bytes only")
        return {"type": "text", "text": f"[Document {part.name or 'without a name'}: {part.url}]"}
    return {"type": "file", "file": {"filename": part.name or "document.pdf", "file_data": part.address}}


def _result(part: ToolResultPart) -> Json:
    # The API has no flag for a failed call, so the text says it.
    output = f"The tool failed: {part.content}" if part.is_error else part.content
    return {"role": "tool", "tool_call_id": _short(part.call_id, CALL_ID_CHARS_MAX), "content": output}


def _said(message: Message, *, with_reasoning: bool) -> list[Json]:
    """What the model said, as one message; none where nothing is left of it."""
    content = [_spoken(part) for part in message.parts if isinstance(part, TextPart | RefusalPart) and part.text]
    calls: list[Json] = [_call(part) for part in message.tool_calls]
    if not content and not calls:
        return []
    said: dict[str, Json] = {"role": "assistant", "content": _plain(content) if content else None}
    if calls:
        said["tool_calls"] = calls
    if with_reasoning:
        said |= _reasoning(part for part in message.parts if isinstance(part, ReasoningPart))
    return [said]


def _spoken(part: TextPart | RefusalPart) -> dict[str, Json]:
    return {"type": "refusal", "refusal": part.text} if part.kind == "refusal" else {"type": "text", "text": part.text}


def _call(part: ToolCallPart) -> Json:
    raw = part.raw_arguments or json.dumps(part.arguments, ensure_ascii=False)
    called: dict[str, Json] = {"name": part.name, "arguments": raw}
    return {"id": _short(part.call_id, CALL_ID_CHARS_MAX), "type": "function", "function": called}


def _reasoning(parts: Iterable[ReasoningPart]) -> dict[str, Json]:
    """Reasoning that this server showed, under the name by which it did."""
    told: dict[str, Json] = {}
    for part in parts:
        state = part.provider_state.data if part.provider_state is not None else None
        name = state.get("field") if isinstance(state, dict) else None
        if name in REASONING_FIELDS:
            told[str(name)] = f"{told.get(str(name), '')}{part.text}"
    return told


def _plain(content: list[dict[str, Json]]) -> Json:
    """Content as text where it is one: not every server takes parts."""
    if len(content) == 1 and content[0]["type"] == "text":
        return content[0]["text"]
    return [*content]


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)


def _short(name: str, chars_max: int) -> str:
    """The name, or its hash where it is longer than the API allows: equal names stay equal."""
    return name if len(name) <= chars_max else sha256(name.encode()).hexdigest()[:chars_max]
