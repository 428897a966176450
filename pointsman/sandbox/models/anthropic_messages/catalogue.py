"""Claude models as Anthropic publishes them (model pages and the Models API, November 2026)."""

from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object

THINKING_TYPES = ("adaptive", "enabled", "disabled", "between_tools")
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
    deprecated: str | None = None
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
    "claude-sonnet-4-5": _45._replace(released="2025-09-29", deprecated="2026-05-30", retires="2026-11-30"),
}


def listed(name: str) -> Object:
    """A model as `GET /v1/models` tells it."""
    model = MODELS[name]
    return {
        "type": "model",
        "id": name,
        "display_name": name.replace("-", " ").title(),
        "created_at": f"{model.released}T00:00:00Z",
        "lifecycle": "deprecated" if model.retires else "active",
        "deprecated_at": f"{model.deprecated}T00:00:00Z" if model.deprecated else None,
        "retires_at": f"{model.retires}T00:00:00Z" if model.retires else None,
        "line": name.split("-")[1],
        "max_input_tokens": model.window,
        "max_tokens": model.output_max,
        "capabilities": _capabilities(model),
    }


def _capabilities(model: Claude) -> Object:
    """What the model can do, of what this service offers."""
    efforts: Object = {level: _supported(level in model.efforts) for level in ALL_EFFORTS}
    kinds: Object = {kind: _supported(kind in model.thinking) for kind in THINKING_TYPES}
    offered = ("image_input", "pdf_input", "structured_outputs")
    missing = ("batch", "citations", "code_execution", "context_management")
    return {
        **{name: _supported(True) for name in offered},
        **{name: _supported(False) for name in missing},
        "effort": {"supported": bool(model.efforts), **efforts},
        "server_tools": {"supported": False, "code_execution": _supported(False), "web_search": _supported(False)},
        "thinking": {"supported": True, "types": kinds},
    }


def _supported(supported: bool) -> Json:
    return {"supported": supported}
