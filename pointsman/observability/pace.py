"""What Azure DevOps does to our pace, and what we need not ask it, as metrics of one organisation."""

from datetime import timedelta

from pointsman.observability.metrics import Metrics


class PaceMetrics:
    """A `pointsman.clients.azure_devops.pacing.PaceObserver`. `organisation` is one of the settings: a short list."""

    def __init__(self, metrics: Metrics, organisation: str) -> None:
        self._metrics = metrics
        self._organisation = organisation

    def answered(self, status: int) -> None:
        self._metrics.tracker_answers.labels(self._organisation, str(status)).inc()

    def waited(self, seconds: float) -> None:
        self._metrics.tracker_wait_seconds.labels(self._organisation).observe(seconds)

    def paused(self, reason: str, seconds: float) -> None:
        self._metrics.tracker_pauses.labels(self._organisation, reason).inc()
        self._metrics.tracker_paused_seconds.labels(self._organisation, reason).inc(seconds)

    def remaining(self, units: float) -> None:
        self._metrics.tracker_remaining.labels(self._organisation).set(units)

    def under_way(self, calls: int) -> None:
        self._metrics.tracker_calls.labels(self._organisation).set(calls)

    def places(self, count: int) -> None:
        self._metrics.tracker_places.labels(self._organisation).set(count)


class CacheMetrics:
    """A `pointsman.clients.azure_devops.caching.CacheObserver`, for the same organisation."""

    def __init__(self, metrics: Metrics, organisation: str) -> None:
        self._metrics = metrics
        self._organisation = organisation

    def found(self, kind: str, layer: str, age: timedelta) -> None:
        self._metrics.tracker_cache.labels(self._organisation, kind, layer).inc()
        self._metrics.tracker_cache_age_seconds.labels(self._organisation, kind).observe(age.total_seconds())

    def missed(self, kind: str) -> None:
        self._metrics.tracker_cache.labels(self._organisation, kind, "missed").inc()

    def saved(self, kind: str, calls: int) -> None:
        self._metrics.tracker_cache_saved.labels(self._organisation, kind).inc(calls)
