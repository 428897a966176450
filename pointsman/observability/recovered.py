"""What a recovery came to, counted. An event's type is a label: there are few of them."""

from datetime import UTC, datetime

from pointsman.contracts.recovery import RecoverResult
from pointsman.observability.metrics import Metrics


def count_recovered(metrics: Metrics, result: RecoverResult) -> None:
    for kind, count in result.tally.recovered.items():
        metrics.events_recovered.labels(result.organisation, kind).inc(count)
    metrics.events_unrecovered.labels(result.organisation).inc(result.tally.unrecovered_count)
    metrics.recovered_at_seconds.labels(result.organisation).set(datetime.now(UTC).timestamp())
