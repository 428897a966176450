"""A response object of OpenAI's, read leniently: what is missing or new never fails a call.

What the provider wants back unread (ids, phases, encrypted reasoning) is kept as provider state of each part.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.llm.lenient import count_of, object_of, objects, text_of
from pointsman.llm.structured import cleaned, read_arguments
from pointsman.llm.types import (
    FinishReason,
    Part,
    ProviderState,
    ReasoningPart,
    RefusalPart,
    TextPart,
    TokenUsage,
    ToolCallPart,
)


class Reply(NamedTuple):
    parts: tuple[Part, ...]
    finish_reason: FinishReason
    notes: tuple[str, ...]


def read_reply(response: Mapping[str, Json], provider: str) -> Reply:
    """What a response that did not fail says."""
    notes: list[str] = []
    parts: list[Part] = []
    for item in objects(response.get("output")):
        found = _parts(item, provider)
        if not found:
            notes.append(f"left out of the answer: {text_of(item, 'type') or 'an item without type'}")
        parts += found
    return Reply(tuple(parts), _finish(response, parts), tuple(notes))


def read_call(item: Mapping[str, Json], provider: str) -> ToolCallPart:
    """A `function_call` item. What cannot be used of it is said in `invalid`, for the model to read."""
    raw = text_of(item, "arguments")
    arguments, invalid = read_arguments(raw)
    return ToolCallPart(
        call_id=text_of(item, "call_id") or text_of(item, "id"),
        name=text_of(item, "name"),
        arguments=arguments,
        raw_arguments=raw,
        invalid=invalid,
        provider_state=_state(item, provider, "id", "namespace"),
    )


def read_usage(response: Mapping[str, Json]) -> TokenUsage:
    usage = object_of(response, "usage")
    read, written = object_of(usage, "input_tokens_details"), object_of(usage, "output_tokens_details")
    prompt, completion = count_of(usage, "input_tokens"), count_of(usage, "output_tokens")
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=count_of(usage, "total_tokens") or prompt + completion,
        cached_tokens=min(prompt, count_of(read, "cached_tokens")),
        cache_write_tokens=min(prompt, count_of(read, "cache_write_tokens")),
        reasoning_tokens=min(completion, count_of(written, "reasoning_tokens")),
    )


def _parts(item: Mapping[str, Json], provider: str) -> list[Part]:
    match text_of(item, "type"):
        case "message":
            return list(_said(item, provider))
        case "function_call":
            return [read_call(item, provider)]
        case "reasoning":
            return [_reasoning(item, provider)]
        case _:
            return []


def _said(item: Mapping[str, Json], provider: str) -> Iterator[Part]:
    state = _state(item, provider, "id", "phase")
    for content in objects(item.get("content")):
        match text_of(content, "type"):
            case "output_text":
                yield TextPart(text=text_of(content, "text"), provider_state=state)
            case "refusal":
                yield RefusalPart(text=text_of(content, "refusal"), provider_state=state)


def _reasoning(item: Mapping[str, Json], provider: str) -> ReasoningPart:
    told = [text_of(part, "text") for key in ("summary", "content") for part in objects(item.get(key))]
    kept = cleaned({key: value for key, value in item.items() if value is not None and key != "status"})
    return ReasoningPart(text="\n\n".join(told), provider_state=ProviderState(provider=provider, data=kept))


def _state(item: Mapping[str, Json], provider: str, *keys: str) -> ProviderState | None:
    kept: dict[str, Json] = {key: item[key] for key in keys if item.get(key)}
    return ProviderState(provider=provider, data=cleaned(kept)) if kept else None


def _finish(response: Mapping[str, Json], parts: list[Part]) -> FinishReason:
    if text_of(response, "status") == "incomplete":
        reason = text_of(object_of(response, "incomplete_details"), "reason")
        known = {"max_output_tokens": FinishReason.LENGTH, "content_filter": FinishReason.CONTENT_FILTER}
        return known.get(reason, FinishReason.PAUSED)
    if any(isinstance(part, ToolCallPart) for part in parts):
        return FinishReason.TOOL_CALLS
    if any(isinstance(part, RefusalPart) for part in parts):
        return FinishReason.REFUSAL
    return FinishReason.STOP
