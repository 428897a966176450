"""Our request as the body of Mistral's chat API. What the model would refuse is left out or changed, and noted.

The service is strict about who speaks after whom, and its ids of calls have nine letters and digits.
"""

import json
import re
from collections.abc import Mapping, Sequence
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

Object = dict[str, Json]

# Limits of the API (Mistral API reference, "Chat completion").
TEMPERATURE_MAX = 1.5
CALL_ID_CHARS = 9
# Efforts that a model takes (Mistral docs, "Reasoning"); where it does not say, all or nothing.
EFFORTS: Mapping[str, Sequence[str]] = {"mistral-large-4": ("none", "low", "medium", "high")}
_ALL_OR_NOTHING = ("none", "high")
_STEPS = ("minimal", "low", "medium", "high", "xhigh", "max")
_CALL_ID = re.compile(rf"[a-zA-Z0-9]{{{CALL_ID_CHARS}}}")
BRIDGE = "OK."


class Body(NamedTuple):
    content: Object
    notes: tuple[str, ...]


def body_of(request: LLMRequest, provider: str) -> Body:
    """The parameters of a call, without `stream`."""
    notes: list[str] = []
    content: Object = {"model": request.model, "messages": _Conversation(provider, notes).of(request.messages)}
    if request.tools:
        content["tools"] = [_tool(tool) for tool in request.tools]
        content["tool_choice"] = _choice(request.tool_choice)
        if not request.parallel_tool_calls:
            content["parallel_tool_calls"] = False
    if request.response_schema is not None:
        content["response_format"] = _format(request)
    if request.max_tokens is not None:
        content["max_tokens"] = request.max_tokens
    if request.stop:
        content["stop"] = [*request.stop]
    if request.session_id:
        content["prompt_cache_key"] = request.session_id
    if request.labels:
        content["metadata"] = {**request.labels}
    _add_sampling(request, content, notes)
    return Body(content, tuple(notes))


def call_id_of(name: str) -> str:
    """The id of a call as Mistral takes it: its own stay, others become their hash, so that pairs stay pairs."""
    return name if _CALL_ID.fullmatch(name) else sha256(name.encode()).hexdigest()[:CALL_ID_CHARS]


def _add_sampling(request: LLMRequest, content: Object, notes: list[str]) -> None:
    if request.temperature is not None:
        content["temperature"] = min(request.temperature, TEMPERATURE_MAX)
        if request.temperature > TEMPERATURE_MAX:
            notes.append(f"temperature lowered from {request.temperature:g} to {TEMPERATURE_MAX:g}: Mistral's highest")
    if request.seed is not None and request.seed >= 0:
        content["random_seed"] = request.seed
    elif request.seed is not None:
        notes.append(f"seed {request.seed} left out: Mistral takes none below 0")
    if request.reasoning_effort is not None:
        effort = _effort(request.model, request.reasoning_effort)
        content["reasoning_effort"] = effort
        if effort != request.reasoning_effort.value:
            notes.append(f"reasoning_effort {request.reasoning_effort.value} sent as {effort}: what the model takes")


def _effort(model: str, wanted: ReasoningEffort) -> str:
    """The least effort of the model that is not below the one wanted, or else its highest."""
    takes = next((efforts for name, efforts in EFFORTS.items() if model.startswith(name)), _ALL_OR_NOTHING)
    if wanted.value in takes:
        return wanted.value
    return next((step for step in _STEPS[_STEPS.index(wanted.value) :] if step in takes), takes[-1])


