"""Responses of GenerateContent, read leniently: what is missing or new never fails a call.

A stream is responses whose parts follow each other, a whole answer is one of them. Function calls come whole.
"""

import json
from collections.abc import Iterator, Mapping
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.llm.assembly import Assembly, Kind
from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import (
    AuthenticationError,
    ContentRefusedError,
    InvalidRequestError,
    InvalidResponseError,
    ProviderError,
)
from pointsman.llm.events import StreamEvent, StreamStarted
from pointsman.llm.lenient import count_of, object_of, objects, text_of
from pointsman.llm.providers.gemini.faults import GeminiFaults
from pointsman.llm.structured import cleaned
from pointsman.llm.types import FinishReason, LLMResponse, TokenUsage

_FILTERED = (
    "BLOCKLIST",
    "ESCALATION",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_SAFETY",
    "LANGUAGE",
    "MODEL_ARMOR",
    "PROHIBITED_CONTENT",
    "RECITATION",
    "SAFETY",
    "SPII",
)
FINISHES = {
    "STOP": FinishReason.STOP,
    "MAX_TOKENS": FinishReason.LENGTH,
    **dict.fromkeys(_FILTERED, FinishReason.CONTENT_FILTER),
}
"""All others that are no failures pause the answer: OTHER, CONTINUATION, TOO_MANY_TOOL_CALLS, NO_IMAGE, new ones."""
FAILED: Mapping[str, type[ProviderError]] = {
    "MALFORMED_FUNCTION_CALL": InvalidResponseError,
    "MALFORMED_RESPONSE": InvalidResponseError,
    "UNEXPECTED_TOOL_CALL": InvalidResponseError,
    "MISSING_THOUGHT_SIGNATURE": InvalidRequestError,
    "PUP_LIMITED_DISABLED": AuthenticationError,
}
_SILENT = frozenset({"thought", "thoughtSignature", "partMetadata"})


