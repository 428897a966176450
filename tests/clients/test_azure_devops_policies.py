"""Branch policies, and operations that take a while, each call against the stand-in over HTTP."""

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.clients.azure_devops.answers_code import PullRequest, Vote
from pointsman.clients.azure_devops.answers_policies import Operation, Policy, PolicyKind, Scope
from pointsman.clients.azure_devops.patches import add_artifact
from pointsman.clients.azure_devops.policies import Wanted
from pointsman.contracts.base import Json
from pointsman.domain import artifacts
from pointsman.ports import Missing, Rejected, Unavailable
from pointsman.sandbox.azure_devops.config import POINTSMAN
from tests.sandbox.azure import Azure, azure_devops, config

PROJECT = REPOSITORY = "Fabrikam"
AGILE = "adcc42ab-9882-485e-a3ed-7678f01f66bc"
EMPTY = '{"count": 0, "value": []}'


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops(of=config().model_copy(update={"page_max": 2})) as running:
        yield running


async def main_of(azure: Azure, kind: str = "exact") -> Scope:
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    return Scope(repository.id.upper(), "refs/heads/main", kind)


async def wanted(azure: Azure, kind: str = PolicyKind.MIN_REVIEWERS, **settings: Json) -> Wanted:
    return Wanted(kind, frozenset({await main_of(azure)}), settings)


async def test_policy_is_made_once(azure: Azure) -> None:
    policies = azure.service.policies
    reviewers = await wanted(azure, minimumApproverCount=2, creatorVoteCounts=False, resetOnSourcePush=True)
    made, is_new = await policies.get_or_create(PROJECT, reviewers)
    again, is_new_again = await policies.get_or_create(PROJECT, reviewers)
    assert (made.id, is_new, is_new_again) == (again.id, True, False)
    assert "creatorVoteCounts" not in made.settings
    scopes = made.settings["scope"]
    assert isinstance(scopes, list)
    assert isinstance(scopes[0], dict)
    assert scopes[0]["matchKind"] == "Exact"
    assert reviewers.says_the_same_as(again)
    stricter = await wanted(azure, minimumApproverCount=3)
    kept, _ = await policies.get_or_create(PROJECT, stricter)
    assert (kept.id, stricter.says_the_same_as(kept)) == (made.id, False)
    replaced = await policies.replace(PROJECT, kept.id, stricter)
    assert (replaced.revision, stricter.says_the_same_as(replaced)) == (2, True)
    assert "resetOnSourcePush" not in replaced.settings


async def test_policy_is_made_beside_those_for_other_branches_and_of_other_types(azure: Azure) -> None:
    policies, main = azure.service.policies, await main_of(azure)
    scopes = [main, Scope(main.repository_id, "refs/heads/release/", "prefix"), Scope("", "refs/heads/main")]
    made = [
        (await policies.get_or_create(PROJECT, Wanted(kind, frozenset({scope}))))[1]
        for kind in (PolicyKind.WORK_ITEMS, PolicyKind.COMMENTS)
        for scope in scopes
    ]
    assert made == [True] * 6
    assert [one.id async for one in policies.each(PROJECT, PolicyKind.COMMENTS)] == [4, 5, 6]
    await policies.delete(PROJECT, 4)
    assert (await policies.get_or_create(PROJECT, Wanted(PolicyKind.COMMENTS, frozenset({main}))))[1]
    assert [one.id async for one in policies.each(PROJECT)] == [1, 2, 3, 5, 6, 7]
    with pytest.raises(Missing, match="TF402457"):
        await policies.get(PROJECT, 4)


async def test_nothing_is_made_when_the_list_fails(azure: Azure) -> None:
    comments = await wanted(azure, PolicyKind.COMMENTS)
    await azure.fail(path="/configurations", status=200, body=EMPTY, headers={"x-ms-continuationtoken": "2"})
    await azure.fail(path="/configurations", status=503)
    with pytest.raises(Unavailable):
        await azure.service.policies.get_or_create(PROJECT, comments)
    assert [one async for one in azure.service.policies.each(PROJECT)] == []


