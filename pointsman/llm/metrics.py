"""What the service counts, for Prometheus. Labels have few values: what is not known beforehand is `other`."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import Protocol, TypeVar, cast

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pointsman.llm.accounting import CACHED, CANCELLED, CallRecord, Observer, Together, Try, Unobserved
from pointsman.llm.breakers import BreakerState
from pointsman.llm.budgets import Budgets, Claim, Reservation
from pointsman.llm.embeddings import MODELS as EMBEDDING_MODELS
from pointsman.llm.errors import BudgetExceededError, ProviderError, RateLimitedError
from pointsman.llm.governance import Violation, Violations
from pointsman.llm.registry import Model
from pointsman.llm.response_cache import ResponseCache
from pointsman.llm.rules import Rules
from pointsman.llm.types import LLMResponse, TokenUsage
from pointsman.observability import names

OTHER = "other"
AGENTS_MAX = 100
"""So many agents have a label value of their own: those that were seen first."""
NEAR = 0.9
"""From this share on a budget counts as nearly used."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
PAUSES = (0.1, 0.5, 1, 2, 4, 8, 16, 32)

_BY_MODEL = (names.LABEL_PROVIDER, names.LABEL_MODEL)
Labelled = TypeVar("Labelled", Counter, Gauge, Histogram)
_BY_PROVIDER = (names.LABEL_PROVIDER,)


class Watchable(Protocol):
    """What can be asked at the moment of a scrape: an `LLMService`."""

    def waiting(self, provider: str) -> int: ...

    def circuits(self) -> Mapping[str, BreakerState]: ...


