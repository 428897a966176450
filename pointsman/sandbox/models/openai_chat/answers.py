"""A reply as a chat completion: whole, or as the chunks of a stream."""

from collections.abc import Iterator
from time import time
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, chunks, objects, text_in, tokens_in
from pointsman.sandbox.models.formats import said_tokens
from pointsman.sandbox.models.openai_chat.request import CreateCompletion, calls_of
from pointsman.sandbox.models.replies import Reply

ARGUMENT_CHUNK_CHARS = 12


def completion(request: CreateCompletion, reply: Reply, usage: Object, thought: Object, call_prefix: str) -> Object:
    """The completion object for a reply. `thought` is what the server shows of its reasoning."""
    message: Object = {"role": "assistant", "content": None, "refusal": None, **thought}
    if reply.refusal:
        message["refusal"] = reply.refusal
    elif reply.said() or not reply.calls:
        message["content"] = reply.said()
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": f"{call_prefix}{uuid4().hex[:24]}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.text()},
            }
            for call in reply.calls
        ]
    finish = reply.finish or ("tool_calls" if reply.calls else "stop")
    return {
        "id": f"chatcmpl-{uuid4().hex}",
        "object": "chat.completion",
        "created": int(time()),
        "model": reply.model or request.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": usage,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def usage_of(asked: int, reply: Reply, cached_tokens: int, reasoned: bool) -> Object:
    thought = tokens_in(reply.reasoning) if reasoned else 0
    said = said_tokens(reply)
    return {
        "prompt_tokens": asked,
        "completion_tokens": thought + said,
        "total_tokens": asked + thought + said,
        "prompt_tokens_details": {"cached_tokens": min(cached_tokens, asked), "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": thought, "audio_tokens": 0},
    }


def prompt_tokens(request: CreateCompletion) -> int:
    counted = sum(tokens_in(_countable(message)) + 3 for message in request.messages)
    return counted + (tokens_in(list(request.tools)) if request.tools else 0)


def streamed(whole: Object, with_usage: bool) -> Iterator[Object]:
    """The chunks of a completion, without the `[DONE]` that follows them."""
    base: Object = {**{key: whole[key] for key in whole if key not in ("choices", "usage")}}
    base["object"] = "chat.completion.chunk"
    if with_usage:
        base["usage"] = None
    choice = next(objects(whole["choices"]))
    for delta in _deltas(dict(as_object(choice["message"]))):
        yield {**base, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
    last: Object = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": choice["finish_reason"]}
    yield {**base, "choices": [last]}
    if with_usage:
        yield {**base, "choices": [], "usage": whole["usage"]}


def _deltas(message: Object) -> Iterator[Object]:
    silent = message["content"] is None
    yield {"role": "assistant", "content": None if silent else "", "refusal": None}
    for name in ("reasoning", "reasoning_content", "content", "refusal"):
        for piece in chunks(str(message.get(name) or "")):
            yield {name: piece}
    for index, call in enumerate(calls_of(message)):
        function = as_object(call["function"])
        opened: Json = {**call, "index": index, "function": {**function, "arguments": ""}}
        yield {"tool_calls": [opened]}
        arguments = str(function["arguments"])
        for start in range(0, len(arguments), ARGUMENT_CHUNK_CHARS):
            piece = arguments[start : start + ARGUMENT_CHUNK_CHARS]
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _countable(message: Object) -> str:
    """What of a message counts as tokens: what is said in it, not its JSON."""
    told = "".join(str(as_object(call.get("function")).get("arguments") or "") for call in calls_of(message))
    return text_in(message.get("content")) + str(message.get("refusal") or "") + told
