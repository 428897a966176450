"""`pointsman doctor --online azure-devops`: what can be found out without harm is, and asking changes nothing."""

import re
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pointsman.clients.azure_devops.patches import add_relation, add_tags, set_field
from pointsman.config import Settings
from pointsman.sandbox.azure_devops.config import ADA
from starter.cli.call import Call
from starter.cli.doctor import examine
from starter.cli.errors import CliError
from starter.cli.output import Output
from starter.cli.probes import Finding, Status
from starter.cli.questions import (
    QUESTIONS,
    Ground,
    answered,
    ground_of,
    last_batch,
    revision_test,
    tags_merge,
    transitions,
)
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops

ROOT = Path(__file__).parents[2]
ASSUMPTIONS = ROOT / "docs" / "assumptions.md"
DOCTOR = re.compile(r"`doctor`: `(\w+)`(?: and `(\w+)`)?")


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        first, second = await running.make(title="One"), await running.make(title="Two")
        await running.person.work_items.patch(
            first.id, [add_tags(["quay"]), set_field("System.AssignedTo", ADA.unique_name)]
        )
        await running.person.work_items.patch(second.id, [add_tags(["crane"])])
        link = add_relation("System.LinkTypes.Related", f"{running.base_url}/_apis/wit/workItems/{second.id}")
        await running.person.work_items.patch(first.id, [link])
        yield running


def settings_of(azure: Azure, token: str = SERVICE_TOKEN) -> Settings:
    given: dict[str, object] = {"azure_devops_url": (azure.base_url,), "azure_devops_token": token, "origins": {}}
    return Settings.model_validate(given)


async def found_at(azure: Azure, token: str = SERVICE_TOKEN) -> dict[str, Finding]:
    found: dict[str, Finding] = {}
    await answered(settings_of(azure, token), lambda name, why, finding: found.update({name: finding}))
    return found


@asynccontextmanager
async def asking(azure: Azure) -> AsyncGenerator[Ground]:
    (organisation,) = settings_of(azure).organisations()
    async with ground_of(organisation) as ground:
        yield ground


async def test_every_question_is_answered_and_nothing_is_changed(azure: Azure) -> None:
    before = await azure.control("GET", "items")
    found = await found_at(azure)
    assert {name.removeprefix("fabrikam/") for name in found} == {question.id for question in QUESTIONS}
    assert await azure.control("GET", "items") == before
    told = {name.removeprefix("fabrikam/"): finding for name, finding in found.items()}
    assert [name for name, one in told.items() if one.status not in (Status.OK, Status.SKIP)] == []
    assert told["sign_in"].what == "a wrong token is refused with an error (UnauthorizedRequestException)"
    assert "is a conflict" in told["revision_test"].what
    assert "stood still when only its links changed" in told["rev_of_links"].what
    assert "no pause asked for" in told["throttling"].what


async def test_a_sign_in_page_and_a_pause_are_told(azure: Azure) -> None:
    await azure.fail(path="_apis/projects", status=203, body="<html>", content_type="text/html")
    await azure.fail(path="reporting", headers={"Retry-After": "0.04", "X-RateLimit-Remaining": "3"})
    found = await found_at(azure)
    assert found["fabrikam/sign_in"].what == "a wrong token is refused with a sign-in page"
    assert found["fabrikam/throttling"].status is Status.WARN
    assert "3 left of its allowance; slowed for 0 s" in found["fabrikam/throttling"].what


async def test_what_differs_is_warned_of(azure: Azure) -> None:
    async with asking(azure) as ground:
        await azure.fail(method="PATCH", status=200, body='{"id": 1, "rev": 1}')
        assert (await revision_test(ground)).status is Status.WARN
        await azure.fail(method="PATCH", status=200, body='{"id": 1, "fields": {"System.Tags": "pier"}}')
        assert (await tags_merge(ground)).what.endswith("would leave 'pier'")
        await azure.fail(path="reporting", status=200, body='{"isLastBatch": true, "values": []}')
        assert "tells no watermark" in (await last_batch(ground)).what


async def test_a_step_that_is_no_transition_is_tried_without_being_made(azure: Azure) -> None:
    bug = '{"name": "Bug", "states": [{"name": "New"}, {"name": "Closed"}], "transitions": {"New": [], "Closed": []}}'
    broken = '{"message": "TF401320: Rule Error", "typeKey": "RuleValidationException"}'
    async with asking(azure) as ground:
        await azure.fail(path="workitemtypes/bug", status=200, body=bug, times=2)
        await azure.fail(method="PATCH", status=400, body=broken)
        refused = await transitions(ground)
        await azure.fail(method="PATCH", status=200, body='{"id": 1}')
        accepted = await transitions(ground)
    assert refused.what == "New -> Closed of Bug is not among the transitions, and is refused (RuleValidationException)"
    assert accepted.what == "New -> Closed of Bug is not among the transitions, and is accepted all the same"


async def test_an_organisation_that_refuses_us_is_a_failure_and_not_the_end(azure: Azure) -> None:
    found = await found_at(azure, token="expired")
    assert {name: one.status for name, one in found.items()} == {"fabrikam/reading": Status.FAIL}


def test_without_online_nothing_is_asked() -> None:
    with pytest.raises(CliError, match="'azure-devops' is asked outside: nothing was asked"):
        examine(Call(Output(), {}), online=False, topic="azure-devops")


def rows() -> list[list[str]]:
    """Cells of all assumptions."""
    text = ASSUMPTIONS.read_text(encoding="utf-8")
    tables = re.findall(r"(?m)^\| Not confirmed[^\n]*\n\|[- |]*\n((?:\|[^\n]*\n)+)", text)
    assert len(tables) >= 5
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in "".join(tables).splitlines()]


def test_every_assumption_says_how_to_find_out_and_names_only_questions_that_there_are() -> None:
    asked = {name for row in rows() for names in DOCTOR.findall(row[-1]) for name in names if name}
    assert asked == {question.id for question in QUESTIONS}
    for row in rows():
        assert len(row) == 4, row
        assert all(row), row


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0][:60])
def test_every_assumption_is_held_by_a_test_or_a_module_that_there_is(row: list[str]) -> None:
    (held,) = re.findall(r"`([\w/.]+\.py)(?:::(\w+))?`", row[2])
    file, name = held
    source = (ROOT / file).read_text(encoding="utf-8")
    assert name or not file.startswith("tests/"), "a file of tests holds nothing by itself"
    assert not name or re.search(rf"(?m)^(async )?def {name}\(", source)


# What Microsoft does not say, in our own words: each has to be somewhere on the page.
UNCONFIRMED = (
    "time-out of a webhook call",
    "a retry keeps",
    "`suppressNotifications` stops service hooks",
    "TF26071",
    "survives sanitising",
    "during probation appear in the history",
    "documented state transitions",
    "*Assigned to*",
)


@pytest.mark.parametrize("point", UNCONFIRMED)
def test_each_open_point_is_among_the_assumptions(point: str) -> None:
    assert [row for row in rows() if point in row[0]]
