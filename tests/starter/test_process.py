"""Rules of a process on items of the stand-in: read, judged, told; nothing is written."""

import json
from collections.abc import AsyncGenerator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest

from activities.rule_books import RuleBooks
from pointsman.clients.azure_devops.patches import add_relation, set_field
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.config import Settings, load
from pointsman.contracts.process import Finding, Standing
from pointsman.contracts.violations import CheckTally
from pointsman.domain.process.evaluation import of_project
from pointsman.domain.process.tallies import counted, project_facts
from pointsman.policies.process_rules import load_processes
from pointsman.sandbox.azure_devops.config import Organisation, Project
from pointsman.sandbox.azure_devops.process import PROCESSES
from starter.cli import process as on_the_command_line
from starter.cli.call import Call
from starter.cli.errors import CliError, ExitCode
from starter.cli.output import Output
from starter.cli.process import Wanted
from starter.process import NoProcess, check_items, items_of, process_of
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops, config

CMMI = load_processes()["cmmi"]
CHILD = "System.LinkTypes.Hierarchy-Forward"
FABRIKAM = Organisation(name="fabrikam", projects=(Project(name="Fabrikam", process="CMMI"),))


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(of=config().model_copy(update={"organisations": (FABRIKAM,)})) as running:
        yield running


async def found(azure: Azure, *ids: int) -> dict[tuple[int, str], Finding]:
    return {
        (one.item, one.check): one async for _, findings in check_items(azure.service, CMMI, ids) for one in findings
    }


async def test_a_requirement_is_judged_by_its_links_its_fields_and_its_history(azure: Azure) -> None:
    feature, requirement = await azure.make("Feature", "Up"), await azure.make("Requirement", "Down")
    await azure.person.work_items.patch(feature.id, [add_relation(CHILD, requirement.url)])
    active = [set_field("System.State", "Active"), set_field("System.AssignedTo", "ada@fabrikam.example")]
    await azure.person.work_items.patch(requirement.id, active)
    last = await azure.person.work_items.patch(requirement.id, [set_field("System.Title", "Sideways")])
    findings = await found(azure, requirement.id, feature.id)
    told = {check: one.standing for (item, check), one in findings.items() if item == requirement.id}
    assert told["RDM-1.parent"] is Standing.HELD
    assert told["RDM-1.work"] is told["RDM-1.proof"] is told["RDM-2"] is told["EST-1"] is Standing.VIOLATED
    assert told["PQA-2"] is Standing.HELD
    changed = findings[requirement.id, "RDM-3"]
    assert (changed.standing, changed.update) == (Standing.VIOLATED, last.rev + 1)  # the link was an update, too
    assert findings[feature.id, "RDM-1.level"].standing is Standing.VIOLATED


async def test_work_that_the_account_of_agents_closed_breaks_the_segregation_of_duties(azure: Azure) -> None:
    mine = await azure.make("Change Request", "Shorter")
    assigned = set_field("System.AssignedTo", "ada@fabrikam.example")
    await azure.person.work_items.patch(mine.id, [set_field("System.State", "Active"), assigned])
    await azure.person.work_items.patch(mine.id, [set_field("System.State", "Closed")])
    theirs = await azure.make("Change Request", "Longer")
    await azure.service.work_items.patch(theirs.id, [set_field("System.State", "Closed"), assigned])
    findings = await found(azure, mine.id, theirs.id)
    assert "brought their own work" in findings[mine.id, "SEG-1"].evidence
    assert "agent account" in findings[theirs.id, "SEG-1"].evidence


async def test_a_project_is_counted_while_its_items_go_by(azure: Azure) -> None:
    for _ in range(2):
        await azure.make("Bug", CMMI_HowFound="Peer Review", CMMI_RootCause="Coding Error")
    await azure.make("Requirement")
    tally = CheckTally()
    ids = await items_of(azure.service, "Fabrikam", CMMI)
    async for item, findings in check_items(azure.service, CMMI, ids):
        tally = counted(CMMI, tally, item, findings)
    assert tally.counts == {"Bug": 2, "Requirement": 1}
    told = {one.check: one.standing for one in of_project(CMMI, project_facts(CMMI, tally, "Fabrikam"))}
    assert told == {
        "CM-1.branch": Standing.NO_DATA,
        "CM-1.item": Standing.NO_DATA,
        "CM-3.policy": Standing.NO_DATA,
        "PQA-1.share": Standing.VIOLATED,
        "MPM-1.defects": Standing.HELD,
    }


async def test_a_check_of_all_types_reaches_items_that_no_level_names(azure: Azure) -> None:
    case = await azure.make("Test Case", "Buy")
    assert await items_of(azure.service, "Fabrikam", CMMI) == [case.id]
    few = CMMI.model_copy(update={"checks": tuple(one for one in CMMI.checks if one.types)})
    assert await items_of(azure.service, "Fabrikam", few) == []


async def test_every_query_of_our_checks_is_one_that_the_service_takes(azure: Azure) -> None:
    for check in CMMI.checks:
        assert await azure.service.queries.ids(check.query, "Fabrikam") == []