class LLMMetrics:
    """An `accounting.Observer`. `models` are those of the registry: their names and providers may become labels, as
    those of the known models of vectors."""

    def __init__(self, models: Mapping[str, Model], registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._models = frozenset(models) | EMBEDDING_MODELS.keys()
        self._providers = frozenset(model.provider for model in models.values()) | {*EMBEDDING_MODELS.values()}
        self._agents: set[str] = set()
        self._series: dict[tuple[object, tuple[str, ...]], object] = {}
        self._services: list[Watchable] = []
        self._count_requests()
        self._count_attempts()
        self._count_limits()
        self._count_cache()

    def _count_requests(self) -> None:
        registry = self.registry
        status = (*_BY_MODEL, names.LABEL_STATUS)
        self.requests = Counter(names.LLM_REQUESTS, "Requests by how they ended.", status, registry=registry)
        self.seconds = Histogram(
            names.LLM_SECONDS,
            "From a request to its end, retries included.",
            _BY_MODEL,
            buckets=SECONDS,
            registry=registry,
        )
        self.first_token_seconds = Histogram(
            names.LLM_FIRST_TOKEN_SECONDS,
            "To the first token of a stream.",
            _BY_MODEL,
            buckets=SECONDS,
            registry=registry,
        )
        by_type = (*_BY_MODEL, names.LABEL_TOKEN_TYPE)
        self.tokens = Counter(names.LLM_TOKENS, "Tokens as billed, of every call.", by_type, registry=registry)
        self.cost_usd = Counter(names.LLM_COST_USD, "Cost in US dollars, of every call.", _BY_MODEL, registry=registry)

    def _count_attempts(self) -> None:
        registry = self.registry
        errors = (*_BY_MODEL, names.LABEL_ERROR_TYPE)
        self.attempts = Counter(names.LLM_ATTEMPTS, "Calls to providers.", _BY_MODEL, registry=registry)
        self.errors = Counter(
            names.LLM_ERRORS, "Calls that failed, and requests refused before any call.", errors, registry=registry
        )
        self.active = Gauge(names.LLM_ACTIVE, "Calls under way.", _BY_PROVIDER, registry=registry)
        self.rate_limited = Counter(
            names.LLM_RATE_LIMITED, "Calls that a provider refused as too many.", registry=registry
        )
        self.retry_delay = Histogram(
            names.LLM_RETRY_DELAY,
            "Seconds until another attempt, after a rate limit.",
            buckets=PAUSES,
            registry=registry,
        )
        labels = (names.LABEL_MODEL, names.LABEL_SOURCE_AGENT)
        self.violations = Counter(
            names.LLM_VIOLATIONS, "Attempts to use a model that may not be.", labels, registry=registry
        )

    def _count_limits(self) -> None:
        registry = self.registry
        self.reservations = Counter(
            names.LLM_BUDGET_RESERVATIONS,
            "Calls that a budget was asked for: within it, near its limit (from 90 %), or over a soft one.",
            (names.LABEL_SCOPE, names.LABEL_LEVEL),
            registry=registry,
        )
        self.refusals = Counter(
            names.LLM_BUDGET_REFUSALS, "Calls that a hard budget refused.", _BY_MODEL, registry=registry
        )
        self.budget_used = Gauge(
            names.LLM_BUDGET_USED,
            "Share of a budget that names its account, as of its last call; 1 is the limit.",
            (names.LABEL_SCOPE, names.LABEL_ACCOUNT),
            registry=registry,
        )
        self.circuits = Gauge(
            names.LLM_CIRCUITS,
            "Circuit breakers that are not closed, over all keys.",
            (names.LABEL_PROVIDER, names.LABEL_STATE),
            registry=registry,
        )
        self.queue = Gauge(
            names.LLM_QUEUE, "Calls that wait while their provider is limited.", _BY_PROVIDER, registry=registry
        )

    def _count_cache(self) -> None:
        registry = self.registry
        self.cached = Counter(names.LLM_CACHED, "Requests that the cache answered.", _BY_MODEL, registry=registry)
        self.cache_misses = Counter(
            names.LLM_CACHE_MISSES, "Requests that the cache was asked for in vain.", registry=registry
        )
        self.cache_saved_usd = Counter(
            names.LLM_CACHE_SAVED_USD, "What answers of the cache had cost, in US dollars.", registry=registry
        )

    def started(self, provider: str) -> None:
        self._of(self.active, self._provider(provider)).inc()

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None:
        provider = self._provider(provider)
        self._of(self.active, provider).dec()
        self._of(self.attempts, provider, self._model(model)).inc()
        if error is not None:
            self._of(self.errors, provider, self._model(model), type(error).__name__).inc()
        if isinstance(error, RateLimitedError):
            self.rate_limited.inc()

    def waits(self, provider: str, seconds: float) -> None:
        self.retry_delay.observe(seconds)

    def told(self, record: CallRecord) -> None:
        where = (self._provider(record.provider), self._model(record.model))
        self._of(self.requests, *where, record.outcome).inc()
        self._of(self.seconds, *where).observe(record.latency_ms / 1000)
        for one in record.tries:
            self._billed(one)
        if record.outcome == CACHED:
            self._of(self.cached, *where).inc()
        elif not record.tries and record.outcome != CANCELLED:
            self._of(self.errors, *where, record.outcome).inc()
        elif record.time_to_first_token_ms is not None:
            self._of(self.first_token_seconds, *where).observe(record.time_to_first_token_ms / 1000)

    def violated(self, violation: Violation) -> None:
        agent = violation.source_agent
        if agent not in self._agents and len(self._agents) < AGENTS_MAX:
            self._agents.add(agent)
        shown = agent if agent in self._agents else OTHER
        self._of(self.violations, self._model(violation.attempted_model), shown).inc()

    def reserved(self, reservation: Reservation) -> None:
        shares: dict[str, float] = {}
        for use in reservation.uses:
            shares[use.scope.value] = max(use.share, shares.get(use.scope.value, 0.0))
            if use.account:
                self._of(self.budget_used, use.scope.value, use.account).set(use.share)
        for scope, share in shares.items():
            self._of(self.reservations, scope, _level(share)).inc()

    def refused(self, error: BudgetExceededError) -> None:
        self._of(self.refusals, self._provider(error.provider), self._model(error.model)).inc()

    def watch(self, service: Watchable) -> None:
        """Tell of its queues and circuits too, at the moment of each scrape."""
        self._services.append(service)
        for provider in self._providers:
            self.queue.labels(provider).set_function(partial(self._waiting, provider))
            for state in (BreakerState.OPEN, BreakerState.HALF_OPEN):
                troubled = self.circuits.labels(provider, state.value)
                troubled.set_function(partial(self._troubled, provider, state))

    def _waiting(self, provider: str) -> float:
        return sum(service.waiting(provider) for service in self._services)

    def _troubled(self, provider: str, state: BreakerState) -> float:
        circuits = [circuit for service in self._services for circuit in service.circuits().items()]
        return sum(name.partition("/")[0] == provider and one is state for name, one in circuits)

    def _billed(self, one: Try) -> None:
        where = (self._provider(one.provider), self._model(one.model))
        self._of(self.tokens, *where, "prompt").inc(one.told.usage.prompt_tokens)
        self._of(self.tokens, *where, "completion").inc(one.told.usage.completion_tokens)
        self._of(self.cost_usd, *where).inc(float(one.told.cost_usd))

    def _of(self, metric: Labelled, *labels: str) -> Labelled:
        """The metric's series: `labels()` locks and builds a key each time, which is half of what counting costs."""
        kept = self._series.get((metric, labels))
        if kept is None:
            kept = self._series[metric, labels] = metric.labels(*labels)
        return cast(Labelled, kept)

    def _model(self, name: str) -> str:
        return name if name in self._models else OTHER

    def _provider(self, name: str) -> str:
        return name if name in self._providers else OTHER


def _level(share: float) -> str:
    if share > 1:
        return "over"
    return "near" if share >= NEAR else "within"


def watched(rules: Rules, metrics: LLMMetrics, *others: Observer) -> Rules:
    """The rules, with all that happens under them counted. Violations are counted by `CountedViolations`."""
    kept = () if isinstance(rules.observer, Unobserved) else (rules.observer,)
    return replace(
        rules,
        observer=Together(*kept, metrics, *others),
        budgets=CountedBudgets(metrics, rules.budgets),
        cache=CountedCache(metrics, rules.cache) if rules.cache is not None else None,
    )


class CountedBudgets:
    """Budgets of another, counted."""

    def __init__(self, metrics: LLMMetrics, inner: Budgets) -> None:
        self._metrics = metrics
        self._inner = inner

    async def reserve(self, claim: Claim) -> Reservation:
        try:
            reservation = await self._inner.reserve(claim)
        except BudgetExceededError as error:
            self._metrics.refused(error)
            raise
        self._metrics.reserved(reservation)
        return reservation

    async def settle(
        self, reservation: Reservation, usage: TokenUsage | None, cost_usd: Decimal | None, outcome: str = ""
    ) -> None:
        await self._inner.settle(reservation, usage, cost_usd, outcome)


class CountedCache:
    """A cache of another, counted."""

    def __init__(self, metrics: LLMMetrics, inner: ResponseCache) -> None:
        self._metrics = metrics
        self._inner = inner

    async def get(self, key: str) -> LLMResponse | None:
        found = await self._inner.get(key)
        if found is None:
            self._metrics.cache_misses.inc()
        else:
            self._metrics.cache_saved_usd.inc(float(found.cost_usd))
        return found

    async def put(self, key: str, response: LLMResponse, tenant: str = "") -> None:
        await self._inner.put(key, response, tenant)


class CountedViolations:
    """Violations that are counted, and then kept by another."""

    def __init__(self, metrics: LLMMetrics, kept: Violations) -> None:
        self._metrics = metrics
        self._kept = kept

    async def record(self, violation: Violation) -> None:
        self._metrics.violated(violation)
        await self._kept.record(violation)
