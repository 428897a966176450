"""What every embedder promises, on the stand-ins of all providers: batches that fit, errors alike, true costs."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from math import isclose

import pytest
import pytest_asyncio
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.embedder import Embedder, InputKind
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.llm.providers.bedrock.embeddings import BedrockEmbedder
from pointsman.llm.providers.gemini.embeddings import GeminiEmbedder
from pointsman.llm.providers.mistral.embeddings import MistralEmbedder
from pointsman.llm.providers.openai.embeddings import OpenAIEmbedder
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from pointsman.sandbox.models.control import FaultKind, Outcome
from tests.llm.standin import KEY, Provider
from tests.llm.wiring import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECOND = timedelta(seconds=60)
TEXTS = ("a train on the track", "the train left the track", "a chocolate cake")


def openai(root: str, key: str = KEY, timeout: timedelta = SECOND) -> Embedder:
    return OpenAIEmbedder(SecretStr(key), f"{root}/v1", timeout)


def gemini(root: str, key: str = KEY, timeout: timedelta = SECOND) -> Embedder:
    return GeminiEmbedder(SecretStr(key), f"{root}/gemini", timeout)


def mistral(root: str, key: str = KEY, timeout: timedelta = SECOND) -> Embedder:
    return MistralEmbedder(SecretStr(key), f"{root}/mistral", timeout)


def bedrock(root: str, key: str = KEY, timeout: timedelta = SECOND) -> Embedder:
    credentials = AwsCredentials(access_key_id=ACCESS_KEY_ID, secret_access_key=SecretStr(key))
    return BedrockEmbedder(credentials, "us-east-1", f"{root}/bedrock", timeout)


@dataclass(frozen=True)
class Case:
    make: Callable[..., Embedder]
    model: str
    dimensions: int
    shorter: int | None
    """A size that the model makes on demand."""
    differs: bool
    """Whether it makes a difference of kinds."""
    too_many: int
    """One text more than fits into a call."""


CASES = [
    Case(openai, "text-embedding-3-small", 1_536, 256, False, 2_049),
    Case(gemini, "gemini-embedding-2", 3_072, 768, True, 101),
    Case(gemini, "gemini-embedding-001", 3_072, 768, True, 101),
    Case(mistral, "mistral-embed", 1_024, None, False, 129),
    Case(bedrock, "amazon.titan-embed-text-v2:0", 1_024, 256, False, 2),
    Case(bedrock, "cohere.embed-v4:0", 1_536, 256, True, 97),
    Case(bedrock, "cohere.embed-multilingual-v3", 1_024, None, True, 97),
]
ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.model)
# One model of each provider.
EACH = pytest.mark.parametrize("case", [CASES[0], CASES[1], CASES[3], CASES[4]], ids=lambda case: case.model)


@pytest_asyncio.fixture(loop_scope="module")
async def embedder(provider: Provider, case: Case) -> AsyncGenerator[Embedder]:
    async with case.make(provider.root) as made:
        yield made


def likeness(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


@ALL
async def test_likeness_of_texts_is_that_of_their_vectors(embedder: Embedder, case: Case) -> None:
    found = await embedder.embed(TEXTS, model=case.model)
    first, near, far = found.vectors
    assert found.dimensions == case.dimensions
    assert likeness(first, near) > likeness(first, far)
    assert all(isclose(likeness(vector, vector), 1, abs_tol=0.01) for vector in found.vectors)
    assert found.usage.total_tokens == found.usage.prompt_tokens > 0
    assert (found.provider, found.model) == (embedder.provider, case.model)
    assert found.calls == (3 if "titan" in case.model else 1)


@EACH
async def test_vectors_are_priced(embedder: Embedder, case: Case) -> None:
    found = await embedder.embed(["word " * 100], model=case.model)
    assert found.cost_usd > Decimal(0)
    assert found.price_version.startswith("genai-prices")
    assert found.notes == ()


@ALL
async def test_queries_differ_from_documents_where_the_model_knows_both(embedder: Embedder, case: Case) -> None:
    query = await embedder.embed(TEXTS[:1], InputKind.QUERY, case.model)
    document = await embedder.embed(TEXTS[:1], InputKind.DOCUMENT, case.model)
    assert (query.vectors != document.vectors) is case.differs


@ALL
async def test_vectors_come_shorter_on_demand_or_not_at_all(embedder: Embedder, case: Case) -> None:
    if case.shorter is None:
        with pytest.raises(errors.InvalidRequestError):
            await embedder.embed(TEXTS, model=case.model, dimensions=64)
    else:
        found = await embedder.embed(TEXTS, model=case.model, dimensions=case.shorter)
        assert found.dimensions == case.shorter
        assert isclose(likeness(found.vectors[0], found.vectors[0]), 1, abs_tol=0.01)


@ALL
async def test_more_texts_than_fit_go_out_in_several_calls_and_stay_in_order(
    provider: Provider, embedder: Embedder, case: Case
) -> None:
    # Short vectors where there are any: what counts is their number.
    found = await embedder.embed(["x"] * (case.too_many - 1) + ["y z"], model=case.model, dimensions=case.shorter)
    assert found.calls == len(provider.control.seen) == 2
    assert len(found.vectors) == case.too_many
    alone = await embedder.embed(["y z"], model=case.model, dimensions=case.shorter)
    assert found.vectors[-1] == alone.vectors[0]
    assert found.vectors[0] != found.vectors[-1]


@EACH
async def test_texts_that_are_too_long_together_go_out_in_several_calls(
    provider: Provider, embedder: Embedder, case: Case
) -> None:
    # Near the most that one text may have, and so many of them that they are too much for a call.
    size, count = (12_000, 6) if embedder.provider in ("mistral", "bedrock") else (28_000, 32)
    texts = ["w" * size] * count
    found = await embedder.embed(texts, model=case.model, dimensions=case.shorter)
    assert len(found.vectors) == len(texts)
    assert found.calls > 1


@pytest.mark.parametrize("case", [case for case in CASES if "v4" not in case.model], ids=lambda case: case.model)
async def test_one_text_that_is_too_long_is_refused_by_its_provider(embedder: Embedder, case: Case) -> None:
    with pytest.raises((errors.ContextWindowExceededError, errors.InvalidRequestError)):
        await embedder.embed(["x" * 40_000], model=case.model)


@EACH
async def test_empty_text_is_refused_before_the_call(provider: Provider, embedder: Embedder, case: Case) -> None:
    with pytest.raises(errors.InvalidRequestError, match=r"text 1 of 2 is empty\. Nothing was sent"):
        await embedder.embed(["x", " \n"], model=case.model)
    with pytest.raises(errors.InvalidRequestError, match="dimensions is 0"):
        await embedder.embed(["x"], model=case.model, dimensions=0)
    assert provider.control.seen == []


@EACH
async def test_no_text_is_no_call(provider: Provider, embedder: Embedder, case: Case) -> None:
    found = await embedder.embed([], model=case.model)
    assert (found.calls, found.cost_usd) == (0, Decimal(0))
    assert not found.vectors
    assert provider.control.seen == []


@EACH
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (429, errors.RateLimitedError),
        (503, errors.ProviderOverloadedError),
        (403, errors.AuthenticationError),
        (400, errors.InvalidRequestError),
    ],
)
async def test_failure_is_the_same_error_everywhere(
    provider: Provider, embedder: Embedder, case: Case, status: int, kind: type[errors.ProviderError]
) -> None:
    waits = "7" if kind.retryable else ""
    provider.fails(FaultKind.STATUS, status=status, message="no", retry_after=waits)
    with pytest.raises(errors.ProviderError) as caught:
        await embedder.embed(["x"], model=case.model)
    error = caught.value
    assert type(error) is kind
    assert (error.provider, error.model) == (embedder.provider, case.model)
    assert error.request_id == provider.last.request_id
    assert error.retry_after == (timedelta(seconds=7) if waits else None)
    assert len(provider.control.seen) == 1, "an embedder never tries again"


@EACH
async def test_unknown_model_is_one_that_is_not_allowed(embedder: Embedder, case: Case) -> None:
    with pytest.raises(errors.ModelNotAllowedError):
        await embedder.embed(["x"], model="embed-9")


@EACH
async def test_wrong_key_is_refused_and_not_shown(provider: Provider, case: Case) -> None:
    wrong = "sk-wrong-0123456789abcdef"
    async with case.make(provider.root, wrong) as embedder:
        with pytest.raises(errors.AuthenticationError) as caught:
            await embedder.embed(["x"], model=case.model)
    assert wrong not in f"{caught.value!s}{caught.value!r}{embedder!r}"


@EACH
async def test_no_key_is_an_error_at_once(case: Case) -> None:
    with pytest.raises(errors.AuthenticationError, match="key given"):
        case.make("http://127.0.0.1:9", "")


@EACH
async def test_silence_is_a_timeout(provider: Provider, case: Case) -> None:
    async def asked(limit: timedelta) -> None:
        async with case.make(provider.root, KEY, limit) as embedder:
            with pytest.raises(errors.ProviderTimeoutError):
                await embedder.embed(["x"], model=case.model)

    await provider.falls_silent(asked)


@EACH
async def test_closed_port_is_a_connection_error(free_port: int, case: Case) -> None:
    async with case.make(f"http://127.0.0.1:{free_port}") as embedder:
        with pytest.raises(errors.ProviderConnectionError):
            await embedder.embed(["x"], model=case.model)


@EACH
async def test_answer_that_is_none_is_an_invalid_response(provider: Provider, embedder: Embedder, case: Case) -> None:
    provider.fails(FaultKind.BAD_JSON)
    with pytest.raises(errors.InvalidResponseError):
        await embedder.embed(["x"], model=case.model)


@EACH
async def test_cancelling_tells_the_provider(provider: Provider, embedder: Embedder, case: Case) -> None:
    provider.fails(FaultKind.SILENCE)
    asking = asyncio.create_task(embedder.embed(["x"], model=case.model))
    await until(lambda: bool(provider.control.seen) and not provider.control.faults[0].count)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: provider.last.outcome is Outcome.ABORTED)
