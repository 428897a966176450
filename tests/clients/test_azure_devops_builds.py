"""Builds, pipelines and approvals, each call against the stand-in over HTTP; and what is delivered of a build."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from pointsman.clients.azure_devops import unique_name
from pointsman.clients.azure_devops.answers_builds import Pipeline
from pointsman.clients.azure_devops.builds import ITEMS_MAX, BuildCriteria
from pointsman.clients.azure_devops.patches import add_artifact
from pointsman.clients.azure_devops.pipelines import RUNS_MAX
from pointsman.contracts.base import Json
from pointsman.contracts.events import BuildCompleted
from pointsman.domain import artifacts
from pointsman.domain.events.reading import parse
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from pointsman.sandbox.azure_devops.config import ADA, POINTSMAN
from tests.sandbox.azure import Azure, azure_devops, config, receiver

PROJECT = REPOSITORY = "Fabrikam"
EMPTY = '{"count": 0, "value": []}'


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(of=config().model_copy(update={"page_max": 2})) as running:
        await running.service.git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/README.md": "Fabrikam"})
        yield running


async def pipeline(azure: Azure, name: str = "Shop") -> Pipeline:
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    return await azure.service.pipelines.create(PROJECT, name, repository.id, "/azure-pipelines.yml")


async def finish(azure: Azure, build_id: int, result: str = "succeeded") -> None:
    await azure.control("POST", "builds/finish", {"organisation": "fabrikam", "build_id": build_id, "result": result})


async def test_build_has_a_result_once_it_is_done(azure: Azure) -> None:
    builds = azure.service.builds
    made = await builds.queue(PROJECT, (await pipeline(azure)).id)
    assert (made.status, made.result, made.is_done, made.succeeded) == ("notStarted", "", False, False)
    await finish(azure, made.id, "partiallySucceeded")
    done = await builds.get(PROJECT, made.id)
    assert (done.status, done.result, done.is_done, done.succeeded) == ("completed", "partiallySucceeded", True, False)
    assert artifacts.parse(done.uri) == artifacts.build(made.id)
    with pytest.raises(Missing, match="could not be found"):
        await builds.get(PROJECT, 99)


async def test_builds_are_read_page_by_page_oldest_first(azure: Azure) -> None:
    shop, site = await pipeline(azure), await pipeline(azure, "Site")
    ids = [(await azure.service.builds.queue(PROJECT, one.id)).id for one in (shop, site, shop, shop, site)]
    await finish(azure, ids[2])

    async def found(criteria: BuildCriteria | None = None) -> list[int]:
        return [build.id async for build in azure.service.builds.each(PROJECT, criteria)]

    assert await found() == ids
    assert await found(BuildCriteria(definition_ids=[site.id])) == [ids[1], ids[4]]
    assert await found(BuildCriteria(status="completed", result="succeeded", branch="main")) == [ids[2]]
    assert await found(BuildCriteria(since=datetime.now(UTC) + timedelta(hours=1))) == []
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    assert await found(BuildCriteria(repository_id=repository.id)) == ids


async def test_page_of_builds_that_fails_fails_the_list(azure: Azure) -> None:
    shop = await pipeline(azure)
    for _ in range(3):
        await azure.service.builds.queue(PROJECT, shop.id)
    await azure.fail(path="/builds", status=200, body=EMPTY, headers={"x-ms-continuationtoken": "2"})
    await azure.fail(path="/builds", status=503)
    with pytest.raises(Unavailable):
        assert [build async for build in azure.service.builds.each(PROJECT)]
    await azure.fail(path="/builds", status=200, body=EMPTY, headers={"x-ms-continuationtoken": "2"}, times=2)
    with pytest.raises(Rejected, match="does not go on behind"):
        assert [build async for build in azure.service.builds.each(PROJECT)]


async def test_definitions_are_found_by_name(azure: Azure) -> None:
    builds = azure.service.builds
    for name in ("Shop", "Shop nightly", "Site"):
        await pipeline(azure, name)
    assert [one.name async for one in builds.definitions(PROJECT)] == ["Shop", "Shop nightly", "Site"]
    assert [one.name async for one in builds.definitions(PROJECT, "shop*")] == ["Shop", "Shop nightly"]
    (shop,) = [one async for one in builds.definitions(PROJECT, "Shop")]
    repository = (await builds.definition(PROJECT, shop.id)).repository
    assert repository
    assert (repository.name, repository.type) == (REPOSITORY, "TfsGit")


async def test_build_tells_the_items_of_the_commits_that_it_is_the_first_to_build(azure: Azure) -> None:
    git, shop = azure.service.git, await pipeline(azure)
    repository = await git.repository(PROJECT, REPOSITORY)
    first = await git.ref(PROJECT, REPOSITORY, "main")
    assert first
    assert repository.project
    item, other = await azure.make(), await azure.make()
    linked = artifacts.commit(repository.project.id, repository.id, first.object_id)
    await azure.service.work_items.patch(item.id, [add_artifact(linked)])
    builds = [await azure.service.builds.queue(PROJECT, shop.id) for _ in range(2)]
    await azure.service.work_items.patch(other.id, [add_artifact(artifacts.build(builds[1].id), artifacts.INTEGRATED)])
    found = [await azure.service.builds.work_items(PROJECT, build.id) for build in builds]
    assert [[one.number for one in listed] for listed in found] == [[item.id], [other.id]]


async def test_list_that_may_be_cut_is_refused(azure: Azure) -> None:
    shop = await pipeline(azure)
    build = await azure.service.builds.queue(PROJECT, shop.id)
    items = ",".join('{"id": "1"}' for _ in range(ITEMS_MAX))
    await azure.fail(path="/workitems", status=200, body=f'{{"value": [{items}]}}')
    with pytest.raises(Rejected, match="the list is cut"):
        await azure.service.builds.work_items(PROJECT, build.id)
    runs = ",".join('{"id": 1}' for _ in range(RUNS_MAX))
    await azure.fail(path="/runs", status=200, body=f'{{"value": [{runs}]}}')
    with pytest.raises(Rejected, match="the list is cut"):
        await azure.service.pipelines.runs(PROJECT, shop.id)


async def test_run_is_the_build_of_its_id_in_other_words(azure: Azure) -> None:
    pipelines, shop = azure.service.pipelines, await pipeline(azure)
    run = await pipelines.run(PROJECT, shop.id, "main")
    assert (run.state, run.result, (await azure.service.builds.get(PROJECT, run.id)).status) == (
        "inProgress",
        "",
        "notStarted",
    )
    await finish(azure, run.id, "partiallySucceeded")
    done = await pipelines.get_run(PROJECT, shop.id, run.id)
    assert (done.state, done.result) == ("completed", "failed")
    assert [one.id for one in await pipelines.runs(PROJECT, shop.id)] == [run.id]
    assert (await pipelines.get(PROJECT, shop.id)).name == "Shop"
    with pytest.raises(Conflict):
        await pipeline(azure, "shop")
    for name in ("Site", "Tools"):
        await pipeline(azure, name)
    assert [one.name async for one in pipelines.each(PROJECT)] == ["Shop", "Site", "Tools"]


async def test_subscribers_hear_of_a_build_that_is_done(azure: Azure) -> None:
    shop = await pipeline(azure)
    async with receiver() as heard:
        filters = {"definitionName": "Shop", "buildStatus": "Failed"}
        await azure.service.hooks.create("build.complete", heard.url, filters=filters)
        for result in ("succeeded", "failed"):
            await finish(azure, (await azure.service.builds.queue(PROJECT, shop.id)).id, result)
        (told,) = [parse(delivery) for delivery in await heard.wait(1)]
    assert isinstance(told, BuildCompleted)
    assert told.subject
    assert (told.result, told.subject.id, told.envelope.project_id) == (
        "failed",
        "2",
        (await azure.service.project(PROJECT)).id,
    )


async def ask(azure: Azure, needed: int = 1) -> str:
    body: dict[str, Json] = {
        "organisation": "fabrikam",
        "project": PROJECT,
        "needed": needed,
        "instructions": "Look at it",
        "approvers": [ADA.unique_name, POINTSMAN.unique_name],
    }
    return str((await azure.control("POST", "approvals", body))["id"])


async def test_approval_waits_for_as_many_as_are_needed(azure: Azure) -> None:
    wanted = await ask(azure, needed=2)
    first = await azure.person.approvals.decide(PROJECT, wanted, approve=True, comment="Fine")
    assert first.is_pending
    assert [(unique_name(step.actual_approver), step.status, step.comment) for step in first.steps] == [
        (ADA.unique_name, "approved", "Fine"),
        ("", "pending", ""),
    ]
    assert (await azure.service.approvals.decide(PROJECT, wanted, approve=True)).status == "approved"
    with pytest.raises(Conflict, match="already approved"):
        await azure.person.approvals.decide(PROJECT, wanted, approve=False)


async def test_one_who_rejects_ends_it(azure: Azure) -> None:
    approvals = azure.person.approvals
    wanted, other = await ask(azure, needed=2), await ask(azure)
    assert (await approvals.decide(PROJECT, wanted, approve=False)).status == "rejected"
    assert [one.id for one in await approvals.query(PROJECT)] == [wanted, other]
    assert [one.id for one in await approvals.query(PROJECT, "pending", [ADA.id])] == [other]
    assert await approvals.query(PROJECT, user_ids=["00000000-0000-4000-8000-000000000000"]) == []
    assert (await approvals.get(PROJECT, other)).instructions == "Look at it"
    with pytest.raises(Missing, match="could not be found"):
        await approvals.get(PROJECT, "00000000-0000-4000-8000-000000000000")


async def test_answer_about_another_approval_is_none(azure: Azure) -> None:
    wanted = await ask(azure)
    await azure.fail(method="PATCH", path="/approvals", status=200, body='{"count": 0, "value": []}')
    with pytest.raises(Rejected, match="read it before trying again"):
        await azure.person.approvals.decide(PROJECT, wanted, approve=True)
