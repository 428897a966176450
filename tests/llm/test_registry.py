"""The file of models: what it says holds together, and the end of a model is told before it comes."""

import importlib.util
import re
from datetime import date, datetime
from pathlib import Path

import pytest
import yaml

from pointsman.llm.errors import ModelRetiredError
from pointsman.llm.prices import price_now
from pointsman.llm.registry import BUILT_IN, Ability, Registry, RegistryError, abilities_needed
from pointsman.llm.settings import ALLOWED_BY_DEFAULT
from pointsman.llm.types import (
    ImagePart,
    LLMRequest,
    Message,
    ModelTier,
    Role,
    TokenUsage,
    ToolResultPart,
    ToolSpec,
    text_message,
)

REGISTRY = Registry.load()
BUILT: dict[str, dict[str, dict[str, object]]] = yaml.load(BUILT_IN.read_text(), Loader=yaml.CSafeLoader)
MODELS = BUILT["models"]
TODAY = date(2026, 11, 21)
HELLO = text_message(Role.USER, "hello")


def changed(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "models.yaml"
    path.write_text(yaml.dump({**BUILT, **changes}, Dumper=yaml.CSafeDumper))
    return path


@pytest.mark.parametrize(
    ("tier", "name"),
    [(ModelTier.FAST, "gpt-6-luna"), (ModelTier.BALANCED, "gpt-6.1-terra"), (ModelTier.PREMIUM, "gpt-6.1-sol")],
)
def test_each_tier_has_a_model_of_each_provider(tier: ModelTier, name: str) -> None:
    models = REGISTRY.of_tier(tier)
    assert models[0].name == name
    assert [model.provider for model in models] == list(REGISTRY.prefer)


def test_models_of_the_tiers_are_allowed_alive_priced_and_able() -> None:
    tiered = [model for tier in ModelTier for model in REGISTRY.of_tier(tier)]
    assert {model.name for model in tiered} == set(ALLOWED_BY_DEFAULT)
    for model in tiered:
        assert model.shutdown_on is None
        assert {Ability.TOOLS, Ability.IMAGES, Ability.REASONING, Ability.SCHEMA} <= model.can
        assert price_now(model.provider, model.sent, TokenUsage(prompt_tokens=1_000)).note == ""


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("claude-3-opus-20240229", "claude-opus-5-5"),
        ("claude-3-5-sonnet-latest", "claude-sonnet-5-5"),
        ("gemini-1.5-pro", "gemini-3.8-flash"),
        ("claude-3.5-sonnet", "claude-sonnet-5-5"),
        ("gemini-2.0-flash", "gemini-3.5-flash-lite"),
        ("gpt-3.5-turbo", "gpt-6-luna"),
    ],
)
def test_models_that_are_gone_name_their_successor(name: str, replacement: str) -> None:
    model = REGISTRY.find(name)
    assert model is not None
    with pytest.raises(ModelRetiredError, match=f"use {replacement}") as caught:
        REGISTRY.check_lifecycle(model, TODAY)
    assert caught.value.replacement == replacement
    assert caught.value.since == model.shutdown_on


