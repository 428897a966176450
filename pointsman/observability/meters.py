"""OpenTelemetry metrics over OTLP/HTTP where the standard variables name a receiver: those of model calls.

Prometheus gets all of ours from `/metrics`; these are for collectors that take the conventions for generative AI.
"""

import os
from collections.abc import Mapping

from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

from pointsman.observability import names
from pointsman.observability.traces import UnknownProtocol

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables name a receiver of metrics, and do not switch them off."""
    if environ.get("OTEL_SDK_DISABLED", "").casefold() == "true" or environ.get("OTEL_METRICS_EXPORTER") == "none":
        return False
    return any(environ.get(name) for name in ENDPOINTS)


def configure(service: str = names.SERVICE_NAME, version: str = "") -> MeterProvider | None:
    """Set metrics of this process up, once; None where nobody wants them. `OTEL_METRIC_EXPORT_INTERVAL` holds.

    Call `shutdown()` of what comes back at the end: it sends what was counted since the last time.

    Raises:
        UnknownProtocol: the variables ask for something else than http/protobuf.
    """
    if not wanted():
        return None
    protocol = next((value for name in PROTOCOLS if (value := os.environ.get(name))), "http/protobuf")
    if protocol != "http/protobuf":
        raise UnknownProtocol(f"{PROTOCOLS[1]}={protocol!r}; allowed: http/protobuf (port 4318 of most collectors)")
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # only who sends pays for it

    service = os.environ.get("OTEL_SERVICE_NAME") or service
    resource = Resource.create({"service.name": service, "service.version": version})
    provider = MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())], resource)
    metrics.set_meter_provider(provider)
    return provider