class Reading:
    """One answer while it is read: what has arrived, and how it ends."""

    def __init__(self, attempt: Attempt, faults: GeminiFaults, provider: str, names: Mapping[str, str]) -> None:
        """`names` are ours of the tools by those of the wire."""
        self.attempt = attempt
        self._faults = faults
        self._names = names
        self._said = Assembly(attempt, provider)
        self._model = ""
        self._id = ""
        self._begun = False
        self._called = False
        self._candidates = 0
        self._finish = ""
        self._why = ""
        self._blocked = ""
        self._counts: dict[str, int] = {}
        self._block = 0
        self._open: Kind | None = None
        """What kind of block the next piece may go on with."""

    @property
    def is_complete(self) -> bool:
        """Whether the answer has said how it ends."""
        return bool(self._finish or self._blocked)

    def take(self, response: Mapping[str, Json]) -> Iterator[StreamEvent]:
        """What a response, or a piece of one, means."""
        if response.get("error"):
            raise self.attempt.billed(self._faults.of_error(response, {}, self.attempt.request_id))
        self._model = text_of(response, "modelVersion") or self._model
        self._id = text_of(response, "responseId") or self._id
        self._count(object_of(response, "usageMetadata"))
        if not self._begun:
            self._begun = True
            yield StreamStarted(response_id=self._id, model=self._model)
        self._blocked = _told(object_of(response, "promptFeedback"), "blockReason") or self._blocked
        # Never more than one is asked for.
        for candidate in list(objects(response.get("candidates")))[:1]:
            self._candidates += 1
            for part in objects(object_of(candidate, "content").get("parts")):
                yield from self._part(part)
            self._finish = _told(candidate, "finishReason") or self._finish
            self._why = text_of(candidate, "finishMessage") or self._why

    async def finish(self, *, streamed: bool) -> LLMResponse:
        """The whole answer; raises what the provider reports instead of one."""
        self.attempt.request_id = self.attempt.request_id or self._id
        self._check()
        if streamed and self._called:
            self.attempt.note("the arguments of calls came whole: GenerateContent does not stream them")
        finish = FINISHES.get(self._finish, FinishReason.PAUSED)
        if finish in (FinishReason.PAUSED, FinishReason.CONTENT_FILTER):
            told = f"the answer ended with {self._finish}" if self._finish else "the answer does not say why it ended"
            self.attempt.note(f"{told}: {self._why}" if self._why else told)
        return await self.attempt.answer(
            self._said.parts(), finish, model=self._model, response_id=self._id, streamed=streamed
        )

    def failed(self, error: BaseException) -> ProviderError:
        return self.attempt.billed(self._faults.of_exception(error, self.attempt.request_id))

    def _check(self) -> None:
        request_id = self.attempt.request_id
        if self._blocked:
            reason = f"the prompt was blocked: {self._blocked}"
            blocked = self._faults.make(ContentRefusedError, reason, code=self._blocked, request_id=request_id)
            raise self.attempt.billed(blocked)
        if not self._candidates:
            raise self.attempt.invalid("a response without a candidate in it")
        if kind := FAILED.get(self._finish):
            reason = f"the answer ended with {self._finish}: {self._why or 'no reason given'}"
            raise self.attempt.billed(self._faults.make(kind, reason, code=self._finish, request_id=request_id))

    def _part(self, part: Mapping[str, Json]) -> Iterator[StreamEvent]:
        signature = text_of(part, "thoughtSignature")
        if isinstance(part.get("functionCall"), dict):
            yield from self._call(object_of(part, "functionCall"), signature)
        elif isinstance(part.get("text"), str) or (signature and not set(part) - _SILENT):
            yield from self._text("reasoning" if part.get("thought") is True else "text", part, signature)
        else:
            kinds = ", ".join(sorted(set(part) - _SILENT)) or "a part without content"
            self.attempt.note(f"left out of the answer: {self._faults.safe(kinds)}")

    def _text(self, kind: Kind, part: Mapping[str, Json], signature: str) -> Iterator[StreamEvent]:
        """A piece with a signature is a part of its own: a signature belongs to exactly what came with it."""
        text = text_of(part, "text")
        if not text and not signature:
            return
        if signature or self._open != kind:
            self._block += 1
        self._open = None if signature else kind
        if signature:
            self._said.state(self._block, kind, {"thoughtSignature": signature})
        yield from (self._said.reasoning if kind == "reasoning" else self._said.text)(self._block, text)

    def _call(self, call: Mapping[str, Json], signature: str) -> Iterator[StreamEvent]:
        """A call that the provider gave no id gets one here, which never goes back."""
        self._called, self._open = True, None
        self._block += 1
        own_id, name, arguments = text_of(call, "id"), text_of(call, "name"), call.get("args")
        yield from self._said.begin_call(self._block, own_id or f"call_{uuid4().hex}", self._names.get(name, name))
        kept = {"id": own_id, "thoughtSignature": signature}
        self._said.state(self._block, "call", {key: value for key, value in kept.items() if value})
        raw = json.dumps(cleaned(arguments if arguments is not None else {}), ensure_ascii=False)
        yield from self._said.arguments(self._block, raw)
        yield from self._said.end(self._block)

    def _count(self, usage: Mapping[str, Json]) -> None:
        """Counts of a stream run up; a piece that leaves one out does not take it back."""
        for key in usage:
            self._counts[key] = max(count_of(usage, key), self._counts.get(key, 0))
        counts: Mapping[str, Json] = dict(self._counts)
        thoughts = count_of(counts, "thoughtsTokenCount")
        prompt = count_of(counts, "promptTokenCount") + count_of(counts, "toolUsePromptTokenCount")
        completion = count_of(counts, "candidatesTokenCount") + thoughts
        self.attempt.usage = TokenUsage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=max(prompt + completion, count_of(counts, "totalTokenCount")),
            cached_tokens=min(prompt, count_of(counts, "cachedContentTokenCount")),
            reasoning_tokens=thoughts,
        )


def _told(value: Mapping[str, Json], key: str) -> str:
    """An enumerated reason; the unspecified one is none."""
    told = text_of(value, key)
    return "" if told.endswith("_UNSPECIFIED") else told
