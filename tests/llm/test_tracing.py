"""Spans and metrics of OpenTelemetry: who called, what each call came to, and nothing of what was said."""

import gc
import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import pytest
import pytest_asyncio
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NoOpTracerProvider, SpanKind, StatusCode
from pydantic import SecretStr

from pointsman.llm import errors
from pointsman.llm.events import TextDelta
from pointsman.llm.governance import Governance
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.pool import ClientPool
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.registry import Registry
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.tracing import Traced
from pointsman.llm.types import LLMRequest, Role, text_message
from pointsman.observability import names
from pointsman.sandbox.models.control import FaultKind
from pointsman.sandbox.models.replies import Reply
from tests.llm.standin import KEY, Provider

pytestmark = pytest.mark.asyncio(loop_scope="module")

REGISTRY = Registry.load()
SECRET = "the words of this conversation"
ANSWER = "the words of its answer"
MEASURED = ("token.usage", "operation.duration")


@dataclass
class Watched:
    """A service, and what it tells."""

    service: LLMService
    provider: Provider
    traces: TracerProvider
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    def spans(self) -> Sequence[ReadableSpan]:
        return self.exporter.get_finished_spans()

    def requests(self) -> Sequence[ReadableSpan]:
        return [span for span in self.spans() if span.name == names.SPAN_LLM]

    def calls(self) -> Sequence[ReadableSpan]:
        return [span for span in self.spans() if span.name.startswith("chat ")]


@pytest_asyncio.fixture(loop_scope="module")
async def watched(provider: Provider) -> AsyncGenerator[Watched]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    traces = TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    governance = Governance(REGISTRY, ("*",), today=lambda: date(2026, 11, 21))
    rules = Rules(
        governance,
        Selector(REGISTRY, governance),
        retries=RetryPolicy(wait_seconds_max=0.02),
        observer=Traced(traces, MeterProvider([reader])),
    )
    keys = OperatorKeys({"openai": SecretStr(KEY)})
    pool = ClientPool(keys, {"openai": lambda key: OpenAIResponses(key, provider.url, timedelta(seconds=60))})
    async with LLMService(pool, rules) as service:
        yield Watched(service, provider, traces, exporter, reader)


def request(**fields: object) -> LLMRequest:
    said = (text_message(Role.USER, SECRET),)
    given = {"messages": said, "model": "gpt-6-luna", "session_id": "s-1", "source_agent": "triage", **fields}
    return LLMRequest.model_validate(given)


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def own(span: ReadableSpan) -> int:
    assert span.context is not None
    number: int = span.context.span_id
    return number


def told(span: ReadableSpan) -> dict[str, object]:
    return dict(span.attributes or {})


async def test_the_trace_goes_on_from_caller_to_request_to_each_call(watched: Watched) -> None:
    watched.provider.fails(FaultKind.STATUS, status=503)
    watched.provider.says(Reply(text=ANSWER))
    with watched.traces.get_tracer("caller").start_as_current_span("caller") as caller:
        await watched.service.complete(request(temperature=None, max_tokens=300))
    (whole,) = watched.requests()
    first, second = watched.calls()
    assert parent(whole) == caller.get_span_context().span_id
    for call in (first, second):
        assert (call.name, call.kind) == ("chat gpt-6-luna", SpanKind.CLIENT)
        assert parent(call) == own(whole)
        assert (whole.start_time or 0) <= (call.start_time or 0) <= (call.end_time or 0) <= (whole.end_time or 0)
    assert (first.end_time or 0) <= (second.start_time or 0)
    assert first.status.status_code is StatusCode.ERROR
    assert told(first)["error.type"] == "ProviderOverloadedError"
    assert whole.status.status_code is StatusCode.UNSET


async def test_a_call_says_what_the_conventions_ask_for(watched: Watched) -> None:
    watched.provider.says(Reply(text=ANSWER))
    response = await watched.service.complete(request(max_tokens=300))
    (call,) = watched.calls()
    said = told(call)
    wanted = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-6-luna",
        "gen_ai.request.max_tokens": 300,
        "gen_ai.conversation.id": "s-1",
        "gen_ai.agent.name": "triage",
        "pointsman.trace_id": response.trace_id,
        "gen_ai.response.id": response.response_id,
        "gen_ai.response.model": response.model,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": response.usage.prompt_tokens,
        "gen_ai.usage.output_tokens": response.usage.completion_tokens,
    }
    assert {name: said.get(name) for name in wanted} == wanted
    (whole,) = watched.requests()
    # Whoever adds usage up over all spans counts each token once.
    assert not [name for name in told(whole) if name.startswith("gen_ai.usage.")]
    assert told(whole)["pointsman.input_tokens"] == response.usage.prompt_tokens
    assert told(whole)["pointsman.cost_usd"] == pytest.approx(float(response.cost_usd))


