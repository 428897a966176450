"""A chat completion while it is read: the protocol of OpenAI's that compatible servers and Mistral speak as well.

Read leniently, because every server has its own dialect: reasoning has two names or stands among the content, calls
come whole or in pieces, with ids or without, under one index or under several. A whole completion is read as the one
chunk that it is, so that both ways give the same answer.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.llm.assembly import Assembly
from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import ProviderError
from pointsman.llm.events import StreamEvent, StreamStarted
from pointsman.llm.lenient import count_of, object_of, objects, text_of
from pointsman.llm.structured import cleaned
from pointsman.llm.types import FinishReason, LLMResponse, Part, TokenUsage

FINISHES: Mapping[str, FinishReason] = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "model_length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
    "content_filter": FinishReason.CONTENT_FILTER,
}
REASONING_FIELDS = ("reasoning_content", "reasoning")
NO_FINISH = "the stream ended without a finish reason"
NO_END = "the stream ended after its finish reason, but before its usage or its end"


@dataclass
class _Call:
    """A call that is coming. Without its name it is not told yet: `waiting` is what came before it."""

    key: str
    call_id: str
    is_told: bool = False
    waiting: str = ""


class Completion:
    """One answer: what has arrived of it, and how it ends. `reported` makes our error of the server's."""

    def __init__(
        self, attempt: Attempt, provider: str, reported: Callable[[Mapping[str, Json]], ProviderError]
    ) -> None:
        self.attempt = attempt
        self._reported = reported
        self._assembly = Assembly(attempt, provider)
        self._head: Mapping[str, Json] | None = None
        self._finish = ""
        self._counted = False
        self._done = False
        self._block = ("", 0)
        self._calls: dict[int, _Call] = {}
        self._calls_begun = 0
        self._refused = False

    @property
    def is_complete(self) -> bool:
        """Whether all has arrived: a reason for the end, and then the usage or the mark that ends a stream."""
        return bool(self._finish) and (self._done or self._counted)

    def end(self) -> None:
        """`[DONE]` has arrived."""
        self._done = True

    def missing(self) -> ProviderError:
        """What a stream that ended too early comes to."""
        return self.attempt.truncated(NO_END if self._finish else NO_FINISH)

    def take(self, chunk: Mapping[str, Json]) -> Iterator[StreamEvent]:
        """What a chunk of the wire means. What is not known of it means nothing."""
        if chunk.get("error"):
            raise self.attempt.billed(self._reported(chunk))
        usage = object_of(chunk, "usage")
        if usage:
            self.attempt.usage = read_usage(usage)
            # Some servers count along with each chunk.
            self._counted = bool(self._finish) or _finishes(chunk)
        if self._head is None:
            self._head = chunk
            yield StreamStarted(response_id=text_of(chunk, "id"), model=text_of(chunk, "model"))
        for choice in objects(chunk.get("choices")):
            if count_of(choice, "index") == 0:
                yield from self._choice(choice)

    def take_whole(self, completion: Mapping[str, Json]) -> None:
        """A completion that came at once."""
        for _ in self.take(completion):
            pass
        if not any(isinstance(choice.get("message"), dict) for choice in objects(completion.get("choices"))):
            raise self.attempt.invalid("a completion without a message in it")

    async def finish(self, *, streamed: bool) -> LLMResponse:
        """The whole answer."""
        head, reason = self._head or {}, self._finish
        finish = FINISHES.get(reason, FinishReason.PAUSED if reason else FinishReason.STOP)
        if reason not in FINISHES:
            why = f"the answer ended for a reason unknown to us: {reason}" if reason else "no reason for the end given"
            self.attempt.notes.append(why)
        if self._refused and finish is FinishReason.STOP:
            finish = FinishReason.REFUSAL
        return await self.attempt.answer(
            self.parts(), finish, model=text_of(head, "model"), response_id=text_of(head, "id"), streamed=streamed
        )

    def parts(self) -> list[Part]:
        return list(self._assembly.parts())

    def _choice(self, choice: Mapping[str, Json]) -> Iterator[StreamEvent]:
        yield from self._said(object_of(choice, "delta") or object_of(choice, "message"))
        if reason := text_of(choice, "finish_reason"):
            self._finish = reason
            yield from self._assembly.end_all()
            if reason == "error":
                raise self.attempt.billed(self._reported({"error": {"message": "the server gave up on the answer"}}))

    def _said(self, delta: Mapping[str, Json]) -> Iterator[StreamEvent]:
        for name in REASONING_FIELDS:
            # Some servers tell the same under both names.
            if thought := text_of(delta, name):
                yield from self._thought(thought, {"field": name})
                break
        content = delta.get("content")
        if isinstance(content, str):
            yield from self._text(text_of(delta, "content"))
        for part in objects(content):
            yield from self._part(part)
        if refusal := text_of(delta, "refusal"):
            self._refused = True
            yield from self._assembly.refusal(self._at("refusal"), refusal)
        for call in objects(delta.get("tool_calls")):
            yield from self._call(call)

    def _part(self, part: Mapping[str, Json]) -> Iterator[StreamEvent]:
        """A piece of content that is not plain text (Mistral)."""
        match kind := text_of(part, "type"):
            case "text":
                yield from self._text(text_of(part, "text"))
            case "thinking":
                inner = part.get("thinking")
                told = inner if isinstance(inner, str) else "".join(text_of(entry, "text") for entry in objects(inner))
                kept = {key: value for key, value in part.items() if key not in ("type", "thinking", "closed")}
                yield from self._thought(told, {"type": kind, **{k: v for k, v in kept.items() if v is not None}})
            case _:
                self.attempt.note(f"left out of the answer: {kind or 'content without type'}")

    def _text(self, piece: str) -> Iterator[StreamEvent]:
        if piece:
            yield from self._assembly.text(self._at("text"), piece)

    def _thought(self, piece: str, state: dict[str, Json]) -> Iterator[StreamEvent]:
        at = self._at("reasoning")
        yield from self._assembly.reasoning(at, piece)
        self._assembly.state(at, "reasoning", cleaned(state))

    def _at(self, kind: str) -> str:
        """The block that a piece of this kind belongs to: the last one, if it is of the kind."""
        last, number = self._block
        if last != kind:
            self._block = (kind, number + 1)
        return f"{kind}-{self._block[1]}"

    def _call(self, piece: Mapping[str, Json]) -> Iterator[StreamEvent]:
        function, index, given = object_of(piece, "function"), count_of(piece, "index"), _id_of(piece)
        call = self._calls.get(index)
        if call is None or (given and call.call_id != given) or (call.is_told and not given and _is_whole(function)):
            # Some servers send all calls under index 0, some send whole ones without an index or an id.
            call = self._calls[index] = self._begun(given)
        raw = function.get("arguments")
        arguments = json.dumps(raw, ensure_ascii=False) if isinstance(raw, dict) else text_of(function, "arguments")
        if not call.is_told and (name := text_of(function, "name")):
            call.is_told = True
            yield from self._assembly.begin_call(call.key, call.call_id, name)
            arguments = call.waiting + arguments
        if call.is_told:
            yield from self._assembly.arguments(call.key, arguments)
        else:
            call.waiting += arguments

    def _begun(self, given: str) -> _Call:
        self._calls_begun += 1
        self._block = ("call", self._block[1] + 1)
        return _Call(f"call-{self._calls_begun}", given or f"call_{uuid4().hex[:24]}")


