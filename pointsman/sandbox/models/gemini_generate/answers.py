"""A reply as the response of GenerateContent, whole and in the pieces of a stream."""

import json
from collections.abc import Iterator, Sequence
from secrets import token_urlsafe
from typing import NamedTuple
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, chunks, tokens_in
from pointsman.sandbox.models.formats import Asked, said_tokens
from pointsman.sandbox.models.gemini_generate.checks import seal
from pointsman.sandbox.models.gemini_generate.lineup import MODELS
from pointsman.sandbox.models.gemini_generate.request import GenerateContent, ThinkingConfig
from pointsman.sandbox.models.replies import Call, Reply

_RATINGS: Json = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH", "blocked": True}]


class Answer(NamedTuple):
    """A response that is complete, before it goes out."""

    id: str
    model: str
    parts: Sequence[Object]
    ending: Object
    """What the candidate says of its end: its reason, and why."""
    usage: Object

    def body(self) -> Object:
        """The whole response."""
        content: Object = {"content": {"parts": list(self.parts), "role": "model"}} if self.parts else {}
        return self._framed({**content, **self.ending}, self.usage)

    def pieces(self) -> Iterator[Object]:
        """The responses of a stream: counts run up, and the last one says why it ended."""
        counted = ("promptTokenCount", "thoughtsTokenCount")
        running: Object = {key: self.usage[key] for key in counted if key in self.usage}
        begun: Object = {**running, "totalTokenCount": sum(int(str(count)) for count in running.values())}
        signature: Object = {}
        for part in self.parts:
            kept = dict(part)
            if "text" in part and "thoughtSignature" in part:
                # The signature of a text that is streamed comes after it, in a part of its own.
                signature = {"thoughtSignature": kept.pop("thoughtSignature")}
            for piece in _pieces(kept):
                yield self._framed({"content": {"parts": [piece], "role": "model"}}, begun)
        last: Object = {"content": {"parts": [{"text": "", **signature}], "role": "model"}} if self.parts else {}
        yield self._framed({**last, **self.ending}, self.usage)

    def _framed(self, candidate: Object, usage: Object) -> Object:
        return {
            "candidates": [{**candidate, "index": 0}],
            "usageMetadata": usage,
            "modelVersion": self.model,
            "responseId": self.id,
        }


def answer(asked: Asked, request: GenerateContent, reply: Reply, cached_tokens: int) -> Answer:
    """The response for a reply."""
    broken = next((call for call in reply.calls if not _is_object(call)), None)
    ending: Object = {"finishReason": "STOP"}
    if broken is not None:
        ending = {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": f"Malformed function call: {broken.raw}"}
    elif reply.refusal or reply.finish == "content_filter":
        ending = {"finishReason": "SAFETY", "safetyRatings": _RATINGS}
    elif reply.finish:
        ending = {"finishReason": "MAX_TOKENS"}
    parts = [] if broken or reply.refusal else _parts(asked, request, reply)
    usage = _usage(asked, reply, cached_tokens)
    return Answer(_new_id(), reply.model or asked.model, parts, ending, usage)


def blocked(asked: Asked, reason: str) -> Object:
    """The response for a prompt that the filters let not through."""
    usage: Object = {"promptTokenCount": asked.prompt_tokens, "totalTokenCount": asked.prompt_tokens}
    return {
        "promptFeedback": {"blockReason": reason, "safetyRatings": _RATINGS},
        "usageMetadata": usage,
        "modelVersion": asked.model,
        "responseId": _new_id(),
    }


def _new_id() -> str:
    return token_urlsafe(16)


def _parts(asked: Asked, request: GenerateContent, reply: Reply) -> list[Object]:
    thinking = request.generation_config.thinking_config or ThinkingConfig()
    thought = reply.reasoning if asked.reasons else ""
    parts: list[Object] = [{"text": thought, "thought": True}] if thought and thinking.include_thoughts else []
    signature: Object = {"thoughtSignature": seal(thought)} if asked.reasons else {}
    if reply.said():
        # A reply that calls functions is signed at its first call, any other at its end.
        parts.append({"text": reply.said(), **({} if reply.calls else signature)})
    for number, call in enumerate(reply.calls):
        parts.append({"functionCall": _call(asked, call), **({} if number else signature)})
    return parts


def _call(asked: Asked, call: Call) -> Object:
    named: Object = {"id": uuid4().hex[:8]} if MODELS[asked.model].is_strict else {}
    return {**named, "name": call.name, "args": json.loads(call.text())}


def _is_object(call: Call) -> bool:
    try:
        return isinstance(json.loads(call.text()), dict)
    except ValueError:
        return False


def _pieces(part: Object) -> Iterator[Object]:
    if isinstance(part.get("text"), str):
        yield from ({**part, "text": piece} for piece in chunks(str(part["text"])))
    else:
        yield part


def _usage(asked: Asked, reply: Reply, cached_tokens: int) -> Object:
    thought = tokens_in(reply.reasoning) if asked.reasons else 0
    said = said_tokens(reply)
    usage: Object = {
        "promptTokenCount": asked.prompt_tokens,
        "candidatesTokenCount": said,
        "totalTokenCount": asked.prompt_tokens + said + thought,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": asked.prompt_tokens}],
    }
    if thought:
        usage["thoughtsTokenCount"] = thought
    if cached_tokens:
        usage["cachedContentTokenCount"] = min(cached_tokens, asked.prompt_tokens)
    return usage
