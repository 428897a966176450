"""What every adapter promises about bytes: however they are cut, however many they are, whatever was said before."""

import json
import re
from base64 import b64decode
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.events import TextDelta
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_message,
)
from pointsman.sandbox.models.bedrock_converse import frames
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.replay import Pieces, Replay, cut_at_random, replaying, single, whole
from tests.llm.standin import KEY, Provider
from tests.llm.wiring import HELLO, LOOK, PIXEL, Wiring, ask, until

EVENT_BYTES, MORE_SHARE_MAX = 64 * 1024, 0.5
STOPPED_BYTES = 100_000_000
HELD_BYTES_MAX = 25_000_000
"""What a reader who does not read holds up at most: the system's buffers on both sides are within."""
_STATM = Path("/proc/self/statm")


class WireContract:
    """Part of `ProviderContract`."""

    wiring: ClassVar[Wiring]

    async def test_any_split_of_the_bytes_gives_the_same_answer(self, provider: Provider) -> None:
        calls = (Call(name="look", arguments={"at": "é😀"}), Call(name="look", arguments={"at": "b"}))
        provider.says(Reply(reasoning="Is it the first?", text="Ich schaue: schöne 😀 Welt", calls=calls))
        asked = LLMRequest(model=self.wiring.model, messages=(HELLO,), tools=(LOOK,))
        async with replaying(provider.root) as replay, self._adapter(replay) as adapter:
            first = _lasting(await ask(adapter, asked, True))
            for replay.pieces in (single, *map(cut_at_random, range(8))):
                assert _lasting(await ask(adapter, asked, True)) == first
        assert len(provider.control.seen) == 1

    async def test_no_part_of_a_conversation_is_lost(self, provider: Provider, adapter: LLMClient) -> None:
        """Each part is marked, and its mark is in what the provider was sent, or in a note."""
        provider.says(Reply(text="Yes."))
        told = LLMRequest(model=self.wiring.model, messages=CONVERSATION, tools=(LOOK,))
        async with replaying(provider.root) as replay, self._adapter(replay) as through:
            response = await through.complete(told)
        sent = replay.asked[0].decode() + json.dumps(json.loads(replay.asked[0]), ensure_ascii=False)
        lost = [mark for mark in MARKS if mark not in sent]
        assert [mark for mark in lost if mark != "REASONING"] == [], response.notes
        for message in CONVERSATION:
            assert Message.from_bytes(message.to_bytes()) == message

    @pytest.mark.slow(1)
    async def test_long_stream_takes_no_memory(self, provider: Provider) -> None:
        size = self.wiring.long_stream_bytes
        if not self.wiring.has_own_transport:
            return
        provider.says(Reply(text="locomotive tender"))
        asked = LLMRequest(model=self.wiring.model, messages=(HELLO,))
        async with replaying(provider.root) as replay, self._adapter(replay) as adapter:
            await ask(adapter, asked, True)
            replay.pieces = flooding(whole, size)
            replay.sent, pieces, before, most = 0, 0, _resident(), 0
            async for event in adapter.stream(asked):
                pieces += isinstance(event, TextDelta)
                if pieces % 100 == 0:
                    most = max(most, _resident())
        assert replay.sent > size
        assert pieces > size // (2 * EVENT_BYTES)
        assert most - before < size * MORE_SHARE_MAX

    async def test_reader_who_stops_stops_the_provider(self, provider: Provider) -> None:
        provider.says(Reply(text="locomotive tender"))
        asked = LLMRequest(model=self.wiring.model, messages=(HELLO,))
        async with replaying(provider.root) as replay, self._adapter(replay) as adapter:
            await ask(adapter, asked, True)
            replay.pieces, replay.sent = flooding(whole, STOPPED_BYTES), 0
            stream = adapter.stream(asked)
            async for event in stream:
                if isinstance(event, TextDelta):
                    break
            before = [-1]

            def still() -> bool:
                before[0], moved = replay.sent, before[0] != replay.sent
                return not moved

            await until(still, pause=0.03)
            assert 0 < replay.sent < HELD_BYTES_MAX
            await stream.aclose()

    def _adapter(self, replay: Replay) -> LLMClient:
        return self.wiring.make(replay.root, SecretStr(KEY), timedelta(seconds=60))


