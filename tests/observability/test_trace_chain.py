"""One delivery is one trace, from the webhook to the write, as a receiver of OTLP gets it from a running Pointsman."""

from collections.abc import Iterable

import pytest
from temporalio.api.enums.v1 import EventType

from pointsman.observability import names
from tests.observability.receiver import TRACES, Receiver, Span, read
from tests.observability.watched import Run

pytestmark = pytest.mark.slow

# From the first span to the write, each a parent of the next.
TO_THE_WRITE = (
    "delivery.receive",
    "delivery.dispatch",
    "SignalWithStartWorkflow:DeliverWorkItem",
    "StartActivity:work_items.publish",
    "RunActivity:work_items.publish",
)
TO_THE_TOOL = (
    *TO_THE_WRITE[:3],
    "StartChildWorkflow:TakeTurn",
    "StartActivity:turns.call_tool",
    "RunActivity:turns.call_tool",
    "MCP send tools/call get_work_item",
)
NAMED_BY_US = {
    names.ATTRIBUTE_PREFIX + value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)
}
TRACER_HEADER = "_tracer-data"


@pytest.fixture(scope="module")
def spans(run: Run, receiver: Receiver) -> list[Span]:
    return receiver.spans()


@pytest.fixture(scope="module")
def chain(run: Run, spans: list[Span]) -> list[Span]:
    """The trace of the item's first delivery."""
    (first,) = [span for span in named(spans, names.SPAN_RECEIVE) if ours(span)["correlation_id"] == run.chain_id]
    return [span for span in spans if span.trace == first.trace]


