"""Where a turn must stop and ask a human. Limits are policy; this says which one is reached, with its value."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from pointsman.contracts.policy import LimitReached, Limits
from pointsman.contracts.turns import ToolCallRef
from pointsman.contracts.work_items import Usage


def add(left: Usage, right: Usage) -> Usage:
    """Both usages together."""
    return Usage(
        model_calls=left.model_calls + right.model_calls,
        tool_calls=left.tool_calls + right.tool_calls,
        input_tokens=left.input_tokens + right.input_tokens,
        output_tokens=left.output_tokens + right.output_tokens,
        cost_usd=str(Decimal(left.cost_usd) + Decimal(right.cost_usd)),
    )


def before_model_call(limits: Limits, used: Usage, elapsed: timedelta) -> LimitReached | None:
    """The limit that forbids another model call, or None."""
    tokens = used.input_tokens + used.output_tokens
    cost = Decimal(used.cost_usd)
    if used.model_calls >= limits.steps:
        return LimitReached(name="steps", value=str(used.model_calls), limit=str(limits.steps))
    if tokens >= limits.tokens:
        return LimitReached(name="tokens", value=str(tokens), limit=str(limits.tokens))
    if cost >= limits.cost_usd:
        return LimitReached(name="cost_usd", value=str(cost), limit=str(limits.cost_usd))
    if elapsed >= limits.wall_time:
        return LimitReached(
            name="wall_time",
            value=f"{elapsed.total_seconds():.0f} s",
            limit=f"{limits.wall_time.total_seconds():.0f} s",
        )
    return None


def before_tool_calls(
    limits: Limits, used: Usage, made: Sequence[ToolCallRef], wanted: Sequence[ToolCallRef]
) -> LimitReached | None:
    """The limit that forbids these tool calls, or None. `made` are all calls of the turn so far."""
    total = used.tool_calls + len(wanted)
    if total > limits.tool_calls:
        return LimitReached(name="tool_calls", value=str(total), limit=str(limits.tool_calls))
    for call in wanted:
        same = sum((other.name, other.arguments_hash) == (call.name, call.arguments_hash) for other in [*made, *wanted])
        if same > limits.same_call:
            return LimitReached(name=f"same_call of {call.name}", value=str(same), limit=str(limits.same_call))
    return None
