"""Metrics under the agreed names, with labels that stay few."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from prometheus_client import generate_latest

from pointsman.llm.accounting import CallRecord
from pointsman.llm.errors import ModelNotAllowedError, ProviderOverloadedError, RateLimitedError
from pointsman.llm.governance import Governance, LoggedViolations, Violation
from pointsman.llm.metrics import AGENTS_MAX, CountedViolations, LLMMetrics
from pointsman.llm.registry import Registry
from pointsman.llm.types import LLMRequest, Role, TokenUsage, text_message

WHERE = {"provider": "openai", "model": "gpt-6-luna"}


def measured() -> LLMMetrics:
    return LLMMetrics(["gpt-6-luna"])


def record(**changes: object) -> CallRecord:
    whole = CallRecord(
        provider="openai",
        model="gpt-6-luna",
        outcome="success",
        latency_ms=1_500,
        time_to_first_token_ms=200,
        attempts=1,
        usage=TokenUsage(prompt_tokens=100, completion_tokens=20, total_tokens=120),
        cost_usd=Decimal("0.02"),
    )
    return whole.model_copy(update=changes)


def violation(model: str, agent: str) -> Violation:
    now = datetime.now(UTC)
    return Violation(
        at=now, trace_id="", source_agent=agent, session_id="", tenant="", attempted_model=model, reason="no"
    )


def value(metrics: LLMMetrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_a_request_is_counted_once_with_its_tokens_and_cost() -> None:
    metrics = measured()
    metrics.told(record())
    assert value(metrics, "llm_requests_total", **WHERE, status="success") == 1
    assert value(metrics, "llm_requests_duration_seconds_sum", **WHERE) == 1.5
    assert value(metrics, "llm_time_to_first_token_seconds_sum", **WHERE) == 0.2
    assert value(metrics, "llm_tokens_total", **WHERE, token_type="prompt") == 100
    assert value(metrics, "llm_tokens_total", **WHERE, token_type="completion") == 20
    assert value(metrics, "llm_cost_usd_total", **WHERE) == pytest.approx(0.02)
    metrics.told(record(outcome="cached", time_to_first_token_ms=None))
    assert value(metrics, "llm_cache_hits_total", **WHERE) == 1


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
    assert value(metrics, "llm_rate_limit_errors_total", provider="openai") == 1
    assert value(metrics, "llm_rate_limit_retry_delay_seconds_sum", provider="openai") == 2


def test_what_is_not_known_never_becomes_a_label() -> None:
    metrics = measured()
    for number in range(300):
        metrics.told(record(model=f"model-{number}", provider=""))
        metrics.violated(violation(f"model-{number}", f"agent-{number}"))
    text = generate_latest(metrics.registry).decode()
    assert "model-7" not in text
    assert value(metrics, "llm_requests_total", provider="other", model="other", status="success") == 300
    assert text.count("llm_governance_violations_total{") == AGENTS_MAX + 1


async def test_violations_are_counted_where_they_happen() -> None:
    metrics, registry = measured(), Registry.load()
    counted = CountedViolations(metrics, LoggedViolations())
    governance = Governance(registry, ("claude-*",), counted, today=lambda: date(2026, 11, 21))
    asked = LLMRequest(messages=(text_message(Role.USER, "hello"),), source_agent="triage")
    with pytest.raises(ModelNotAllowedError):
        await governance.admit(asked, "gpt-6-luna")
    assert value(metrics, "llm_governance_violations_total", model="gpt-6-luna", source_agent="triage") == 1
