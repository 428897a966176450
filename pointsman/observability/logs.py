"""Logs: one JSON object a line on stderr, or lines for people; ours and those of every library, through one chain.

Known values of secrets, and whatever stands under a key that sounds like one, never get out. Tracebacks hold no local
variables. What a delivery or a model says is not logged at all: callers log names, numbers and hashes.
"""

import logging
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import TextIO

import structlog
from opentelemetry import trace
from pydantic import SecretStr
from structlog.typing import EventDict, Processor, WrappedLogger
from temporalio.exceptions import ApplicationError

from pointsman.observability import names

MASK = "********"
CAUSES_MAX = 10
SECRET_CHARS_MIN = 8  # a shorter value would blank out ordinary words
SECRET_KEY = re.compile(
    r"(secret|passw|authorization|cookie|credential|api[_-]?key|private[_-]?key|(^|[_-])(token|pat|pwd)$)",
    re.IGNORECASE,
)
CREDENTIALS = re.compile(r"\b(Basic|Bearer)\s+[\w+/=.~-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
# They say on level info, for each request, what our own metrics and spans tell better.
TALKATIVE = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "aiohttp.access",
    "uvicorn",
    "openai",
    "anthropic",
    "mcp",
    "a2a",
)
# They say on level debug what passes through them: results of activities with content, a document's parts, requests to
# models and their answers, the headers that these are signed with.
INDISCREET = (
    *("temporalio.worker._activity", "markdown_it", "urllib3", "alembic"),
    *("botocore", "boto3", "google_genai", "azure", "mistralai"),
)
FAILED_ACTIVITIES = "temporalio.activity"
OURS = "pointsman."
_EXTRA = structlog.stdlib.ExtraAdder()


def configure(
    level: str = "info", style: str = "json", secrets: Iterable[SecretStr | None] = (), stream: TextIO | None = None
) -> None:
    """Set all logging of this process up; `style` is json or console. Call once, first; a repeated call replaces."""
    redact = Redaction(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        _add_extra,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_trace,
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a logger of a module that was imported earlier has to follow
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            _without_words,
            structlog.processors.format_exc_info,
            redact,
            _renderer(style),
        ],
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(formatter)
    # Of a record that is made for every line: what none of our lines says.
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in (*TALKATIVE, *INDISCREET):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def bound(**values: str | int) -> AbstractContextManager[None]:
    """Log lines within the block, and in tasks started there, carry these values; empty ones are left out."""
    return structlog.contextvars.bound_contextvars(**{name: value for name, value in values.items() if value})


class Redaction:
    """Masks secrets in a log line: by value, by the key they stand under, and by how credentials look."""

    def __init__(self, secrets: Iterable[SecretStr | None] = ()) -> None:
        values = {secret.get_secret_value() for secret in secrets if secret is not None}
        # Longest first, or the rest of a longer secret would stay after a shorter one is masked.
        known = sorted((value for value in values if len(value) >= SECRET_CHARS_MIN), key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        return {key: self._value(key, value) for key, value in event.items()}

    def text(self, text: str) -> str:
        """The text with known secrets and credentials masked."""
        without = self._known.sub(MASK, text) if self._known else text
        # Looked for everywhere, the pattern takes ten times as long as looking for what each of its cases has.
        if "@" in without or "Basic" in without or "Bearer" in without:
            return CREDENTIALS.sub(MASK, without)
        return without

    def _value(self, key: str, value: object) -> object:
        if _is_secret(key) and not isinstance(value, bool | int | float | None):
            return MASK
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {str(name): self._value(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value("", inner) for inner in value]
        if isinstance(value, bool | int | float | None):
            return value
        return self.text(str(value))


@lru_cache(maxsize=1_024)
def _is_secret(key: str) -> bool:
    return SECRET_KEY.search(key) is not None


def _renderer(style: str) -> Processor:
    if style == "console":
        return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    return structlog.processors.JSONRenderer(ensure_ascii=False)


def _without_words(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Of an activity's failure types and places only: the outside's words may quote content. The history has them.

    One that has a type of ours is no fault of the code, so that places help nobody.
    """
    if event.get("logger") == FAILED_ACTIVITIES and isinstance(info := event.get("exc_info"), tuple):
        if isinstance(info[1], ApplicationError) and info[1].type:
            event["error"] = info[1].type
        else:
            event["exception"] = _places(info[1])
        del event["exc_info"]
    return event


def _places(error: BaseException | None) -> str:
    """A traceback without messages, the cause first."""
    told: list[str] = []
    while error is not None and len(told) < CAUSES_MAX:
        told.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__name__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\nwhich led to\n\n".join(reversed(told))


def _add_extra(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Fields that our packages log as `extra`. Those of libraries may quote content."""
    return _EXTRA(logger, method, event) if str(event.get("logger", "")).startswith(OURS) else event


def _add_trace(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    span = trace.get_current_span().get_span_context()
    if span.is_valid:
        told = trace.format_trace_id(span.trace_id)
        # A request to a model is known by the id that its caller gave it, in the log of violations too.
        event[names.TRACE_ID if event.get(names.TRACE_ID, told) == told else names.SPAN_TRACE_ID] = told
        event[names.SPAN_ID] = trace.format_span_id(span.span_id)
    return event
