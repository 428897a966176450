"""A reply as Converse tells it, whole and as the events of a stream."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.models.anthropic_messages.answers import message
from pointsman.sandbox.models.anthropic_messages.request import CreateMessage
from pointsman.sandbox.models.documents import Object, as_object, chunks, objects
from pointsman.sandbox.models.replies import Reply

ARGUMENT_CHUNK_CHARS = 12
STOPS = {"refusal": "content_filtered"}


def answer(request: CreateMessage, reply: Reply, cached_tokens: int) -> Object:
    """The body of an answer."""
    native = message(request, reply, cached_tokens)
    content: list[Json] = [_block(block) for block in objects(native["content"])]
    if reply.refusal:
        content = [{"text": reply.refusal}]
    reason = str(native["stop_reason"])
    return {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": STOPS.get(reason, reason),
        "usage": _usage(native["usage"]),
        "metrics": {"latencyMs": 1},
    }


def events(whole: Object, arguments: Sequence[str]) -> Iterator[tuple[str, Object]]:
    """Names and payloads; `arguments` are those of the calls in their order, as they are written."""
    said = as_object(as_object(whole["output"])["message"])
    yield "messageStart", {"role": "assistant"}
    written = iter(arguments)
    for index, block in enumerate(objects(said["content"])):
        if "toolUse" in block:
            call = as_object(block["toolUse"])
            start: Json = {"toolUse": {"toolUseId": call["toolUseId"], "name": call["name"]}}
            yield "contentBlockStart", {"start": start, "contentBlockIndex": index}
        for delta in _deltas(block, written):
            yield "contentBlockDelta", {"delta": delta, "contentBlockIndex": index}
        yield "contentBlockStop", {"contentBlockIndex": index}
    yield "messageStop", {"stopReason": whole["stopReason"]}
    yield "metadata", {"usage": whole["usage"], "metrics": whole["metrics"]}


def _block(block: Object) -> Json:
    match block["type"]:
        case "thinking":
            return {"reasoningContent": {"reasoningText": {"text": block["thinking"], "signature": block["signature"]}}}
        case "tool_use":
            call_id = f"tooluse_{uuid4().hex[:22]}"
            return {"toolUse": {"toolUseId": call_id, "name": block["name"], "input": block["input"]}}
        case _:
            return {"text": block["text"]}


def _deltas(block: Object, arguments: Iterator[str]) -> Iterator[Json]:
    if "toolUse" in block:
        written = next(arguments)
        for start in range(0, len(written), ARGUMENT_CHUNK_CHARS):
            yield {"toolUse": {"input": written[start : start + ARGUMENT_CHUNK_CHARS]}}
    elif "reasoningContent" in block:
        said = as_object(as_object(block["reasoningContent"])["reasoningText"])
        for piece in chunks(str(said["text"])):
            yield {"reasoningContent": {"text": piece}}
        yield {"reasoningContent": {"signature": said["signature"]}}
    else:
        for piece in chunks(str(block["text"])):
            yield {"text": piece}


def _usage(native: Json) -> Object:
    usage = as_object(native)
    counts = {key: value for key, value in usage.items() if isinstance(value, int)}
    plain, told = counts["input_tokens"], counts["output_tokens"]
    read, kept = counts["cache_read_input_tokens"], counts["cache_creation_input_tokens"]
    return {
        "inputTokens": plain,
        "outputTokens": told,
        "totalTokens": plain + read + kept + told,
        "cacheReadInputTokens": read,
        "cacheWriteInputTokens": kept,
    }
