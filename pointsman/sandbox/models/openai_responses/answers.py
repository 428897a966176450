"""A reply as the response object of the Responses API."""

from dataclasses import dataclass, field
from time import time
from uuid import uuid4

from pointsman.sandbox.models.documents import Object, as_object, text_in, tokens_in
from pointsman.sandbox.models.formats import said_tokens
from pointsman.sandbox.models.openai_responses.checks import seal
from pointsman.sandbox.models.openai_responses.request import CreateResponse, reasons
from pointsman.sandbox.models.replies import Reply


@dataclass(frozen=True)
class Answer:
    """A response that is complete, before it goes out."""

    body: Object
    output: list[Object] = field(default_factory=list)


def answer(request: CreateResponse, reply: Reply, cached_tokens: int) -> Answer:
    """The response object for a reply."""
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
    asked = prompt_tokens(request)
    thought = tokens_in(reply.reasoning) if reasons(request.model) else 0
    said = said_tokens(reply)
    return {
        "input_tokens": asked,
        "input_tokens_details": {"cached_tokens": min(cached_tokens, asked), "cache_write_tokens": 0},
        "output_tokens": thought + said,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": asked + thought + said,
    }


def prompt_tokens(request: CreateResponse) -> int:
    counted = tokens_in(request.instructions or "") + sum(tokens_in(_countable(item)) for item in request.items())
    return counted + (tokens_in(list(request.tools)) if request.tools else 0)


def _countable(item: Object) -> str:
    """What of an item counts as tokens: what is said in it, not its JSON."""
    return text_in(item.get("content")) + str(item.get("arguments") or "") + text_in(item.get("output"))
