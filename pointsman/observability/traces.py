"""Traces: OpenTelemetry spans over OTLP/HTTP where the standard variables name a receiver, nothing otherwise.

A trace crosses the inbox as W3C `traceparent` text in the row, so that webhook, dispatcher and workflow belong to one.
Every span says whose work it is: it inherits that from its parent, and over Temporal's headers as W3C baggage.
Spans carry names, numbers and ids; no content, and no exception's text, which may quote it.
"""

import os
import re
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import baggage, context, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace import Span as RecordedSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from pointsman.observability import names

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
TRACEPARENT = "traceparent"
WHOSE = tuple(names.ATTRIBUTE_PREFIX + name for name in names.WHOSE)
EXCEPTION_TYPE = "exception.type"
_TYPE_NAME = re.compile(r"[\w.]*")
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
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # only who sends pays for it

    # Resource.create puts OTEL_RESOURCE_ATTRIBUTES under these, and OTEL_SERVICE_NAME over them.
    service = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(resource=Resource.create({"service.name": service, "service.version": version}))
    provider.add_span_processor(Inheriting())
    provider.add_span_processor(BatchSpanProcessor(Discreet(OTLPSpanExporter())))
    trace.set_tracer_provider(provider)
    return provider


class Inheriting(SpanProcessor):
    """Gives each span what its parent says of whose work it is: the parent here, or the one that a call came from."""

    def on_start(self, span: RecordedSpan, parent_context: context.Context | None = None) -> None:
        parent = trace.get_current_span(parent_context)
        told = parent.attributes if isinstance(parent, ReadableSpan) else baggage.get_all(parent_context)
        own = span.attributes or {}
        for name in WHOSE:
            if name not in own and (value := (told or {}).get(name)):
                span.set_attribute(name, str(value))


class Discreet(SpanExporter):
    """Sends spans without what exceptions say: libraries put it there, and it may quote content. Types stay."""

    def __init__(self, inner: SpanExporter) -> None:
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._inner.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    if not span.events and not span.status.description:
        return span
    events = [
        Event(event.name, {EXCEPTION_TYPE: str((event.attributes or {}).get(EXCEPTION_TYPE, ""))}, event.timestamp)
        for event in span.events
    ]
    kind = _TYPE_NAME.match(span.status.description or "")
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        resource=span.resource,
        attributes=span.attributes,
        events=events,
        links=span.links,
        kind=span.kind,
        status=Status(span.status.status_code, kind[0] if kind else None),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


@contextmanager
def span(
    name: str,
    *,
    traceparent: str = "",
    kind: SpanKind = SpanKind.INTERNAL,
    **attributes: str | int,
) -> Generator[Span]:
    """A span within the one that runs, or within `traceparent`. An exception marks it by its type, and goes on."""
    if not traceparent and _nobody_traces():
        yield trace.INVALID_SPAN
        return
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


def _nobody_traces() -> bool:
    """Nothing would be recorded, and there is no trace to hand on either: then a span is not even begun."""
    return isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider) and not _running()


def _running() -> bool:
    return trace.get_current_span().get_span_context().is_valid


def tell(**values: str | float) -> None:
    """Say more of the span that runs; what is empty is left out."""
    current = trace.get_current_span()
    if current.is_recording():
        current.set_attributes({names.ATTRIBUTE_PREFIX + key: value for key, value in values.items() if value != ""})


@contextmanager
def carrying(**whose: str) -> Generator[None]:
    """Calls of Temporal within the block carry these along with the trace, so that spans over there have them."""
    if not trace.get_current_span().is_recording():
        yield
        return
    carried = context.get_current()
    for name, value in whose.items():
        carried = baggage.set_baggage(names.ATTRIBUTE_PREFIX + name, value, carried)
    with _attached(carried):
        yield


@contextmanager
def confiding() -> Generator[None]:
    """Whoever is called within the block, a tool server of somebody else's too, is not told what came along."""
    with _attached(baggage.clear()):
        yield


@contextmanager
def _attached(carried: context.Context) -> Generator[None]:
    token = context.attach(carried)
    try:
        yield
    finally:
        context.detach(token)


def traceparent() -> str:
    """The running span as W3C text, empty where there is none."""
    if not _running():
        return ""
    carrier: dict[str, str] = {}
    _W3C.inject(carrier)
    return carrier.get(TRACEPARENT, "")
