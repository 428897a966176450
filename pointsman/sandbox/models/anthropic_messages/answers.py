"""A reply as the message object of the Messages API."""

import json
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS
from pointsman.sandbox.models.anthropic_messages.checks import thinks
from pointsman.sandbox.models.anthropic_messages.request import (
    Block,
    CountTokens,
    CreateMessage,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    blocks_of,
    plain,
)
from pointsman.sandbox.models.anthropic_messages.thoughts import seal
from pointsman.sandbox.models.anthropic_messages.turns import turn_blocks
from pointsman.sandbox.models.documents import Object, tokens_in
from pointsman.sandbox.models.formats import said_tokens
from pointsman.sandbox.models.replies import Call, Reply

CACHEABLE_TOKENS_MIN = 512
MEDIA_TOKENS = 1_500


def message(request: CreateMessage, reply: Reply, cached_tokens: int) -> Object:
    """The whole message."""
    content = _content(request, reply)
    refused = bool(reply.refusal) or reply.finish == "content_filter"
    details: Json = {"type": "refusal", "category": None, "explanation": reply.refusal or None} if refused else None
    return {
        "id": f"msg_{uuid4().hex[:24]}",
        "type": "message",
        "role": "assistant",
        "model": reply.model or request.model,
        "content": list(content),
        "stop_reason": "refusal" if refused else _stop_reason(reply),
        "stop_sequence": None,
        "stop_details": details,
        "container": None,
        "diagnostics": None,
        "usage": _usage(request, reply, cached_tokens),
    }


def call_input(call: Call) -> Json:
    """Arguments as an object, as a message that comes at once has them."""
    try:
        given: Json = json.loads(call.text())
    except ValueError:
        given = {}
    return given if isinstance(given, dict) else {}


def prompt_tokens(request: CountTokens) -> int:
    return sum(_tokens(piece) for piece in _pieces(request)) + 3


def marked_pieces(request: CountTokens) -> list[Json]:
    """The prompt piece by piece, up to the last mark of the cache: what stands behind it is never kept."""
    whole = [dict(plain(piece)) for piece in _marked(request)]
    return [{key: value for key, value in piece.items() if key != "cache_control"} for piece in whole]


def _pieces(request: CountTokens) -> list[Tool | Block]:
    said = (block for turn in request.messages for block in turn_blocks(turn))
    return [*request.tools, *blocks_of(request.system), *said]


def _marked(request: CountTokens) -> list[Tool | Block]:
    pieces = _pieces(request)
    marks = [index for index, piece in enumerate(pieces) if getattr(piece, "cache_control", None) is not None]
    return pieces[: marks[-1] + 1] if marks else []


def _stop_reason(reply: Reply) -> str:
    if reply.finish == "length":
        return "max_tokens"
    return "tool_use" if reply.calls else "end_turn"


def _content(request: CreateMessage, reply: Reply) -> list[Object]:
    content: list[Object] = []
    if thinks(request) and reply.reasoning:
        shown = reply.reasoning if _shows(request) else ""
        content.append({"type": "thinking", "thinking": shown, "signature": seal(request, shown, reply.reasoning)})
    if reply.said():
        content.append({"type": "text", "text": reply.said(), "citations": None})
    content += [
        {"type": "tool_use", "id": f"toolu_{uuid4().hex[:24]}", "name": call.name, "input": call_input(call)}
        for call in reply.calls
    ]
    return content


def _shows(request: CreateMessage) -> bool:
    display = request.thinking.display if request.thinking else None
    return display == "summarized" if display else MODELS[request.model].shows_thinking


def _usage(request: CreateMessage, reply: Reply, cached_tokens: int) -> Object:
    prompt = prompt_tokens(request)
    marked = sum(_tokens(piece) for piece in _marked(request))
    kept = marked if marked >= CACHEABLE_TOKENS_MIN else 0
    read = min(cached_tokens, kept)
    written = kept - read
    thought = tokens_in(reply.reasoning) if thinks(request) else 0
    return {
        "input_tokens": prompt - read - written,
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": 0},
        "output_tokens": said_tokens(reply) + thought,
        "output_tokens_details": {"thinking_tokens": thought},
        "service_tier": "standard",
    }


def _tokens(block: Tool | Block) -> int:
    if isinstance(block, Tool):
        return tokens_in(dict(plain(block)))
    if isinstance(block, Text):
        return tokens_in(block.text)
    if isinstance(block, ToolUse):
        return tokens_in(block.input) + tokens_in(block.name)
    if isinstance(block, ToolResult):
        return sum(_tokens(inner) for inner in blocks_of(block.content)) + 3
    return MEDIA_TOKENS if block.type in ("image", "document") else 0
