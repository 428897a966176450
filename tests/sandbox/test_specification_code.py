"""The areas of code and its proof against what is known of the service; see `test_specification`."""

from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.answers_code import NO_COMMIT, Repository, Vote
from pointsman.clients.azure_devops.answers_policies import PolicyKind, Scope
from pointsman.clients.azure_devops.builds import BuildCriteria
from pointsman.clients.azure_devops.patches import add_artifact, set_field
from pointsman.clients.azure_devops.policies import Wanted
from pointsman.clients.azure_devops.pull_requests import Criteria
from pointsman.clients.azure_devops.test_results import NewResult
from pointsman.domain import artifacts
from pointsman.ports import Conflict, Missing
from pointsman.sandbox.azure_devops.config import POINTSMAN
from tests.microsoft import FOLDER, needs_microsoft
from tests.sandbox.azure import SERVICE_TOKEN, Azure, azure_devops
from tests.sandbox.judging import Exchange, Judge, Specifications, Table, load, needless, unlike, used
from tests.sandbox.overlay_code import CODE_CORRECTIONS
from tests.sandbox.test_specification import JUDGES

FILES = (
    "git/git.json",
    "build/build.json",
    "pipelines/pipelines.json",
    "approvalsAndChecks/pipelinesapproval.json",
    "policy/policy.json",
    "testPlan/testPlan.json",
    "testResults/testResults.json",
    "operations/operations.json",
    "core/core.json",
)
TABLE = Path(__file__).with_name("operations_code.json")
OTHER_AREAS = ("/_apis/wit/",)
"""What the test needs of areas that are judged elsewhere."""
PROJECT = REPOSITORY = "Fabrikam"
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"


@cache
def judge_named(name: str) -> Judge:
    return Table(TABLE) if name == "table" else Specifications(Path(FOLDER), FILES, CODE_CORRECTIONS)


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
        repository = await _work_on_code(client)
        await _review(client, repository)
        await _build_and_approve(client, azure, repository)
        await _test(client)
        await _make_a_project(client)
    return [one for one in exchanges if not any(area in one.path for area in OTHER_AREAS)]


