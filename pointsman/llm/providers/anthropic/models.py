"""What each Claude model takes of the Messages API, by its name.

After Anthropic's model pages and migration guides, November 2026. A name that is not here, a newer model or one of a
compatible server, is asked for reasoning as today's models are, and only when the request wants some.
"""

import re
from typing import Literal, NamedTuple

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")

_DATED = re.compile(r"-\d{8}$")


class Traits(NamedTuple):
    """What a model accepts; anything else would be a 400."""

    thinking: frozenset[str] = frozenset({"adaptive"})
    """Values of `thinking.type`."""
    thinks_unasked: bool = True
    """Whether it reasons when `thinking` is left out."""
    efforts: tuple[str, ...] = ALL_EFFORTS
    """Values of `output_config.effort`, from the least to the most."""
    forced_tools: Literal["always", "without thinking", "never"] = "never"
    """When `tool_choice` may be `any` or `tool`."""
    system_between: bool = True
    """Whether messages of role system may stand between others."""
    binds_thinking: bool = False
    """Whether it refuses reasoning that comes back after something before it was changed."""
    output_tokens_max: int = 128_000


_ON_OFF = frozenset({"adaptive", "disabled"})
_MANUAL = Traits(frozenset({"enabled", "disabled"}), False, (), "without thinking", False, False, 64_000)
_46 = Traits(
    frozenset({"adaptive", "enabled", "disabled"}),
    False,
    ("low", "medium", "high", "max"),
    "without thinking",
    system_between=False,
)
_47 = Traits(_ON_OFF, thinks_unasked=False, forced_tools="without thinking", system_between=False)
_BOUND = Traits(binds_thinking=True)

KNOWN = {
    "haiku-5-5": Traits(_ON_OFF, forced_tools="always", binds_thinking=True),
    "sonnet-5-5": Traits(frozenset({"adaptive", "between_tools"}), binds_thinking=True),
    "opus-5-5": _BOUND,
    "fable-5-2": _BOUND,
    "fable-5-1": _BOUND,
    "mythos-5-2": _BOUND,
    "mythos-5-1": _BOUND,
    "fable-5": Traits(),
    "mythos-5": Traits(),
    "opus-5": Traits(_ON_OFF, forced_tools="without thinking"),
    "sonnet-5": Traits(_ON_OFF, forced_tools="without thinking", system_between=False),
    "opus-4-8": _47._replace(system_between=True),
    "opus-4-7": _47,
    "opus-4-6": _46,
    "sonnet-4-6": _46,
    "opus-4-5": _MANUAL,
    "sonnet-4-5": _MANUAL,
    "haiku-4-5": _MANUAL,
}
UNKNOWN = Traits(thinks_unasked=False, forced_tools="always", system_between=False)


def traits(model: str) -> Traits:
    """Of the model, whatever stands before `claude-` and whatever day after it."""
    return KNOWN.get(_DATED.sub("", model.rpartition("claude-")[2]), UNKNOWN)
