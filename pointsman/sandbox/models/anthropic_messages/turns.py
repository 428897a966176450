"""What the service refuses of a conversation: its order, its calls and their results, empty blocks."""

from collections.abc import Sequence

from pointsman.sandbox.models.anthropic_messages.catalogue import Claude
from pointsman.sandbox.models.anthropic_messages.request import (
    AssistantTurn,
    Block,
    CountTokens,
    RedactedThinking,
    SystemTurn,
    Text,
    Thinking,
    ToolResult,
    ToolUse,
    Turn,
    UserTurn,
    blocks_of,
    fault,
)

CACHE_BREAKPOINTS_MAX = 4


def check_turns(request: CountTokens, model: Claude) -> None:
    """Raises 400 as the service does."""
    _check_order(request.messages, model)
    for number, turn in enumerate(request.messages):
        _check_blocks(number, turn)
    _check_calls(request.messages)
    _check_breakpoints(request)


def turn_blocks(turn: Turn) -> Sequence[Block]:
    return blocks_of(turn.content)


def _check_order(turns: Sequence[Turn], model: Claude) -> None:
    if not isinstance(turns[0], UserTurn):
        raise fault(400, 'messages: first message must use the "user" role')
    if isinstance(turns[-1], AssistantTurn) and not model.prefill:
        text = "This model does not support assistant message prefill. The conversation must end with a user message."
        raise fault(400, text)
    for number, turn in enumerate(turns):
        if not isinstance(turn, SystemTurn):
            continue
        if not model.system_between:
            raise fault(400, f"messages.{number}: role 'system' is not supported on this model")
        follower = turns[number + 1] if number + 1 < len(turns) else None
        if not isinstance(turns[number - 1], UserTurn) or not isinstance(follower, AssistantTurn | None):
            raise fault(400, f"messages.{number}: a system message must follow a user turn and precede an assistant's")


def _check_blocks(number: int, turn: Turn) -> None:
    blocks = turn_blocks(turn)
    if not blocks:
        raise fault(400, f"messages.{number}: all messages must have non-empty content")
    for index, block in enumerate(blocks):
        if isinstance(block, Text) and not block.text.strip():
            raise fault(400, f"messages.{number}.content.{index}: text content blocks must contain non-whitespace text")
    if isinstance(blocks[-1], Thinking | RedactedThinking):
        raise fault(400, f"messages.{number}: The final block in an assistant message cannot be `thinking`.")
    kinds = [isinstance(block, ToolResult) for block in blocks]
    if kinds != sorted(kinds, reverse=True):
        raise fault(400, f"messages.{number}: `tool_result` blocks must come first in the content of a message")


def _check_calls(turns: Sequence[Turn]) -> None:
    """Each call has its result in the next turn, and each result its call in the one before."""
    seen: set[str] = set()
    open_calls: list[str] = []
    for number, turn in enumerate(turns):
        if isinstance(turn, SystemTurn):
            continue
        results = [block.tool_use_id for block in turn_blocks(turn) if isinstance(block, ToolResult)]
        for call_id in results:
            if call_id not in open_calls:
                text = f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {call_id}."
                raise fault(400, text)
            open_calls.remove(call_id)
        _refuse_open(number - 1, open_calls)
        open_calls = [block.id for block in turn_blocks(turn) if isinstance(block, ToolUse)]
        if seen & set(open_calls) or len(set(open_calls)) < len(open_calls):
            raise fault(400, f"messages.{number}: `tool_use` ids must be unique")
        seen.update(open_calls)
    _refuse_open(len(turns) - 1, open_calls)


def _refuse_open(number: int, calls: Sequence[str]) -> None:
    if calls:
        text = (
            f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after: {calls[0]}."
        )
        raise fault(400, text)


def _check_breakpoints(request: CountTokens) -> None:
    system = blocks_of(request.system)
    blocks = [*system, *request.tools, *(block for turn in request.messages for block in turn_blocks(turn))]
    marked = [block for block in blocks if getattr(block, "cache_control", None) is not None]
    if len(marked) > CACHE_BREAKPOINTS_MAX:
        text = f"A maximum of {CACHE_BREAKPOINTS_MAX} blocks with cache_control may be provided. Found {len(marked)}."
        raise fault(400, text)
    if any(not block.text.strip() for block in system):
        raise fault(400, "system: text content blocks must contain non-whitespace text")
