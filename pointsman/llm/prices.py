"""What a call costs, in USD: genai-prices' bundled table, which is read offline and never updates itself.

Tokens are counted as everywhere in this package: prompt tokens include the cached ones, so that nothing is paid twice.
"""

import asyncio
import time
from bisect import bisect_left
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

from pointsman.llm.imports import importing_alone
from pointsman.llm.types import TokenUsage

MILLION = 1_000_000
# Providers that genai-prices knows by another name.
PRICED_AS = {"azure_openai": "azure", "bedrock": "aws", "gemini": "google"}


class Price(NamedTuple):
    """`note` says why the cost is not known; it is empty when it is."""

    cost_usd: Decimal
    version: str
    note: str = ""


async def price(provider: str, model: str, usage: TokenUsage) -> Price:
    """The price now. The first call reads the table, about 0.7 s, in a thread of its own."""
    if not _version.cache_info().currsize:
        await asyncio.to_thread(_read)
    return price_now(provider, model, usage)


def price_now(provider: str, model: str, usage: TokenUsage) -> Price:
    if not _is_known(provider, model):
        return Price(Decimal(0), _version(), f"no price known for {provider} model {model!r}: counted as 0 USD")
    fresh = usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens
    try:
        if fresh < 0:
            return Price(_by_table(provider, model, usage), _version())
        minute = int(time.time() // 60)
        starts = _starts(provider, model, minute)
        above = starts[bisect_left(starts, usage.prompt_tokens) - 1] if usage.prompt_tokens else 0
        rates = _rates(provider, model, above, minute)
    except ValueError as error:
        # Counts that contradict each other, for example more cached tokens than prompt tokens.
        return Price(Decimal(0), _version(), f"no price for these counts: {error}")
    metered = (
        rates.fresh * fresh
        + rates.read * usage.cached_tokens
        + rates.written * usage.cache_write_tokens
        + rates.output * usage.completion_tokens
    )
    return Price(rates.fixed + metered / MILLION, _version())


class _Rates(NamedTuple):
    """USD of a call, and of a million tokens of each kind, as long as no more of a prompt makes it all dearer."""

    fixed: Decimal
    fresh: Decimal
    read: Decimal
    written: Decimal
    output: Decimal


@lru_cache(maxsize=1_000)
def _rates(provider: str, model: str, above: int, minute: int) -> _Rates:
    """What the table asks for prompts of more than `above` tokens, found by asking it: it takes 0.1 ms an answer.

    Prices may depend on the date and the time of day, so an answer holds for the minute in which it was given.
    """
    prompt = above + 1
    fixed = _by_table(provider, model, TokenUsage())

    def rate(usage: TokenUsage, count: int, rest: Decimal = fixed) -> Decimal:
        return ((_by_table(provider, model, usage) - rest) * MILLION / count).normalize()

    fresh = _by_table(provider, model, TokenUsage(prompt_tokens=prompt))
    return _Rates(
        fixed,
        rate(TokenUsage(prompt_tokens=prompt), prompt),
        rate(TokenUsage(prompt_tokens=prompt, cached_tokens=prompt), prompt),
        rate(TokenUsage(prompt_tokens=prompt, cache_write_tokens=prompt), prompt),
        rate(TokenUsage(prompt_tokens=prompt, completion_tokens=1), 1, fresh),
    )


@lru_cache(maxsize=1_000)
def _starts(provider: str, model: str, minute: int) -> tuple[int, ...]:
    """Sizes of prompts above which other prices hold, the smallest first: 0."""
    from genai_prices import calc_price  # as below
    from genai_prices.types import TieredPrices

    priced = calc_price({}, model, provider_id=PRICED_AS.get(provider, provider)).model_price
    tiered = [value for value in vars(priced).values() if isinstance(value, TieredPrices)]
    return tuple(sorted({0, *(tier.start for value in tiered for tier in value.tiers)}))


def _by_table(provider: str, model: str, usage: TokenUsage) -> Decimal:
    """Raises ValueError for counts that contradict each other."""
    from genai_prices import Usage, calc_price  # not at the top: 0.5 s that only a call should pay

    counted = Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.completion_tokens,
    )
    return calc_price(counted, model, provider_id=PRICED_AS.get(provider, provider)).total_price


@lru_cache(maxsize=1_000)
def _is_known(provider: str, model: str) -> bool:
    from genai_prices.data_snapshot import get_snapshot  # as above

    try:
        get_snapshot().find_provider_model(model, None, PRICED_AS.get(provider, provider), None)
    except LookupError:
        return False
    return True


def _read() -> None:
    with importing_alone():
        _version()


@lru_cache(maxsize=1)
def _version() -> str:
    from genai_prices.data_snapshot import get_snapshot  # as above

    get_snapshot()
    return f"genai-prices {version('genai-prices')}"
