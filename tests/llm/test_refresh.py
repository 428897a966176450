"""The file of models beside what providers list: every kind of difference, and nothing that is none."""

from datetime import date

import pytest

from pointsman.llm.client import ListedModel
from pointsman.llm.refresh import Difference, Kind, refresh
from pointsman.llm.registry import Ability, Model, Registry
from pointsman.llm.types import ModelTier

TODAY = date(2026, 11, 21)


def model(name: str, **fields: object) -> Model:
    known: dict[str, object] = {"provider": "openai", "window": 100_000, "output_max": 8_000, "can": ["tools"]}
    return Model.model_validate({**known, **fields, "name": name})


FAST, OLD, ENDED = (
    model("fast"),
    model("old", also=("old-2025", "old-latest")),
    model("ended", shutdown_on=date(2026, 1, 1), replacement="next"),
)
REGISTRY = Registry(
    version="1",
    prefer=("openai",),
    tiers={tier: {"openai": "fast"} for tier in ModelTier},
    models={one.name: one for one in (FAST, OLD, ENDED, model("next"), model("other", provider="mistral"))},
)
ALL = tuple(ListedModel(name=name) for name in ("fast", "old", "next"))


def changes(*listed: ListedModel) -> tuple[Difference, ...]:
    return refresh(REGISTRY, {"openai": listed}, TODAY).differences


def test_a_list_that_says_the_same_is_no_difference() -> None:
    found = refresh(REGISTRY, {"openai": ALL}, TODAY)
    assert found.differences == ()
    assert found.registry == REGISTRY


def test_what_a_provider_does_not_tell_is_no_difference() -> None:
    told = ListedModel(name="old", context_window=100_000, can={"tools": True, "images": False})
    assert changes(ALL[0], told, ALL[2]) == ()


def test_a_model_is_found_by_any_of_its_names() -> None:
    assert changes(ALL[0], ListedModel(name="old-2025"), ALL[2]) == ()
    (end,) = changes(ALL[0], ListedModel(name="old-2025", shutdown_on=date(2027, 3, 1)), ALL[2])
    assert (end.model, end.kind, end.before, end.now) == ("old", Kind.SHUTDOWN, "no end known", "2027-03-01")


def test_a_model_that_is_new_is_added_with_what_is_told_of_it() -> None:
    listed = ListedModel(name="newest", context_window=2_000_000, can={"tools": True, "images": True, "schema": False})
    found = refresh(REGISTRY, {"openai": (*ALL, listed)}, TODAY)
    (new,) = found.differences
    assert (new.kind, new.model, new.now) == (Kind.NEW, "newest", "window 2_000_000, images tools")
    added = found.registry.models["newest"]
    assert (added.provider, added.window) == ("openai", 2_000_000)
    assert added.can == {Ability.TOOLS, Ability.IMAGES}
    assert found.registry.version == "2026-11-21"


@pytest.mark.parametrize(
    "listed",
    [
        ListedModel(name="text-embedding-3-small"),
        ListedModel(name="gpt-realtime-2"),
        ListedModel(name="plain-name", answers=False),
    ],
)
def test_what_does_not_answer_is_no_new_model(listed: ListedModel) -> None:
    assert changes(*ALL, listed) == ()


def test_the_provider_says_better_than_a_name_what_answers() -> None:
    assert [one.model for one in changes(*ALL, ListedModel(name="live-chat", answers=True))] == ["live-chat"]


def test_a_model_that_is_not_listed_ends_today() -> None:
    found = refresh(REGISTRY, {"openai": (ALL[0], ALL[2])}, TODAY)
    assert [(one.kind, one.model) for one in found.differences] == [(Kind.GONE, "old")]
    assert found.registry.models["old"].retired(TODAY)
    assert found.kept == ()


def test_what_a_tier_or_a_successor_needs_stays_and_is_named() -> None:
    found = refresh(REGISTRY, {"openai": (ALL[1],)}, TODAY)
    assert [(one.kind, one.model) for one in found.differences] == [(Kind.GONE, "fast"), (Kind.GONE, "next")]
    assert found.kept == ("fast", "next")
    assert found.registry.models == REGISTRY.models


def test_changes_of_window_output_abilities_and_end_are_told_and_taken_over() -> None:
    listed = ListedModel(
        name="old",
        context_window=200_000,
        output_tokens_max=16_000,
        shutdown_on=date(2027, 1, 14),
        can={"tools": False, "images": True},
    )
    found = refresh(REGISTRY, {"openai": (ALL[0], listed, ALL[2])}, TODAY)
    assert [(one.kind, one.before, one.now) for one in found.differences] == [
        (Kind.WINDOW, "100_000", "200_000"),
        (Kind.OUTPUT, "8_000", "16_000"),
        (Kind.ABILITY, "tools", "no tools"),
        (Kind.ABILITY, "no images", "images"),
        (Kind.SHUTDOWN, "no end known", "2027-01-14"),
    ]
    taken = found.registry.models["old"]
    assert (taken.window, taken.output_max) == (200_000, 16_000)
    assert taken.can == {Ability.IMAGES}
    assert taken.shutdown_on == date(2027, 1, 14)


def test_a_provider_that_was_not_asked_loses_nothing() -> None:
    assert refresh(REGISTRY, {}, TODAY).differences == ()


def test_a_file_that_was_written_differs_no_more() -> None:
    listed = {"openai": (ALL[0], ALL[2], ListedModel(name="newest", context_window=9_000))}
    written = refresh(REGISTRY, listed, TODAY).registry
    assert refresh(written, listed, TODAY).differences == ()


def test_profiles_of_another_area_are_not_gone() -> None:
    names = ("us.anthropic.claude", "eu.anthropic.claude", "us.anthropic.older")
    models = {name: model(name, provider="bedrock") for name in names}
    registry = REGISTRY.model_copy(update={"models": {**REGISTRY.models, **models}})
    found = refresh(registry, {"bedrock": (ListedModel(name="us.anthropic.claude"),)}, TODAY)
    assert [one.model for one in found.differences] == ["us.anthropic.older"]