async def test_the_checks_are_those_of_the_projects_process_or_those_that_are_named(azure: Azure) -> None:
    known = load_processes()
    assert await process_of(azure.service, "Fabrikam", known) == CMMI
    assert await process_of(azure.service, "Fabrikam", known, "scrum") == known["scrum"]
    with pytest.raises(NoProcess, match="no process 'none' in policy; there are: agile, basic, cmmi, scrum"):
        await process_of(azure.service, "Fabrikam", known, "none")
    with pytest.raises(NoProcess, match="has the process 'CMMI', for which policy has no checks; there are: agile"):
        await process_of(azure.service, "Fabrikam", {"agile": known["agile"]})


def settings(azure: Azure, folder: Path) -> Settings:
    return load(azure_devops_url=azure.base_url, azure_devops_token=SERVICE_TOKEN, data_dir=folder)


async def asked(
    azure: Azure, folder: Path, *items: int, project: str = "", process: str = "", every: bool = False
) -> tuple[int, str]:
    printed = StringIO()
    call = Call(Output(as_json=True, stdout=printed, stderr=StringIO()), {})
    wanted = Wanted(items, project, "", process, every)
    code = await on_the_command_line.check(call, settings(azure, folder), wanted)
    return code, printed.getvalue()


async def test_the_command_tells_what_is_broken_and_with_all_what_holds(azure: Azure, tmp_path: Path) -> None:
    task = await azure.make("Task", "Alone")
    code, printed = await asked(azure, tmp_path, task.id)
    (finding,) = json.loads(printed)["findings"]
    assert (code, finding["check"], finding["item"], finding["title"]) == (
        9,
        "RDM-1.task",
        f"fabrikam/{task.id}",
        "Alone",
    )
    code, printed = await asked(azure, tmp_path, project="Fabrikam", every=True)
    assert {one["standing"] for one in json.loads(printed)["findings"]} == {"held", "violated", "no_data"}
    bug = await azure.make("Bug")
    assert (await asked(azure, tmp_path, bug.id))[0] == ExitCode.OK


@pytest.mark.parametrize(
    ("items", "project", "process", "told"),
    [
        ((), "", "", "Name items, or a project"),
        ((9_999,), "", "", "There is no item 9999 that we may see. Nothing was checked."),
        ((), "Fabrikam", "none", "Nothing was checked: there is no process 'none' in policy"),
        ((), "Nowhere", "", "There is no project 'Nowhere' that pointsman@fabrikam.example may see"),
    ],
)
async def test_what_cannot_be_checked_is_told(
    azure: Azure, tmp_path: Path, items: tuple[int, ...], project: str, process: str, told: str
) -> None:
    with pytest.raises(CliError, match=told):
        await asked(azure, tmp_path, *items, project=project, process=process)


def test_rules_are_listed_with_what_asks_for_them(tmp_path: Path) -> None:
    listed = on_the_command_line.rules(load(data_dir=tmp_path), "cmmi")
    assert len(listed.records) == len(CMMI.checks)
    assert listed.records[0]["source"] == "CMMI-DEV 1.3 REQM SP 1.4; CMMI 2.0 RDM 2.4"
    with pytest.raises(CliError, match="There is no process 'none'"):
        on_the_command_line.rules(load(data_dir=tmp_path), "none")


async def test_an_item_that_goes_while_a_project_is_checked_ends_nothing(azure: Azure, tmp_path: Path) -> None:
    first, second = await azure.make("Task", "One"), await azure.make("Task", "Two")
    await azure.fail(path=f"workitems/{first.id}/updates", status=404, body='{"message": "TF401232: gone"}')
    told = StringIO()
    call = Call(Output(as_json=True, stdout=StringIO(), stderr=told), {})
    wanted = Wanted((), "Fabrikam", "", "", every=False)
    assert await on_the_command_line.check(call, settings(azure, tmp_path), wanted) == ExitCode.FINDINGS
    assert "1 item of Fabrikam checked by cmmi 2; 1 item went while this ran, or may not be seen" in told.getvalue()
    both = [first.id, second.id]
    assert [item.id async for item, _ in check_items(azure.service, CMMI, both)] == both


async def test_a_project_of_an_inherited_process_follows_the_rules_of_the_one_that_it_inherits_from() -> None:
    ours = Organisation(name="fabrikam", projects=(Project(name="Fabrikam", process="Our CMMI"),))
    derived = replace(PROCESSES["CMMI"], name="Our CMMI", type_id=str(uuid4()), parent=PROCESSES["CMMI"].type_id)
    settings = config().model_copy(update={"organisations": (ours,)})
    books = load_processes()
    async with azure_devops(of=settings) as azure:
        azure.world.processes["Our CMMI"] = derived
        rooms = RuleBooks(ProcessReader({"fabrikam": azure.service}), books, {})
        assert await azure.service.projects.process_name("Fabrikam") == "Our CMMI"
        assert await process_of(azure.service, "Fabrikam", books) == await rooms.rules("fabrikam", "Fabrikam") == CMMI
        assert await azure.service.processes.parent_name("CMMI") == ""
        await azure.fail(path="/_apis/work/processes", status=403, body='{"message": "TF50309: no"}')
        with pytest.raises(NoProcess, match="has the process 'Our CMMI', for which policy has no checks"):
            await process_of(azure.service, "Fabrikam", books)
