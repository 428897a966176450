"""What a call costs, in USD: genai-prices' bundled table, which is read offline and never updates itself.

Tokens are counted as everywhere in this package: prompt tokens include the cached ones, so that nothing is paid twice.
"""

import asyncio
from decimal import Decimal
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

from pointsman.llm.types import TokenUsage

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
        await asyncio.to_thread(_version)
    return price_now(provider, model, usage)


def price_now(provider: str, model: str, usage: TokenUsage) -> Price:
    from genai_prices import Usage, calc_price  # not at the top: 0.5 s that only a call should pay

    if not _is_known(provider, model):
        return Price(Decimal(0), _version(), f"no price known for {provider} model {model!r}: counted as 0 USD")
    counted = Usage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.completion_tokens,
    )
    try:
        total = calc_price(counted, model, provider_id=PRICED_AS.get(provider, provider)).total_price
    except ValueError as error:
        # Counts that contradict each other, for example more cached tokens than prompt tokens.
        return Price(Decimal(0), _version(), f"no price for these counts: {error}")
    return Price(total, _version())


@lru_cache(maxsize=1_000)
def _is_known(provider: str, model: str) -> bool:
    from genai_prices.data_snapshot import get_snapshot  # as above

    try:
        get_snapshot().find_provider_model(model, None, PRICED_AS.get(provider, provider), None)
    except LookupError:
        return False
    return True


@lru_cache(maxsize=1)
def _version() -> str:
    from genai_prices.data_snapshot import get_snapshot  # as above

    get_snapshot()
    return f"genai-prices {version('genai-prices')}"
