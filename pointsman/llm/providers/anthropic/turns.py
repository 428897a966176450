"""A conversation as the Messages API takes it: system blocks, and turns of users and of the model by turns.

The same conversation always gives the same turns, and more of it only adds to them: newer models refuse reasoning
that comes back after something before it was changed.
"""

import re
from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Literal

from pointsman.contracts.base import Json
from pointsman.llm.structured import read_arguments
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)

Block = dict[str, Json]
Side = Literal["user", "assistant", "system"]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
NAME_CHARS_MAX, ID_CHARS_MAX, TITLE_CHARS_MAX = 128, 64, 500
CACHE_BREAKPOINTS_MAX = 4
GO_ON = "Go on."
THOUGHTS = ("thinking", "redacted_thinking")

_ID = re.compile(rf"[a-zA-Z0-9_-]{{1,{ID_CHARS_MAX}}}")
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_-]")


class Turns:
    """What the messages came to: whether reasoning goes back with them, and which tools they call."""

    def __init__(self, messages: Iterable[Message], provider: str, *, system_between: bool) -> None:
        self.system: list[Block] = []
        self.notes: list[str] = []
        self.thoughts = False
        self.called: list[str] = []
        self._turns: list[tuple[Side, list[Block]]] = []
        self._instructions: list[Block] = []
        self._system_between = system_between
        self._ids: dict[str, str] = {}
        self._used: set[str] = set()
        self._breakpoints: list[Block] = []
        for message in messages:
            self._add(message.for_provider(provider))
        self._settle()

    @property
    def messages(self) -> list[Json]:
        return [{"role": side, "content": list(blocks)} for side, blocks in self._turns]

    @property
    def opens_with_thought(self) -> bool:
        """Whether the calls under way, if there are any, began with reasoning that goes back."""
        for side, blocks in reversed(self._turns):
            if side == "assistant" and any(block["type"] == "tool_use" for block in blocks):
                return blocks[0]["type"] in THOUGHTS
            if side == "user" and not any(block["type"] == "tool_result" for block in blocks):
                return True
        return True

    def instruct(self, text: str) -> None:
        """One more instruction, for the next answer."""
        self._instructions.append({"type": "text", "text": text})
        self._place_instructions()

    def _add(self, message: Message) -> None:
        if message.role is Role.SYSTEM:
            blocks = [block for part in message.parts if (block := self._instruction(part))]
            (self._instructions if self._turns else self.system).extend(blocks)
        elif message.role is Role.ASSISTANT:
            self._place_instructions()
            blocks = self._ended([block for part in message.parts if (block := self._said(part))])
            self.called += [str(block["name"]) for block in blocks if block["type"] == "tool_use"]
            self.thoughts = self.thoughts or any(block["type"] in THOUGHTS for block in blocks)
            self._extend("assistant", blocks)
        else:
            blocks = [block for part in message.parts if (block := self._told(part))]
            self._extend("user", blocks)
        if message.cache:
            self._mark(blocks)

    def _extend(self, side: Side, blocks: list[Block]) -> None:
        """More of the same turn, or a new one. Results of tools stand before everything else in a turn."""
        if not blocks:
            return
        if not self._turns or self._turns[-1][0] != side:
            self._turns.append((side, []))
        content = self._turns[-1][1]
        first = [block for block in blocks if block["type"] == "tool_result"]
        place = next((index for index, block in enumerate(content) if block["type"] != "tool_result"), len(content))
        content[place:place] = first
        content += [block for block in blocks if block["type"] != "tool_result"]

    def _place_instructions(self) -> None:
        """Instructions in the middle follow a user's turn; where they cannot, they are part of one."""
        blocks, self._instructions = self._instructions, []
        if not blocks:
            return
        if self._system_between and self._turns and self._turns[-1][0] == "user":
            self._turns.append(("system", blocks))
        elif self._system_between and self._turns and self._turns[-1][0] == "system":
            self._turns[-1][1].extend(blocks)
        else:
            self._extend("user", blocks)
            self._note("instructions in the middle of the conversation went as the user's words: the model takes none")

    def _settle(self) -> None:
        self._place_instructions()
        if not self._turns and self.system:
            self._extend("user", self.system)
            self.system = []
            self._note("the instructions went as the user's words: the API takes none without a conversation")
        if self._turns and self._turns[0][0] == "assistant":
            self._turns.insert(0, ("user", [{"type": "text", "text": GO_ON}]))
            self._note(f"{GO_ON!r} added at the beginning: the API wants a user to begin")
        if self._turns and self._turns[-1][0] == "assistant":
            self._extend("user", [{"type": "text", "text": GO_ON}])
            self._note(f"{GO_ON!r} added at the end: the API continues no answer")
        for block in self._breakpoints[1 : 1 - CACHE_BREAKPOINTS_MAX]:
            del block["cache_control"]

    def _ended(self, blocks: list[Block]) -> list[Block]:
        """An answer without reasoning at its end: cut off there it led to nothing, and the API refuses it."""
        last = max((index for index, block in enumerate(blocks) if block["type"] not in THOUGHTS), default=-1)
        if last + 1 < len(blocks):
            self._note("reasoning left out that led to no answer: the API takes none at the end of a turn")
        return blocks[: last + 1]

    def _mark(self, blocks: list[Block]) -> None:
        """What goes up to the last of the blocks may be cached; reasoning cannot carry the mark."""
        cacheable = [block for block in blocks if block["type"] not in THOUGHTS]
        if cacheable:
            cacheable[-1]["cache_control"] = {"type": "ephemeral"}
            self._breakpoints.append(cacheable[-1])

    def _instruction(self, part: Part) -> Block | None:
        return _text(part.text) if isinstance(part, TextPart) else self._left_out(part, "instructions")

    def _said(self, part: Part) -> Block | None:
        match part:
            case TextPart() | RefusalPart():
                return _text(part.text)
            case ReasoningPart():
                return _thought(part)
            case ToolCallPart():
                return {
                    "type": "tool_use",
                    "id": self._new_id(part.call_id),
                    "name": _NOT_NAME.sub("_", part.name)[:NAME_CHARS_MAX] or "unnamed",
                    "input": _input(part),
                }
            case _:
                return self._left_out(part, "an answer")

    def _told(self, part: Part) -> Block | None:
        match part:
            case TextPart() | RefusalPart():
                return _text(part.text)
            case ImagePart():
                return self._image(part)
            case DocumentPart():
                return self._document(part)
            case ToolResultPart():
                return self._result(part)
            case _:
                return self._left_out(part, "a user's turn")

    def _result(self, part: ToolResultPart) -> Block:
        content = [block for block in (_text(part.content), *map(self._image, part.images or ())) if block]
        result: Block = {"type": "tool_result", "tool_use_id": self._ids.get(part.call_id, _short(part.call_id))}
        if content:
            result["content"] = list(content)
        return {**result, "is_error": True} if part.is_error else result

    def _image(self, part: ImagePart) -> Block:
        if part.url:
            return {"type": "image", "source": {"type": "url", "url": part.url}}
        if part.media_type not in IMAGE_TYPES:
            return self._unreadable("image", part.media_type)
        data = b64encode(part.data).decode()
        return {"type": "image", "source": {"type": "base64", "media_type": part.media_type, "data": data}}

    def _document(self, part: DocumentPart) -> Block:
        source = _source(part)
        if source is None:
            return self._unreadable(f"document {part.name!r}" if part.name else "document", part.media_type)
        title: Block = {"title": part.name[:TITLE_CHARS_MAX]} if part.name.strip() else {}
        return {"type": "document", "source": source, **title}

    def _unreadable(self, what: str, media_type: str) -> Block:
        """Says to the model that something stands here, and in the notes that it did not go out."""
        self._note(f"{what} left out: the API takes none of type {media_type!r}")
        return {"type": "text", "text": f"[{what} of type {media_type!r}: cannot be shown to you]"}

    def _left_out(self, part: Part, where: str) -> Block | None:
        """Nothing, which the notes then say."""
        self._note(f"{part.kind} left out: the API takes none in {where}")
        return None

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _new_id(self, call_id: str) -> str:
        """An id that the API takes and that no other call has: results go to the last call of their id."""
        own = _short(call_id)
        number = 1
        while own in self._used:
            number += 1
            own = f"{_short(call_id)[: ID_CHARS_MAX - 8]}_{number}"
        self._used.add(own)
        self._ids[call_id] = own
        return own