async def test_posting_twice_makes_two(azure: Azure) -> None:
    comments = await wanted(azure, PolicyKind.COMMENTS)
    ids = [(await azure.service.policies.create(PROJECT, comments)).id for _ in range(2)]
    assert [one.id async for one in azure.service.policies.each(PROJECT)] == ids == [1, 2]
    assert (await azure.service.policies.get_or_create(PROJECT, comments))[0].id == 1


def test_policy_without_a_branch_is_refused() -> None:
    with pytest.raises(Rejected, match="has no scope"):
        Wanted(PolicyKind.COMMENTS, frozenset())


async def test_types_are_told_with_their_names(azure: Azure) -> None:
    names = {kind.id: kind.display_name for kind in await azure.service.policies.types(PROJECT)}
    assert names[PolicyKind.MIN_REVIEWERS] == "Minimum number of reviewers"
    assert names[PolicyKind.MERGE_STRATEGY] == "Require a merge strategy"


async def opened(azure: Azure) -> PullRequest:
    git = azure.person.git
    first = (await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/a": "a"})).commits[0].commit_id
    await git.update_ref(PROJECT, REPOSITORY, "basket", "0" * 40, first)
    await git.push(PROJECT, REPOSITORY, "basket", first, "Basket", add={"/basket": "b"})
    return await azure.person.pull_requests.create(PROJECT, REPOSITORY, "basket", "main", "Keep the basket")


async def test_pull_request_is_merged_once_its_policies_are_kept(azure: Azure) -> None:
    policies, requests = azure.service.policies, azure.person.pull_requests
    pull_request = await opened(azure)
    project_id = (await azure.service.project(PROJECT)).id
    number, repository, source = (
        pull_request.pull_request_id,
        pull_request.repository,
        pull_request.last_merge_source_commit,
    )
    assert repository
    assert source
    pipeline = await azure.service.pipelines.create(PROJECT, "Shop", repository.id, "/azure-pipelines.yml")
    settings: dict[PolicyKind, dict[str, Json]] = {
        PolicyKind.MIN_REVIEWERS: {"minimumApproverCount": 1},
        PolicyKind.WORK_ITEMS: {},
        PolicyKind.COMMENTS: {},
        PolicyKind.BUILD: {"buildDefinitionId": pipeline.id},
        PolicyKind.REQUIRED_REVIEWERS: {"requiredReviewerIds": [POINTSMAN.id]},
    }
    for kind, given_settings in settings.items():
        await policies.get_or_create(PROJECT, await wanted(azure, kind, **given_settings))

    async def verdicts() -> list[str]:
        return [one.status async for one in policies.evaluations(PROJECT, project_id, number)]

    thread = await requests.open_thread(PROJECT, REPOSITORY, number, "Why?")
    assert await verdicts() == ["queued", "rejected", "rejected", "queued", "queued"]
    with pytest.raises(Rejected, match="TF402455"):
        await requests.complete(PROJECT, REPOSITORY, number, source.commit_id)
    await requests.set_thread_status(PROJECT, REPOSITORY, number, thread.id, "fixed")
    await azure.service.pull_requests.vote(PROJECT, REPOSITORY, number, POINTSMAN.id, Vote.APPROVED)
    item = await azure.make()
    link = add_artifact(artifacts.pull_request(project_id, repository.id, number))
    await azure.person.work_items.patch(item.id, [link])
    build = await azure.service.builds.queue(PROJECT, pipeline.id, "basket")
    assert await verdicts() == ["approved", "approved", "approved", "running", "approved"]
    await azure.control("POST", "builds/finish", {"organisation": "fabrikam", "build_id": build.id})
    kept = [one.is_kept async for one in policies.evaluations(PROJECT, project_id, number)]
    assert kept == [True] * 5
    done = await requests.complete(PROJECT, REPOSITORY, number, source.commit_id)
    assert done.status == "completed"


async def test_branch_with_a_policy_is_not_pushed_to(azure: Azure) -> None:
    await opened(azure)
    await azure.service.policies.create(PROJECT, await wanted(azure, PolicyKind.COMMENTS))
    main = await azure.person.git.ref(PROJECT, REPOSITORY, "main")
    assert main
    with pytest.raises(Rejected, match="TF402455"):
        await azure.person.git.push(PROJECT, REPOSITORY, "main", main.object_id, "More", add={"/b": "b"})


async def test_votes_are_reset_by_a_push_where_the_policy_says_so(azure: Azure) -> None:
    pull_request = await opened(azure)
    await azure.service.policies.create(PROJECT, await wanted(azure, minimumApproverCount=1, resetOnSourcePush=True))
    place = (PROJECT, REPOSITORY, pull_request.pull_request_id)
    await azure.service.pull_requests.vote(*place, POINTSMAN.id, Vote.APPROVED)
    basket = await azure.person.git.ref(PROJECT, REPOSITORY, "basket")
    assert basket
    await azure.person.git.push(PROJECT, REPOSITORY, "basket", basket.object_id, "More", add={"/b": "b"})
    assert [held.vote for held in await azure.person.pull_requests.reviewers(*place)] == [0]


names = st.sampled_from(["a", "b", "c"])
settings_given = st.dictionaries(names, st.one_of(st.booleans(), st.integers(1, 3)))
scopes_given = st.frozensets(
    st.builds(Scope, st.uuids().map(str), names.map("refs/heads/{}".format), st.sampled_from(["exact", "prefix"])),
    min_size=1,
)


@given(scopes_given, settings_given, st.booleans(), st.booleans())
def test_what_was_asked_for_is_recognised_in_what_the_service_makes_of_it(
    scopes: frozenset[Scope], settings: dict[str, Json], is_enabled: bool, is_blocking: bool
) -> None:
    asked = Wanted(PolicyKind.COMMENTS, scopes, settings, is_enabled, is_blocking)
    answered: list[Json] = [
        {**one.body, "matchKind": one.match_kind.title()} for one in sorted(scopes, key=str, reverse=True)
    ]
    kept = {name: value for name, value in settings.items() if value is not False}
    told = Policy.model_validate(
        {
            "id": 1,
            "type": {"id": PolicyKind.COMMENTS.upper()},
            "isEnabled": is_enabled,
            "isBlocking": is_blocking,
            "settings": {**kept, "scope": answered, "addedByTheService": 1},
        }
    )
    assert asked.says_the_same_as(told)
    assert not Wanted(PolicyKind.BUILD, scopes, settings, is_enabled, is_blocking).is_in_place_of(told)
    assert not Wanted(asked.type_id, scopes, settings, is_enabled, not is_blocking).says_the_same_as(told)
    assert not Wanted(asked.type_id, scopes, {**settings, "d": 7}, is_enabled, is_blocking).says_the_same_as(told)


class Sleeper:
    """Sleeps no time, and remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


async def test_project_is_there_once_its_operation_has_succeeded(azure: Azure) -> None:
    projects, operations, sleeper = azure.service.projects, azure.service.operations, Sleeper()
    begun = await projects.create("Web shop", AGILE, "Sells")
    assert (begun.status, begun.is_over) == ("notSet", False)
    done = await operations.done(begun, sleeper, pause=timedelta(seconds=3))
    assert (done.status, sleeper.slept) == ("succeeded", [3.0] * 3)
    made = await projects.get("Web shop")
    await operations.done(await projects.delete(made.id), sleeper)
    with pytest.raises(Missing, match="TF200016"):
        await projects.get("Web shop")
    with pytest.raises(Missing):
        await operations.get("00000000-0000-4000-8000-000000000000")


async def test_operation_that_does_not_end_is_not_waited_for_without_end(azure: Azure) -> None:
    begun, sleeper = await azure.service.projects.create("Web shop", AGILE), Sleeper()
    with pytest.raises(Unavailable, match=r"inProgress after 2 looks.*do not start it again"):
        await azure.service.operations.done(begun, sleeper, looks_max=2)
    assert len(sleeper.slept) == 2


@pytest.mark.parametrize("status", ["failed", "cancelled"])
async def test_operation_that_failed_says_why(azure: Azure, status: str) -> None:
    over = Operation(id="7", status=status, result_message="no space")
    with pytest.raises(Rejected, match=f"operation 7 is {status}: no space"):
        await azure.service.operations.done(over, Sleeper())
