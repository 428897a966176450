"""Costs against the provider's published prices of today's models, in USD per million tokens."""

from decimal import Decimal

import pytest
from genai_prices import Usage, calc_price
from hypothesis import given
from hypothesis import strategies as st

from pointsman.llm.prices import PRICED_AS, price, price_now
from pointsman.llm.types import TokenUsage


@pytest.mark.parametrize(
    ("model", "usage", "cost"),
    [
        ("gpt-6-luna", TokenUsage(prompt_tokens=1_000_000 // 10, completion_tokens=0), "0.01"),
        ("gpt-6-luna", TokenUsage(prompt_tokens=0, completion_tokens=1_000_000), "0.5"),
        # Above 272,000 tokens of input the whole call is dearer.
        ("gpt-6-luna", TokenUsage(prompt_tokens=300_000), "0.06"),
        ("gpt-6.1-terra", TokenUsage(prompt_tokens=1_000, completion_tokens=100, reasoning_tokens=60), "0.0015"),
        # 200 of the 1,000 were cached: they are not paid twice.
        ("gpt-6.1-terra", TokenUsage(prompt_tokens=1_000, cached_tokens=200), "0.00081"),
        ("gpt-5-mini-2025-08-07", TokenUsage(prompt_tokens=1_000_000), "0.25"),
    ],
)
async def test_cost_is_what_the_provider_bills(model: str, usage: TokenUsage, cost: str) -> None:
    found = await price("openai", model, usage)
    assert found.cost_usd == Decimal(cost)
    assert found.version.startswith("genai-prices ")
    assert found.note == ""


def test_unknown_model_costs_nothing_and_says_so() -> None:
    found = price_now("openai", "gpt-99-nova", TokenUsage(prompt_tokens=1_000))
    assert found.cost_usd == 0
    assert found.note == "no price known for openai model 'gpt-99-nova': counted as 0 USD"


def test_unknown_provider_costs_nothing_and_says_so() -> None:
    assert "no price known" in price_now("nobody", "gpt-6-luna", TokenUsage(prompt_tokens=1)).note


def test_counts_that_contradict_each_other_have_no_price() -> None:
    found = price_now("openai", "gpt-6-luna", TokenUsage(prompt_tokens=10, cached_tokens=100))
    assert found.cost_usd == 0
    assert "no price for these counts" in found.note


@pytest.mark.parametrize(
    ("provider", "model", "cost"),
    [
        ("gemini", "gemini-2.5-flash", "0.00055"),
        ("azure_openai", "gpt-6-luna", "0.00015"),
        ("bedrock", "global.anthropic.claude-haiku-5-5", "0.00015"),
    ],
)
def test_provider_is_priced_by_the_name_that_the_table_has(provider: str, model: str, cost: str) -> None:
    found = price_now(provider, model, TokenUsage(prompt_tokens=1_000, completion_tokens=100))
    assert found.cost_usd == Decimal(cost)
    assert found.note == ""


def test_cached_and_cache_written_tokens_of_claude_are_paid_once_each() -> None:
    # 1,000 tokens at 1 USD per million, 1,000 written to the cache at 1.25, 8,000 read from it at 0.10, 500 out at 5.
    usage = TokenUsage(prompt_tokens=10_000, cached_tokens=8_000, cache_write_tokens=1_000, completion_tokens=500)
    assert price_now("anthropic", "claude-haiku-4-5", usage).cost_usd == Decimal("0.00555")


def test_claude_is_dearer_above_a_hundred_thousand_tokens() -> None:
    assert price_now("anthropic", "claude-haiku-5-5", TokenUsage(prompt_tokens=100_000)).cost_usd == Decimal("0.01")
    assert price_now("anthropic", "claude-haiku-5-5", TokenUsage(prompt_tokens=200_000)).cost_usd == Decimal("0.1")


MODELS = (
    ("openai", "gpt-6-luna"),
    ("openai", "gpt-4.1"),
    ("anthropic", "claude-haiku-5-5"),
    ("gemini", "gemini-2.5-pro"),
    ("mistral", "mistral-medium-3-5"),
)
COUNTS = st.one_of(st.integers(0, 2_000_000), st.sampled_from([0, 1, 100_000, 100_001, 200_000, 200_001, 272_001]))


@given(st.sampled_from(MODELS), COUNTS, COUNTS, COUNTS, COUNTS)
def test_rates_that_are_kept_give_what_the_table_gives(
    named: tuple[str, str], fresh: int, read: int, written: int, output: int
) -> None:
    provider, model = named
    prompt = fresh + read + written
    usage = TokenUsage(prompt_tokens=prompt, cached_tokens=read, cache_write_tokens=written, completion_tokens=output)
    asked = Usage(input_tokens=prompt, cache_read_tokens=read, cache_write_tokens=written, output_tokens=output)
    table = calc_price(asked, model, provider_id=PRICED_AS.get(provider, provider)).total_price
    assert price_now(provider, model, usage).cost_usd == table
