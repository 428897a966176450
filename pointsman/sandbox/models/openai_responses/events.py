"""A response as the events of a stream: the order, names and numbers of the Responses API."""

from collections.abc import Iterator

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, as_object, chunks, objects
from pointsman.sandbox.models.openai_responses.answers import Answer

ARGUMENT_CHUNK_CHARS = 12


def events(answer: Answer) -> Iterator[Object]:
    """All events of the answer, numbered from 0."""
    for number, event in enumerate(_events(answer)):
        yield {**event, "sequence_number": number}


def _events(answer: Answer) -> Iterator[Object]:
    begun: Object = {**answer.body, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(answer.output):
        yield {"type": "response.output_item.added", "output_index": index, "item": _begun(item)}
        for event in _inside(item):
            yield {**event, "item_id": item["id"], "output_index": index}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{answer.body['status']}", "response": answer.body}


def _begun(item: Object) -> Object:
    """The item before anything is said: what comes in deltas is empty."""
    empty: dict[str, Json] = {"message": {"content": []}, "function_call": {"arguments": ""}}
    begun = {**item, **as_object(empty.get(str(item["type"])))}
    if item["type"] == "reasoning":
        return {**begun, "summary": []}
    return {**begun, "status": "in_progress"}


def _inside(item: Object) -> Iterator[Object]:
    match item["type"]:
        case "message":
            for index, part in enumerate(objects(item["content"])):
                yield from ({**event, "content_index": index} for event in _content(part))
        case "reasoning":
            for index, part in enumerate(objects(item["summary"])):
                yield from ({**event, "summary_index": index} for event in _summary(part))
        case "function_call":
            arguments = str(item["arguments"])
            for start in range(0, len(arguments), ARGUMENT_CHUNK_CHARS):
                delta = arguments[start : start + ARGUMENT_CHUNK_CHARS]
                yield {"type": "response.function_call_arguments.delta", "delta": delta}
            done = {"name": item["name"], "arguments": arguments}
            yield {"type": "response.function_call_arguments.done", **done}


def _content(part: Object) -> Iterator[Object]:
    key = "refusal" if part["type"] == "refusal" else "text"
    kind = "refusal" if part["type"] == "refusal" else "output_text"
    text = str(part[key])
    yield {"type": "response.content_part.added", "part": {**part, key: ""}}
    for delta in chunks(text):
        yield {"type": f"response.{kind}.delta", "delta": delta, "logprobs": []}
    yield {"type": f"response.{kind}.done", key: text, "logprobs": []}
    yield {"type": "response.content_part.done", "part": part}


def _summary(part: Object) -> Iterator[Object]:
    text = str(part["text"])
    yield {"type": "response.reasoning_summary_part.added", "part": {**part, "text": ""}}
    for delta in chunks(text):
        yield {"type": "response.reasoning_summary_text.delta", "delta": delta}
    yield {"type": "response.reasoning_summary_text.done", "text": text}
    yield {"type": "response.reasoning_summary_part.done", "part": part}
