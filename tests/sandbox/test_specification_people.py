"""Processes, people and the audit log against what is known of the service; see `test_specification`."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers_policies import PolicyKind, Scope
from pointsman.clients.azure_devops.policies import Wanted
from pointsman.ports import Missing
from tests.microsoft import FOLDER, needs_microsoft
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops
from tests.sandbox.judging import Exchange, Judge, Specifications, Table, load, needless, unlike, used
from tests.sandbox.overlay_code import CODE_CORRECTIONS
from tests.sandbox.overlay_people import PEOPLE_CORRECTIONS
from tests.sandbox.test_specification import JUDGES

FILES = (
    "core/core.json",
    "processes/workItemTrackingProcess.json",
    "graph/graph.json",
    "ims/identities.json",
    "audit/audit.json",
)
TABLE = Path(__file__).with_name("operations_people.json")
OTHER_AREAS = ("/_apis/policy/", "/_apis/projects", "/_apis/git/")
"""What the test needs of areas that are judged elsewhere."""
PROJECT = "Fabrikam"


@cache
def judge_named(name: str) -> Judge:
    corrections = (*CODE_CORRECTIONS, *PEOPLE_CORRECTIONS)
    return Table(TABLE) if name == "table" else Specifications(Path(FOLDER), FILES, corrections)


@pytest.fixture(params=JUDGES)
def judge(request: pytest.FixtureRequest) -> Judge:
    return judge_named(str(request.param))


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def everything(azure: Azure) -> list[Exchange]:
    """Each call of the client at least once, refusals among them, and what went over the wire."""
    exchanges: list[Exchange] = []

    async def record(response: httpx2.Response) -> None:
        await response.aread()
        exchanges.append(Exchange.of(response))

    async with httpx2.AsyncClient(event_hooks={"response": [record]}, timeout=60) as http:
        client = AzureDevOps(azure.base_url, SecretStr(SERVICE_TOKEN), http=http)
        await _look_at_processes(client)
        await _work_on_groups(client)
        await _look_into_the_log(client)
    return [one for one in exchanges if not any(area in one.path for area in OTHER_AREAS)]


async def _look_at_processes(client: AzureDevOps) -> None:
    processes = client.processes
    process = await processes.named("cmmi")
    with suppress(Missing):
        await processes.get("00000000-0000-4000-8000-000000000000")
    await processes.get(process.id)
    await processes.infos()
    kind = next(one for one in await processes.types(process.id) if one.name == "Task")
    await processes.type(process.id, kind.reference_name)
    await processes.states(process.id, kind.reference_name)
    await processes.fields(process.id, kind.reference_name)
    assert await processes.rules(process.id, kind.reference_name)


async def _work_on_groups(client: AzureDevOps) -> None:
    graph = client.graph
    user, *_ = await graph.users()
    scope = await graph.scope((await client.project(PROJECT)).id)
    await graph.service_principals()
    await graph.user(user.descriptor)
    group = await graph.create_group("Releasers", "They release", scope)
    assert group in await graph.groups(scope)
    await graph.group(group.descriptor)
    assert not await graph.is_member(user.descriptor, group.descriptor)
    await graph.add_member(user.descriptor, group.descriptor)
    assert await graph.is_member(user.descriptor, group.descriptor)
    assert await graph.groups_of(user.descriptor)
    assert [one async for one in graph.everybody_in(group.descriptor)] == [user.descriptor]
    assert await graph.is_active(user.descriptor)
    key = await graph.storage_key(user.descriptor)
    assert await client.identities.read([key, "00000000-0000-4000-8000-000000000000"])
    assert await client.identities.of_subjects([user.descriptor])
    assert await client.identities.search("ada")
    assert await client.identities.groups_named("[Fabrikam]\\Releasers")
    await graph.remove_member(user.descriptor, group.descriptor)
    await graph.delete_group(group.descriptor)


async def _look_into_the_log(client: AzureDevOps) -> None:
    wanted = Wanted(PolicyKind.WORK_ITEMS, frozenset({Scope("", "refs/heads/main")}), {})
    await client.policies.get_or_create(PROJECT, wanted)
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    found = [batch async for batch in client.audit.batches(now - hour, now + hour, batch_max=2)]
    assert len(found) > 1
    assert "Policy.PolicyConfigCreated" in [entry.action_id for batch in found for entry in batch.entries]
    assert await client.audit.actions("Policy")


async def test_each_request_and_each_answer_is_as_known(azure: Azure, judge: Judge) -> None:
    assert unlike(await everything(azure), judge) == []


async def test_table_names_what_is_used_and_no_more(azure: Azure) -> None:
    table = Table(TABLE)
    assert used(await everything(azure), table) == sorted(table.names)


@needs_microsoft
def test_each_correction_finds_its_fault() -> None:
    assert needless(PEOPLE_CORRECTIONS, [load(Path(FOLDER), name) for name in FILES]) == []
