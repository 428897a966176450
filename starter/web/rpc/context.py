"""The context of a call between agents: from its parameters, else from the request's headers, else made up.

Header names: W3C `traceparent` for the trace, `X-Source-Agent` and `X-Session-Id` for the others.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple
from uuid import uuid4

TRACEPARENT, SOURCE_AGENT, SESSION_ID = "traceparent", "x-source-agent", "x-session-id"
CHARS_MAX = 200
"""Of each of the three."""
# https://www.w3.org/TR/trace-context/#traceparent-header: later versions may append fields, `ff` is forbidden.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


class Context(NamedTuple):
    trace_id: str
    source_agent: str
    session_id: str


def context_of(headers: Mapping[str, str]) -> Context:
    """What headers tell. A `traceparent` that is none is as good as none (W3C); without one the trace begins here."""
    found = _TRACEPARENT.fullmatch(headers.get(TRACEPARENT, "").strip())
    return Context(
        found[1] if found else uuid4().hex,
        _text(headers.get(SOURCE_AGENT, "")),
        _text(headers.get(SESSION_ID, "")),
    )


def _text(value: str) -> str:
    """Headers come as Latin-1, and those who send others mean UTF-8."""
    with suppress(UnicodeError):
        value = value.encode("latin-1").decode()
    return value[:CHARS_MAX]
