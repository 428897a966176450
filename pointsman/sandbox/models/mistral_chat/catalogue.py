"""Mistral's models, and `GET /v1/models` that lists them."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object

if TYPE_CHECKING:
    from fastapi import FastAPI

OPENED_AT = 1_777_500_000  # when the models were published, for lists


class Model(NamedTuple):
    window: int
    """Tokens."""
    efforts: tuple[str, ...]
    reasons_unasked: bool = False


# Names, windows and efforts as Mistral documents them ("Models", "Reasoning").
MODELS: Mapping[str, Model] = {
    "mistral-small-2603": Model(262_144, ("none", "high")),
    "mistral-medium-3-5": Model(262_144, ("none", "high")),
    "mistral-large-4": Model(1_048_576, ("none", "low", "medium", "high"), reasons_unasked=True),
}


def add_listing(app: "FastAPI", prefix: str, authorise: Callable[[Mapping[str, str]], None]) -> None:
    from fastapi import Request  # 0.1 s that who only looks a model up should not pay

    @app.get(f"{prefix}/v1/models")
    async def _models(request: Request) -> Object:
        authorise(request.headers)
        return {"object": "list", "data": [_card(name, model) for name, model in MODELS.items()]}


def _card(name: str, model: Model) -> Json:
    can: Json = {
        "completion_chat": True,
        "completion_fim": False,
        "function_calling": True,
        "fine_tuning": False,
        "vision": True,
        "reasoning": True,
    }
    return {
        "id": name,
        "object": "model",
        "created": OPENED_AT,
        "owned_by": "mistralai",
        "capabilities": can,
        "name": name,
        "description": None,
        "max_context_length": model.window,
        "aliases": [],
        "deprecation": None,
        "deprecation_replacement_model": None,
        "default_model_temperature": 0.7,
        "type": "base",
    }
