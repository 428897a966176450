"""Every documented request that the stand-in knows gets a valid answer; see `examples`."""

import asyncio
import json
import re
from pathlib import Path

import pytest

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.app import create_app
from tests.docs.coverage import coverage, operations, sent
from tests.microsoft import FOLDER, WHY_NOT
from tests.sandbox.azure import config
from tests.sandbox.examples import SUMMARY, Outcome, Played, play_all, summary
from tests.sandbox.overlay import part

NAMED = re.compile(r"`([^`]+)`")
pytestmark = pytest.mark.xdist_group("azure-examples")


def told() -> dict[str, Json]:
    found: dict[str, Json] = json.loads(SUMMARY.read_text("utf-8"))
    return found


@pytest.fixture(scope="module")
def played() -> list[Played]:
    if not FOLDER:
        pytest.skip(WHY_NOT)
    return asyncio.run(play_all(Path(FOLDER)))


def test_no_answer_is_against_the_specification(played: list[Played]) -> None:
    assert [f"{one.example}: {one.why}" for one in played if one.outcome is Outcome.FAULTY] == []


def test_no_request_whose_operation_is_served_is_refused(played: list[Played]) -> None:
    assert [f"{one.example}: {one.why}" for one in played if one.outcome is Outcome.REFUSED] == []


def test_what_is_told_of_the_examples_is_so(played: list[Played]) -> None:
    assert told() == summary(played), "run: python -m tests.sandbox.examples"


def test_what_is_told_of_is_served() -> None:
    assert set(part(told(), "played")) <= set(operations())


def test_whatever_the_client_sends_is_served() -> None:
    assert set(sent()) <= set(operations())


def test_each_path_on_demand_is_served() -> None:
    served = {str(path).removeprefix("/_sandbox/") for path in create_app(config()).openapi()["paths"]}
    page = coverage("").partition("## On demand")[2].partition("\n## ")[0]
    named = {name for line in page.splitlines() if line.startswith("| `") for name in NAMED.findall(line.split("|")[1])}
    assert named
    assert {name.replace("ID", "{subscription_id}") for name in named} <= served
