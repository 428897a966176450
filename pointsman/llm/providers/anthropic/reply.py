"""A message of Anthropic's while it is read, leniently: what is missing or new never fails a call.

A whole message is read as the events that a stream would have told it by, so that both give the same answer.
"""

import json
from collections.abc import Iterator, Mapping

from pointsman.contracts.base import Json
from pointsman.llm.assembly import Assembly
from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import ProviderError
from pointsman.llm.events import StreamEvent, StreamStarted
from pointsman.llm.lenient import count_of, object_of, objects, text_of
from pointsman.llm.providers.anthropic.faults import AnthropicFaults
from pointsman.llm.types import FinishReason, LLMResponse, RefusalPart, TokenUsage

FINISHES: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "pause_turn": FinishReason.PAUSED,
    "refusal": FinishReason.REFUSAL,
}
NOTED: Mapping[str, str] = {
    "": "the provider gave no reason for the end of the answer",
    "model_context_window_exceeded": "the answer ends where the model's context window does",
}


class Reading:
    """One answer: what has arrived of it, and how it ends."""

    def __init__(self, attempt: Attempt, faults: AnthropicFaults, provider: str) -> None:
        self.ended = False
        """Whether the terminal event has arrived."""
        self.attempt = attempt
        self.faults = faults
        self._assembly = Assembly(attempt, provider)
        self._message: Mapping[str, Json] = {}
        self._usage: dict[str, Json] = {}
        self._stop: dict[str, Json] = {}
        self._spoilt: set[int] = set()

    def take(self, event: Mapping[str, Json]) -> Iterator[StreamEvent]:
        """What an event of the wire means. An event of an unknown type means nothing."""
        index = count_of(event, "index")
        match text_of(event, "type"):
            case "message_start":
                yield self._begin(object_of(event, "message"))
            case "content_block_start":
                yield from self._open(index, object_of(event, "content_block"))
            case "content_block_delta":
                yield from self._more(index, object_of(event, "delta"))
            case "content_block_stop":
                yield from self._assembly.end(index)
            case "message_delta":
                self._stop.update(_given(object_of(event, "delta")))
                self._count(object_of(event, "usage"))
            case "message_stop":
                self.ended = True
                yield from self._assembly.end_all()
            case "error":
                raise self.reported(event)

    def take_whole(self, message: Mapping[str, Json]) -> None:
        """A message that came at once."""
        if text_of(message, "type") == "error":
            raise self.reported(message)
        if not isinstance(message.get("content"), list):
            raise self.attempt.invalid("a message without content in it")
        events: list[Mapping[str, Json]] = [{"type": "message_start", "message": dict(message)}]
        for index, block in enumerate(objects(message.get("content"))):
            events.append({"type": "content_block_start", "index": index, "content_block": dict(block)})
        events += [{"type": "message_delta", "delta": dict(message)}, {"type": "message_stop"}]
        for event in events:
            for _ in self.take(event):
                pass

    async def finish(self, *, streamed: bool) -> LLMResponse:
        """The whole answer."""
        reason = text_of(self._stop, "stop_reason")
        parts = list(self._assembly.parts())
        if reason == "refusal":
            details = object_of(self._stop, "stop_details")
            why, category = text_of(details, "explanation"), text_of(details, "category")
            parts += [RefusalPart(text=why)] if why else []
            self.attempt.notes += [f"refused as {category}"] if category else []
        if reason in NOTED or reason not in FINISHES:
            self.attempt.notes.append(NOTED.get(reason) or f"the answer ended for a reason unknown to us: {reason}")
        unknown = FinishReason.PAUSED if reason else FinishReason.STOP
        return await self.attempt.answer(
            parts,
            FINISHES.get(reason, unknown),
            model=text_of(self._message, "model"),
            response_id=text_of(self._message, "id"),
            streamed=streamed,
        )

    def reported(self, event: Mapping[str, Json]) -> ProviderError:
        """The error that came where a message belongs."""
        error = self.faults.of_body(event, self.attempt.request_id)
        return self.attempt.billed(error)

    def _begin(self, message: Mapping[str, Json]) -> StreamEvent:
        self._message = message
        self._count(object_of(message, "usage"))
        dropped = [text_of(entry, "reason") for entry in objects(message.get("input_transformations"))]
        for why in dict.fromkeys(dropped):
            count = dropped.count(why)
            self.attempt.notes.append(f"earlier reasoning dropped by the provider, {count} blocks: {why}")
        return StreamStarted(response_id=text_of(message, "id"), model=text_of(message, "model"))

    def _open(self, index: int, block: Mapping[str, Json]) -> Iterator[StreamEvent]:
        match kind := text_of(block, "type"):
            case "text":
                yield from self._assembly.text(index, text_of(block, "text"))
            case "thinking":
                yield from self._assembly.reasoning(index, text_of(block, "thinking"))
                self._assembly.sign(index, text_of(block, "signature"))
                self._seal(index, block, {"type": kind})
            case "redacted_thinking":
                yield from self._assembly.reasoning(index, "")
                self._seal(index, block, {"type": kind, "data": text_of(block, "data")})
            case "tool_use":
                yield from self._assembly.begin_call(index, text_of(block, "id"), text_of(block, "name"))
                given = block.get("input")
                if given:  # the whole of it: a stream opens the block with an empty one
                    yield from self._assembly.arguments(index, json.dumps(given, ensure_ascii=False))
            case _:
                self.attempt.notes.append(f"left out of the answer: {kind or 'a block without type'}")

    def _more(self, index: int, delta: Mapping[str, Json]) -> Iterator[StreamEvent]:
        match text_of(delta, "type"):
            case "text_delta":
                yield from self._assembly.text(index, text_of(delta, "text"))
            case "thinking_delta":
                yield from self._assembly.reasoning(index, text_of(delta, "thinking"))
                self._seal(index, delta, {"type": "thinking"})
            case "signature_delta":
                self._assembly.sign(index, text_of(delta, "signature"))
                self._seal(index, delta, {"type": "thinking"})
            case "input_json_delta":
                yield from self._assembly.arguments(index, text_of(delta, "partial_json"))

    def _seal(self, index: int, piece: Mapping[str, Json], state: Json) -> None:
        """Reasoning goes back as it came or not at all: one with a character that nothing here can keep does not."""
        if any(text_of(piece, key) != piece.get(key, "") for key in ("thinking", "signature", "data")):
            self._spoilt.add(index)
        self._assembly.state(index, "reasoning", None if index in self._spoilt else state)

    def _count(self, usage: Mapping[str, Json]) -> None:
        """Counts are cumulative: the last of each stands."""
        self._usage.update(_given(usage))
        self.attempt.usage = read_usage(self._usage)


def read_usage(usage: Mapping[str, Json]) -> TokenUsage:
    """Anthropic counts the cached and the cache-written tokens beside `input_tokens`; here they are part of them."""
    read, written = count_of(usage, "cache_read_input_tokens"), count_of(usage, "cache_creation_input_tokens")
    prompt, completion = count_of(usage, "input_tokens") + read + written, count_of(usage, "output_tokens")
    reasoned = count_of(object_of(usage, "output_tokens_details"), "thinking_tokens")
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=min(reasoned, completion),
    )


def _given(fields: Mapping[str, Json]) -> dict[str, Json]:
    return {key: value for key, value in fields.items() if value is not None}
