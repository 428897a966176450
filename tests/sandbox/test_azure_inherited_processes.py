"""Processes that somebody derives while the stand-in runs, and what items of such a project may do then."""

from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.base import Json
from pointsman.ports import Rejected
from pointsman.sandbox.azure_devops.process import PROCESSES
from tests.sandbox.azure import Azure, at, azure_devops
from tests.sandbox.test_azure_items import ask

PATH, VERSION = "_apis/work/processes", "api-version=7.1"
BUG = "Microsoft.VSTS.WorkItemTypes.Bug"
CMMI = PROCESSES["CMMI"]
TITLE = set_field("System.Title", "x")


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def derive(azure: Azure, name: str = "Our CMMI", parent: str = CMMI.type_id) -> tuple[int, Json]:
    return await ask(azure, "POST", f"{PATH}?{VERSION}", {"name": name, "parentProcessTypeId": parent})


async def add_state(azure: Azure, process: str, name: str, category: str = "InProgress") -> tuple[int, Json]:
    body: Json = {"name": name, "stateCategory": category, "color": "b2b2b2"}
    return await ask(azure, "POST", f"{PATH}/{process}/workItemTypes/{BUG}/states?{VERSION}", body)


async def derived(azure: Azure) -> str:
    status, made = await derive(azure)
    assert (status, at(made, "parentProcessTypeId"), at(made, "customizationType")) == (201, CMMI.type_id, "inherited")
    return str(at(made, "typeId"))


async def test_a_project_is_made_with_a_process_that_was_derived_before(azure: Azure) -> None:
    process = await derived(azure)
    await azure.service.projects.create("Plant", process)
    assert await azure.service.projects.process_name("Plant") == "Our CMMI"
    assert await azure.service.processes.parent_name("Our CMMI") == "CMMI"
    assert (await azure.person.work_items.create("Plant", "Requirement", [TITLE])).fields["System.State"] == "Proposed"


async def test_a_state_that_somebody_adds_is_reached_from_each_and_leads_to_each(azure: Azure) -> None:
    process = await derived(azure)
    await azure.service.projects.create("Plant", process)
    before = await azure.person.work_items.create("Plant", "Bug", [TITLE])
    status, made = await add_state(azure, process, "Parked")
    assert (status, at(made, "customizationType")) == (201, "custom")
    told = await azure.service.processes.states(process, BUG)
    assert [(one.name, one.order) for one in told][:3] == [("Proposed", 1), ("Active", 2), ("Parked", 3)]
    live = await azure.service.types.get("Plant", "Bug")
    assert {one.to for one in live.transitions["Parked"]} == {
        "Proposed",
        "Active",
        "Parked",
        "Resolved",
        "Closed",
    }
    for state in ("Parked", "Closed", "Parked", "Proposed"):
        item = await azure.person.work_items.patch(before.id, [set_field("System.State", state)])
        assert item.fields["System.State"] == state
    with pytest.raises(Rejected, match="TF401320"):
        await azure.person.work_items.patch(before.id, [set_field("System.State", "Resolved")])
    assert "Parked" not in {state.name for state in await azure.service.processes.states(CMMI.type_id, BUG)}


async def test_a_process_of_the_system_stays_as_it_is(azure: Azure) -> None:
    assert (await add_state(azure, CMMI.type_id, "Parked"))[0] == 400
    assert (await ask(azure, "DELETE", f"{PATH}/{CMMI.type_id}?{VERSION}"))[0] == 400


async def test_what_no_process_can_be_made_of_is_refused(azure: Azure) -> None:
    process = await derived(azure)
    assert (await derive(azure, "our cmmi"))[0] == 409
    assert (await derive(azure, "Another", parent=process))[0] == 400
    assert (await derive(azure, "Another", parent="00000000-0000-4000-8000-000000000000"))[0] == 404
    assert (await derive(azure, " "))[0] == 400
    assert (await add_state(azure, process, "Parked", "Sleeping"))[0] == 400
    assert (await add_state(azure, process, "active"))[0] == 409


async def test_a_process_goes_only_when_no_project_has_it(azure: Azure) -> None:
    process = await derived(azure)
    await azure.service.projects.create("Plant", process)
    assert (await ask(azure, "DELETE", f"{PATH}/{process}?{VERSION}"))[0] == 400
    _, other = await derive(azure, "Nobody's")
    assert (await ask(azure, "DELETE", f"{PATH}/{at(other, 'typeId')}?{VERSION}"))[0] == 204
    assert "Nobody's" not in {one.name for one in await azure.service.processes.all()}