def _text(text: str) -> Block | None:
    """A block, unless there is nothing in it, which the API refuses."""
    return {"type": "text", "text": text} if text.strip() else None


def _thought(part: ReasoningPart) -> Block | None:
    """Reasoning exactly as it came, or nothing: without its seal the API refuses it."""
    state = part.provider_state.data if part.provider_state is not None else None
    if not isinstance(state, dict):
        return None
    if state.get("type") == "redacted_thinking" and isinstance(state.get("data"), str):
        return {"type": "redacted_thinking", "data": state["data"]}
    if not part.signature:
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _input(part: ToolCallPart) -> Json:
    """The arguments as an object. Those that were none go back in the wrapper that Anthropic's guide names for them."""
    if part.arguments or not part.raw_arguments:
        return part.arguments
    arguments, invalid = read_arguments(part.raw_arguments)
    return {"INVALID_JSON": part.raw_arguments} if invalid else arguments


def _source(part: DocumentPart) -> Json:
    if part.url:
        return {"type": "url", "url": part.url}
    if part.media_type == "application/pdf":
        return {"type": "base64", "media_type": part.media_type, "data": b64encode(part.data).decode()}
    try:
        text = part.data.decode()
    except UnicodeDecodeError:
        return None
    return {"type": "text", "media_type": "text/plain", "data": text} if text.strip() else None


def _short(call_id: str) -> str:
    """The id, or its hash where the API would refuse it: equal ids stay equal."""
    return call_id if _ID.fullmatch(call_id) else f"call_{sha256(call_id.encode()).hexdigest()[:40]}"