def read_usage(usage: Mapping[str, Json]) -> TokenUsage:
    prompt, completion = count_of(usage, "prompt_tokens"), count_of(usage, "completion_tokens")
    total = count_of(usage, "total_tokens")
    details = object_of(usage, "prompt_tokens_details")
    read = count_of(details, "cached_tokens") or count_of(usage, "prompt_cache_hit_tokens")
    reasoned = count_of(object_of(usage, "completion_tokens_details"), "reasoning_tokens")
    if reasoned and prompt + completion + reasoned == total:
        completion += reasoned  # some servers count reasoning beside the answer
    return TokenUsage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=max(total, prompt + completion),
        cached_tokens=min(prompt, read),
        cache_write_tokens=min(prompt, count_of(details, "cache_write_tokens")),
        reasoning_tokens=min(completion, reasoned),
    )


def _finishes(chunk: Mapping[str, Json]) -> bool:
    return any(text_of(choice, "finish_reason") for choice in objects(chunk.get("choices")))


def _id_of(piece: Mapping[str, Json]) -> str:
    """The id of a call; Mistral's older servers say that there is none by the word null."""
    found = text_of(piece, "id")
    return "" if found == "null" else found


def _is_whole(function: Mapping[str, Json]) -> bool:
    """Whether a piece begins a call: it names the function."""
    return bool(text_of(function, "name"))
