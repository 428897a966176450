"""Metrics over OTLP: off unless the standard variables ask for them, and sent at the end at the latest."""

import asyncio
import os
import subprocess
import sys
import textwrap

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from pointsman.observability import meters
from pointsman.observability.traces import UnknownProtocol
from tests.observability.receiver import METRICS, receiving

# A meter provider is set once per process, so whoever sets one is a process of its own.
PROGRAM = textwrap.dedent(
    """
    from opentelemetry import metrics
    from pointsman.observability import meters

    provider = meters.configure("pointsman", "1.2")
    metrics.get_meter("ours").create_counter("calls").add(3)
    provider.shutdown()
    """
)


@pytest.mark.parametrize(
    ("variables", "is_wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector:4318/v1/metrics"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_METRICS_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
    ],
)
def test_the_standard_variables_decide(variables: dict[str, str], is_wanted: bool) -> None:
    assert meters.wanted(variables) is is_wanted


def test_without_the_variables_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in meters.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert meters.configure() is None


def test_a_protocol_that_is_not_spoken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
    with pytest.raises(UnknownProtocol, match="'grpc'; allowed: http/protobuf"):
        meters.configure()


async def test_what_was_counted_reaches_the_receiver_at_the_end() -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    with receiving() as receiver:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            env={**environ, "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url},
            stderr=subprocess.PIPE,
        )
        _, told = await process.communicate()
        assert process.returncode == 0, told.decode()
    (sent,) = receiver.got(METRICS)
    (resource,) = ExportMetricsServiceRequest.FromString(sent.body).resource_metrics
    assert {pair.key: pair.value.string_value for pair in resource.resource.attributes}["service.name"] == "pointsman"
    (metric,) = [one for scope in resource.scope_metrics for one in scope.metrics if one.name == "calls"]
    assert metric.sum.data_points[0].as_int == 3
