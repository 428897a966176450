"""What the service tells OpenTelemetry: a span for each request and one for each of its calls, and the metrics.

After the semantic conventions for generative AI; all names are in `pointsman.observability.names`. Spans begin where
the request began, under the span that its caller was in, and are made when it is over: a stream that is left leaves
none open. Only a call's span has the conventions' usage, so that whoever adds spans up counts each token once. Nothing
of what was said is ever in them. Without a tracer or meter provider it costs some microseconds a request.
"""

from collections.abc import Mapping

from opentelemetry import metrics, trace
from opentelemetry.metrics import Histogram, MeterProvider
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.util.types import AttributeValue

from pointsman.llm.accounting import CACHED, CallRecord, Told, Try, Unobserved
from pointsman.observability import names

NANOSECONDS = 1_000_000
"""In a millisecond."""
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_CHUNK_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = tuple(4**power for power in range(14))

Attributes = dict[str, AttributeValue]


class Traced(Unobserved):
    """An `accounting.Observer`. Without providers of its own it takes those of the process, also later ones."""

    def __init__(self, traces: TracerProvider | None = None, meters: MeterProvider | None = None) -> None:
        self._tracer = trace.get_tracer(names.SCOPE, tracer_provider=traces)
        self._meter = metrics.get_meter(names.SCOPE, meter_provider=meters)
        self._seconds = self._histogram(names.GEN_AI_DURATION, "s", "Duration of a request.", SECONDS)
        self._first_chunk = self._histogram(
            names.GEN_AI_TIME_TO_FIRST_CHUNK, "s", "Time to the first chunk of a stream.", FIRST_CHUNK_SECONDS
        )
        self._tokens = self._histogram(names.GEN_AI_TOKEN_USAGE, "{token}", "Tokens of a call.", TOKENS)

    def told(self, record: CallRecord) -> None:
        self._measure(record)
        request = self._tracer.start_span(names.SPAN_LLM, kind=SpanKind.INTERNAL, start_time=record.started_ns)
        ended_ns = record.started_ns + int(record.latency_ms * NANOSECONDS)
        if request.is_recording():
            request.set_attributes(_of_request(record))
            if record.outcome not in ("success", CACHED):
                request.set_status(Status(StatusCode.ERROR))
            around = trace.set_span_in_context(request)
            for one in record.tries:
                call = self._tracer.start_span(
                    f"{record.operation} {one.model}",
                    around,
                    SpanKind.CLIENT,
                    _of_call(record, one),
                    start_time=one.started_ns,
                )
                if one.told.error:
                    call.set_status(Status(StatusCode.ERROR))
                call.end(one.ended_ns)
            ended_ns = max(ended_ns, *(one.ended_ns for one in record.tries)) if record.tries else ended_ns
        request.end(ended_ns)

    def _measure(self, record: CallRecord) -> None:
        told = _where(record.operation, record.provider, record.model)
        if record.response_model:
            told[names.GEN_AI_RESPONSE_MODEL] = record.response_model
        failed = {names.ERROR_TYPE: record.outcome} if record.outcome not in ("success", CACHED) else {}
        self._seconds.record(record.latency_ms / 1000, {**told, **failed})
        if record.time_to_first_token_ms is not None:
            self._first_chunk.record(record.time_to_first_token_ms / 1000, told)
        for one in record.tries:
            of = _where(record.operation, one.provider, one.model)
            usage = one.told.usage
            if usage.total_tokens or usage.prompt_tokens:
                self._tokens.record(usage.prompt_tokens, {**of, names.GEN_AI_TOKEN_TYPE: "input"})
                self._tokens.record(usage.completion_tokens, {**of, names.GEN_AI_TOKEN_TYPE: "output"})

    def _histogram(self, name: str, unit: str, description: str, bounds: tuple[float, ...]) -> Histogram:
        return self._meter.create_histogram(name, unit, description, explicit_bucket_boundaries_advisory=bounds)


def _where(operation: str, provider: str, model: str) -> Attributes:
    return {
        names.GEN_AI_OPERATION: operation,
        names.GEN_AI_PROVIDER: names.GEN_AI_PROVIDERS.get(provider, provider),
        names.GEN_AI_REQUEST_MODEL: model,
    }


def _of_request(record: CallRecord) -> Attributes:
    told: Attributes = {
        **_asked(record, record.provider, record.model),
        names.ATTRIBUTE_PREFIX + names.OUTCOME: record.outcome,
        names.ATTRIBUTE_PREFIX + names.ATTEMPTS: record.attempts,
        names.ATTRIBUTE_PREFIX + names.INPUT_TOKENS: sum(one.told.usage.prompt_tokens for one in record.tries),
        names.ATTRIBUTE_PREFIX + names.OUTPUT_TOKENS: sum(one.told.usage.completion_tokens for one in record.tries),
        names.ATTRIBUTE_PREFIX + names.COST_USD: float(record.cost_usd),
    }
    if record.outcome not in ("success", CACHED):
        told[names.ERROR_TYPE] = record.outcome
    if record.finish_reason:
        told[names.GEN_AI_FINISH_REASONS] = (record.finish_reason,)
    if record.response_model:
        told[names.GEN_AI_RESPONSE_MODEL] = record.response_model
    if record.time_to_first_token_ms is not None:
        told[names.GEN_AI_FIRST_CHUNK] = record.time_to_first_token_ms / 1000
    return told


def _of_call(record: CallRecord, one: Try) -> Attributes:
    return {
        **_asked(record, one.provider, one.model),
        **_answered(one.told),
        names.ATTRIBUTE_PREFIX + names.COST_USD: float(one.told.cost_usd),
    }


def _asked(record: CallRecord, provider: str, model: str) -> Attributes:
    told: Mapping[str, AttributeValue | None] = {
        **_where(record.operation, provider, model),
        names.GEN_AI_REQUEST_STREAM: record.streamed or None,
        names.GEN_AI_REQUEST_MAX_TOKENS: record.max_tokens,
        names.GEN_AI_REQUEST_TEMPERATURE: record.temperature,
        names.GEN_AI_REQUEST_SEED: record.seed,
        names.GEN_AI_REQUEST_REASONING: record.reasoning_effort or None,
        names.GEN_AI_CONVERSATION: record.session_id or None,
        names.GEN_AI_AGENT: record.source_agent or None,
        names.ATTRIBUTE_PREFIX + names.TENANT: record.tenant or None,
        names.ATTRIBUTE_PREFIX + names.TRACE_ID: record.trace_id or None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _answered(call: Told) -> Attributes:
    usage = call.usage
    told: Mapping[str, AttributeValue | None] = {
        names.ERROR_TYPE: call.error or None,
        names.GEN_AI_RESPONSE_ID: call.response_id or None,
        names.GEN_AI_RESPONSE_MODEL: call.response_model or None,
        names.GEN_AI_FINISH_REASONS: (call.finish_reason,) if call.finish_reason else None,
        names.GEN_AI_INPUT_TOKENS: usage.prompt_tokens or None,
        names.GEN_AI_OUTPUT_TOKENS: usage.completion_tokens or None,
        names.GEN_AI_CACHE_READ_TOKENS: usage.cached_tokens or None,
        names.GEN_AI_CACHE_WRITE_TOKENS: usage.cache_write_tokens or None,
        names.GEN_AI_REASONING_TOKENS: usage.reasoning_tokens or None,
        names.ATTRIBUTE_PREFIX + names.REQUEST_ID: call.request_id or None,
    }
    return {name: value for name, value in told.items() if value is not None}