@pytest.mark.parametrize(
    ("name", "end", "replacement"),
    [
        ("gpt-4.1", "2027-01-14", "gpt-6-luna"),
        ("gpt-4.1-mini", "2027-01-14", "gpt-6-luna"),
        ("gpt-5", "2026-12-11", "gpt-6.1-terra"),
        ("gpt-5-mini-2025-08-07", "2026-12-11", "gpt-6-luna"),
        ("gpt-5-nano", "2026-12-11", "gpt-6-luna"),
        ("claude-sonnet-4-5", "2026-11-30", "claude-sonnet-5-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "2026-11-30", "us.anthropic.claude-sonnet-5-5"),
    ],
)
def test_models_that_end_soon_are_alive_and_name_day_and_successor(name: str, end: str, replacement: str) -> None:
    model = REGISTRY.find(name)
    assert model is not None
    assert not model.retired(TODAY)
    assert (str(model.shutdown_on), model.replacement) == (end, replacement)


def test_a_successor_is_of_the_same_provider_and_does_not_end_itself() -> None:
    for model in REGISTRY.models.values():
        if model.shutdown_on is not None:
            successor = REGISTRY.models[model.replacement]
            assert (successor.provider, successor.shutdown_on) == (model.provider, None)


def sdk_file(package: str, path: str) -> str:
    """A file of an installed SDK, read without importing it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_text()


def test_models_that_openai_announces_to_end_end_on_that_day() -> None:
    # The SDK's types carry the announcements: bullets of names, each with its day.
    text = " ".join(sdk_file("openai", "types/shared/chat_model.py").partition("Deprecated values:")[2].split())
    bullets = re.findall(r'- ((?:"[^"]+",? ?)+): Announced shutdown date: ([\d-]{10})', text)
    named = [(name, day) for names, day in bullets for name in re.findall(r'"([^"]+)"', names)]
    told = {name: day for name, day in named if "audio" not in name}
    assert len(told) > 50
    known = {name: REGISTRY.find(name) for name in told}
    assert {name: str(model.shutdown_on) if model else "unknown" for name, model in known.items()} == told


@pytest.mark.parametrize(
    ("package", "path"), [("openai", "types/shared/chat_model.py"), ("anthropic", "types/model_param.py")]
)
def test_every_model_that_an_sdk_names_is_known(package: str, path: str) -> None:
    names = re.findall(r'^ +"([^"]+)",$', sdk_file(package, path), re.MULTILINE)
    assert len(names) > 20
    # OpenAI's SDK says of gpt-5.1-mini that it never was one; models that hear and speak are not chat models.
    told = [name for name in names if name != "gpt-5.1-mini" and "audio" not in name]
    assert [name for name in told if REGISTRY.find(name) is None] == []


def test_models_that_anthropic_announces_to_end_end_on_that_day() -> None:
    text = sdk_file("anthropic", "resources/messages/messages.py")
    told = re.findall(r'^    "(claude-[^"]+)": "(\w+ \d+)\w\w, (\d{4})",$', text, re.MULTILINE)
    assert len(told) > 15
    for name, day, year in told:
        model = REGISTRY.find(name)
        assert model is not None, name
        assert model.shutdown_on == datetime.strptime(f"{day} {year}", "%B %d %Y").date(), name


def test_every_model_that_is_alive_has_a_price() -> None:
    alive = [model for model in REGISTRY.models.values() if not model.retired(TODAY)]
    unpriced = [one.name for one in alive if price_now(one.provider, one.sent, TokenUsage(prompt_tokens=9)).note]
    assert unpriced == ["claude-mythos-5-1", "claude-mythos-5"]  # Anthropic publishes none


@pytest.mark.parametrize(
    ("today", "told"),
    [
        (date(2026, 11, 26), ""),
        (date(2026, 11, 27), "gpt-5-mini is shut down on 2026-12-11, in 14 days; gpt-6-luna takes its place"),
        (date(2026, 12, 10), "gpt-5-mini is shut down on 2026-12-11, in 1 day; gpt-6-luna takes its place"),
    ],
)
def test_a_model_warns_for_its_last_fourteen_days(today: date, told: str) -> None:
    assert REGISTRY.check_lifecycle(REGISTRY.models["gpt-5-mini"], today) == told


def test_a_model_is_gone_on_the_day_of_its_shutdown() -> None:
    with pytest.raises(ModelRetiredError, match="gone since 2026-12-11"):
        REGISTRY.check_lifecycle(REGISTRY.models["gpt-5-mini"], date(2026, 12, 11))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"tiers": {"fast": {"openai": "gpt-6-luna"}}}, "tiers.balanced: no model is named"),
        (
            {"tiers": {tier.value: {"openai": "gpt-7"} for tier in ModelTier}},
            "tiers.fast.openai: model 'gpt-7' is not among `models`",
        ),
        (
            {"tiers": {tier.value: {"mistral": "gpt-6-luna"} for tier in ModelTier}},
            "tiers.fast.mistral: model 'gpt-6-luna' is of openai",
        ),
        ({"models": {"m": {"provider": "p", "window": 0, "output_max": 1}}}, "models.m.window"),
        ({"models": {"m": {"provider": "p", "window": 1, "output_max": 1, "can": ["fly"]}}}, "models.m.can"),
        (
            {"models": {**MODELS, "m": {**MODELS["gpt-6-luna"], "also": ["gpt-6-sol"]}}},
            "models.m: the name 'gpt-6-sol' is that of gpt-6-sol already",
        ),
        ({"models": {"m": 3}}, "models.m"),
        ({"models": []}, "models"),
        ({"prefer": []}, "prefer"),
        ({"colour": "green"}, "colour"),
    ],
)
def test_what_does_not_hold_together_is_named(tmp_path: Path, changes: dict[str, object], told: str) -> None:
    with pytest.raises(RegistryError) as caught:
        Registry.load(changed(tmp_path, **changes))
    assert told in str(caught.value)
    assert "models.yaml" in str(caught.value)


def test_a_successor_must_be_known(tmp_path: Path) -> None:
    entry = {"provider": "openai", "window": 1, "output_max": 1, "replacement": "gpt-9"}
    models = {**yaml.safe_load(BUILT_IN.read_text())["models"], "old": entry}
    with pytest.raises(RegistryError, match=r"models\.old\.replacement: 'gpt-9'"):
        Registry.load(changed(tmp_path, models=models))


@pytest.mark.parametrize("text", ["tiers: [", "3"])
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "models.yaml"
    path.write_text(text)
    with pytest.raises(RegistryError, match=r"models\.yaml"):
        Registry.load(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="No such file"):
        Registry.load(tmp_path / "none.yaml")


def test_what_a_request_needs_is_read_from_it() -> None:
    pictured = ToolResultPart(call_id="c", text="", images=(ImagePart(data=b"x"),))
    asked = LLMRequest(messages=(HELLO, Message(role=Role.TOOL, parts=(pictured,))), tools=(ToolSpec(name="look"),))
    assert abilities_needed(asked) == {Ability.TOOLS, Ability.IMAGES}
    assert abilities_needed(LLMRequest(messages=(HELLO,))) == frozenset()
