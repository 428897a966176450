"""What is told of each request once: one structured line, and the same to whoever counts."""

import logging
from decimal import Decimal
from typing import Protocol

from pointsman.llm.errors import LLMError, ProviderError
from pointsman.llm.types import LLMRequest, LLMResponse, TokenUsage, Value

LOG = logging.getLogger("pointsman.llm")


class CallRecord(Value):
    """One request from its beginning to its end. Holds nothing of what was said."""

    trace_id: str = ""
    source_agent: str = ""
    session_id: str = ""
    tenant: str = ""
    provider: str = ""
    model: str = ""
    outcome: str
    """`success`, `cached`, `cancelled`, or the name of the error."""
    latency_ms: float
    time_to_first_token_ms: float | None = None
    attempts: int = 0
    usage: TokenUsage = TokenUsage()
    cost_usd: Decimal = Decimal(0)
    rationale: str = ""
    request_id: str = ""


class Observer(Protocol):
    """Who counts. Never awaited, never fails a call."""

    def started(self, provider: str) -> None:
        """A call goes out."""

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None:
        """It came back."""

    def waits(self, provider: str, seconds: float) -> None:
        """A pause before another attempt begins, because of a rate limit."""

    def told(self, record: CallRecord) -> None:
        """The request is over."""


class Unobserved:
    """Nobody counts."""

    def started(self, provider: str) -> None: ...

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None: ...

    def waits(self, provider: str, seconds: float) -> None: ...

    def told(self, record: CallRecord) -> None: ...


def record_of(
    request: LLMRequest,
    end: LLMResponse | BaseException,
    latency_ms: float,
    attempts: int,
    provider: str,
    model: str,
    rationale: str,
) -> CallRecord:
    """The record of a request that ended so."""
    told = CallRecord(
        trace_id=request.trace_id,
        source_agent=request.source_agent,
        session_id=request.session_id,
        tenant=request.tenant,
        provider=provider,
        model=model,
        outcome="cancelled",
        latency_ms=latency_ms,
        attempts=attempts,
        rationale=rationale,
    )
    return told.model_copy(update=_outcome(end, attempts))


def _outcome(end: LLMResponse | BaseException, attempts: int) -> dict[str, object]:
    if isinstance(end, LLMResponse):
        return {
            "provider": end.provider,
            "model": end.model,
            "outcome": "success" if attempts else "cached",
            "time_to_first_token_ms": end.time_to_first_token_ms,
            "usage": end.usage,
            "cost_usd": end.cost_usd,
            "request_id": end.request_id,
        }
    if isinstance(end, ProviderError):
        return {
            "outcome": type(end).__name__,
            "usage": end.usage or TokenUsage(),
            "request_id": end.request_id,
        }
    return {"outcome": type(end).__name__} if isinstance(end, LLMError) else {}


def log(record: CallRecord) -> None:
    """One line for each request, its fields as the record's `extra`."""
    level = logging.INFO if record.outcome in ("success", "cached") else logging.WARNING
    if not LOG.isEnabledFor(level):
        return
    fields = {
        "trace_id": record.trace_id,
        "source_agent": record.source_agent,
        "session_id": record.session_id,
        "tenant": record.tenant,
        "provider": record.provider,
        "model": record.model,
        "outcome": record.outcome,
        "latency_ms": record.latency_ms,
        "prompt_tokens": record.usage.prompt_tokens,
        "completion_tokens": record.usage.completion_tokens,
        "cost_usd": str(record.cost_usd),
        "attempts": record.attempts,
        "request_id": record.request_id,
    }
    LOG.log(level, "llm request", extra=fields)
