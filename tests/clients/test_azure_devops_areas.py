"""Areas of the API beside single items, each call against the stand-in over HTTP."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps, unique_name
from pointsman.clients.azure_devops.answers import WorkItem
from pointsman.clients.azure_devops.attachments import attach, attachment_id
from pointsman.clients.azure_devops.connection import Connection
from pointsman.clients.azure_devops.nodes import Tree
from pointsman.clients.azure_devops.patches import at_rev, set_field
from pointsman.clients.azure_devops.queries import QueriesApi
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import Organisation, Project
from pointsman.sandbox.serving import hosting
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops, config


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def test_types_tell_states_transitions_and_fields(azure: Azure) -> None:
    types = azure.service.types
    assert "Bug" in [kind.name for kind in await types.all("Fabrikam")]
    assert [step.to for step in (await types.get("Fabrikam", "User Story")).transitions[""]] == ["New"]
    assert [(state.name, state.category) for state in await types.states("Fabrikam", "Issue")] == [
        ("Active", "InProgress"),
        ("Closed", "Completed"),
    ]
    fields = {field.reference_name: field for field in await types.fields("Fabrikam", "Bug")}
    assert fields["System.Title"].always_required
    assert fields["Microsoft.VSTS.Common.Severity"].allowed_values[0] == "1 - Critical"
    assert fields["Microsoft.VSTS.Common.Severity"].default_value == "3 - Medium"
    assert "Microsoft.VSTS.Common.AcceptanceCriteria" not in fields
    with pytest.raises(Missing, match="VS402323"):
        await types.fields("Fabrikam", "Whim")


async def test_fields_of_the_organisation_have_a_type(azure: Azure) -> None:
    fields = {field.reference_name: field for field in await azure.service.types.definitions()}
    assert (fields["System.AreaPath"].type, fields["System.AssignedTo"].is_identity) == ("treePath", True)
    assert fields["System.CreatedDate"].read_only


async def test_nodes_are_made_found_renamed_and_removed(azure: Azure) -> None:
    nodes = azure.service.nodes
    await nodes.create("Fabrikam", Tree.AREAS, "Check out")
    basket = await nodes.create("Fabrikam", Tree.AREAS, "Basket & card", parent="Check out")
    assert basket.path == "\\Fabrikam\\Area\\Check out\\Basket & card"
    root = await nodes.get("Fabrikam", Tree.AREAS)
    assert list(root.paths()) == ["Fabrikam", "Fabrikam\\Check out", "Fabrikam\\Check out\\Basket & card"]
    with pytest.raises(Conflict, match="TF237018"):
        await nodes.create("Fabrikam", Tree.AREAS, "check out")
    assert (await nodes.rename("Fabrikam", Tree.AREAS, "Check out", "Checkout")).name == "Checkout"
    await nodes.delete("Fabrikam", Tree.AREAS, "Checkout\\Basket & card", root.id)
    with pytest.raises(Missing, match="VS402485"):
        await nodes.get("Fabrikam", Tree.AREAS, "Checkout\\Basket & card")
    assert list((await nodes.get("Fabrikam", Tree.ITERATIONS)).paths()) == ["Fabrikam"]


async def test_items_go_with_their_area(azure: Azure) -> None:
    nodes, area = azure.service.nodes, "System.AreaPath"
    await nodes.create("Fabrikam", Tree.AREAS, "Shop")
    await nodes.create("Fabrikam", Tree.AREAS, "Till", parent="Shop")
    item = await azure.make()
    moved = await azure.person.work_items.patch(item.id, [set_field(area, "fabrikam\\SHOP\\till")])
    assert moved.fields[area] == "Fabrikam\\Shop\\Till"
    await nodes.rename("Fabrikam", Tree.AREAS, "Shop", "Store")
    renamed = await azure.person.work_items.get(item.id)
    assert (renamed.fields[area], renamed.rev) == ("Fabrikam\\Store\\Till", moved.rev)
    under = "SELECT [System.Id] FROM WorkItems WHERE [System.AreaPath] UNDER 'Fabrikam\\Store'"
    assert await azure.person.work_items.query(under) == [item.id]
    root = await nodes.get("Fabrikam", Tree.AREAS)
    await nodes.delete("Fabrikam", Tree.AREAS, "Store", root.id)
    assert (await azure.person.work_items.get(item.id)).fields[area] == "Fabrikam"


async def test_iterations_have_dates(azure: Azure) -> None:
    start, finish = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 13, tzinfo=UTC)
    await azure.service.nodes.create("Fabrikam", Tree.ITERATIONS, "Sprint 1", start=start, finish=finish)
    sprint = await azure.service.nodes.get("Fabrikam", Tree.ITERATIONS, "Sprint 1")
    assert (sprint.attributes.start_date, sprint.attributes.finish_date) == (start, finish)


async def test_batch_of_writes_tells_of_each_what_became_of_it(azure: Azure) -> None:
    ids = [(await azure.make(title=f"Item {number}")).id for number in range(3)]
    written = await azure.service.batches.patch(
        {
            ids[0]: [at_rev(1), set_field("System.Title", "Changed")],
            ids[1]: [at_rev(7), set_field("System.Title", "Too late")],
            99: [set_field("System.Title", "Nobody")],
            ids[2]: [set_field("System.State", "Sleeping")],
        }
    )
    changed, late, nobody, broken = written.values()
    assert isinstance(changed, WorkItem)
    assert (changed.rev, changed.fields["System.Title"]) == (2, "Changed")
    assert [type(one).__name__ for one in (late, nobody, broken)] == ["Conflict", "Missing", "RuleBroken"]
    assert f"item {ids[1]}: HTTP 412, VS403351" in str(late)


async def test_batch_that_answers_for_too_few_is_refused(azure: Azure) -> None:
    await azure.fail(status=200, body='{"count": 0, "value": []}')
    with pytest.raises(Rejected, match=r"1 changes were sent and 0 answered.*read the items 1 to 1"):
        await azure.service.batches.patch({1: [set_field("System.Title", "x")]})


async def test_files_go_up_and_come_back_as_they_are(azure: Azure) -> None:
    content = bytes(range(256)) * 3
    kept = await azure.service.attachments.upload("Fabrikam", "photo of it.png", content)
    made = await azure.make()
    item = await azure.service.work_items.patch(made.id, [attach(kept, "as seen")])
    (relation,) = item.relations
    assert (relation.rel, attachment_id(relation.url)) == ("AttachedFile", kept.id)
    assert await azure.service.attachments.download("Fabrikam", kept.id) == content
    with pytest.raises(Missing, match="TF401286"):
        await azure.service.attachments.download("Fabrikam", "00000000-0000-4000-8000-000000000000")


async def test_sign_in_page_is_no_file(azure: Azure) -> None:
    await azure.fail(status=200, body="<html>Sign in</html>", content_type="text/html")
    with pytest.raises(Rejected, match="sign-in page"):
        await azure.service.attachments.download("Fabrikam", "00000000-0000-4000-8000-000000000000")


@pytest.mark.parametrize("url", ["", "https://example.com/x", "https://dev.azure.com/f/_apis/wit/attachments/../7"])
def test_url_that_is_none_of_a_file_is_refused(url: str) -> None:
    with pytest.raises(Rejected, match="is not the URL of an attachment"):
        attachment_id(url)


async def test_teams_are_made_listed_and_removed(azure: Azure) -> None:
    projects = azure.service.projects
    assert [team.name for team in await projects.teams("Fabrikam")] == ["Fabrikam Team"]
    made = await projects.create_team("Fabrikam", "Check out", "Pays the bills")
    assert (await projects.team("Fabrikam", made.id)).description == "Pays the bills"
    with pytest.raises(Conflict):
        await projects.create_team("Fabrikam", "check out")
    people = [unique_name(member.identity) for member in await projects.members("Fabrikam", "Check out")]
    assert "ada@fabrikam.example" in people
    await projects.delete_team("Fabrikam", "Check out")
    with pytest.raises(Missing, match="TF50619"):
        await projects.team("Fabrikam", "Check out")


@pytest.fixture
async def big() -> AsyncGenerator[AzureDevOps]:
    """An organisation of 250 projects, in which a query may find 20 items."""
    many = Organisation(name="many", projects=tuple(Project(name=f"P{number:03}") for number in range(250)))
    sized = config().model_copy(update={"organisations": (many,), "query_max": 20})
    async with (
        hosting(create_app(sized)) as url,
        AzureDevOps(f"{url}/many", SecretStr(SERVICE_TOKEN)) as client,
    ):
        yield client


async def test_projects_are_read_page_by_page_and_a_failed_page_fails_the_list(big: AzureDevOps) -> None:
    projects = await big.projects.all()
    assert [project.name for project in projects] == [f"P{number:03}" for number in range(250)]


async def test_page_that_fails_fails_the_list(azure: Azure) -> None:
    await azure.fail(path="projects", headers={"x-ms-continuationtoken": "1"})
    await azure.fail(path="projects", status=503)
    with pytest.raises(Unavailable):
        await azure.service.projects.all()


async def test_query_is_sliced_where_it_finds_too_much(big: AzureDevOps) -> None:
    for number in range(70):
        kind = "Bug" if number % 3 else "Task"
        await big.work_items.create("P000", kind, [set_field("System.Title", f"Item {number}")])
    connection = Connection(big.base_url, SecretStr(SERVICE_TOKEN))
    queries = QueriesApi(connection, results_max=20)
    assert await queries.ids("") == list(range(1, 71))
    bugs = [number + 1 for number in range(70) if number % 3]
    assert await queries.ids("[System.WorkItemType] = 'Bug' OR [System.Id] = 0", "P000") == bugs
    assert await queries.ids("[System.Id] = 5") == [5]
    assert await queries.first("[System.WorkItemType] = 'Bug'", "P000", 4, 8) == [one for one in bugs if one > 4][:8]
    assert await queries.first("", "P000", 60, 8) == list(range(61, 69))
    assert await queries.first("", "P000", 65, 8) == list(range(66, 71))
    assert await queries.first("", "P001", 0, 8) == []
    await connection.close()
