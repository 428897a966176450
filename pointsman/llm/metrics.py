"""What the service counts, for Prometheus. Labels have few values: what is not known beforehand is `other`."""

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from pointsman.llm.accounting import CallRecord
from pointsman.llm.errors import ProviderError, RateLimitedError
from pointsman.llm.governance import Violation, Violations
from pointsman.observability import names

OTHER = "other"
AGENTS_MAX = 100
"""So many agents have a label value of their own: those that were seen first."""
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320)
PAUSES = (0.1, 0.5, 1, 2, 4, 8, 16, 32)

_BY_MODEL = (names.LABEL_PROVIDER, names.LABEL_MODEL)


class LLMMetrics:
    """An `accounting.Observer`. `models` are the names that may become labels: those of the registry."""

    def __init__(self, models: Collection[str], registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._models = frozenset(models)
        self._agents: set[str] = set()
        self._count_requests()
        self._count_attempts()

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
        self.tokens = Counter(
            names.LLM_TOKENS, "Tokens as billed.", (*_BY_MODEL, names.LABEL_TOKEN_TYPE), registry=registry
        )
        self.cost_usd = Counter(names.LLM_COST_USD, "Cost in US dollars.", _BY_MODEL, registry=registry)
        self.cached = Counter(names.LLM_CACHED, "Requests that the cache answered.", _BY_MODEL, registry=registry)

    def _count_attempts(self) -> None:
        registry = self.registry
        errors = (*_BY_MODEL, names.LABEL_ERROR_TYPE)
        self.attempts = Counter(names.LLM_ATTEMPTS, "Calls to providers.", _BY_MODEL, registry=registry)
        self.errors = Counter(names.LLM_ERRORS, "Calls that failed.", errors, registry=registry)
        self.active = Gauge(names.LLM_ACTIVE, "Calls under way.", (names.LABEL_PROVIDER,), registry=registry)
        self.rate_limited = Counter(
            names.LLM_RATE_LIMITED,
            "Calls that a provider refused as too many.",
            (names.LABEL_PROVIDER,),
            registry=registry,
        )
        self.retry_delay = Histogram(
            names.LLM_RETRY_DELAY,
            "Pauses after a rate limit.",
            (names.LABEL_PROVIDER,),
            buckets=PAUSES,
            registry=registry,
        )
        labels = (names.LABEL_MODEL, names.LABEL_SOURCE_AGENT)
        self.violations = Counter(
            names.LLM_VIOLATIONS, "Attempts to use a model that may not be.", labels, registry=registry
        )

    def started(self, provider: str) -> None:
        self.active.labels(provider).inc()

    def ended(self, provider: str, model: str, error: ProviderError | None) -> None:
        self.active.labels(provider).dec()
        self.attempts.labels(provider, self._model(model)).inc()
        if error is not None:
            self.errors.labels(provider, self._model(model), type(error).__name__).inc()
        if isinstance(error, RateLimitedError):
            self.rate_limited.labels(provider).inc()

    def waits(self, provider: str, seconds: float) -> None:
        self.retry_delay.labels(provider).observe(seconds)

    def told(self, record: CallRecord) -> None:
        where = (record.provider or OTHER, self._model(record.model))
        self.requests.labels(*where, record.outcome).inc()
        self.seconds.labels(*where).observe(record.latency_ms / 1000)
        if record.time_to_first_token_ms is not None:
            self.first_token_seconds.labels(*where).observe(record.time_to_first_token_ms / 1000)
        if record.outcome == "cached":
            self.cached.labels(*where).inc()
        self.tokens.labels(*where, "prompt").inc(record.usage.prompt_tokens)
        self.tokens.labels(*where, "completion").inc(record.usage.completion_tokens)
        self.cost_usd.labels(*where).inc(float(record.cost_usd))

    def violated(self, violation: Violation) -> None:
        agent = violation.source_agent
        if agent not in self._agents and len(self._agents) < AGENTS_MAX:
            self._agents.add(agent)
        shown = agent if agent in self._agents else OTHER
        self.violations.labels(self._model(violation.attempted_model), shown).inc()

    def _model(self, name: str) -> str:
        return name if name in self._models else OTHER


class CountedViolations:
    """Violations that are counted, and then kept by another."""

    def __init__(self, metrics: LLMMetrics, kept: Violations) -> None:
        self._metrics = metrics
        self._kept = kept

    async def record(self, violation: Violation) -> None:
        self._metrics.violated(violation)
        await self._kept.record(violation)
