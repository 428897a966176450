"""What `llm.metrics` tells: the counters of the model service in this process, summed up by provider and model."""

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry

from pointsman.contracts.base import Json
from pointsman.observability import names

_TOTAL, _SUM, _COUNT = "_total", "_sum", "_count"
_PLACE = tuple[str, str]


class _Sample(NamedTuple):
    name: str
    labels: dict[str, str]
    value: float

    @property
    def place(self) -> _PLACE:
        return self.labels.get(names.LABEL_PROVIDER, ""), self.labels.get(names.LABEL_MODEL, "")


def tally(registry: CollectorRegistry) -> Json:
    """Sums since the process started. Who asked for what is not told: the callers' tenants may differ."""
    rows: dict[_PLACE, dict[str, Json]] = defaultdict(dict)
    providers: dict[str, dict[str, Json]] = defaultdict(dict)
    violations: dict[str, float] = defaultdict(float)
    limits: dict[str, Json] = {}
    for sample in _samples(registry):
        if sample.name == names.LLM_VIOLATIONS + _TOTAL:
            violations[sample.labels[names.LABEL_MODEL]] += sample.value
        elif sample.name in _OF_ALL:
            limits[_OF_ALL[sample.name]] = sample.value
        elif sample.name in _BY_PROVIDER:
            providers[sample.place[0]][_BY_PROVIDER[sample.name]] = sample.value
        elif sample.name in _BY_KIND:
            field, label = _BY_KIND[sample.name]
            counts = rows[sample.place].setdefault(field, {})
            assert isinstance(counts, dict), "the field is ours"
            counts[sample.labels[label]] = sample.value
        elif sample.name in _BY_MODEL:
            rows[sample.place][_BY_MODEL[sample.name]] = sample.value
    return {
        "models": [{"provider": provider, "model": model, **row} for (provider, model), row in sorted(rows.items())],
        "providers": [{"provider": provider, **row} for provider, row in sorted(providers.items())],
        "violations": dict(violations),
        "rate_limits": limits,
    }


_BY_KIND = {
    names.LLM_REQUESTS + _TOTAL: ("requests", names.LABEL_STATUS),
    names.LLM_TOKENS + _TOTAL: ("tokens", names.LABEL_TOKEN_TYPE),
    names.LLM_ERRORS + _TOTAL: ("errors", names.LABEL_ERROR_TYPE),
}
_BY_MODEL = {
    names.LLM_ATTEMPTS + _TOTAL: "attempts",
    names.LLM_COST_USD + _TOTAL: "cost_usd",
    names.LLM_CACHED + _TOTAL: "cache_hits",
    names.LLM_BUDGET_REFUSALS + _TOTAL: "budget_refusals",
    names.LLM_SECONDS + _SUM: "seconds_sum",
    names.LLM_SECONDS + _COUNT: "seconds_count",
    names.LLM_FIRST_TOKEN_SECONDS + _SUM: "first_token_seconds_sum",
    names.LLM_FIRST_TOKEN_SECONDS + _COUNT: "first_token_seconds_count",
}
_BY_PROVIDER = {
    names.LLM_ACTIVE: "active",
    names.LLM_QUEUE: "waiting",
}
_OF_ALL = {
    names.LLM_RATE_LIMITED + _TOTAL: "rate_limited",
    names.LLM_RETRY_DELAY + _SUM: "retry_delay_seconds_sum",
    names.LLM_RETRY_DELAY + _COUNT: "retry_delay_seconds_count",
}


def _samples(registry: CollectorRegistry) -> Iterator[_Sample]:
    for metric in registry.collect():
        if metric.name.startswith("llm_"):
            for sample in metric.samples:
                yield _Sample(sample.name, dict(sample.labels), float(sample.value))
