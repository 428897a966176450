"""Which model is chosen, and that the reason is said."""

from datetime import date

import pytest

from pointsman.llm.errors import InvalidRequestError, ModelNotAllowedError
from pointsman.llm.governance import Governance
from pointsman.llm.registry import Registry
from pointsman.llm.selector import NoModelError, Selector, measure
from pointsman.llm.settings import ALLOWED_BY_DEFAULT
from pointsman.llm.types import (
    Complexity,
    DocumentPart,
    LLMRequest,
    Message,
    ModelTier,
    ReasoningEffort,
    Role,
    TextPart,
    ToolSpec,
    text_message,
)

REGISTRY = Registry.load()
HELLO = text_message(Role.USER, "hello")
LONG = text_message(Role.USER, "word " * 200_000)


def selector(allowed: tuple[str, ...] = ALLOWED_BY_DEFAULT, **rules: object) -> Selector:
    governance = Governance(REGISTRY, allowed, today=lambda: date(2026, 11, 21))
    return Selector(REGISTRY, governance, **rules)  # type: ignore[arg-type]  # keywords of the test's own choosing


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"messages": (HELLO,), **fields})


async def test_a_named_model_is_taken_and_nothing_else() -> None:
    selection = await selector().select(request(model="claude-opus-5-5"))
    assert selection.model.name == "claude-opus-5-5"
    assert selection.fallbacks == []
    assert selection.rationale == "claude-opus-5-5: it was named"


async def test_a_chain_of_fallbacks_leaves_out_what_may_not_or_cannot() -> None:
    chain = {"gpt-6-luna": ("gpt-4.1-mini", "claude-haiku-5-5", "unknown", "mistral-small-2603")}
    selection = await selector(fallbacks=chain).select(request(model="gpt-6-luna"))
    assert [model.name for model in selection.fallbacks] == ["claude-haiku-5-5", "mistral-small-2603"]


async def test_the_default_answers_who_names_nothing() -> None:
    selection = await selector(default_model="gpt-6.1-sol").select(request())
    assert selection.rationale == "gpt-6.1-sol: it is the default"


async def test_a_default_does_not_stand_in_the_way_of_a_tier() -> None:
    selection = await selector(default_model="gpt-6.1-sol").select(request(tier="fast"))
    assert selection.model.name == "gpt-6-luna"


async def test_a_tier_offers_every_provider_in_order() -> None:
    selection = await selector().select(request(tier="balanced"), prefer=("gemini",))
    assert selection.model.name == "gemini-3.8-flash"
    assert [model.provider for model in selection.fallbacks] == [
        "openai",
        "anthropic",
        "mistral",
        "bedrock",
        "azure_openai",
    ]
    assert "tier balanced was asked for" in selection.rationale


@pytest.mark.parametrize(
    ("told", "name"), [("low", "gpt-6-luna"), ("medium", "gpt-6.1-terra"), ("high", "gpt-6.1-sol")]
)
async def test_whoever_knows_how_hard_a_task_is_says_it(told: str, name: str) -> None:
    selection = await selector(default_model="gpt-6-sol").select(request(complexity=told))
    assert selection.model.name == name
    assert f"complexity {told} was asked for" in selection.rationale


