"""How a Claude model is asked to reason, wherever it is reached: by the Messages API or through Bedrock."""

from dataclasses import dataclass

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.models import Traits
from pointsman.llm.providers.anthropic.turns import Turns
from pointsman.llm.types import LLMRequest, ReasoningEffort

MAX_TOKENS = 16_000
"""Of output, where a request sets no limit."""
# Reasoning by budget, for the models that know no effort: tokens of `thinking.budget_tokens`, at least 1,024.
BUDGETS = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
BUDGET_MIN = 1_024
# With this beta, reasoning that no longer fits what stands before it is dropped and reported, not refused.
BINDING_BETA = "thinking-binding-controls-2026-08-01"


@dataclass(frozen=True)
class Thinking:
    """What goes out; what is None or empty is left out."""

    thinking: dict[str, Json] | None = None
    effort: str = ""
    betas: tuple[str, ...] = ()
    output_max: int | None = None
    """The limit of output that a budget was measured by."""
    notes: tuple[str, ...] = ()


def is_forced(request: LLMRequest) -> bool:
    """Whether the request leaves the model no choice but to call a tool."""
    return bool(request.tools) and request.tool_choice not in ("auto", "none")


def thinking_of(request: LLMRequest, known: Traits, turns: Turns) -> Thinking:
    """What the model takes of the effort that is asked for."""
    if is_forced(request) and known.forced_tools == "without thinking":
        return _none(request, known, "a forced call of a tool excludes it")
    return _adaptive(request, known, turns) if "adaptive" in known.thinking else _by_budget(request, known, turns)


def _none(request: LLMRequest, known: Traits, why: str) -> Thinking:
    wanted = request.reasoning_effort not in (None, ReasoningEffort.NONE)
    return Thinking(
        thinking={"type": "disabled"} if known.thinks_unasked else None,
        notes=(f"reasoning_effort left out: {why}",) if wanted else (),
    )


def _adaptive(request: LLMRequest, known: Traits, turns: Turns) -> Thinking:
    effort = request.reasoning_effort
    if effort in (None, ReasoningEffort.NONE) and not known.thinks_unasked:
        return Thinking()
    if effort is ReasoningEffort.NONE and known.thinking & {"disabled", "between_tools"}:
        return Thinking({"type": "disabled" if "disabled" in known.thinking else "between_tools"})
    thinking: dict[str, Json] = {"type": "adaptive", "display": "summarized"}
    binds = known.binds_thinking and turns.thoughts
    if binds:
        thinking["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
    given, note = ("", "") if effort is None else _effort(request.model, known, effort)
    return Thinking(thinking, given, (BINDING_BETA,) if binds else (), notes=(note,) if note else ())


def _effort(model: str, known: Traits, asked: ReasoningEffort) -> tuple[str, str]:
    """The effort that was asked for, or the most below it that the model knows, or its least; and a note of that."""
    scale = [effort.value for effort in ReasoningEffort]
    below = [level for level in known.efforts if scale.index(level) <= scale.index(asked.value)]
    given = below[-1] if below else known.efforts[0]
    if given == asked.value:
        return given, ""
    return given, f"reasoning_effort {given!r} instead of {asked.value!r}: {model} has no such"


def _by_budget(request: LLMRequest, known: Traits, turns: Turns) -> Thinking:
    """For the models that want a budget, which must leave room for the answer."""
    effort = request.reasoning_effort
    if effort in (None, ReasoningEffort.NONE):
        return Thinking()
    limit = min(request.max_tokens or MAX_TOKENS, known.output_tokens_max)
    budget = min(BUDGETS[effort.value], limit * 3 // 4)
    if budget < BUDGET_MIN:
        why = f"max_tokens {limit} leaves no room for {BUDGET_MIN} of it"
    elif not turns.opens_with_thought:
        why = "the calls under way began without reasoning of this model"
    else:
        return Thinking({"type": "enabled", "budget_tokens": budget}, output_max=limit)
    return Thinking(notes=(f"reasoning_effort left out: {why}",))
