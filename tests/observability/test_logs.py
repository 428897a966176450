"""Log lines: one JSON object each, with the chain they belong to, and never with a secret."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry import trace
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError

from pointsman.observability import logs

SECRET = "correct-horse-battery"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Where the configured logging of a test goes; the process gets its own back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    logs.configure("debug", "json", [SecretStr(SECRET), None], stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def read(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_with_time_in_utc_level_and_logger(lines: io.StringIO) -> None:
    structlog.get_logger("ours").info("delivery kept", bytes=12)
    (line,) = read(lines)
    assert (line["event"], line["level"], line["logger"], line["bytes"]) == ("delivery kept", "info", "ours", 12)
    assert str(line["timestamp"]).endswith("Z")


def test_lines_of_libraries_look_like_ours(lines: io.StringIO) -> None:
    logging.getLogger("somebody").warning("lost %d of %s", 3, "them")
    (line,) = read(lines)
    assert (line["event"], line["level"], line["logger"]) == ("lost 3 of them", "warning", "somebody")


def test_lines_in_a_block_carry_what_is_bound_and_lines_after_it_do_not(lines: io.StringIO) -> None:
    with logs.bound(correlation_id="c-1", tenant="", item="harbour/Quay/41"):
        logging.getLogger("somebody").info("inside")
    structlog.get_logger().info("outside")
    inside, outside = read(lines)
    assert (inside["correlation_id"], inside["item"]) == ("c-1", "harbour/Quay/41")
    assert "tenant" not in inside
    assert "correlation_id" not in outside


@pytest.mark.parametrize(
    "told",
    [
        {"note": f"the password is {SECRET}!"},
        {"deep": {"list": [{"er": f"x{SECRET}"}]}},
        {"webhook_secret": "another-value-of-one"},
        {"headers": {"Authorization": "whatever another-value-of-one"}},
        {"api_key": "another-value-of-one", "x-api-key": "another-value-of-one"},
        {"access_token": SecretStr("another-value-of-one")},
        {"header": "Basic cG9pbnRzbWFuOmFub3RoZXItdmFsdWUtb2Ytb25l"},
        {"header": "Bearer another-value-of-one"},
        {"url": "postgresql://ada:another-value-of-one@host/db"},
    ],
    ids=str,
)
def test_no_secret_gets_out(lines: io.StringIO, told: dict[str, object]) -> None:
    structlog.get_logger().info("told", **told)
    text = lines.getvalue()
    assert logs.MASK in text
    assert SECRET not in text
    assert "another-value-of-one" not in text
    assert "cG9pbnRz" not in text


def test_counts_of_tokens_are_no_secrets(lines: io.StringIO) -> None:
    structlog.get_logger().info("called", input_tokens=12, token=7, keyboard="qwerty")
    (line,) = read(lines)
    assert (line["input_tokens"], line["token"], line["keyboard"]) == (12, 7, "qwerty")


def test_a_traceback_shows_neither_local_variables_nor_a_secret_in_its_message(lines: io.StringIO) -> None:
    def fail(local_of_mine: str) -> None:
        raise ValueError(f"refused {SECRET}")

    try:
        fail("-".join(["value", "of", "a", "local"]))
    except ValueError:
        structlog.get_logger().exception("it failed")
    (line,) = read(lines)
    assert "ValueError: refused ********" in str(line["exception"])
    assert "value-of-a-local" not in lines.getvalue()
    assert SECRET not in lines.getvalue()


def test_of_a_failed_activity_types_and_places_are_told_and_no_words(lines: io.StringIO) -> None:
    try:
        try:
            raise KeyError("the item says Quagga")
        except KeyError as error:
            raise ValueError("Quagga was read") from error
    except ValueError:
        logging.getLogger("temporalio.activity").warning("Completing activity as failed", exc_info=True)
    (line,) = read(lines)
    told = str(line["exception"])
    assert told.index("KeyError") < told.index("which led to") < told.index("ValueError")
    assert __name__.rpartition(".")[2] in told
    assert "says Quagga" not in told.replace('raise KeyError("the item says Quagga")', "")
    assert "Quagga was" not in told.replace('raise ValueError("Quagga was read") from error', "")


def test_an_activity_that_fails_as_it_may_leaves_no_traceback(lines: io.StringIO) -> None:
    try:
        raise ApplicationError("no such item, says Quagga", type="Missing", non_retryable=True)
    except ApplicationError:
        logging.getLogger("temporalio.activity").warning("Completing activity as failed", exc_info=True)
    (line,) = read(lines)
    assert (line["error"], "exception" in line) == ("Missing", False)
    assert "Quagga" not in lines.getvalue()


def test_what_libraries_tell_of_content_on_level_debug_is_left_out(lines: io.StringIO) -> None:
    for name in ("temporalio.worker._activity", "markdown_it.rules_block.list", "urllib3.connectionpool"):
        logging.getLogger(name).debug("result: Quagga")
    assert lines.getvalue() == ""


def test_what_libraries_say_for_each_request_is_left_out(lines: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info("GET /?code=%s", SECRET)
    logging.getLogger("httpx2").info("HTTP Request")
    assert lines.getvalue() == ""


def test_fields_of_our_packages_are_in_the_line_and_those_of_libraries_are_not(lines: io.StringIO) -> None:
    told = {"provider": "openai", "prompt_tokens": 7, "request_id": f"req {SECRET}", "api_key": "another-value-of-one"}
    logging.getLogger("pointsman.llm").info("llm request", extra=told)
    logging.getLogger("somebody").info("said", extra={"body": "Quagga"})
    ours, theirs = read(lines)
    assert (ours["provider"], ours["prompt_tokens"], ours["logger"]) == ("openai", 7, "pointsman.llm")
    assert (ours["request_id"], ours["api_key"]) == (f"req {logs.MASK}", logs.MASK)
    assert "body" not in theirs


def test_a_request_keeps_the_trace_id_that_its_caller_gave_it(lines: io.StringIO) -> None:
    inside = trace.NonRecordingSpan(trace.SpanContext(0xABC, 0xDEF, is_remote=False))
    with trace.use_span(inside):
        logging.getLogger("pointsman.llm").info("llm request", extra={"trace_id": "a2a-1"})
        logging.getLogger("pointsman.llm").info("llm request", extra={"provider": "openai"})
    own, taken = read(lines)
    assert (own["trace_id"], own["span_trace_id"]) == ("a2a-1", f"{0xABC:032x}")
    assert taken["trace_id"] == f"{0xABC:032x}"
    assert "span_trace_id" not in taken
    assert own["span_id"] == taken["span_id"] == f"{0xDEF:016x}"


def test_a_line_break_in_a_value_does_not_forge_a_second_line(lines: io.StringIO) -> None:
    structlog.get_logger().info('x\n{"event": "forged"}', note="a\r\nb")
    assert len(lines.getvalue().splitlines()) == 1


def test_lines_for_people_hold_no_secret_either(lines: io.StringIO) -> None:
    stream = io.StringIO()
    logs.configure("info", "console", [SecretStr(SECRET)], stream)
    structlog.get_logger().info("told", note=SECRET)
    assert "told" in stream.getvalue()
    assert SECRET not in stream.getvalue()
