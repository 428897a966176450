"""A reply as a chat completion of Mistral's: whole, or as the chunks of a stream."""

from collections.abc import Iterator
from time import time
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, chunks, objects, tokens_in
from pointsman.sandbox.models.formats import said_tokens
from pointsman.sandbox.models.mistral_chat.catalogue import MODELS
from pointsman.sandbox.models.mistral_chat.checks import seal
from pointsman.sandbox.models.mistral_chat.request import (
    AssistantMessage,
    CreateChat,
    Thinking,
    chunks_of,
    texts_of,
)
from pointsman.sandbox.models.replies import Reply

FINISHES = {"length": "length", "content_filter": "error"}


def reasons(request: CreateChat) -> bool:
    """Whether the model thinks before it answers."""
    model = MODELS.get(request.model)
    unasked = model is not None and model.reasons_unasked
    return request.reasoning_effort != "none" if unasked else request.reasoning_effort not in (None, "none")


def completion(request: CreateChat, reply: Reply, asked_tokens: int, cached_tokens: int) -> Object:
    said: Json = reply.said() + reply.refusal
    if reasons(request) and reply.reasoning:
        thought: Object = {
            "type": "thinking",
            "thinking": [{"type": "text", "text": reply.reasoning}],
            "signature": seal(reply.reasoning),
            "closed": True,
        }
        said = [thought, {"type": "text", "text": said}] if said else [thought]
    message: Object = {"role": "assistant", "content": said, "tool_calls": None}
    if reply.calls:
        message["tool_calls"] = [
            {"id": uuid4().hex[:9], "function": {"name": call.name, "arguments": call.text()}, "index": index}
            for index, call in enumerate(reply.calls)
        ]
    finish = FINISHES.get(reply.finish) or ("tool_calls" if reply.calls else "stop")
    thought_tokens = tokens_in(reply.reasoning) if reasons(request) else 0
    told = said_tokens(reply) + thought_tokens
    return {
        "id": uuid4().hex,
        "object": "chat.completion",
        "created": int(time()),
        "model": reply.model or request.model,
        "usage": {
            "prompt_tokens": asked_tokens,
            "completion_tokens": told,
            "total_tokens": asked_tokens + told,
            "prompt_tokens_details": {"cached_tokens": min(cached_tokens, asked_tokens)},
        },
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
    }


def streamed(whole: Object) -> Iterator[Object]:
    """The chunks of a completion. Thoughts come in pieces, calls whole, the usage with the reason for the end."""
    base: Object = {key: whole[key] for key in ("id", "created", "model")}
    base["object"] = "chat.completion.chunk"
    choice = next(objects(whole["choices"]))
    message = as_object(choice["message"])
    for delta in _deltas(message["content"]):
        yield {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    last: Object = {"content": ""}
    if message["tool_calls"]:
        last["tool_calls"] = message["tool_calls"]
    ending: Object = {"index": 0, "delta": last, "finish_reason": choice["finish_reason"]}
    yield {**base, "choices": [ending], "usage": whole["usage"]}


def prompt_tokens(request: CreateChat) -> int:
    tools = [tool.model_dump(mode="json") for tool in request.tools or ()]
    counted = 0
    for message in request.messages:
        counted += 3 + tokens_in(texts_of(message.content))
        if isinstance(message, AssistantMessage):
            thoughts = [chunk for chunk in chunks_of(message.content) if isinstance(chunk, Thinking)]
            counted += sum(tokens_in(text.text) for thought in thoughts for text in thought.thinking)
            counted += sum(tokens_in(str(call.function.arguments)) for call in message.tool_calls or ())
    return counted + (tokens_in([*tools]) if tools else 0)


def _deltas(content: Json) -> Iterator[Object]:
    yield {"role": "assistant", "content": ""}
    for part in objects(content):
        if part["type"] == "thinking":
            yield from _thought(part)
    text = content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in objects(content))
    for piece in chunks(text):
        yield {"content": piece}


def _thought(part: Object) -> Iterator[Object]:
    text = "".join(str(entry["text"]) for entry in objects(part["thinking"]))
    for piece in chunks(text):
        yield {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": piece}]}]}
    yield {"content": [{"type": "thinking", "thinking": [], "signature": part["signature"], "closed": True}]}