def named(spans: Iterable[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def ours(span: Span) -> dict[str, str | int | float]:
    prefix = names.ATTRIBUTE_PREFIX
    return {name.removeprefix(prefix): value for name, value in span.attributes.items() if name.startswith(prefix)}


def ancestry(spans: list[Span], name: str) -> tuple[str, ...]:
    """Names from the root to the last span of that name."""
    known = {span.id: span for span in spans}
    span: Span | None = named(spans, name)[-1]
    line: list[str] = []
    while span is not None:
        line.insert(0, span.name)
        span = known.get(span.parent)
    return tuple(line)


def test_the_write_descends_from_the_webhook(chain: list[Span]) -> None:
    assert ancestry(chain, TO_THE_WRITE[-1]) == TO_THE_WRITE


def test_what_the_agent_does_descends_from_the_webhook(chain: list[Span]) -> None:
    assert ancestry(chain, TO_THE_TOOL[-1]) == TO_THE_TOOL
    assert ancestry(chain, "RunActivity:turns.think")[:4] == TO_THE_TOOL[:4]


def test_what_a_model_is_asked_descends_from_the_step_that_asks(chain: list[Span]) -> None:
    known = {span.id: span for span in chain}
    calls = named(chain, "chat gpt-6.1-terra")
    assert len(calls) == 3
    for call in calls:
        request = known[call.parent]
        assert (request.name, known[request.parent].name) == (names.SPAN_LLM, "RunActivity:turns.think")
    assert [call.attributes.get(names.GEN_AI_FINISH_REASONS) is None for call in calls] == [True, False, False]
    assert all(int(call.attributes[names.GEN_AI_INPUT_TOKENS]) > 0 for call in calls[1:])


def test_the_question_to_a_human_is_in_the_same_trace(chain: list[Span]) -> None:
    held = {span.name for span in chain}
    assert {"StartChildWorkflow:ResolveEscalation", "HandleUpdate:decide", "RunActivity:escalations.settle"} <= held


def test_no_span_is_an_orphan(spans: list[Span]) -> None:
    known = {(span.trace, span.id) for span in spans}
    assert [span.name for span in spans if span.parent and (span.trace, span.parent) not in known] == []
    assert len(known) == len(spans)


def test_each_trace_begins_with_a_delivery_or_with_the_start_of_a_tool_server(spans: list[Span]) -> None:
    """A tool server starts soon after the program, or for the item that needs it before that."""
    starts = {"MCP send server/discover", "MCP send tools/list"}
    assert {span.name for span in spans if not span.parent} - starts == {names.SPAN_RECEIVE}
    assert starts <= {span.name for span in spans}


def test_no_span_ends_before_it_starts_or_begins_before_its_trace(spans: list[Span]) -> None:
    begun = {span.trace: span.start for span in spans if not span.parent}
    assert [span.name for span in spans if not begun[span.trace] <= span.start <= span.end] == []


def test_every_name_is_in_the_module_of_names(spans: list[Span]) -> None:
    own = {names.SPAN_RECEIVE, names.SPAN_DISPATCH, names.SPAN_LLM}
    prefixes = (*names.SPANS_OF_TEMPORAL, *names.SPANS_OF_MCP, *names.SPANS_OF_MODELS)
    assert {span.name for span in spans if span.name not in own and not span.name.startswith(prefixes)} == set()


def test_every_attribute_is_in_the_module_of_names(spans: list[Span]) -> None:
    allowed = NAMED_BY_US | {*names.ATTRIBUTES_OF_TEMPORAL, *names.ATTRIBUTES_OF_MCP, *names.ATTRIBUTES_OF_MODELS}
    allowed.add(names.ERROR_TYPE)
    assert {name for span in spans for name in span.attributes} - allowed == set()


def test_every_span_of_the_chain_says_whose_work_it_is(run: Run, chain: list[Span]) -> None:
    told = {tuple(ours(span).get(name) for name in names.WHOSE) for span in chain}
    item = run.workflow_id.removeprefix("ado/")
    assert told == {(run.chain_id, run.chain_id, "default", item)}


def test_steps_say_what_was_done_and_how_it_ended(chain: list[Span]) -> None:
    (write,) = named(chain, "RunActivity:work_items.publish")
    assert (ours(write)["outcome"], ours(write)["rev"]) == ("written", 3)
    thoughts = [ours(span) for span in named(chain, "RunActivity:turns.think")]
    assert [thought["outcome"] for thought in thoughts] == ["ProviderOverloadedError", "ok", "ok"]
    assert all(thought["model"] == "gpt-6.1-terra" for thought in thoughts)
    assert all(int(thought["input_tokens"]) > 0 for thought in thoughts[1:])
    states = [ours(span)["state"] for span in named(chain, "RunActivity:work_items.record")]
    assert list(dict.fromkeys(states)) == ["received", "analysed", "routed", "working", "waiting", "publishing", "done"]
    (asked,) = named(chain, "RunActivity:escalations.open")
    assert (ours(asked)["escalation"], ours(asked)["severity"]) == ("ESC-1", "high")


def test_a_failed_attempt_is_seen_by_its_type_and_by_nothing_that_was_said(chain: list[Span]) -> None:
    failed = [span for span in chain if names.ERROR_TYPE in span.attributes]
    assert [(span.name, span.attributes[names.ERROR_TYPE]) for span in failed] == [
        ("chat gpt-6.1-terra", "ProviderOverloadedError"),
        (names.SPAN_LLM, "ProviderOverloadedError"),
        ("RunActivity:turns.think", "ProviderOverloadedError"),
        ("RunActivity:escalations.notify", "Unavailable"),
    ]
    for span in failed:
        raised = ({"name": "exception", "exception.type": "temporalio.exceptions.ApplicationError"},)
        assert span.events == (raised if span.name.startswith("RunActivity:") else ())
    assert {span.status for span in chain} == {""}


def test_a_later_delivery_has_a_trace_of_its_own_and_the_chain_links_to_it(
    run: Run, spans: list[Span], chain: list[Span]
) -> None:
    later = [span for span in named(spans, names.SPAN_DISPATCH) if span.trace != chain[0].trace]
    assert {ours(span)["chain_id"] for span in later} == {run.chain_id}
    assert len({ours(span)["correlation_id"] for span in later} | {run.chain_id}) == len(later) + 1
    signals = [*named(chain, "HandleSignal:deliver"), *named(chain, "HandleSignal:deliver_all")]
    heard = {trace for span in signals for trace in span.linked} | {chain[0].trace}
    handed_over = [span for span in later if ours(span)["outcome"] == "dispatched"]
    assert handed_over
    # What went together with another says so by a link to it.
    assert all(heard & {span.trace, *span.linked} for span in handed_over)


def test_lines_of_the_log_lead_to_the_trace(run: Run, chain: list[Span]) -> None:
    known = {span.id: span.name for span in chain}
    told = {
        line["event"]: known.get(str(line["span_id"])) for line in run.log if line.get("trace_id") == chain[0].trace
    }
    assert told["delivery kept"] == names.SPAN_RECEIVE
    assert told["delivery settled"] == names.SPAN_DISPATCH
    assert told["model called"] == "RunActivity:turns.think"
    assert told["write settled"] == "RunActivity:work_items.publish"


def test_the_receiver_is_told_the_service_over_the_standard_path(run: Run, receiver: Receiver) -> None:
    exports = receiver.got(TRACES)
    assert exports
    assert {span.service for export in exports for span in read(export.body)} == {names.SERVICE_NAME}
    assert {export.headers["content-type"] for export in exports} == {"application/x-protobuf"}


def test_without_the_variables_nothing_is_sent_and_no_trace_is_begun(run: Run, receiver: Receiver) -> None:
    assert len(receiver.requests) == run.exported_before_quiet
    assert [line["event"] for line in run.quiet_log if "trace_id" in line] == []
    assert run.quiet_traceparents == [""]
    started = run.quiet_history[0]
    assert started.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
    assert TRACER_HEADER not in started.workflow_execution_started_event_attributes.header.fields
    assert "item moved" in [line["event"] for line in run.quiet_log]


def test_with_the_variables_the_trace_travels_in_the_history(run: Run) -> None:
    started = run.histories[run.workflow_id][0].workflow_execution_started_event_attributes
    assert TRACER_HEADER in started.header.fields
