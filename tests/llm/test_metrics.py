"""Metrics under the agreed names, with labels that stay few."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest

from pointsman.llm.accounting import CallRecord, Told, Try
from pointsman.llm.breakers import BreakerState
from pointsman.llm.budgets import Budget, Claim, MemoryBudgets, Scope
from pointsman.llm.errors import (
    BudgetExceededError,
    ModelNotAllowedError,
    ProviderOverloadedError,
    RateLimitedError,
)
from pointsman.llm.governance import Governance, LoggedViolations, Violation
from pointsman.llm.metrics import AGENTS_MAX, CountedBudgets, CountedCache, CountedViolations, LLMMetrics, watched
from pointsman.llm.registry import Registry
from pointsman.llm.response_cache import MemoryResponseCache
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.types import FinishReason, LLMRequest, LLMResponse, Message, Role, TokenUsage, text_message

REGISTRY = Registry.load()
WHERE = {"provider": "openai", "model": "gpt-6-luna"}
# What people have agreed on: names, types, labels. The rest of ours may grow.
AGREED = {
    "llm_requests": ("counter", {"provider", "model", "status"}),
    "llm_requests_duration_seconds": ("histogram", {"provider", "model"}),
    "llm_tokens": ("counter", {"provider", "model", "token_type"}),
    "llm_errors": ("counter", {"provider", "model", "error_type"}),
    "llm_active_requests": ("gauge", {"provider"}),
    "llm_governance_violations": ("counter", {"model", "source_agent"}),
    "llm_rate_limit_errors": ("counter", set[str]()),
    "llm_rate_limit_retry_delay_seconds": ("histogram", set[str]()),
}


class Busy:
    """A service that can be asked how it stands."""

    def waiting(self, provider: str) -> int:
        return 3 if provider == "openai" else 0

    def circuits(self) -> Mapping[str, BreakerState]:
        states = {"a-tenant": BreakerState.OPEN, "operator": BreakerState.OPEN, "another": BreakerState.HALF_OPEN}
        return {f"openai/{key}": state for key, state in states.items()}


def measured() -> LLMMetrics:
    return LLMMetrics(REGISTRY.models)


def tried(error: str = "", prompt: int = 100, completion: int = 20, cost: str = "0.02") -> Try:
    usage = TokenUsage(prompt_tokens=prompt, completion_tokens=completion, total_tokens=prompt + completion)
    return Try("openai", "gpt-6-luna", 0, 1, Told(error=error, usage=usage, cost_usd=Decimal(cost)))


def record(**changes: object) -> CallRecord:
    whole = CallRecord(
        provider="openai",
        model="gpt-6-luna",
        outcome="success",
        latency_ms=1_500,
        time_to_first_token_ms=200,
        attempts=1,
        tries=(tried(),),
    )
    return whole._replace(**changes)  # type: ignore[arg-type]  # fields of the record


def violation(model: str, agent: str) -> Violation:
    now = datetime.now(UTC)
    return Violation(
        at=now, trace_id="", source_agent=agent, session_id="", tenant="", attempted_model=model, reason="no"
    )


def value(metrics: LLMMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def everything_happens(
    metrics: LLMMetrics, model: str = "gpt-6-luna", provider: str = "openai", agent: str = ""
) -> None:
    metrics.started(provider)
    metrics.ended(provider, model, RateLimitedError("slow down"))
    metrics.waits(provider, 2.0)
    metrics.told(record(model=model, provider=provider, tries=(tried()._replace(model=model, provider=provider),)))
    metrics.told(record(model=model, provider=provider, outcome="ModelNotAllowedError", tries=()))
    metrics.told(record(model=model, provider=provider, outcome="cached", tries=()))
    metrics.violated(violation(model, agent))
    metrics.refused(BudgetExceededError("no money", provider=provider, model=model))


@pytest.mark.parametrize("name", AGREED)
def test_agreed_metrics_have_their_agreed_types_and_labels(name: str) -> None:
    metrics = measured()
    everything_happens(metrics)
    (found,) = [metric for metric in metrics.registry.collect() if metric.name == name]
    kind, labels = AGREED[name]
    assert found.type == kind
    assert {label for sample in found.samples for label in sample.labels} - {"le"} == labels


def test_token_types_are_prompt_and_completion() -> None:
    metrics = measured()
    everything_happens(metrics)
    (tokens,) = [metric for metric in metrics.registry.collect() if metric.name == "llm_tokens"]
    assert {sample.labels["token_type"] for sample in tokens.samples} == {"prompt", "completion"}


def test_a_request_is_counted_once_with_its_time() -> None:
    metrics = measured()
    metrics.told(record())
    assert value(metrics, "llm_requests_total", **WHERE, status="success") == 1
    assert value(metrics, "llm_requests_duration_seconds_sum", **WHERE) == 1.5
    assert value(metrics, "llm_time_to_first_token_seconds_sum", **WHERE) == 0.2


def test_tokens_and_cost_of_every_call_count_also_of_those_that_failed() -> None:
    metrics = measured()
    failed = tried("TruncatedStreamError", prompt=100, completion=5, cost="0.01")
    metrics.told(record(tries=(failed, tried())))
    assert value(metrics, "llm_tokens_total", **WHERE, token_type="prompt") == 200
    assert value(metrics, "llm_tokens_total", **WHERE, token_type="completion") == 25
    assert value(metrics, "llm_cost_usd_total", **WHERE) == pytest.approx(0.03)


def test_attempts_and_their_errors_are_counted_each() -> None:
    metrics = measured()
    metrics.started("openai")
    assert value(metrics, "llm_active_requests", provider="openai") == 1
    metrics.ended("openai", "gpt-6-luna", RateLimitedError("slow down"))
    metrics.waits("openai", 2.0)
    metrics.started("openai")
    metrics.ended("openai", "gpt-6-luna", ProviderOverloadedError("down"))
    metrics.started("openai")
    metrics.ended("openai", "gpt-6-luna", None)
    assert value(metrics, "llm_active_requests", provider="openai") == 0
    assert value(metrics, "llm_attempts_total", **WHERE) == 3
    for kind in ("RateLimitedError", "ProviderOverloadedError"):
        assert value(metrics, "llm_errors_total", **WHERE, error_type=kind) == 1
    assert value(metrics, "llm_rate_limit_errors_total") == 1
    assert value(metrics, "llm_rate_limit_retry_delay_seconds_sum") == 2


def test_a_request_that_is_refused_before_any_call_is_an_error_too() -> None:
    metrics = measured()
    metrics.told(record(outcome="BudgetExceededError", tries=(), attempts=0))
    metrics.told(record(outcome="cancelled", tries=(), attempts=0))
    assert value(metrics, "llm_errors_total", **WHERE, error_type="BudgetExceededError") == 1
    assert value(metrics, "llm_errors_total", **WHERE, error_type="cancelled") is None


@settings(max_examples=10)  # each collects every metric
@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=8))
def test_what_is_not_known_never_becomes_a_label(said: list[tuple[str, str, str]]) -> None:
    metrics = measured()
    for model, provider, agent in said:
        everything_happens(metrics, model, provider, agent)
    known = {*REGISTRY.models, "other"}
    houses = {*(model.provider for model in REGISTRY.models.values()), "other"}
    for sample in (sample for metric in metrics.registry.collect() for sample in metric.samples):
        assert sample.labels.get("model", "other") in known
        assert sample.labels.get("provider", "other") in houses


def test_so_many_agents_are_told_apart_and_no_more() -> None:
    metrics = measured()
    for number in range(3 * AGENTS_MAX):
        metrics.violated(violation("gpt-6-luna", f"agent-{number}"))
    text = generate_latest(metrics.registry).decode()
    assert text.count("llm_governance_violations_total{") == AGENTS_MAX + 1
    assert value(metrics, "llm_governance_violations_total", model="gpt-6-luna", source_agent="other") == 2 * AGENTS_MAX


async def test_violations_are_counted_where_they_happen() -> None:
    metrics = measured()
    counted = CountedViolations(metrics, LoggedViolations())
    governance = Governance(REGISTRY, ("claude-*",), counted, today=lambda: date(2026, 11, 21))
    asked = LLMRequest(messages=(text_message(Role.USER, "hello"),), source_agent="triage")
    with pytest.raises(ModelNotAllowedError):
        await governance.admit(asked, "gpt-6-luna")
    assert value(metrics, "llm_governance_violations_total", model="gpt-6-luna", source_agent="triage") == 1


def claim(tokens: int) -> Claim:
    accounts = ((Scope.TENANT, "rail"), (Scope.USER, "ada"))
    return Claim(accounts=accounts, tokens=tokens, cost_usd=Decimal(0), provider="openai", model="gpt-6-luna")


async def test_budgets_tell_how_near_their_limits_calls_come() -> None:
    metrics = measured()
    budgets = CountedBudgets(
        metrics,
        MemoryBudgets(
            [
                Budget(scope=Scope.TENANT, account="rail", tokens=1_000),
                Budget(scope=Scope.USER, tokens=600, hard=False),
            ]
        ),
    )
    held = [await budgets.reserve(claim(400)), await budgets.reserve(claim(500))]
    with pytest.raises(BudgetExceededError):
        await budgets.reserve(claim(200))
    for reservation in held:
        await budgets.settle(reservation, None, None)
    assert value(metrics, "llm_budget_reservations_total", scope="tenant", level="within") == 1
    assert value(metrics, "llm_budget_reservations_total", scope="tenant", level="near") == 1
    assert value(metrics, "llm_budget_reservations_total", scope="user", level="over") == 1
    assert value(metrics, "llm_budget_refusals_total", **WHERE) == 1
    assert value(metrics, "llm_budget_used_ratio", scope="tenant", account="rail") == 0.9
    # Users are many: only a budget that names its account makes a series for it.
    assert value(metrics, "llm_budget_used_ratio", scope="user", account="ada") is None


async def test_the_cache_tells_what_it_was_worth() -> None:
    metrics, cache = measured(), MemoryResponseCache()
    counted = CountedCache(metrics, cache)
    answer = LLMResponse(
        message=Message(role=Role.ASSISTANT, parts=()),
        finish_reason=FinishReason.STOP,
        model="gpt-6-luna",
        provider="openai",
        cost_usd=Decimal("0.25"),
    )
    assert await counted.get("key") is None
    await counted.put("key", answer)
    assert await counted.get("key") == answer
    metrics.told(record(outcome="cached", tries=(), attempts=0))
    assert value(metrics, "llm_cache_misses_total") == 1
    assert value(metrics, "llm_cache_hits_total", **WHERE) == 1
    assert value(metrics, "llm_cache_saved_usd_total") == 0.25


def test_queues_and_circuits_are_asked_for_at_each_scrape() -> None:
    metrics = measured()
    metrics.watch(Busy())
    assert value(metrics, "llm_queue_depth", provider="openai") == 3
    assert value(metrics, "llm_queue_depth", provider="mistral") == 0
    assert value(metrics, "llm_circuit_breakers", provider="openai", state="open") == 2
    assert value(metrics, "llm_circuit_breakers", provider="openai", state="half_open") == 1


def test_watched_rules_keep_who_watched_before() -> None:
    governance = Governance(REGISTRY, ("*",))
    before, after = measured(), measured()
    rules = Rules(governance, Selector(REGISTRY, governance), observer=before)
    both = watched(rules, after)
    both.observer.started("openai")
    both.observer.ended("openai", "gpt-6-luna", None)
    both.observer.waits("openai", 2.0)
    both.observer.told(record())
    for one in (before, after):
        assert value(one, "llm_attempts_total", **WHERE) == 1
        assert value(one, "llm_rate_limit_retry_delay_seconds_sum") == 2
        assert value(one, "llm_requests_total", **WHERE, status="success") == 1
    assert both.cache is None