def _tool(tool: ToolSpec) -> Json:
    function: Object = {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
    return {"type": "function", "function": {**function, "strict": allows_strict(tool.parameters)}}


def _choice(choice: str) -> Json:
    if choice in ("auto", "none"):
        return choice
    return "any" if choice == "required" else {"type": "function", "function": {"name": choice}}


def _format(request: LLMRequest) -> Json:
    schema = request.response_schema or {}
    shape: Object = {"name": request.response_schema_name, "schema": schema, "strict": allows_strict(schema)}
    return {"type": "json_schema", "json_schema": shape}


class _Conversation:
    """Messages in an order that the service takes."""

    def __init__(self, provider: str, notes: list[str]) -> None:
        self._provider = provider
        self._notes = notes
        self._sent: list[Object] = []

    def of(self, messages: Sequence[Message]) -> list[Json]:
        for message in messages:
            seen = message.for_provider(self._provider)
            if message.role is Role.ASSISTANT:
                self._say(seen)
            else:
                self._tell(seen)
        return [*self._sent]

    def _say(self, message: Message) -> None:
        chunks = [chunk for part in message.parts if (chunk := _said(part)) is not None]
        calls: list[Json] = [_call(part) for part in message.tool_calls]
        if not calls and all(chunk["type"] == "thinking" for chunk in chunks):
            return  # the service takes no thoughts that led to nothing
        said: Object = {"role": "assistant", "content": _plain(chunks)}
        if calls:
            said["tool_calls"] = calls
        self._sent.append(said)

    def _tell(self, message: Message) -> None:
        for part in message.parts:
            if isinstance(part, ToolResultPart):
                self._sent.append(_result(part))
        chunks = [chunk for part in message.parts if (chunk := _shown(part)) is not None]
        if not chunks:
            return
        last = self._sent[-1]["role"] if self._sent else ""
        role = message.role if message.role is Role.SYSTEM else Role.USER
        if last == "tool":
            self._note(f"a message {BRIDGE!r} of the model put between tool results and what follows them")
            self._sent.append({"role": "assistant", "content": BRIDGE})
        if role is Role.SYSTEM and last in ("assistant", "tool"):
            self._note("a later system message sent as the user's: Mistral takes none after an answer")
            role = Role.USER
        self._sent.append({"role": role.value, "content": _system(chunks) if role is Role.SYSTEM else _plain(chunks)})

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)


def _said(part: Part) -> Object | None:
    match part:
        case TextPart() | RefusalPart():
            return {"type": "text", "text": part.text} if part.text else None
        case ReasoningPart():
            return _thought(part)
        case _:
            return None


def _thought(part: ReasoningPart) -> Object | None:
    """Thoughts that Mistral told, as it told them."""
    state = part.provider_state.data if part.provider_state is not None else None
    if not isinstance(state, dict) or state.get("type") != "thinking":
        return None
    return {**state, "thinking": [{"type": "text", "text": part.text}] if part.text else [], "closed": True}


def _call(part: ToolCallPart) -> Json:
    raw = part.raw_arguments or json.dumps(part.arguments, ensure_ascii=False)
    return {
        "id": call_id_of(part.call_id),
        "type": "function",
        "function": {"name": part.name, "arguments": raw},
    }


def _result(part: ToolResultPart) -> Object:
    # The API has no flag for a failed call, so the text says it.
    told = f"The tool failed: {part.content}" if part.is_error else part.content
    images = [_image(image) for image in part.images or ()]
    content: Json = [{"type": "text", "text": told}, *images] if images else told
    result: Object = {"role": "tool", "tool_call_id": call_id_of(part.call_id), "content": content}
    return {**result, "name": part.name} if part.name else result


def _shown(part: Part) -> Object | None:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart():
            return _image(part)
        case DocumentPart():
            document: Object = {"type": "document_url", "document_url": part.address}
            return {**document, "document_name": part.name} if part.name else document
        case _:
            return None


def _image(part: ImagePart) -> Object:
    return {"type": "image_url", "image_url": {"url": part.address}}


def _plain(chunks: Sequence[Object]) -> Json:
    """Content as text where it is one."""
    if not chunks:
        return ""
    return chunks[0]["text"] if len(chunks) == 1 and chunks[0]["type"] == "text" else [*chunks]


def _system(chunks: Sequence[Object]) -> Json:
    """Instructions are text only."""
    return _plain([chunk for chunk in chunks if chunk["type"] == "text"])
