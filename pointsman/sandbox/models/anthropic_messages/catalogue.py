"""Claude models as Anthropic publishes them (model pages and the Models API, November 2026)."""

from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object

ALL_EFFORTS = ("low", "medium", "high", "xhigh", "max")


class Claude(NamedTuple):
    """What one model takes. Sizes are in tokens."""

    thinking: tuple[str, ...] = ("adaptive",)
    thinks_unasked: bool = True
    shows_thinking: bool = False
    """Whether `display` is `summarized` where the request says nothing."""
    efforts: tuple[str, ...] = ALL_EFFORTS
    forced_tools: bool = False
    forced_while_thinking: bool = False
    system_between: bool = True
    binds_thinking: bool = False
    prefill: bool = False
    window: int = 1_000_000
    output_max: int = 128_000
    released: str = "2026-06-30"
    retires: str | None = None


_ON_OFF = ("adaptive", "disabled")
_BOUND = Claude(binds_thinking=True)
_45 = Claude(
    thinking=("enabled", "disabled"),
    thinks_unasked=False,
    shows_thinking=True,
    efforts=(),
    forced_tools=True,
    system_between=False,
    prefill=True,
    window=200_000,
    output_max=64_000,
    released="2025-10-01",
)

MODELS = {
    "claude-fable-5-2": _BOUND,
    "claude-haiku-5-5": Claude(
        _ON_OFF, forced_tools=True, forced_while_thinking=True, binds_thinking=True, released="2026-10-07"
    ),
    "claude-sonnet-5-5": Claude(("adaptive", "between_tools"), binds_thinking=True, released="2026-09-28"),
    "claude-opus-5-5": _BOUND._replace(released="2026-09-22"),
    "claude-opus-5": Claude(_ON_OFF, forced_tools=True),
    "claude-opus-4-6": Claude(
        ("adaptive", "enabled", "disabled"),
        thinks_unasked=False,
        shows_thinking=True,
        efforts=("low", "medium", "high", "max"),
        forced_tools=True,
        system_between=False,
        released="2026-02-05",
    ),
    "claude-haiku-4-5": _45,
    "claude-sonnet-4-5": _45._replace(released="2025-09-29", retires="2026-11-30"),
}


def listed(name: str) -> Object:
    """A model as `GET /v1/models` tells it."""
    model = MODELS[name]
    line = name.split("-")[1]
    body: dict[str, Json] = {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": f"{model.released}T00:00:00Z",
        "lifecycle": "deprecated" if model.retires else "active",
        "deprecated_at": f"{model.released}T00:00:00Z" if model.retires else None,
        "retires_at": f"{model.retires}T00:00:00Z" if model.retires else None,
        "line": line,
        "max_input_tokens": model.window,
        "max_tokens": model.output_max,
        "capabilities": None,
    }
    return body
