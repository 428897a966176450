"""What the model says, and the response object that carries it."""

import json
from dataclasses import dataclass, field
from hashlib import sha256
from time import time
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from pointsman.contracts.base import Json
from pointsman.sandbox.models.checks import seal
from pointsman.sandbox.models.wire import CreateResponse, Object, as_object, reasons, text_in, tokens_in

# The provider caches a prompt's beginning from 1,024 tokens on, in steps of 128.
CACHE_TOKENS_MIN, CACHE_TOKENS_STEP = 1_024, 128


class Call(BaseModel):
    """A tool call to make. `raw` goes out as it is, for arguments that are no JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    arguments: Object = Field(default_factory=dict)
    raw: str = ""

    def text(self) -> str:
        return self.raw or json.dumps(self.arguments, ensure_ascii=False, separators=(",", ":"))


class Reply(BaseModel):
    """One answer of the model: text, or JSON, or a refusal, or tool calls; `finish` cuts it short."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str = ""
    data: Json = None
    """Goes out as JSON text."""
    calls: tuple[Call, ...] = ()
    refusal: str = ""
    reasoning: str = ""
    finish: str = Field(default="", pattern="^(|length|content_filter)$")
    model: str = ""
    """Answer as another model than the one that was asked."""

    def said(self) -> str:
        return json.dumps(self.data, ensure_ascii=False) if self.data is not None else self.text


class PromptCache:
    """Which beginnings of prompts were seen before."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def cached_tokens(self, request: CreateResponse) -> int:
        """Tokens of the longest known beginning; the prompt is known from now on."""
        digest, tokens, known = sha256(request.model.encode()), 0, 0
        for item in ({"instructions": request.instructions, "tools": request.tools}, *request.items()):
            digest.update(json.dumps(item, sort_keys=True).encode())
            tokens += tokens_in(json.dumps(item))
            if digest.digest() in self._seen:
                known = tokens
            self._seen.add(digest.digest())
        return known - known % CACHE_TOKENS_STEP if known >= CACHE_TOKENS_MIN else 0


@dataclass(frozen=True)
class Answer:
    """A response that is complete, before it goes out."""

    body: Object
    output: list[Object] = field(default_factory=list)


def answer(request: CreateResponse, reply: Reply, cached_tokens: int) -> Answer:
    """The response object for a reply, cut where the request's limit of tokens says so."""
    reply = _cut(request, reply)
    output = _output(request, reply)
    body = frame(request, reply.model or request.model)
    body["status"] = "incomplete" if reply.finish else "completed"
    if reply.finish:
        reason = "max_output_tokens" if reply.finish == "length" else "content_filter"
        body["incomplete_details"] = {"reason": reason}
    body["usage"] = _usage(request, reply, cached_tokens)
    body["output"] = list(output)
    return Answer(body, output)


def frame(request: CreateResponse, model: str = "") -> Object:
    """A response object as it is when the answer begins."""
    choice = request.tool_choice if request.tool_choice is not None else "auto"
    effort = as_object(request.reasoning).get("effort") or ("medium" if reasons(request.model) else None)
    body: Object = {
        "id": f"resp_{uuid4().hex}",
        "object": "response",
        "created_at": int(time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.instructions,
        "max_output_tokens": request.max_output_tokens,
        "model": model or request.model,
        "output": [],
        "parallel_tool_calls": request.parallel_tool_calls is not False,
        "previous_response_id": None,
        "reasoning": {"effort": effort, "summary": as_object(request.reasoning).get("summary")},
        "safety_identifier": request.safety_identifier,
        "service_tier": "default",
        "store": request.store is not False,
        "temperature": request.temperature if request.temperature is not None else 1.0,
        "text": dict(request.text or {"format": {"type": "text"}}),
        "tool_choice": choice,
        "tools": list(request.tools),
        "top_p": request.top_p if request.top_p is not None else 1.0,
        "truncation": "disabled",
        "usage": None,
        "metadata": dict(request.metadata or {}),
    }
    return body


def _cut(request: CreateResponse, reply: Reply) -> Reply:
    limit = request.max_output_tokens
    room = None if limit is None else max(0, limit - tokens_in(reply.reasoning))
    if reply.finish:
        text = reply.said()
        return reply.model_copy(update={"text": text[: len(text) // 2], "data": None})
    if room is None or tokens_in(reply.said() + "".join(call.text() for call in reply.calls)) <= room:
        return reply
    text = reply.said()[: room * 4]
    return reply.model_copy(update={"text": text, "data": None, "calls": (), "finish": "length"})


def _output(request: CreateResponse, reply: Reply) -> list[Object]:
    status = "incomplete" if reply.finish else "completed"
    output: list[Object] = []
    if reasons(request.model) and reply.reasoning:
        output.append(_reasoning(request, reply.reasoning))
    content: Object | None = None
    if reply.refusal:
        content = {"type": "refusal", "refusal": reply.refusal}
    elif reply.said() or not reply.calls:
        content = {"type": "output_text", "text": reply.said(), "annotations": [], "logprobs": []}
    if content is not None:
        said: Object = {"id": f"msg_{uuid4().hex}", "type": "message", "status": status, "role": "assistant"}
        output.append({**said, "content": [content]})
    output += [
        {
            "id": f"fc_{uuid4().hex}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_{uuid4().hex[:24]}",
            "name": call.name,
            "arguments": call.text(),
        }
        for call in reply.calls
    ]
    return output


def _reasoning(request: CreateResponse, thought: str) -> Object:
    item_id = f"rs_{uuid4().hex}"
    wants_summary = as_object(request.reasoning).get("summary") is not None
    item: Object = {"id": item_id, "type": "reasoning", "summary": []}
    if wants_summary:
        item["summary"] = [{"type": "summary_text", "text": thought}]
    if "reasoning.encrypted_content" in (request.include or ()):
        item["encrypted_content"] = seal(item_id, thought)
    return item


def _usage(request: CreateResponse, reply: Reply, cached_tokens: int) -> Object:
    asked = tokens_in(request.instructions or "") + sum(tokens_in(_countable(item)) for item in request.items())
    asked += tokens_in(list(request.tools)) if request.tools else 0
    thought = tokens_in(reply.reasoning) if reasons(request.model) else 0
    said = tokens_in(reply.said() + reply.refusal + "".join(call.text() for call in reply.calls)) + 3
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": min(cached_tokens, asked), "cache_write_tokens": 0},
        "output_tokens": thought + said,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": asked + thought + said,
    }


def _countable(item: Object) -> str:
    """What of an item counts as tokens: what is said in it, not its JSON."""
    return text_in(item.get("content")) + str(item.get("arguments") or "") + str(item.get("output") or "")
