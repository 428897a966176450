"""The models that are known: whose they are, what they can do, how long they live. Data, checked when it is read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from pointsman.llm.errors import LLMError, ModelRetiredError
from pointsman.llm.types import LLMRequest, ModelTier, Value

BUILT_IN = Path(__file__).with_name("models.yaml")
WARN_BEFORE = timedelta(days=14)
CHEAPEST = "price"
"""Among preferred providers: those that are not named before it, in the order of what they cost."""


class RegistryError(LLMError):
    """The file of models cannot be used; the text names the entry, its value and what is allowed."""


class Ability(StrEnum):
    TOOLS = "tools"
    IMAGES = "images"
    DOCUMENTS = "documents"
    REASONING = "reasoning"
    SCHEMA = "schema"
    CACHE = "cache"


class _Strict(Value):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Model(_Strict):
    """One model at one provider. Windows and outputs are in tokens."""

    name: str
    provider: str
    window: int = Field(gt=0)
    output_max: int = Field(gt=0)
    can: frozenset[Ability] = frozenset()
    shutdown_on: date | None = None
    """From this day on, calls fail at the provider."""
    replacement: str = ""
    also: tuple[str, ...] = ()
    """Other names of it."""
    called: str = ""
    """What its provider calls it, where that is another name."""

    @property
    def sent(self) -> str:
        """The name that goes out, and that it has a price by."""
        return self.called or self.name

    def retired(self, today: date) -> bool:
        return self.shutdown_on is not None and today >= self.shutdown_on

    def warning(self, today: date) -> str:
        """What whoever uses it should hear from 14 days before its end on; empty before that."""
        if self.shutdown_on is None or self.shutdown_on - today > WARN_BEFORE:
            return ""
        days = (self.shutdown_on - today).days
        successor = f"; {self.replacement} takes its place" if self.replacement else ""
        return (
            f"{self.name} is shut down on {self.shutdown_on.isoformat()}, in {days} day{'s' * (days != 1)}{successor}"
        )


class Registry(_Strict):
    """All of a file of models. Every tier has a model, or the file is refused."""

    version: str
    prefer: tuple[str, ...] = Field(min_length=1)
    tiers: Mapping[ModelTier, Mapping[str, str]]
    models: Mapping[str, Model]

    @model_validator(mode="before")
    @classmethod
    def _name_models(cls, data: object) -> object:
        if not isinstance(data, dict) or not isinstance(data.get("models"), dict):
            return data
        named = {
            name: {**entry, "name": name} if isinstance(entry, dict) else entry
            for name, entry in data["models"].items()
        }
        return {**data, "models": named}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for tier in ModelTier:
            if not self.tiers.get(tier):
                raise ValueError(f"tiers.{tier.value}: no model is named; each of {', '.join(ModelTier)} needs one")
            for provider, name in self.tiers[tier].items():
                model = self.models.get(name)
                if model is None:
                    raise ValueError(f"tiers.{tier.value}.{provider}: model {name!r} is not among `models`")
                if model.provider != provider:
                    raise ValueError(f"tiers.{tier.value}.{provider}: model {name!r} is of {model.provider}")
        self._check_models()
        return self

    def _check_models(self) -> None:
        owners: dict[str, str] = {}
        for model in self.models.values():
            if model.replacement and model.replacement not in self.models:
                raise ValueError(f"models.{model.name}.replacement: {model.replacement!r} is not among `models`")
            for name in (model.name, *model.also):
                if owners.setdefault(name, model.name) != model.name:
                    raise ValueError(f"models.{model.name}: the name {name!r} is that of {owners[name]} already")

    @classmethod
    def load(cls, path: Path = BUILT_IN) -> "Registry":
        """Read a file of models.

        Raises:
            RegistryError: it cannot be read, or what it says does not hold together.
        """
        try:
            return _parsed(path.read_text())
        except (OSError, yaml.YAMLError) as error:
            raise RegistryError(f"models file {path}: {error}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"])
            raise RegistryError(f"models file {path}: {where + ': ' if where else ''}{first['msg']}") from error

    def with_servers(
        self, prefer: Sequence[str], models: Sequence[Model], tiers: Mapping[ModelTier, Mapping[str, str]]
    ) -> "Registry":
        """This registry with others preferred, and with models beside its own.

        Raises:
            RegistryError: a model has the name of one that is known, or `prefer` names a provider without a model.
        """
        for model in models:
            if self.find(model.name) is not None:
                raise RegistryError(f"model {model.name!r} of {model.provider}: the file of models has that name")
        all_tiers = {tier: {**self.tiers[tier], **tiers.get(tier, {})} for tier in ModelTier}
        providers = {provider for named in all_tiers.values() for provider in named}
        for provider in prefer:
            if provider not in providers and provider != CHEAPEST:
                raise RegistryError(
                    f"provider {provider!r} cannot be preferred: there are {', '.join(sorted(providers))}"
                )
        order = tuple(dict.fromkeys((*prefer, *self.prefer)))
        beside = {model.name: model for model in models}
        return self.model_copy(update={"prefer": order, "tiers": all_tiers, "models": {**self.models, **beside}})

    def find(self, name: str) -> Model | None:
        """The model of that name, or of one of its other names."""
        return self.models.get(name) or next((model for model in self.models.values() if name in model.also), None)

    def of_tier(self, tier: ModelTier) -> Sequence[Model]:
        """One model of each provider that has one, the preferred provider's first."""
        named = self.tiers[tier]
        order = sorted(named, key=lambda provider: (self._rank(provider), provider))
        return [self.models[named[provider]] for provider in order]

    def check_lifecycle(self, model: Model, today: date, permits: Callable[[str], bool] = lambda name: True) -> str:
        """A warning where the end is near. `permits` tells which successor may be used as it is.

        Raises:
            ModelRetiredError: the end is past.
        """
        successor = model.replacement
        first = "" if not successor or permits(successor) else f"; put {successor} into ALLOWED_MODELS first"
        if model.retired(today):
            raise ModelRetiredError(
                f"{model.name} is gone since {model.shutdown_on}" + (f": use {successor}" if successor else "") + first,
                provider=model.provider,
                model=model.name,
                replacement=successor,
                since=model.shutdown_on,
            )
        warning = model.warning(today)
        return warning and warning + first

    def _rank(self, provider: str) -> int:
        return self.prefer.index(provider) if provider in self.prefer else len(self.prefer)


def abilities_needed(request: LLMRequest) -> frozenset[Ability]:
    """What a model must be able to do for this request."""
    kinds = {part.kind for message in request.messages for part in message.parts}
    pictured = any(part.kind == "tool_result" and part.images for message in request.messages for part in message.parts)
    needed = {
        Ability.TOOLS: bool(request.tools),
        Ability.IMAGES: "image" in kinds or pictured,
        Ability.DOCUMENTS: "document" in kinds,
    }
    return frozenset(ability for ability, is_needed in needed.items() if is_needed)


@lru_cache(maxsize=4)
def _parsed(text: str) -> Registry:
    return Registry.model_validate(yaml.load(text, Loader=yaml.CSafeLoader))
