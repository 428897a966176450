"""What the fake provider says: answers of four wire formats as ready bytes, and what a path asks of it.

A path begins with its mode, `/d50-n100-p5`: answer after 50 ms, stream 100 pieces, 5 ms between two of them.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MODEL = "gpt-6-luna"
ANSWER = "The points are set for track two, and the line is clear as far as the signal box. "
USAGE = {"prompt_tokens": 180, "completion_tokens": 24, "total_tokens": 204}
DELAY_SPREAD = 0.2
"""Whole answers take so much more or less than their mode says, at random: with equal delays the calls of a client
march in step, and what is measured is how they queue for each other.
"""
_MODE = re.compile(r"^/d(?P<delay>\d+)-n(?P<pieces>\d+)-p(?P<pace>\d+)(?P<rest>/.*)$")


class Mode(NamedTuple):
    """How an answer comes. Times in milliseconds."""

    delay: int = 0
    pieces: int = 0
    pace: int = 0

    @property
    def path(self) -> str:
        return f"/d{self.delay}-n{self.pieces}-p{self.pace}"


def read_path(path: str) -> tuple[Mode, str]:
    """The mode, and the rest of the path: that of the provider's API.

    Raises:
        ValueError: it begins with no mode.
    """
    found = _MODE.match(path)
    if found is None:
        raise ValueError(f"path {path!r} does not begin with a mode such as /d0-n0-p0")
    return Mode(int(found["delay"]), int(found["pieces"]), int(found["pace"])), found["rest"]


def whole(path: str) -> Mapping[str, Any]:
    """The answer at once, in the format of the API that the path names.

    Raises:
        KeyError: no API of ours.
    """
    return next(answer for ending, answer in _WHOLE.items() if path.split("?")[0].endswith(ending))


def streamed(path: str, pieces: int) -> Sequence[bytes]:
    """The events of a streamed answer with so many pieces of text, for Chat Completions and Responses."""
    return _chat_events(pieces) if path.endswith("/chat/completions") else _responses_events(pieces)


def said(index: int) -> str:
    """A piece of text. Each is another, because some clients take a repeated one for a fault of the model."""
    return f"track {index} "


def _chat_events(pieces: int) -> list[bytes]:
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_790_000_000, "model": MODEL}

    def chunk(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _event({**base, "choices": [choice]})

    text = [chunk({"content": said(index)}) for index in range(pieces)]
    usage = _event({**base, "choices": [], "usage": USAGE})
    return [chunk({"role": "assistant", "content": ""}), *text, chunk({}, "stop"), usage, b"data: [DONE]\n\n"]


def _responses_events(pieces: int) -> list[bytes]:
    def event(kind: str, number: int, **fields: object) -> bytes:
        named = f"event: {kind}\n".encode()
        return named + _event({"type": kind, "sequence_number": number, **fields})

    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    begun = {**_RESPONSE, "status": "in_progress", "output": [], "usage": None}
    item = {"id": "msg_1", "type": "message", "status": "in_progress", "role": "assistant", "content": []}
    part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    text = "".join(map(said, range(pieces)))
    done = {**item, "status": "completed", "content": [{**part, "text": text}]}
    kind = "response.output_text"
    deltas = [
        event(f"{kind}.delta", 3 + index, **place, delta=said(index), logprobs=[], obfuscation="x9Kd2mQp")
        for index in range(pieces)
    ]
    return [
        event("response.created", 0, response=begun),
        event("response.output_item.added", 1, output_index=0, item=item),
        event("response.content_part.added", 2, **place, part=part),
        *deltas,
        event(f"{kind}.done", pieces + 3, **place, text=text, logprobs=[]),
        event("response.content_part.done", pieces + 4, **place, part={**part, "text": text}),
        event("response.output_item.done", pieces + 5, output_index=0, item=done),
        event("response.completed", pieces + 6, response={**_RESPONSE, "output": [done]}),
    ]


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


_CHAT = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1_790_000_000,
    "model": MODEL,
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": ANSWER, "refusal": None, "annotations": []},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {
        **USAGE,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    },
    "service_tier": "default",
    "system_fingerprint": "fp_1",
}
_RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_790_000_000,
    "status": "completed",
    "background": False,
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "max_output_tokens": 256,
    "model": MODEL,
    "output": [
        {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": ANSWER, "annotations": [], "logprobs": []}],
        }
    ],
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "reasoning": {"effort": None, "summary": None},
    "store": False,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
    "usage": {
        "input_tokens": 180,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 24,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 204,
    },
    "metadata": {},
}
_MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-5-5",
    "content": [{"type": "text", "text": ANSWER}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 180, "output_tokens": 24},
}
_GENERATED = {
    "responseId": "gen-1",
    "modelVersion": "gemini-3.5-flash-lite",
    "candidates": [
        {"index": 0, "content": {"role": "model", "parts": [{"text": ANSWER}]}, "finishReason": "STOP"},
    ],
    "usageMetadata": {"promptTokenCount": 180, "candidatesTokenCount": 24, "totalTokenCount": 204},
}
_WHOLE: Mapping[str, Mapping[str, Any]] = {
    "/chat/completions": _CHAT,
    "/responses": _RESPONSE,
    "/messages": _MESSAGE,
    ":generateContent": _GENERATED,
}
