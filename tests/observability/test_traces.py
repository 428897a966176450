"""Traces: off unless the standard variables ask for them, one trace across the inbox, no text of errors in spans."""

import asyncio
import json
import os
import subprocess
import sys
import textwrap

import pytest
from aiohttp import web
from opentelemetry import propagate
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode, Tracer

from pointsman.observability import traces

# A tracer provider is set once per process, so whoever sets one is a process of its own.
PROGRAM = textwrap.dedent(
    """
    import json
    from pointsman.observability import traces

    provider = traces.configure("pointsman", "1.2")
    with traces.span("delivery.receive", delivery_id="d-1", empty=""):
        carried = traces.traceparent()
    try:
        with traces.span("delivery.dispatch", traceparent=carried) as second:
            inner = traces.traceparent()
            raise ValueError("correct-horse-battery")
    except ValueError:
        pass
    if provider:
        provider.shutdown()
    print(json.dumps({"carried": carried, "inner": inner, "on": provider is not None}))
    """
)


async def run_program(**variables: str) -> dict[str, str | bool]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env={**environ, **variables}, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    told: dict[str, str | bool] = json.loads(out)
    return told


async def test_without_the_variables_nothing_is_traced_and_nothing_is_carried() -> None:
    assert await run_program() == {"carried": "", "inner": "", "on": False}


async def test_spans_of_webhook_and_dispatch_are_one_trace_and_reach_the_receiver() -> None:
    received: list[tuple[str, bytes]] = []

    async def collect(request: web.Request) -> web.Response:
        received.append((request.path, await request.read()))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application()
    app.router.add_post("/{tail:.*}", collect)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        told = await run_program(OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{host}:{port}", OTEL_EXPORTER_OTLP_COMPRESSION="")
    finally:
        await runner.cleanup()
    trace_id = str(told["carried"]).split("-")[1]
    assert str(told["inner"]).split("-")[1] == trace_id
    assert told["inner"] != told["carried"]
    (path, body) = received[0]
    assert path == "/v1/traces"
    assert b"delivery.receive" in body
    assert b"delivery.dispatch" in body
    assert bytes.fromhex(trace_id) in body
    assert b"pointsman.delivery_id" in body
    assert b"ValueError" in body
    assert b"correct-horse-battery" not in body


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
    ],
)
def test_the_standard_variables_switch_tracing(variables: dict[str, str], wanted: bool) -> None:
    assert traces.wanted(variables) is wanted


def test_a_protocol_that_we_do_not_speak_is_refused_with_the_one_we_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with pytest.raises(traces.UnknownProtocol, match="'grpc'; allowed: http/protobuf"):
        traces.configure()


def test_a_malformed_traceparent_starts_a_trace_of_its_own() -> None:
    with traces.span("delivery.dispatch", traceparent="00-nonsense") as span:
        assert not span.get_span_context().is_remote


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(sent: InMemorySpanExporter) -> Tracer:
    """As `configure` sets one up, without a receiver and without being the process's own."""
    provider = TracerProvider()
    provider.add_span_processor(traces.Inheriting())
    provider.add_span_processor(SimpleSpanProcessor(traces.Discreet(sent)))
    return provider.get_tracer("library")


def test_of_an_exception_that_a_library_records_only_the_type_is_sent(
    tracer: Tracer, sent: InMemorySpanExporter
) -> None:
    with tracer.start_as_current_span("call", attributes={"rpc.system": "own"}) as span:
        span.record_exception(ValueError("it says: correct-horse-battery"))
        span.set_status(Status(StatusCode.ERROR, "ValueError: it says: correct-horse-battery"))
    (span_sent,) = sent.get_finished_spans()
    assert "correct-horse-battery" not in span_sent.to_json()
    assert [dict(event.attributes or {}) for event in span_sent.events] == [{"exception.type": "ValueError"}]
    assert (span_sent.status.status_code, span_sent.status.description) == (StatusCode.ERROR, "ValueError")
    assert (span_sent.name, dict(span_sent.attributes or {})) == ("call", {"rpc.system": "own"})
    assert span_sent.context == span.get_span_context()


def test_a_span_inherits_whose_work_it_is_unless_it_says_so_itself(tracer: Tracer, sent: InMemorySpanExporter) -> None:
    with tracer.start_as_current_span("outer", attributes={"pointsman.tenant": "north", "pointsman.item": "a/b/1"}):
        tracer.start_span("inner", attributes={"pointsman.item": "a/b/2"}).end()
    inner = sent.get_finished_spans()[0]
    assert dict(inner.attributes or {}) == {"pointsman.tenant": "north", "pointsman.item": "a/b/2"}


def test_what_is_carried_reaches_spans_elsewhere_and_nobody_in_confidence(
    tracer: Tracer, sent: InMemorySpanExporter
) -> None:
    carrier: dict[str, str] = {}
    confided: dict[str, str] = {}
    with tracer.start_as_current_span("here"), traces.carrying(tenant="north", item="a/b c/1"):
        propagate.inject(carrier)
        with traces.confiding():
            propagate.inject(confided)
    tracer.start_span("elsewhere", propagate.extract(carrier)).end()
    elsewhere = sent.get_finished_spans()[-1]
    assert dict(elsewhere.attributes or {}) == {"pointsman.tenant": "north", "pointsman.item": "a/b c/1"}
    assert elsewhere.parent is not None
    assert "baggage" not in confided


def test_nothing_is_carried_where_nobody_traces() -> None:
    carrier: dict[str, str] = {}
    with traces.carrying(tenant="north"):
        propagate.inject(carrier)
    assert carrier == {}
