"""Runs that are open somewhere go on under the workflows of today: each recorded history replays."""

import json
import re
import socket
from functools import cache
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import EscalationKind, Resolution, Verb
from pointsman.contracts.lifecycle import DeliverRequest, DeliverResult, Stage
from pointsman.contracts.turns import TurnEnd, TurnResult
from pointsman.contracts.work_items import ENDED
from starter.serve import WORKFLOWS
from tests.replay import corpus, record, replaying

NAMES = corpus.names()
SIZE_MAX = 64 * 1024


@cache
def recorded() -> list[corpus.Recorded]:
    """All, read when a test asks: every process of the tests knows their names, and few need more."""
    return [corpus.load(name) for name in NAMES]


def of_type(name: str) -> list[corpus.Recorded]:
    return [one for one in recorded() if one.workflow_type == name]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def faults() -> dict[str, Exception | None]:
    """What replaying each history came to. One worker replays all."""
    return {one.name: fault async for one, fault in replaying.replay(recorded())}


@pytest.mark.parametrize("name", NAMES)
def test_history_replays(faults: dict[str, Exception | None], name: str) -> None:
    assert faults[name] is None


def test_every_path_is_recorded() -> None:
    assert [name for name in record.EVERY if not record.stands(name)] == []


def test_every_workflow_that_is_served_is_replayed() -> None:
    assert set(replaying.WORKFLOWS) == set(WORKFLOWS)
    assert {one.workflow_type for one in recorded()} == {kind.__name__ for kind in WORKFLOWS}


async def test_every_state_that_an_item_ends_in_is_covered() -> None:
    results = [await corpus.ended_with(one, DeliverResult) for one in of_type("DeliverWorkItem")]
    assert {result.state for result in results if result} == ENDED


async def test_every_stage_that_a_run_begins_with_is_covered() -> None:
    begun = {(await corpus.started_with(one, DeliverRequest)).carry.stage for one in of_type("DeliverWorkItem")}
    assert begun == set(Stage) - {Stage.SETTLING}, "nothing is left to settle where each stage is a run of its own"


async def test_every_end_of_a_turn_is_covered() -> None:
    results = [await corpus.ended_with(one, TurnResult) for one in of_type("TakeTurn")]
    assert {result.end for result in results if result} == set(TurnEnd)


async def test_every_end_of_a_question_is_covered() -> None:
    results = [await corpus.ended_with(one, Resolution) for one in of_type("ResolveEscalation")]
    assert {result.verb for result in results if result and result.verb} == set(Verb)
    assert {result.outcome for result in results if result} == {"decided", "expired"}
    assert EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED in last_events("ResolveEscalation")


def test_cancelled_and_continued_runs_are_covered() -> None:
    assert last_events("DeliverWorkItem") == {
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED,
        EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW,
    }


def last_events(workflow_type: str) -> "set[EventType.ValueType]":
    return {one.history.events[-1].event_type for one in of_type(workflow_type)}


def test_every_kind_of_question_is_covered() -> None:
    said = "\n".join(text for name in NAMES for text in corpus.readable(document(name)))
    assert [kind for kind in EscalationKind if f'"kind":"{kind}"' not in said] == []


@pytest.mark.parametrize("name", NAMES)
def test_history_is_small_and_names_no_machine(name: str) -> None:
    file = corpus.FOLDER / f"{name}.json"
    said = "\n".join(corpus.readable(document(name)))
    here = [socket.gethostname(), str(Path.home()), str(Path.cwd())]
    assert file.stat().st_size < SIZE_MAX
    assert [word for word in here if re.search(rf"(?<!\w){re.escape(word)}(?!\w)", said)] == []
    assert re.findall(r"\b\d+@(?![0-9a-f]{8}-)[\w.-]+", said) == []  # transcripts are called by a run's id
    assert "Traceback" not in said


def document(name: str) -> dict[str, Json]:
    parsed: dict[str, Json] = json.loads((corpus.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return parsed
