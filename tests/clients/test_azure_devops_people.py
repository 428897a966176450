"""Processes, people and the audit log, each call against the stand-in over HTTP."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.caching import TYPES_AGE, Cache, MemoryLayer
from pointsman.clients.azure_devops.identities import FoundIdentity
from pointsman.clients.azure_devops.nodes import Tree
from pointsman.clients.azure_devops.processes import ProcessInfo, ProcessRule
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.config import NOOR, Identity, Principal
from pointsman.sandbox.serving import hosting
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, Azure, azure_devops, config

HOUR = timedelta(hours=1)
ROBOT = Identity(unique_name="robot@fabrikam.example", display_name="Robot")


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    """Two entries a page, a service principal, and a person who may not see the log."""
    robot = Principal(tenant_id="t", client_id="c", secret=SecretStr("s"), identity=ROBOT)
    narrow = config().model_copy(
        update={"page_max": 2, "principals": (robot,), "restricted": ("ada@fabrikam.example",)}
    )
    async with azure_devops(of=narrow) as running:
        yield running


async def test_processes_are_found_by_name_with_what_is_in_them(azure: Azure) -> None:
    processes = azure.service.processes
    process = await processes.named("cmmi")
    assert (process.name, process.type) == ("CMMI", "system")
    info = await processes.get(process.id)
    assert (info.name, info.parent_id, info.is_default) == ("CMMI", "", False)
    assert {one.name for one in await processes.infos()} == {"Agile", "Scrum", "CMMI", "Basic"}
    risk = next(one for one in await processes.types(process.id) if one.name == "Risk")
    assert [one.name for one in risk.states] == ["Proposed", "Active", "Resolved", "Closed"]
    assert await processes.states(process.id, risk.reference_name) == risk.states
    assert (await processes.type(process.id, risk.reference_name)).states == risk.states
    fields = {one.reference_name: one for one in await processes.fields(process.id, risk.reference_name)}
    assert fields["System.Title"].required
    (owned, *_) = await processes.rules(process.id, risk.reference_name)
    assert (owned.actions[0].action_type, owned.actions[0].target_field) == ("makeRequired", "System.AssignedTo")
    assert owned.conditions[0].field == "System.State"


async def test_a_process_that_nobody_has_is_missing_and_those_that_there_are_are_named(azure: Azure) -> None:
    with pytest.raises(Missing, match=r"no process 'Kanban'.*Agile, Basic, CMMI, Scrum"):
        await azure.service.processes.named("Kanban")
    with pytest.raises(Missing):
        await azure.service.processes.types("00000000-0000-4000-8000-000000000000")


async def test_people_machines_and_groups_are_lists_of_their_own_page_by_page(azure: Azure) -> None:
    graph = azure.service.graph
    names = [one.principal_name for one in await graph.users()]
    assert names == ["ada@fabrikam.example", "pointsman@fabrikam.example", "noor@fabrikam.example"]
    assert [(one.application_id, one.display_name) for one in await graph.service_principals()] == [("c", "Robot")]
    scope = await graph.scope((await azure.service.project("Fabrikam")).id)
    assert [one.principal_name for one in await graph.groups(scope)] == [
        "[Fabrikam]\\Project Administrators",
        "[Fabrikam]\\Contributors",
        "[Fabrikam]\\Readers",
        "[Fabrikam]\\Build Administrators",
    ]
    assert len(await graph.groups()) == 6
    with pytest.raises(Missing):
        await graph.groups("scp.nowhere")


async def test_a_page_that_fails_fails_the_list(azure: Azure) -> None:
    await azure.fail(path="graph/users", headers={"x-ms-continuationtoken": "1"})
    await azure.fail(path="graph/users", status=503)
    with pytest.raises(Unavailable):
        await azure.service.graph.users()


async def test_members_come_and_go_and_groups_hold_groups(azure: Azure) -> None:
    graph = azure.service.graph
    team, all_of_it = await graph.create_group("Team"), await graph.create_group("All of it", "More")
    noor = next(one for one in await graph.users() if one.principal_name == NOOR.unique_name)
    for member, group in ((noor, team), (noor, team), (team, all_of_it), (all_of_it, team)):
        await graph.add_member(member.descriptor, group.descriptor)
    assert await graph.is_member(noor.descriptor, team.descriptor)
    assert not await graph.is_member(noor.descriptor, all_of_it.descriptor)
    assert [one async for one in graph.everybody_in(all_of_it.descriptor)] == [team.descriptor, noor.descriptor]
    assert {one.container_descriptor for one in await graph.groups_of(team.descriptor)} == {all_of_it.descriptor}
    await graph.remove_member(noor.descriptor, team.descriptor)
    assert not await graph.is_member(noor.descriptor, team.descriptor)
    with pytest.raises(Missing):
        await graph.remove_member(noor.descriptor, team.descriptor)
    with pytest.raises(Conflict):
        await graph.create_group("Team")
    await graph.delete_group(team.descriptor)
    assert [one async for one in graph.everybody_in(all_of_it.descriptor)] == []


async def test_an_identity_is_one_by_each_of_its_names(azure: Azure) -> None:
    graph, identities = azure.service.graph, azure.service.identities
    (found,) = await identities.search("Noor")
    assert (found.id, found.unique_name, found.display_name) == (NOOR.id, NOOR.unique_name, NOOR.display_name)
    assert await graph.storage_key(found.subject_descriptor) == NOOR.id
    assert await graph.scope(NOOR.id) == found.subject_descriptor
    nobody = "00000000-0000-4000-8000-000000000000"
    assert await identities.read([nobody, NOOR.id]) == [found]
    assert await identities.of_subjects([found.subject_descriptor]) == [found]
    (group,) = await identities.groups_named("[fabrikam]\\Readers")
    assert (group.is_container, group.unique_name) == (True, "Readers")
    assert await identities.read([]) == []


def test_a_descriptor_is_read_in_either_shape() -> None:
    told = {"identityType": "Claims", "identifier": "t\\ada@fabrikam.example"}
    shapes = [FoundIdentity.model_validate({"id": "1", "descriptor": one}) for one in (told, ";".join(told.values()))]
    assert shapes[0].descriptor == shapes[1].descriptor == "Claims;t\\ada@fabrikam.example"


@pytest.mark.parametrize(("origin", "when"), [("system", "when"), ("System", "$when")])
def test_rules_and_origins_are_read_in_either_spelling(origin: str, when: str) -> None:
    info = ProcessInfo.model_validate({"typeId": "1", "name": "Agile", "customizationType": origin})
    rule = ProcessRule.model_validate({"id": "1", "conditions": [{"conditionType": when, "field": "System.State"}]})
    assert (info.customization_type, rule.conditions[0].condition_type) == ("system", "when")


async def test_the_log_tells_what_no_hook_tells(azure: Azure) -> None:
    client = azure.service
    group = await client.graph.create_group("Team")
    await client.nodes.create("Fabrikam", Tree.AREAS, "Checkout")
    await client.nodes.create("Fabrikam", Tree.ITERATIONS, "Sprint 1")
    now = datetime.now(UTC)
    first, second = await client.audit.entries(now - HOUR, now + HOUR)
    assert [first.action_id, second.action_id] == ["Group.CreateGroups", "Project.AreaPath.Create"]
    assert (second.details, second.project_name) == (
        'Area path "\\Fabrikam\\Area\\Checkout" has been created.',
        "Fabrikam",
    )
    assert (first.actor_upn, first.data["GroupName"]) == ("pointsman@fabrikam.example", group.principal_name)
    assert await client.audit.entries(now + HOUR, now + 2 * HOUR) == []
    assert {one.area for one in await client.audit.actions("Project")} == {"Project"}


async def test_the_log_is_read_batch_by_batch_and_from_a_token_on(azure: Azure) -> None:
    for number in range(5):
        await azure.service.graph.create_group(f"Team {number}")
    since, until = datetime.now(UTC) - HOUR, datetime.now(UTC) + HOUR
    batches = [one async for one in azure.service.audit.batches(since, until, batch_max=2)]
    assert [(len(one.entries), one.has_more) for one in batches] == [(2, True), (2, True), (1, False)]
    token = batches[0].continuation_token
    rest = [one async for one in azure.service.audit.batches(since, until, token=token, batch_max=2)]
    assert rest == batches[1:]


async def test_a_log_that_does_not_go_on_is_an_error(azure: Azure) -> None:
    now = datetime.now(UTC)
    await azure.fail(path="auditlog", status=200, body='{"decoratedAuditLogEntries": [], "hasMore": true}')
    with pytest.raises(Rejected, match="no way to it"):
        await azure.service.audit.entries(now - HOUR, now)


async def test_who_may_not_see_the_log_is_told_so(azure: Azure) -> None:
    now = datetime.now(UTC)
    with pytest.raises(Rejected, match="TF401027"):
        await azure.person.audit.entries(now - HOUR, now)


async def test_what_was_read_of_people_is_used_again_until_one_of_them_is_changed() -> None:
    app = create_app(config())
    async with (
        hosting(app) as url,
        AzureDevOps(f"{url}/fabrikam", SecretStr(SERVICE_TOKEN), cache=Cache([MemoryLayer()])) as client,
        AzureDevOps(f"{url}/fabrikam", SecretStr(PERSON_TOKEN)) as other,
    ):
        asked = app.state.sandbox.requests
        for _ in range(3):
            await client.identities.search("Ada", TYPES_AGE)
            await client.processes.named("Agile", TYPES_AGE)
        assert (asked["identities.read 200"], asked["processes.list 200"]) == (1, 1)
        await other.graph.create_group("Unheard")
        await client.graph.create_group("Heard")
        await client.identities.search("Ada", TYPES_AGE)
        await client.processes.named("Agile", TYPES_AGE)
        assert (asked["identities.read 200"], asked["processes.list 200"]) == (2, 1)
