"""A message as the events of a stream: the order and names of the Messages API."""

from collections.abc import Iterator, Sequence

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, chunks, objects

ARGUMENT_CHUNK_CHARS = 12


def events(message: Object, arguments: Sequence[str]) -> Iterator[Object]:
    """All events of the message; `arguments` are those of its calls in their order, as they are written."""
    usage = as_object(message["usage"])
    begun = {**usage, "output_tokens": 1, "output_tokens_details": None}
    unsaid: Object = {"content": [], "stop_reason": None, "stop_details": None, "usage": begun}
    yield {"type": "message_start", "message": {**message, **unsaid}}
    written = iter(arguments)
    for index, block in enumerate(objects(message["content"])):
        yield {"type": "content_block_start", "index": index, "content_block": _begun(block)}
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(block, written):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    stop = {key: message[key] for key in ("stop_reason", "stop_sequence", "stop_details", "container")}
    counted = {key: value for key, value in usage.items() if key not in ("cache_creation", "service_tier")}
    yield {"type": "message_delta", "delta": stop, "usage": counted}
    yield {"type": "message_stop"}


def _begun(block: Object) -> Object:
    """The block before anything is said: what comes in deltas is empty."""
    empty: dict[str, Object] = {
        "text": {"text": ""},
        "thinking": {"thinking": "", "signature": ""},
        "tool_use": {"input": {}},
    }
    return {**block, **empty[str(block["type"])]}


def _deltas(block: Object, arguments: Iterator[str]) -> Iterator[Json]:
    match block["type"]:
        case "text":
            for piece in chunks(str(block["text"])):
                yield {"type": "text_delta", "text": piece}
        case "thinking":
            for piece in chunks(str(block["thinking"])):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            written = next(arguments)
            yield {"type": "input_json_delta", "partial_json": ""}
            for start in range(0, len(written), ARGUMENT_CHUNK_CHARS):
                yield {"type": "input_json_delta", "partial_json": written[start : start + ARGUMENT_CHUNK_CHARS]}
