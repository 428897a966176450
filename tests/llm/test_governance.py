"""Only what is allowed is asked for, and whoever tries is told to the record, without what was said."""

import json
import logging
from datetime import date

import pytest

from pointsman.llm.errors import ModelNotAllowedError, ModelRetiredError
from pointsman.llm.governance import Governance, Violation
from pointsman.llm.registry import Registry
from pointsman.llm.types import LLMRequest, Role, text_message

REGISTRY = Registry.load()
SECRET = "the words of the conversation"
ASKED = LLMRequest(
    messages=(text_message(Role.USER, SECRET),), trace_id="t-1", source_agent="triage", session_id="s-1", tenant="rail"
)


class Kept:
    """Violations in memory."""

    def __init__(self) -> None:
        self.all: list[Violation] = []

    async def record(self, violation: Violation) -> None:
        self.all.append(violation)


def governance(kept: Kept | None = None, *allowed: str) -> Governance:
    return Governance(REGISTRY, allowed or ("gpt-6*",), kept, today=lambda: date(2026, 11, 21))


@pytest.mark.parametrize("name", ["gpt-6-luna", "gpt-6.1-sol"])
async def test_what_a_pattern_allows_is_admitted(name: str) -> None:
    kept = Kept()
    assert (await governance(kept).admit(ASKED, name)).name == name
    assert kept.all == []


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("claude-haiku-5-5", ModelNotAllowedError, "not on the list of allowed models; allowed are: gpt-6*"),
        ("gpt-99", ModelNotAllowedError, "not among the known models"),
        ("gpt-6-luna ", ModelNotAllowedError, "not among the known models"),
        ("gpt-4", ModelRetiredError, "gone since 2026-10-23: use gpt-6-luna"),
    ],
)
async def test_everything_else_is_refused_and_recorded(name: str, kind: type[Exception], told: str) -> None:
    kept = Kept()
    with pytest.raises(kind) as caught:
        await governance(kept).admit(ASKED, name)
    assert told in str(caught.value)
    (violation,) = kept.all
    assert violation.attempted_model == name
    assert (violation.trace_id, violation.source_agent, violation.session_id) == ("t-1", "triage", "s-1")
    assert violation.tenant == "rail"
    assert told in violation.reason


async def test_a_violation_is_one_line_of_json_without_content(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pointsman.llm.governance"), pytest.raises(ModelNotAllowedError):
        await Governance(REGISTRY, ()).admit(ASKED, "gpt-6-luna")
    (line,) = caplog.messages
    told = json.loads(line)
    assert {"timestamp", "trace_id", "source_agent", "session_id", "attempted_model", "reason"} <= told.keys()
    assert told["attempted_model"] == "gpt-6-luna"
    assert SECRET not in line
