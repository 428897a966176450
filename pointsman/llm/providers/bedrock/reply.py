"""An answer of Converse while it is read, leniently: what is missing or new never fails a call.

A whole answer is read as the events that a stream would have told it by, so that both give the same.
"""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import datetime

from pointsman.contracts.base import Json
from pointsman.llm.assembly import Assembly
from pointsman.llm.attempt import Attempt
from pointsman.llm.events import StreamEvent, StreamStarted
from pointsman.llm.lenient import count_of, object_of, objects, text_of
from pointsman.llm.types import FinishReason, LLMResponse, TokenUsage

FINISHES: Mapping[str, FinishReason] = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
    "content_filtered": FinishReason.CONTENT_FILTER,
    "guardrail_intervened": FinishReason.CONTENT_FILTER,
}
NOTED: Mapping[str, str] = {
    "": "the provider gave no reason for the end of the answer",
    "guardrail_intervened": "a guardrail has stopped or changed the answer",
    "model_context_window_exceeded": "the answer ends where the model's context window does",
}
MALFORMED = ("malformed_model_output", "malformed_tool_use")


class Reading:
    """One answer: what has arrived of it, and how it ends."""

    def __init__(self, attempt: Attempt, provider: str, model: str) -> None:
        self.ended = False
        """Whether the terminal event has arrived."""
        self.counted = False
        """Whether usage has arrived, which comes after it."""
        self.attempt = attempt
        self._assembly = Assembly(attempt, provider)
        self.model = model
        self._stop = ""
        self._spoilt: set[int] = set()

    def take(self, event: Mapping[str, Json]) -> Iterator[StreamEvent]:
        """What an event of the wire means. An event of an unknown kind means nothing."""
        for kind in event:
            told = object_of(event, kind)
            index = count_of(told, "contentBlockIndex")
            match kind:
                case "messageStart":
                    yield StreamStarted(model=self.model)
                case "contentBlockStart":
                    yield from self._open(index, object_of(told, "start"))
                case "contentBlockDelta":
                    yield from self._more(index, object_of(told, "delta"))
                case "contentBlockStop":
                    yield from self._assembly.end(index)
                case "messageStop":
                    self.ended, self._stop = True, text_of(told, "stopReason")
                    yield from self._assembly.end_all()
                case "metadata":
                    self._count(told)

    def take_whole(self, answer: Mapping[str, Json]) -> None:
        """An answer that came at once."""
        message = object_of(object_of(answer, "output"), "message")
        if not isinstance(message.get("content"), list):
            raise self.attempt.invalid("an answer without a message in it")
        events: list[Mapping[str, Json]] = [{"messageStart": {}}]
        for index, block in enumerate(objects(message.get("content"))):
            events += _pieces(index, block)
        events += [{"messageStop": dict(answer)}, {"metadata": dict(answer)}]
        for event in events:
            for _ in self.take(event):
                pass

    async def finish(self, *, streamed: bool) -> LLMResponse:
        """The whole answer. Raises where the model wrote what the service could not read."""
        if self._stop in MALFORMED:
            raise self.attempt.invalid(f"the model wrote what Bedrock could not read: {self._stop}")
        note = NOTED.get(self._stop)
        if note is None and self._stop not in FINISHES:
            note = f"the answer ended for a reason unknown to us: {self._stop}"
        self.attempt.notes += [note] if note else []
        if not self.counted:
            self.attempt.notes.append("the provider has not told the usage: counted as 0 tokens")
        unknown = FinishReason.PAUSED if self._stop else FinishReason.STOP
        return await self.attempt.answer(
            list(self._assembly.parts()), FINISHES.get(self._stop, unknown), model=self.model, streamed=streamed
        )

    def _open(self, index: int, start: Mapping[str, Json]) -> Iterator[StreamEvent]:
        for kind in start:
            if kind == "toolUse":
                call = object_of(start, kind)
                yield from self._assembly.begin_call(index, text_of(call, "toolUseId"), text_of(call, "name"))
            else:
                self._leave_out(start, kind)

    def _more(self, index: int, delta: Mapping[str, Json]) -> Iterator[StreamEvent]:
        for kind in delta:
            match kind:
                case "text":
                    yield from self._assembly.text(index, text_of(delta, kind))
                case "toolUse":
                    yield from self._assembly.arguments(index, text_of(object_of(delta, kind), "input"))
                case "reasoningContent":
                    yield from self._reason(index, object_of(delta, kind))
                case _:
                    self._leave_out(delta, kind)

    def _reason(self, index: int, piece: Mapping[str, Json]) -> Iterator[StreamEvent]:
        yield from self._assembly.reasoning(index, text_of(piece, "text"))
        self._assembly.sign(index, text_of(piece, "signature"))
        hidden = text_of(piece, "redactedContent")
        state: Json = {"type": "redacted_thinking", "data": hidden} if hidden else {"type": "thinking"}
        # Reasoning goes back as it came or not at all: one with a character that nothing here can keep does not.
        if any(text_of(piece, key) != piece.get(key, "") for key in ("text", "signature")):
            self._spoilt.add(index)
        self._assembly.state(index, "reasoning", None if index in self._spoilt else state)

    def _leave_out(self, piece: Mapping[str, Json], kind: str) -> None:
        named = text_of(object_of(piece, kind), "name") if kind == "SDK_UNKNOWN_MEMBER" else kind
        note = f"left out of the answer: {named or 'a block without a kind'}"
        if note not in self.attempt.notes:
            self.attempt.notes.append(note)

    def _count(self, told: Mapping[str, Json]) -> None:
        usage = object_of(told, "usage")
        if usage:
            self.counted, self.attempt.usage = True, read_usage(usage)


def read_usage(usage: Mapping[str, Json]) -> TokenUsage:
    """Bedrock counts cached and cache-written tokens beside `inputTokens`; here they are part of them.

    Streams of some models count them in both (seen of OpenAI's there): then they are in `inputTokens` already if the
    total, which they add up to, says so.
    """
    read, written = count_of(usage, "cacheReadInputTokens"), count_of(usage, "cacheWriteInputTokens")
    prompt, completion = count_of(usage, "inputTokens"), count_of(usage, "outputTokens")
    is_inclusive = read + written <= prompt and count_of(usage, "totalTokens") == prompt + completion
    if not is_inclusive:
        prompt += read + written
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=read,
        cache_write_tokens=written,
    )


def plain(value: object) -> Json:
    """What boto3 has parsed, as JSON: bytes in base64, times by ISO 8601."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, bytes):
        return b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _pieces(index: int, block: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    """The events of a whole block."""
    place: dict[str, Json] = {"contentBlockIndex": index}
    delta: dict[str, Json] = dict(block)
    if "toolUse" in block:
        call = object_of(block, "toolUse")
        yield {"contentBlockStart": {**place, "start": {"toolUse": dict(call)}}}
        given = call.get("input")
        delta = {"toolUse": {"input": json.dumps(given, ensure_ascii=False) if given is not None else ""}}
    elif "reasoningContent" in block:
        thought = object_of(block, "reasoningContent")
        delta = {"reasoningContent": {**thought, **object_of(thought, "reasoningText")}}
    yield {"contentBlockDelta": {**place, "delta": delta}}
    yield {"contentBlockStop": place}