def flooding(pieces: Pieces, size: int) -> Pieces:
    """The stream with its first piece of text again and again, each in an event that is padded to 64 KiB; so many
    bytes of them."""

    def flood(body: bytes) -> Iterable[bytes]:
        events = list(_events(body))
        at = next(index for index, event in enumerate(events) if b"locomotive" in event)
        padded = _padded(events[at])
        yield b"".join(events[:at])
        for _ in range(size // len(padded) + 1):
            yield from pieces(padded)
        yield b"".join(events[at:])

    return flood


def _events(body: bytes) -> Iterable[bytes]:
    if body.startswith((b"data:", b"event:")):
        yield from re.findall(rb".*?\n\n", body, re.DOTALL)
        return
    while body:  # AWS's frames begin with their length
        size = int.from_bytes(body[:4], "big")
        yield body[:size]
        body = body[size:]


def _padded(event: bytes) -> bytes:
    """With a field that nobody knows, as providers pad events against whoever counts their bytes."""
    padding = "x" * EVENT_BYTES
    if event.startswith((b"data:", b"event:")):
        head, data = event.split(b"data: ", 1)
        return head + b"data: " + json.dumps({**json.loads(data), "padding": padding}).encode() + b"\n\n"
    payload = event[12 + int.from_bytes(event[4:8], "big") : -4]
    return frames.event("contentBlockDelta", {**json.loads(payload), "p": padding})


def _resident() -> int:
    """Bytes of memory that the process has now."""
    return int(_STATM.read_text().split()[1]) * 4096


def _lasting(response: LLMResponse) -> object:
    """What does not tell when it was. Nor what it cost: a price may change at midnight."""
    return response.model_dump(exclude={"latency_ms", "time_to_first_token_ms", "request_id", "cost_usd"})


MARKS = (
    "SYSTEM",
    "QUESTION",
    "PICTURE",
    "PAPER",
    "REASONING",
    "SAYING",
    "LOOKAT",
    "SEEN",
    "STRUCTURE",
    "SHOWN",
    "FAILED",
    "REFUSED",
    "THEN",
)


def _marked(mark: str) -> bytes:
    """Bytes whose base64 has the mark in it: it stands at a multiple of three."""
    return b64decode(mark + "A" * (-len(mark) % 4))


CONVERSATION = (
    text_message(Role.SYSTEM, "SYSTEM"),
    Message(
        role=Role.USER,
        parts=(
            TextPart(text="QUESTION"),
            ImagePart(data=PIXEL + b"\0" * (-len(PIXEL) % 3) + _marked("PICTURE")),
            DocumentPart(data=b"%PDF-1.4\n" + _marked("PAPER"), name="paper.pdf"),
        ),
    ),
    Message(
        role=Role.ASSISTANT,
        parts=(
            ReasoningPart(text="REASONING"),
            TextPart(text="SAYING"),
            ToolCallPart(call_id="call_1", name="look", arguments={"at": "LOOKAT"}, raw_arguments='{"at": "LOOKAT"}'),
            ToolCallPart(call_id="call_2", name="look", arguments={"at": "x"}, raw_arguments='{"at": "x"}'),
        ),
    ),
    Message(
        role=Role.TOOL,
        parts=(
            ToolResultPart(
                call_id="call_1",
                name="look",
                text="SEEN",
                data={"found": ["STRUCTURE"]},
                images=(ImagePart(data=PIXEL + b"\0" * (-len(PIXEL) % 3) + _marked("SHOWN")),),
            ),
            ToolResultPart(call_id="call_2", name="look", text="FAILED", is_error=True),
        ),
    ),
    Message(role=Role.ASSISTANT, parts=(RefusalPart(text="REFUSED"),)),
    text_message(Role.USER, "THEN"),
)