async def _work_on_code(client: AzureDevOps) -> Repository:
    git = client.git
    first = (await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/a": "a"})).commits[0].commit_id
    with suppress(Conflict):
        await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/a": "a"})
    await git.update_ref(PROJECT, REPOSITORY, "basket", NO_COMMIT, first)
    pushed = await git.push(PROJECT, REPOSITORY, "basket", first, "More", add={"/b": "b"}, edit={"/a": "A"})
    await git.get_push(PROJECT, REPOSITORY, pushed.push_id)
    soon = datetime.now(UTC) + timedelta(hours=1)
    since = soon - timedelta(days=1)
    assert [ref async for ref in git.refs(PROJECT, REPOSITORY)]
    assert [push async for push in git.pushes(PROJECT, REPOSITORY, since=since, branch="main")]
    assert [commit async for commit in git.commits(PROJECT, REPOSITORY, branch="main", since=since, until=soon)]
    await git.commit(PROJECT, REPOSITORY, first)
    assert [one async for one in git.linked_commits(PROJECT, REPOSITORY)] == []
    assert await git.ref(PROJECT, REPOSITORY, "basket")
    other = await git.create_repository(PROJECT, "Other")
    await git.disable(PROJECT, other.id)
    with suppress(Missing):
        await git.repository(PROJECT, other.id)
    await git.delete_repository(PROJECT, other.id)
    await git.repositories(PROJECT)
    repository = await git.repository(PROJECT, REPOSITORY)
    return await git.set_default_branch(PROJECT, repository.id, "main")


async def _review(client: AzureDevOps, repository: Repository) -> None:
    requests, policies = client.pull_requests, client.policies
    made = await requests.create(PROJECT, repository.id, "basket", "main", "Keep", "Why", reviewer_ids=[POINTSMAN.id])
    place = (PROJECT, repository.id, made.pull_request_id)
    project_id = (await client.project(PROJECT)).id
    item = await client.work_items.create(PROJECT, "Task", [set_field("System.Title", "Basket")])
    artifact = artifacts.pull_request(project_id, repository.id, made.pull_request_id)
    await client.work_items.patch(item.id, [add_artifact(artifact)])
    assert await requests.work_items(*place)
    await policies.types(PROJECT)
    wanted = Wanted(PolicyKind.WORK_ITEMS, frozenset({Scope(repository.id, "refs/heads/main")}), {"a": False})
    policy, _ = await policies.get_or_create(PROJECT, wanted)
    await policies.get_or_create(PROJECT, wanted)
    await policies.replace(PROJECT, policy.id, wanted)
    await policies.get(PROJECT, policy.id)
    assert [one async for one in policies.evaluations(PROJECT, project_id, made.pull_request_id)]
    await policies.delete(PROJECT, policy.id)
    await requests.add_reviewer(*place, POINTSMAN.id, is_required=True)
    await requests.vote(*place, POINTSMAN.id, Vote.APPROVED)
    await requests.reviewers(*place)
    thread = await requests.open_thread(*place, "Why?", "/a")
    await requests.reply(*place, thread.id, "Because.")
    await requests.set_thread_status(*place, thread.id, "fixed")
    await requests.threads(*place)
    await requests.iterations(*place)
    assert [commit async for commit in requests.commits(*place)]
    since = datetime.now(UTC) - timedelta(days=1)
    criteria = Criteria(source="basket", target="main", reviewer_id=POINTSMAN.id, since=since)
    assert [one async for one in requests.each(PROJECT, criteria)]
    assert [one async for one in requests.each(PROJECT, repository=REPOSITORY)]
    await requests.edit(*place, title="Keep it", is_draft=False)
    await requests.abandon(*place)
    seen = (await requests.reactivate(*place)).last_merge_source_commit
    assert seen
    await requests.complete(*place, seen.commit_id, message="Merged", delete_source=True)
    with suppress(Conflict):
        await requests.abandon(*place)
    await requests.get(PROJECT, made.pull_request_id)
    await requests.remove_reviewer(*place, POINTSMAN.id)


async def _build_and_approve(client: AzureDevOps, azure: Azure, repository: Repository) -> None:
    pipelines, builds = client.pipelines, client.builds
    shop = await pipelines.create(PROJECT, "Shop", repository.id, "/azure-pipelines.yml")
    run = await pipelines.run(PROJECT, shop.id, "main")
    build = await builds.queue(PROJECT, shop.id, "main", repository.default_branch and "")
    await azure.control("POST", "builds/finish", {"organisation": "fabrikam", "build_id": build.id})
    await pipelines.runs(PROJECT, shop.id)
    await pipelines.get_run(PROJECT, shop.id, run.id)
    await pipelines.get(PROJECT, shop.id)
    assert [one async for one in pipelines.each(PROJECT)]
    assert [one async for one in builds.definitions(PROJECT, "Shop")]
    await builds.definition(PROJECT, shop.id)
    since = datetime.now(UTC) - timedelta(days=1)
    criteria = BuildCriteria([shop.id], "completed", "succeeded", "main", repository.id, since)
    assert [one async for one in builds.each(PROJECT, criteria)]
    await builds.get(PROJECT, build.id)
    with suppress(Missing):
        await builds.get(PROJECT, 99)
    await builds.work_items(PROJECT, build.id)
    asked = await azure.control(
        "POST",
        "approvals",
        {"organisation": "fabrikam", "project": PROJECT, "approvers": [POINTSMAN.unique_name]},
    )
    approval_id = str(asked["id"])
    await client.approvals.query(PROJECT, "pending", [POINTSMAN.id])
    await client.approvals.decide(PROJECT, approval_id, approve=True, comment="Fine")
    with suppress(Conflict):
        await client.approvals.decide(PROJECT, approval_id, approve=False)
    await client.approvals.get(PROJECT, approval_id)


async def _test(client: AzureDevOps) -> None:
    plans, results = client.test_plans, client.test_results
    case = await client.work_items.create(PROJECT, "Test Case", [set_field("System.Title", "Basket")])
    story = await client.work_items.create(PROJECT, "User Story", [set_field("System.Title", "Basket")])
    plan = await plans.create_plan(PROJECT, "Release 1")
    assert plan.root_suite
    suite = await plans.create_suite(PROJECT, plan.id, plan.root_suite.id, "Basket", requirement_id=story.id)
    await plans.add_test_cases(PROJECT, plan.id, suite.id, [case.id])
    assert [one async for one in plans.plans(PROJECT, active_only=True)]
    assert [one async for one in plans.suites(PROJECT, plan.id)]
    assert [one async for one in plans.test_cases(PROJECT, plan.id, suite.id)]
    await plans.suites_of(case.id)
    (point,) = [one async for one in plans.points(PROJECT, plan.id, suite.id, test_case_id=case.id)]
    run = await results.create_run(PROJECT, "Nightly", build_id=1, plan_id=plan.id)
    told = NewResult("Basket", "Failed", test_point_id=point.id, automated_name="a.b", duration_ms=1.5, error="No")
    await results.add(PROJECT, run.id, [told])
    await results.complete_run(PROJECT, run.id)
    await results.get_run(PROJECT, run.id)
    assert [one async for one in results.results_of_build(PROJECT, 1)]
    assert [one async for one in results.runs(PROJECT, plan_id=plan.id)]
    until = datetime.now(UTC) + timedelta(hours=1)
    assert [one async for one in results.runs_between(PROJECT, until - timedelta(days=2), until)]
    assert [one async for one in results.results_of_case(PROJECT, case.id, days=30)]
    assert await plans.last_outcomes(PROJECT, plan.id)
    with suppress(Missing):
        await plans.plan(PROJECT, 99)


async def _make_a_project(client: AzureDevOps) -> None:
    async def sleep(seconds: float) -> None:
        assert seconds > 0

    await client.operations.done(await client.projects.create("Web shop", AGILE, "Sells"), sleep)
    made = await client.projects.get("Web shop")
    await client.operations.done(await client.projects.delete(made.id), sleep)


async def test_each_request_and_each_answer_is_as_known(azure: Azure, judge: Judge) -> None:
    assert unlike(await everything(azure), judge) == []


async def test_table_names_what_is_used_and_no_more(azure: Azure) -> None:
    table = Table(TABLE)
    assert used(await everything(azure), table) == sorted(table.names)


@needs_microsoft
def test_each_correction_finds_its_fault() -> None:
    assert needless(CODE_CORRECTIONS, [load(Path(FOLDER), name) for name in FILES]) == []
