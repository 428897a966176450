"""Traces: OpenTelemetry spans over OTLP/HTTP where the standard variables name a receiver, nothing otherwise.

A trace crosses the inbox as W3C `traceparent` text in the row, so that webhook, dispatcher and workflow belong to one.
Spans carry names, numbers and ids; no content, and no exception's text, which may quote it.
"""

import os
from collections.abc import Generator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pointsman.observability import names

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
TRACEPARENT = "traceparent"
_W3C = TraceContextTextMapPropagator()


class UnknownProtocol(ValueError):
    """The variables ask for an OTLP protocol that this program does not speak."""


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the standard variables name a receiver of spans, and do not switch them off."""
    if environ.get("OTEL_SDK_DISABLED", "").casefold() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return any(environ.get(name) for name in ENDPOINTS)


def configure(service: str = names.SERVICE_NAME, version: str = "") -> TracerProvider | None:
    """Set tracing of this process up, once; None where nobody wants it. Endpoint, headers, sampling: OTEL_* variables.

    Call `shutdown()` of what comes back at the end: it sends what is still queued.

    Raises:
        UnknownProtocol: the variables ask for something else than http/protobuf.
    """
    if not wanted():
        return None
    protocol = next((value for name in PROTOCOLS if (value := os.environ.get(name))), "http/protobuf")
    if protocol != "http/protobuf":
        raise UnknownProtocol(f"{PROTOCOLS[1]}={protocol!r}; allowed: http/protobuf (port 4318 of most collectors)")
    # Resource.create puts OTEL_RESOURCE_ATTRIBUTES under these, and OTEL_SERVICE_NAME over them.
    service = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider


@contextmanager
def span(
    name: str,
    *,
    traceparent: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: str | int,
) -> Generator[Span]:
    """A span within the one that runs, or within `traceparent`. An exception marks it by its type, and goes on."""
    parent = _W3C.extract({TRACEPARENT: traceparent}) if traceparent else None
    told = {names.ATTRIBUTE_PREFIX + key: value for key, value in attributes.items() if value}
    with trace.get_tracer(names.SCOPE).start_as_current_span(
        name, context=parent, kind=kind, attributes=told, record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def traceparent() -> str:
    """The running span as W3C text, empty where there is none."""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get(TRACEPARENT, "")