@pytest.mark.parametrize("named", [{"model": "gpt-6-luna"}, {"tier": "fast"}])
def test_a_complexity_and_what_it_would_choose_are_not_given_together(named: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not both"):
        request(complexity="low", **named)


async def test_the_cheapest_for_this_request_is_asked_first_where_price_is_preferred() -> None:
    # Haiku and Luna cost the same up to 100,000 tokens; beyond, Haiku costs five times as much.
    longer = text_message(Role.USER, "word " * 80_000)
    allowed = ("gpt-6-luna", "claude-haiku-5-5", "gemini-3.5-flash-lite")
    short = await selector(allowed).select(request(tier="fast"), prefer=("price",))
    long = await selector(allowed).select(request(tier="fast", messages=(longer,)), prefer=("price",))
    assert short.model.provider in ("openai", "anthropic")
    assert [model.provider for model in (long.model, *long.fallbacks)] == ["openai", "gemini", "anthropic"]
    assert "gpt-6-luna may cost 0.0" in long.rationale


async def test_a_preferred_provider_that_the_tier_does_not_know_is_named() -> None:
    selection = await selector().select(request(tier="fast"), prefer=("antropic", "gemini"))
    assert selection.model.provider == "gemini"
    assert "'antropic', which is preferred, has no model of this tier" in selection.rationale


async def test_a_provider_that_is_named_comes_before_the_cheapest() -> None:
    selection = await selector().select(request(tier="fast"), prefer=("gemini", "price"))
    assert selection.model.provider == "gemini"
    assert "gemini-3.5-flash-lite may cost" not in selection.rationale


async def test_a_model_without_a_price_is_no_bargain() -> None:
    unpriced = REGISTRY.models["claude-haiku-5-5"].model_copy(update={"name": "unheard-of"})
    tiers = {**REGISTRY.tiers, ModelTier.FAST: {"openai": "gpt-6-luna", "anthropic": "unheard-of"}}
    registry = REGISTRY.model_copy(
        update={"models": {**REGISTRY.models, "unheard-of": unpriced}, "tiers": tiers, "prefer": ("price",)}
    )
    selection = await Selector(registry, Governance(registry, ("*",))).select(request(tier="fast"))
    assert [model.name for model in (selection.model, *selection.fallbacks)] == ["gpt-6-luna", "unheard-of"]
    assert "unheard-of may cost what nobody knows" in selection.rationale


async def test_who_does_not_answer_now_is_passed_over_and_named() -> None:
    ailing = selector(healthy=lambda provider: provider not in ("openai", "anthropic"))
    selection = await ailing.select(request(tier="fast"))
    assert selection.model.provider == "gemini"
    assert "openai does not answer now; anthropic does not answer now" in selection.rationale
    assert [model.provider for model in selection.fallbacks] == [
        "openai",
        "anthropic",
        "mistral",
        "bedrock",
        "azure_openai",
    ]


async def test_where_nobody_answers_the_preferred_one_is_asked() -> None:
    selection = await selector(healthy=lambda provider: False).select(request(tier="fast"))
    assert selection.model.provider == "openai"


async def test_a_prompt_beyond_a_window_goes_to_a_wider_one() -> None:
    asked = request(tier="fast", messages=(LONG,))
    selection = await selector(("mistral-small-2603", "gpt-6-luna")).select(asked, prefer=("mistral",))
    assert selection.model.name == "gpt-6-luna"
    assert "mistral-small-2603 has room for" in selection.rationale


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (request(model="gpt-4.1", max_tokens=40_000), "writes at most 32768 tokens, 40000 are asked for"),
        (request(model="mistral-small-2603", messages=(LONG,)), "has room for"),
    ],
)
async def test_a_named_model_that_cannot_is_refused_before_anything_leaves(asked: LLMRequest, told: str) -> None:
    with pytest.raises(InvalidRequestError, match="Nothing was sent") as caught:
        await selector(("*",)).select(asked)
    assert told in str(caught.value)


async def test_what_a_model_cannot_take_is_named() -> None:
    shown = Message(role=Role.USER, parts=(TextPart(text="see"), DocumentPart(data=b"%PDF-1.7")))
    registry = REGISTRY.model_copy(
        update={"models": {**REGISTRY.models, "blind": REGISTRY.models["gpt-6-luna"].model_copy(
            update={"name": "blind", "can": frozenset()})}}
    )  # fmt: skip
    blind = Selector(registry, Governance(registry, ("*",)))
    with pytest.raises(InvalidRequestError, match="has no documents and no tools"):
        await blind.select(request(model="blind", messages=(shown,), tools=(ToolSpec(name="look"),)))


async def test_a_tier_that_nobody_may_serve_says_why() -> None:
    with pytest.raises(NoModelError, match="gpt-6-luna is not allowed; claude-haiku-5-5 is not allowed"):
        await selector(("gpt-6.1-sol",)).select(request(tier="fast"))


async def test_a_forbidden_default_is_refused() -> None:
    with pytest.raises(ModelNotAllowedError):
        await selector(default_model="gpt-5.5").select(request())


@pytest.mark.parametrize(
    ("asked", "complexity", "feature"),
    [
        (request(), Complexity.LOW, "short and plain"),
        (request(tools=(ToolSpec(name="look"),)), Complexity.MEDIUM, "1 tools"),
        (request(reasoning_effort=ReasoningEffort.MEDIUM), Complexity.MEDIUM, "effort medium"),
        (request(messages=(HELLO,) * 13), Complexity.MEDIUM, "13 messages"),
        (
            request(reasoning_effort=ReasoningEffort.HIGH, response_schema={"type": "object"}),
            Complexity.HIGH,
            "an answer by schema, effort high",
        ),
        (request(messages=(LONG,), tools=(ToolSpec(name="look"),)), Complexity.HIGH, "1 tools"),
    ],
)
async def test_complexity_is_measured_by_stated_features(
    asked: LLMRequest, complexity: Complexity, feature: str
) -> None:
    measured, told = measure(asked)
    assert measured is complexity
    assert feature in told
    tier = {Complexity.LOW: "fast", Complexity.MEDIUM: "balanced", Complexity.HIGH: "premium"}[complexity]
    selection = await selector().select(asked)
    assert selection.model.name == REGISTRY.tiers[ModelTier(tier)]["openai"]
    assert f"complexity {complexity.value}" in selection.rationale
