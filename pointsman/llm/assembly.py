"""An answer that is streamed block by block, put together from its pieces.

For protocols that say in each piece which block it belongs to (Messages, Converse, Chat Completions). Blocks are kept
in the order in which they begin, and pieces are joined once, at the end, so that a long answer costs its length only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from pointsman.contracts.base import Json
from pointsman.llm.attempt import Attempt
from pointsman.llm.events import (
    ReasoningDelta,
    StreamEvent,
    TextDelta,
    ToolArgumentsDelta,
    ToolCallComplete,
    ToolCallStarted,
)
from pointsman.llm.structured import read_arguments
from pointsman.llm.types import Part, ProviderState, ReasoningPart, RefusalPart, TextPart, ToolCallPart

Kind = Literal["text", "reasoning", "refusal", "call"]
Index = int | str


@dataclass
class _Block:
    kind: Kind
    pieces: list[str] = field(default_factory=list)
    call_id: str = ""
    name: str = ""
    signature: str = ""
    state: Json = None
    call: ToolCallPart | None = None
    """The call when it is complete."""


class Assembly:
    """Each method takes one piece and yields what a stream tells of it."""

    def __init__(self, attempt: Attempt, provider: str) -> None:
        self._attempt = attempt
        self._provider = provider
        self._blocks: dict[Index, _Block] = {}

    def text(self, index: Index, piece: str) -> Iterator[StreamEvent]:
        if piece:
            self._block(index, "text").pieces.append(self._attempt.text(piece))
            yield TextDelta(text=piece)

    def refusal(self, index: Index, piece: str) -> Iterator[StreamEvent]:
        self._attempt.token()
        self._block(index, "refusal").pieces.append(piece)
        yield from ()

    def reasoning(self, index: Index, piece: str) -> Iterator[StreamEvent]:
        """Also for a block that shows nothing: an empty piece opens it."""
        self._attempt.token()
        self._block(index, "reasoning").pieces.append(piece)
        if piece:
            yield ReasoningDelta(text=piece)

    def sign(self, index: Index, piece: str) -> None:
        """More of the signature of a block of reasoning."""
        self._block(index, "reasoning").signature += piece

    def state(self, index: Index, kind: Kind, state: Json) -> None:
        """What the provider wants back with this block."""
        self._block(index, kind).state = state

    def begin_call(self, index: Index, call_id: str, name: str) -> Iterator[StreamEvent]:
        self._attempt.token()
        block = self._block(index, "call")
        block.call_id, block.name = call_id, name
        yield ToolCallStarted(call_id=call_id, name=name)

    def arguments(self, index: Index, piece: str) -> Iterator[StreamEvent]:
        block = self._blocks.get(index)
        if block is not None and piece:
            self._attempt.token()
            block.pieces.append(piece)
            yield ToolArgumentsDelta(call_id=block.call_id, text=piece)

    def end(self, index: Index) -> Iterator[StreamEvent]:
        """The block is complete. For a call that is not known or told already: nothing."""
        block = self._blocks.get(index)
        if block is not None and block.kind == "call" and block.call is None:
            block.call = self._attempt.checked(self._call(block))
            yield ToolCallComplete(call=block.call)

    def end_all(self) -> Iterator[StreamEvent]:
        """All blocks are complete: for protocols that do not say so of each."""
        for index in list(self._blocks):
            yield from self.end(index)

    def parts(self) -> Sequence[Part]:
        """What was said, in order."""
        return [part for block in self._blocks.values() if (part := self._part(block)) is not None]

    def _block(self, index: Index, kind: Kind) -> _Block:
        return self._blocks.setdefault(index, _Block(kind))

    def _part(self, block: _Block) -> Part | None:
        told, state = "".join(block.pieces), self._state(block)
        match block.kind:
            case "text":
                return TextPart(text=told, provider_state=state) if told or state else None
            case "refusal":
                return RefusalPart(text=told, provider_state=state)
            case "reasoning":
                return ReasoningPart(text=told, signature=block.signature, provider_state=state)
            case "call":
                return block.call or self._call(block)

    def _call(self, block: _Block) -> ToolCallPart:
        raw = "".join(block.pieces)
        arguments, invalid = read_arguments(raw)
        return ToolCallPart(
            call_id=block.call_id,
            name=block.name,
            arguments=arguments,
            raw_arguments=raw,
            invalid=invalid,
            provider_state=self._state(block),
        )

    def _state(self, block: _Block) -> ProviderState | None:
        return ProviderState(provider=self._provider, data=block.state) if block.state is not None else None
