"""The file of models beside what the providers list: what is new, what is gone, what has changed.

Pure: whoever asks the providers hands in their lists. What a provider does not tell is no difference, and embeddings,
images and voices are no models here.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum

import yaml
from pydantic import Field

from pointsman.llm.client import ListedModel
from pointsman.llm.registry import Ability, Model, Registry
from pointsman.llm.types import Value

# What a model is taken to have that is new and says nothing of itself: what every chat model of today has.
WINDOW_UNTOLD, OUTPUT_UNTOLD = 128_000, 4_096
_NO_CHAT = re.compile(
    r"embed|tts|whisper|transcri|audio|voice|realtime|live|speech|image|imagen|veo|dall-e|sora|moderation|ocr|rerank"
    r"|guard|computer-use|robotics|babbage|davinci|instruct|titan|canvas|reel|sonic|stable|deep-research|cyber"
)

_AREA = re.compile(r"([a-z]{2}(?:-gov)?|global|apac)\.[a-z]")


class Kind(StrEnum):
    NEW = "new"
    """Listed, and not in the file."""
    GONE = "gone"
    """In the file and alive, and not listed: withdrawn, or not for this key."""
    WINDOW = "window"
    OUTPUT = "output"
    ABILITY = "ability"
    SHUTDOWN = "shutdown"


class Difference(Value):
    """`before` is the file's, `now` the provider's; both as people read them."""

    provider: str
    model: str
    kind: Kind
    before: str = ""
    now: str = ""


class Refreshed(Value):
    """What was found, and the file as it would be."""

    differences: tuple[Difference, ...]
    registry: Registry
    kept: tuple[str, ...] = Field(default=())
    """Models that are gone and yet stay as they are, because a tier or another model's end leads to them."""


def refresh(registry: Registry, listed: Mapping[str, Sequence[ListedModel]], today: date) -> Refreshed:
    """Compare, for the providers that have listed something. The new file has today's day as its version.

    A model that is gone is written as ended today, unless a tier or another model's end leads to it.
    """
    models = dict(registry.models)
    differences: list[Difference] = []
    kept: list[str] = []
    needed = _needed(registry)
    for provider, told in listed.items():
        named = {one.name: one for one in told if one.name}
        own = [model for model in registry.models.values() if model.provider == provider]
        for model in own:
            found = next((named.pop(name) for name in _names(model) if name in named), None)
            if found is not None:
                differences.extend(_changes(model, found))
                models[model.name] = _changed(model, found)
            elif not model.retired(today) and _area(model.name) in {_area(one.name) for one in told}:
                differences.append(_difference(model, Kind.GONE, _end(model), "not listed"))
                if model.name in needed:
                    kept.append(model.name)
                else:
                    models[model.name] = model.model_copy(update={"shutdown_on": today})
        known = {name for model in own for name in _names(model)}
        for one in named.values():
            if one.name not in known and _is_chat(one):
                differences.append(Difference(provider=provider, model=one.name, kind=Kind.NEW, now=_told(one)))
                # Another provider may have a model of that name: Azure lists OpenAI's.
                name = f"{provider}/{one.name}" if one.name in models else one.name
                models[name] = _new(name, provider, one)
    changed = {"version": today.isoformat(), "models": models} if differences else {}
    return Refreshed(differences=tuple(differences), registry=registry.model_copy(update=changed), kept=tuple(kept))


def _names(model: Model) -> tuple[str, ...]:
    return (model.sent, model.name, *model.also)


def _area(name: str) -> str:
    """Where a profile of Bedrock may send prompts: an account lists those of its own area only."""
    found = _AREA.match(name)
    return found[1] if found else ""


def document(registry: Registry) -> str:
    """The registry as a file of models."""
    read = registry.model_dump(mode="json", exclude_defaults=True)
    for entry in read["models"].values():
        del entry["name"]
        if "can" in entry:
            entry["can"] = sorted(entry["can"])
    head = "# Models, their windows and outputs in tokens. Written by `pointsman models refresh`.\n"
    return head + yaml.safe_dump(read, sort_keys=False, width=120, allow_unicode=True)


def _needed(registry: Registry) -> set[str]:
    tiered = {name for named in registry.tiers.values() for name in named.values()}
    return tiered | {model.replacement for model in registry.models.values()}


def _is_chat(listed: ListedModel) -> bool:
    """As the provider says; where it says nothing, by the name."""
    return listed.answers if listed.answers is not None else _NO_CHAT.search(listed.name) is None


def _changes(known: Model, listed: ListedModel) -> Iterator[Difference]:
    for kind, before, now in (
        (Kind.WINDOW, known.window, listed.context_window),
        (Kind.OUTPUT, known.output_max, listed.output_tokens_max),
    ):
        if now and now != before:
            yield _difference(known, kind, f"{before:_}", f"{now:_}")
    for ability, can in _told_abilities(listed).items():
        if can is not (ability in known.can):
            yield _difference(known, Kind.ABILITY, *((f"no {ability}", ability) if can else (ability, f"no {ability}")))
    if listed.shutdown_on is not None and listed.shutdown_on != known.shutdown_on:
        yield _difference(known, Kind.SHUTDOWN, _end(known), listed.shutdown_on.isoformat())


def _changed(known: Model, listed: ListedModel) -> Model:
    told = _told_abilities(listed)
    can = {ability for ability in Ability if told.get(ability, ability in known.can)}
    return known.model_copy(
        update={
            "window": listed.context_window or known.window,
            "output_max": listed.output_tokens_max or known.output_max,
            "can": frozenset(can),
            "shutdown_on": listed.shutdown_on or known.shutdown_on,
        }
    )


def _new(name: str, provider: str, listed: ListedModel) -> Model:
    return Model(
        name=name,
        called=listed.name if listed.name != name else "",
        provider=provider,
        window=listed.context_window or WINDOW_UNTOLD,
        output_max=listed.output_tokens_max or OUTPUT_UNTOLD,
        can=frozenset(ability for ability, can in _told_abilities(listed).items() if can),
        shutdown_on=listed.shutdown_on,
    )


def _told(listed: ListedModel) -> str:
    window = f"window {listed.context_window:_}" if listed.context_window else "window not told"
    abilities = sorted(ability.value for ability, can in _told_abilities(listed).items() if can)
    end = f"ends {listed.shutdown_on}" if listed.shutdown_on else ""
    return ", ".join(part for part in (window, " ".join(abilities), end) if part)


def _told_abilities(listed: ListedModel) -> dict[Ability, bool]:
    return {ability: listed.can[ability.value] for ability in Ability if ability.value in listed.can}


def _end(model: Model) -> str:
    return model.shutdown_on.isoformat() if model.shutdown_on else "no end known"


def _difference(known: Model, kind: Kind, before: str, now: str) -> Difference:
    return Difference(provider=known.provider, model=known.name, kind=kind, before=before, now=now)
