"""Many calls at once over all providers: each ends, in an answer or in an error of ours."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from itertools import cycle, islice
from random import Random

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.llm.errors import LLMError
from pointsman.llm.events import StreamFinished
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.rules import Rules
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import make_service, rules_of
from pointsman.llm.types import LLMRequest, LLMResponse, Role, text_message
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from pointsman.sandbox.models.control import FaultKind, Hold
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODELS = {
    "openai": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "gemini": "gemini-3.5-flash-lite",
    "mistral": "mistral-small-2603",
    "bedrock": "global.anthropic.claude-haiku-5-5",
}
# Of twenty calls: the cheaper a provider's SDK is, the more, so that a thousand of them take seconds.
SHARES = {"openai": 13, "anthropic": 2, "gemini": 2, "mistral": 1, "bedrock": 2}
MIXED = [MODELS[provider] for provider, share in SHARES.items() for _ in range(share)]
BURST = 25
"""So many calls connect together. All at once would keep the one loop, which serves the providers, too, for so long
that on a busy machine connections count as refused."""
PATIENCE_SECONDS = 600
FAULTS: tuple[tuple[FaultKind, dict[str, object]], ...] = (
    (FaultKind.STATUS, {"status": 429, "retry_after": "0"}),
    (FaultKind.STATUS, {"status": 503}),
    (FaultKind.STATUS, {"status": 400}),
    (FaultKind.CUT, {}),
    (FaultKind.DROP, {}),
    (FaultKind.ERROR_EVENT, {}),
    (FaultKind.BAD_JSON, {}),
)


@pytest_asyncio.fixture(loop_scope="module")
async def service(provider: Provider) -> AsyncGenerator[LLMService]:
    settings = LLMSettings.model_validate(
        {
            "openai_base_url": f"{provider.root}/v1",
            "anthropic_base_url": f"{provider.root}/anthropic",
            "google_base_url": f"{provider.root}/gemini",
            "mistral_base_url": f"{provider.root}/mistral",
            "bedrock_base_url": f"{provider.root}/bedrock",
            "aws_region": "us-east-1",
            "llm_request_timeout": PATIENCE_SECONDS,
        }
    )
    keys = {**dict.fromkeys(MODELS, SecretStr(KEY)), "bedrock": SecretStr(f"{ACCESS_KEY_ID}:{KEY}")}
    plain = rules_of(settings)
    rules = Rules(plain.governance, plain.selector, breakers=plain.breakers, retries=RetryPolicy(wait_seconds_max=0.02))
    async with make_service(settings, rules, OperatorKeys(keys)) as made:
        yield made


async def ask(service: LLMService, number: int, model: str) -> LLMResponse:
    """Every other call is streamed."""
    told = LLMRequest(model=model, messages=(text_message(Role.USER, f"call-{number};"),), max_tokens=200)
    if number % 2:
        return await service.complete(told)
    last = [event async for event in service.stream(told)][-1]
    assert isinstance(last, StreamFinished)
    return last.response


def called(service: LLMService, count: int) -> "Iterator[asyncio.Task[LLMResponse]]":
    """Calls, each under way from when it is asked for."""
    for number, model in enumerate(islice(cycle(MIXED), count)):
        yield asyncio.create_task(ask(service, number, model))


async def test_hundred_calls_with_faults_all_end_in_an_answer_or_an_error_of_ours(
    provider: Provider, service: LLMService
) -> None:
    chance = Random(4)
    for number in chance.sample(range(100), 5):
        kind, details = chance.choice(FAULTS)
        provider.fails(kind, match=f"call-{number};", **details)
    ended = await asyncio.gather(*called(service, 100), return_exceptions=True)
    assert [end for end in ended if not isinstance(end, LLMResponse | LLMError)] == []
    assert Counter(type(end).__name__ for end in ended)["LLMResponse"] >= 95
    assert sum(fault.count == 0 for fault in provider.control.faults) == 5, "each fault has met a call"


@pytest.mark.slow(5)
async def test_thousand_calls_without_faults_are_all_answered(provider: Provider, service: LLMService) -> None:
    await asyncio.gather(*called(service, len(MIXED)))  # each SDK is loaded then, which holds up everybody else
    hold = Hold(count=1_000)
    provider.control.add_hold(hold)
    calls = []
    for number, call in enumerate(called(service, 1_000), 1):
        calls.append(call)
        while number % BURST == 0 and hold.held < number and not any(call.done() for call in calls):  # noqa: ASYNC110 - a hold tells nobody
            await asyncio.sleep(0.001)
    under_way = hold.held
    provider.control.release(hold.id)
    ended = await asyncio.gather(*calls, return_exceptions=True)
    assert [end for end in ended if not isinstance(end, LLMResponse)] == []
    assert under_way == 1_000, "no call was answered before all had begun"
    assert len(provider.control.seen) == 1_000 + len(MIXED), "none was tried twice"
    assert {end.provider for end in ended if isinstance(end, LLMResponse)} == set(MODELS)