async def test_a_stream_that_is_left_to_the_collector_still_ends_in_its_callers_trace(watched: Watched) -> None:
    watched.provider.says(Reply(text="word " * 2_000))
    with watched.traces.get_tracer("caller").start_as_current_span("caller") as caller:
        stream = watched.service.stream(request())
        async for event in stream:
            if isinstance(event, TextDelta):
                break
    with watched.traces.get_tracer("other").start_as_current_span("other"):
        await stream.aclose()
        gc.collect()
    (whole,) = watched.requests()
    assert parent(whole) == caller.get_span_context().span_id
    assert told(whole)["pointsman.outcome"] == "cancelled"
    assert told(whole)["gen_ai.request.stream"] is True
    assert [told(call)["error.type"] for call in watched.calls()] == ["cancelled"]


async def test_a_whole_stream_has_its_call_and_the_time_of_its_first_chunk(watched: Watched) -> None:
    watched.provider.says(Reply(text=ANSWER))
    _ = [event async for event in watched.service.stream(request())]
    (whole,), (call,) = watched.requests(), watched.calls()
    assert told(whole)["pointsman.outcome"] == "success"
    assert told(whole)["pointsman.attempts"] == 1
    assert float(str(told(whole)["gen_ai.response.time_to_first_chunk"])) > 0
    assert told(call)["gen_ai.response.finish_reasons"] == ("stop",)


async def test_a_request_that_never_leaves_has_a_span_without_calls(watched: Watched) -> None:
    with pytest.raises(errors.ModelRetiredError):
        await watched.service.complete(request(model="gpt-4"))
    (whole,) = watched.spans()
    assert told(whole)["error.type"] == "ModelRetiredError"
    assert whole.status.status_code is StatusCode.ERROR


async def test_metrics_have_the_conventions_names_units_and_bounds(watched: Watched) -> None:
    watched.provider.says(Reply(text=ANSWER))
    _ = [event async for event in watched.service.stream(request())]
    data = watched.reader.get_metrics_data()
    assert data is not None
    found = {one.name: one for part in data.resource_metrics for scope in part.scope_metrics for one in scope.metrics}
    assert {name: found[name].unit for name in found} == {
        "gen_ai.client.operation.duration": "s",
        "gen_ai.client.operation.time_to_first_chunk": "s",
        "gen_ai.client.token.usage": "{token}",
    }
    tokens, duration = (json.loads(found[f"gen_ai.client.{name}"].to_json()) for name in MEASURED)
    points = tokens["data"]["data_points"]
    assert {point["attributes"]["gen_ai.token.type"] for point in points} == {"input", "output"}
    assert duration["data"]["data_points"][0]["attributes"]["gen_ai.provider.name"] == "openai"
    assert duration["data"]["data_points"][0]["explicit_bounds"][-1] == 81.92


async def test_nothing_of_what_was_said_nor_the_key_is_told(watched: Watched) -> None:
    watched.provider.fails(FaultKind.STATUS, status=500, message=f"fails over {SECRET} of {KEY}")
    watched.provider.says(Reply(text=ANSWER))
    await watched.service.complete(request())
    data = watched.reader.get_metrics_data()
    assert data is not None
    everything = " ".join([*(span.to_json() for span in watched.spans()), data.to_json()])
    assert "gpt-6-luna" in everything
    for hidden in (SECRET, ANSWER, KEY):
        assert hidden not in everything


async def test_where_nobody_records_calls_are_made_all_the_same(provider: Provider) -> None:
    governance = Governance(REGISTRY, ("*",))
    keys = OperatorKeys({"openai": SecretStr(KEY)})
    pool = ClientPool(keys, {"openai": lambda key: OpenAIResponses(key, provider.url, timedelta(seconds=60))})
    quiet = Traced(NoOpTracerProvider(), NoOpMeterProvider())
    async with LLMService(pool, Rules(governance, Selector(REGISTRY, governance), observer=quiet)) as service:
        assert (await service.complete(request())).text
