"""A server on loopback that takes what Pointsman sends out beside its work: spans over OTLP/HTTP, and notifications."""

import gzip
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

TRACES, METRICS, NOTIFICATIONS = "/v1/traces", "/v1/metrics", "/hooks/"
SPAN_ERROR = SpanMessage.DESCRIPTOR.file.message_types_by_name["Status"].enum_types_by_name["StatusCode"]


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Span:
    """One span as it came, ids in hex."""

    trace: str
    id: str
    parent: str
    name: str
    start: int
    end: int
    attributes: Mapping[str, str | int | float]
    events: tuple[Mapping[str, str | int | float], ...]
    linked: tuple[str, ...]
    """Traces that it links to."""
    failed: bool
    status: str
    service: str
    scope: str


@dataclass
class Receiver:
    """Answers 200 to spans and metrics. The first notification gets 503, each later one 204."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def got(self, prefix: str) -> list[Request]:
        return [request for request in self.requests if request.path.startswith(prefix)]

    def spans(self) -> list[Span]:
        """In the order in which they ended. Within an export, those of a library come together."""
        return sorted((span for one in self.got(TRACES) for span in read(one.body)), key=lambda span: span.end)


def read(body: bytes) -> Generator[Span]:
    """The spans of an export, library by library."""
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = str(_values(resource.resource.attributes)["service.name"])
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    attributes=_values(span.attributes),
                    events=tuple({"name": event.name, **_values(event.attributes)} for event in span.events),
                    linked=tuple(link.trace_id.hex() for link in span.links),
                    failed=span.status.code == SPAN_ERROR.values_by_name["STATUS_CODE_ERROR"].number,
                    status=span.status.message,
                    service=service,
                    scope=scope.scope.name,
                )


def _values(pairs: "Any") -> dict[str, str | int | float]:
    return {pair.key: _value(pair) for pair in pairs}


def _value(pair: KeyValue) -> str | int | float:
    kind = pair.value.WhichOneof("value")
    assert kind is not None, f"{pair.key} has a value"
    value: str | int | float = getattr(pair.value, kind)
    return value


@contextmanager
def receiving() -> Generator[Receiver]:
    """Runs in a thread of its own, so that whoever waits in an event loop does not keep the sender waiting."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            first = not receiver.got(NOTIFICATIONS)
            receiver.requests.append(
                Request(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            )
            if self.path == TRACES:
                self._answer(200, ExportTraceServiceResponse().SerializeToString())
            elif self.path == METRICS:
                self._answer(200, ExportMetricsServiceResponse().SerializeToString())
            else:
                self._answer(503 if first else 204)

        def _answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "0.05")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: what came is kept."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
