"""Only what is allowed is asked for, and whoever tries is told to the record, without what was said."""

import json
import logging
from datetime import date

import pytest

from pointsman.llm.errors import ModelNotAllowedError, ModelRetiredError
from pointsman.llm.governance import Governance, Violation
from pointsman.llm.registry import Registry
from pointsman.llm.settings import ALLOWED_BY_DEFAULT
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
        (
            "claude-3-opus",
            ModelRetiredError,
            "gone since 2026-01-05: use claude-opus-5-5; put claude-opus-5-5 into ALLOWED_MODELS first",
        ),
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


def test_the_log_hears_once_a_day_that_a_model_ends_soon(caplog: pytest.LogCaptureFixture) -> None:
    days = [date(2026, 12, 8)]
    ruled = Governance(REGISTRY, ("gpt-*",), today=lambda: days[0])
    model = REGISTRY.models["gpt-5-mini"]
    told = "gpt-5-mini is shut down on 2026-12-11, in 3 days; gpt-6-luna takes its place"
    with caplog.at_level(logging.WARNING, "pointsman.llm"):
        assert [ruled.warning(model) for _ in range(3)] == [told] * 3
        assert caplog.messages == [told]
        days[0] = date(2026, 12, 9)
        ruled.warning(model)
    assert len(caplog.messages) == 2


def test_a_successor_that_is_not_allowed_is_named_with_what_to_do() -> None:
    ruled = Governance(REGISTRY, ("gpt-5*",), today=lambda: date(2026, 12, 8))
    assert ruled.warning(REGISTRY.models["gpt-5-mini"]).endswith("; put gpt-6-luna into ALLOWED_MODELS first")


@pytest.mark.parametrize("family", ["claude-3", "claude-2", "gemini-1.5", "gemini-2.0", "gpt-4", "gpt-3.5", "o1"])
async def test_advice_for_models_of_older_systems_can_be_taken_as_it_is(family: str) -> None:
    ruled = Governance(REGISTRY, ALLOWED_BY_DEFAULT, Kept(), today=lambda: date(2026, 11, 21))
    known = [model for model in REGISTRY.models.values() if model.name.startswith(family)]
    gone = [model for model in known if model.retired(date(2026, 11, 21))]
    assert gone
    for model in gone:
        for name in (model.name, *model.also):
            with pytest.raises(ModelRetiredError) as caught:
                await ruled.admit(ASKED, name)
            assert (await ruled.admit(ASKED, caught.value.replacement)).name == caught.value.replacement
