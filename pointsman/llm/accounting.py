"""What is told of each request once: one structured line, and the same to whoever counts."""

import logging
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple, Protocol, Required, TypedDict

from pointsman.llm.errors import LLMError, ProviderError
from pointsman.llm.types import LLMRequest, LLMResponse, TokenUsage
from pointsman.observability import names

LOG = logging.getLogger("pointsman.llm")
CACHED, CANCELLED = "cached", "cancelled"
NOTHING = TokenUsage()
IN_WORDS = (
    *("outcome", "provider", "model", "attempts", "latency_ms", "prompt_tokens", "completion_tokens", "cost_usd"),
    *("request_id", "trace_id"),
)


class Told(NamedTuple):
    """What a provider said of a call, or why it did not; usage and cost as far as it has told."""

    error: str = ""
    """The error's name, or `cancelled`; empty where it answered."""
    usage: TokenUsage = NOTHING
    cost_usd: Decimal = Decimal(0)
    request_id: str = ""
    response_id: str = ""
    response_model: str = ""
    finish_reason: str = ""


class Try(NamedTuple):
    """One call of a provider. Times are nanoseconds since the epoch."""

    provider: str
    model: str
    started_ns: int
    ended_ns: int
    told: Told


class CallRecord(NamedTuple):
    """One request from its beginning to its end. Holds nothing of what was said."""

    outcome: str
    """`success`, `cached`, `cancelled`, or the name of the error."""
    latency_ms: float
    trace_id: str = ""
    source_agent: str = ""
    session_id: str = ""
    tenant: str = ""
    provider: str = ""
    model: str = ""
    """As the registry names it: that of the last try, else the one that was selected or asked for."""
    started_ns: int = 0
    """Nanoseconds since the epoch."""
    time_to_first_token_ms: float | None = None
    attempts: int = 0
    tries: tuple[Try, ...] = ()
    usage: TokenUsage = NOTHING
    """Of the answer, or what the last try was billed."""
    cost_usd: Decimal = Decimal(0)
    """Of all tries."""
    finish_reason: str = ""
    rationale: str = ""
    request_id: str = ""
    response_model: str = ""
    """The model that answered, as the provider names it."""
    streamed: bool = False
    max_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    reasoning_effort: str = ""
    operation: str = names.GEN_AI_CHAT
    """What was asked for: an answer, or vectors."""


class Observer(Protocol):
    """Who counts. Never awaited, never fails a call."""

    def started(self, provider: str) -> None:
        """A call goes out."""

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None:
        """It came back."""

    def waits(self, provider: str, seconds: float) -> None:
        """Another attempt is put off for so long because of a rate limit, here or by whoever repeats it."""

    def told(self, record: CallRecord) -> None:
        """The request is over."""


class Unobserved:
    """Nobody counts."""

    def started(self, provider: str) -> None: ...

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None: ...

    def waits(self, provider: str, seconds: float) -> None: ...

    def told(self, record: CallRecord) -> None: ...


class Together:
    """Several who count."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def started(self, provider: str) -> None:
        for one in self._observers:
            one.started(provider)

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None:
        for one in self._observers:
            one.ended(provider, model, error)

    def waits(self, provider: str, seconds: float) -> None:
        for one in self._observers:
            one.waits(provider, seconds)

    def told(self, record: CallRecord) -> None:
        for one in self._observers:
            one.told(record)


def record_of(
    request: LLMRequest,
    end: LLMResponse | BaseException,
    latency_ms: float,
    tries: Sequence[Try],
    provider: str,
    model: str,
    rationale: str,
    started_ns: int = 0,
    streamed: bool = False,
) -> CallRecord:
    """The record of a request that ended so."""
    return CallRecord(
        trace_id=request.trace_id,
        source_agent=request.source_agent,
        session_id=request.session_id,
        tenant=request.tenant,
        provider=provider,
        model=model,
        started_ns=started_ns,
        latency_ms=latency_ms,
        attempts=len(tries),
        tries=tuple(tries),
        cost_usd=sum((one.told.cost_usd for one in tries), Decimal(0)),
        rationale=rationale,
        streamed=streamed,
        max_tokens=request.max_tokens,
        temperature=request.temperature,
        seed=request.seed,
        reasoning_effort=request.reasoning_effort.value if request.reasoning_effort else "",
        **_outcome(end, bool(tries)),
    )


class _End(TypedDict, total=False):
    outcome: Required[str]
    time_to_first_token_ms: float | None
    usage: TokenUsage
    request_id: str
    response_model: str
    finish_reason: str


def _outcome(end: LLMResponse | BaseException, was_asked: bool) -> _End:
    if isinstance(end, LLMResponse):
        return {
            "outcome": "success" if was_asked else CACHED,
            "time_to_first_token_ms": end.time_to_first_token_ms,
            "usage": end.usage,
            "request_id": end.request_id,
            "response_model": end.model,
            "finish_reason": end.finish_reason.value,
        }
    if isinstance(end, ProviderError):
        return {
            "outcome": type(end).__name__,
            "usage": end.usage or NOTHING,
            "request_id": end.request_id,
        }
    return {"outcome": type(end).__name__ if isinstance(end, LLMError) else CANCELLED}


def log(record: CallRecord) -> None:
    """One line for each request, its fields as the record's `extra`."""
    level = logging.INFO if record.outcome in ("success", CACHED) else logging.WARNING
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
        "finish_reason": record.finish_reason,
        "rationale": record.rationale,
        "request_id": record.request_id,
    }
    told = {name: value for name, value in fields.items() if value != ""}
    text = "llm request" if _are_fields_told() else f"llm request: {_in_words(told)}"
    LOG.log(level, text, extra=told)


def _are_fields_told() -> bool:
    """Whether a handler has a formatter that may find the fields. Python's own prints the message alone."""
    logger: logging.Logger | None = LOG
    while logger is not None:
        if any(handler.formatter and type(handler.formatter) is not logging.Formatter for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False


def _in_words(told: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {told[name]}" for name in IN_WORDS if name in told)
