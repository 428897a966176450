"""Repositories, branches, pushes and commits, each call against the stand-in over HTTP."""

import json
from collections.abc import AsyncGenerator

import pytest

from pointsman.clients.azure_devops.answers_code import NO_COMMIT, Push, RefUpdate
from pointsman.clients.azure_devops.patches import add_artifact
from pointsman.domain import artifacts
from pointsman.ports import Conflict, Missing, Rejected, Unavailable
from pointsman.sandbox.azure_devops import git_edits
from pointsman.sandbox.azure_devops.config import ADA
from pointsman.sandbox.azure_devops.git_state import FileChange, Moved, Repository
from tests.sandbox.azure import Azure, azure_devops

PROJECT = REPOSITORY = "Fabrikam"
README = {"/README.md": "Fabrikam sells things."}


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        yield running


async def begin(azure: Azure) -> Push:
    return await azure.service.git.first_commit(PROJECT, REPOSITORY, "main", "Begin", README)


async def test_project_begins_with_an_empty_repository(azure: Azure) -> None:
    (repository,) = await azure.service.git.repositories(PROJECT)
    assert (repository.name, repository.default_branch, repository.is_disabled) == (REPOSITORY, "", False)
    assert [ref async for ref in azure.service.git.refs(PROJECT, REPOSITORY)] == []
    assert [commit async for commit in azure.service.git.commits(PROJECT, REPOSITORY)] == []


async def test_first_commit_begins_the_default_branch(azure: Azure) -> None:
    git = azure.service.git
    push = await begin(azure)
    (commit,) = push.commits
    (move,) = push.ref_updates
    assert (move.name, move.old_object_id, move.new_object_id) == ("refs/heads/main", NO_COMMIT, commit.commit_id)
    assert (await git.repository(PROJECT, REPOSITORY)).default_branch == "refs/heads/main"
    assert (await git.commit(PROJECT, REPOSITORY, commit.commit_id)).comment == "Begin"
    assert (await git.get_push(PROJECT, REPOSITORY, push.push_id)).commits[0].commit_id == commit.commit_id


async def test_push_on_top_of_what_was_there_before_is_refused(azure: Azure) -> None:
    git = azure.service.git
    first = (await begin(azure)).commits[0].commit_id
    second = await git.push(PROJECT, REPOSITORY, "main", first, "More", edit={"/README.md": "More."}, add={"/a": "a"})
    assert (await git.commit(PROJECT, REPOSITORY, second.commits[0].commit_id)).parents == [first]
    with pytest.raises(Conflict, match="TF401028"):
        await git.push(PROJECT, REPOSITORY, "main", first, "More", delete=["/README.md"])
    with pytest.raises(Rejected, match="TF401174"):
        await git.push(PROJECT, REPOSITORY, "main", second.commits[0].commit_id, "Gone", delete=["/nothing"])


async def test_repositories_are_made_once_disabled_and_removed(azure: Azure) -> None:
    git = azure.service.git
    made = await git.create_repository(PROJECT, "Web shop")
    with pytest.raises(Conflict, match="TF400948"):
        await git.create_repository(PROJECT, "web shop")
    assert (await git.repository(PROJECT, "Web shop")).id == made.id
    assert (await git.disable(PROJECT, made.id)).is_disabled
    with pytest.raises(Missing, match="TF401019"):
        await git.repository(PROJECT, "Web shop")
    assert [one.is_disabled for one in await git.repositories(PROJECT)] == [False, True]
    assert not (await git.disable(PROJECT, made.id, False)).is_disabled
    await git.delete_repository(PROJECT, made.id)
    assert [one.name for one in await git.repositories(PROJECT)] == [REPOSITORY]


async def test_default_branch_has_to_exist(azure: Azure) -> None:
    commit = (await begin(azure)).commits[0].commit_id
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    with pytest.raises(Rejected, match="TF401035"):
        await azure.service.git.set_default_branch(PROJECT, repository.id, "next")
    await azure.service.git.update_ref(PROJECT, REPOSITORY, "next", NO_COMMIT, commit)
    assert (await azure.service.git.set_default_branch(PROJECT, repository.id, "next")).default_branch.endswith("next")


async def test_branch_is_refused_in_an_answer_that_is_a_success(azure: Azure) -> None:
    git = azure.service.git
    commit = (await begin(azure)).commits[0].commit_id
    good, stale, unknown = await git.update_refs(
        PROJECT,
        REPOSITORY,
        [
            RefUpdate(name="refs/heads/a", new_object_id=commit),
            RefUpdate(name="refs/heads/main", new_object_id=commit),
            RefUpdate(name="refs/heads/b", new_object_id="f" * 40),
        ],
    )
    assert [good.success, stale.success, unknown.success] == [True, False, False]
    assert [stale.update_status, unknown.update_status] == ["staleOldObjectId", "unresolvableToCommit"]
    with pytest.raises(Conflict, match=r"staleOldObjectId.*nothing was changed"):
        await git.update_ref(PROJECT, REPOSITORY, "main", "e" * 40, commit)
    with pytest.raises(Rejected, match="unresolvableToCommit"):
        await git.update_ref(PROJECT, REPOSITORY, "c", NO_COMMIT, "f" * 40)


async def test_branch_is_found_among_those_that_begin_like_it(azure: Azure) -> None:
    git = azure.service.git
    commit = (await begin(azure)).commits[0].commit_id
    for name in ("main-2", "maintenance"):
        await git.update_ref(PROJECT, REPOSITORY, name, NO_COMMIT, commit)
    found = await git.ref(PROJECT, REPOSITORY, "main")
    assert found
    assert (found.name, found.object_id) == ("refs/heads/main", commit)
    assert await git.ref(PROJECT, REPOSITORY, "mai") is None


async def test_branches_go_on_behind_a_token(azure: Azure) -> None:
    await begin(azure)
    await azure.fail(path="/refs", headers={"x-ms-continuationtoken": "1"})
    await azure.fail(path="/refs", status=503)
    with pytest.raises(Unavailable):
        assert [ref async for ref in azure.service.git.refs(PROJECT, REPOSITORY)]


def many(azure: Azure, count: int) -> Repository:
    """The repository with as many pushes of a commit each, without a request for each of them."""
    organisation = azure.world.organisation("fabrikam")
    assert organisation
    (repository,) = azure.world.code.repositories(organisation, PROJECT)
    tip = NO_COMMIT
    for number in range(count):
        change = FileChange("/count", "edit" if number else "add", str(number))
        move = Moved("refs/heads/main", tip, "")
        tip = git_edits.push(azure.world, repository, move, [(f"Commit {number}", [change])], ADA).commits[-1]
    return repository


async def test_commits_and_pushes_are_read_page_by_page(azure: Azure) -> None:
    git, count = azure.service.git, 401
    many(azure, count)
    commits = [commit.comment async for commit in git.commits(PROJECT, REPOSITORY, branch="refs/heads/main")]
    assert commits == [f"Commit {number}" for number in reversed(range(count))]
    pushes = [push async for push in git.pushes(PROJECT, REPOSITORY, branch="main")]
    assert [push.push_id for push in pushes] == list(range(count, 0, -1))
    assert pushes[0].ref_updates[0].name == "refs/heads/main"


async def test_page_that_fails_fails_the_list(azure: Azure) -> None:
    many(azure, 201)
    read: list[str] = []

    async def reading() -> None:
        async for commit in azure.service.git.commits(PROJECT, REPOSITORY):
            read.append(commit.commit_id)
            if len(read) == 200:
                await azure.fail(path="/commits", status=503)

    with pytest.raises(Unavailable):
        await reading()
    assert len(read) == 200


async def test_list_that_gives_the_same_page_again_is_an_error(azure: Azure) -> None:
    page = {"count": 200, "value": [{"commitId": f"{number:040}"} for number in range(200)]}
    await azure.fail(path="/commits", status=200, body=json.dumps(page), times=2)
    with pytest.raises(Rejected, match="the list does not go on"):
        assert [commit async for commit in azure.service.git.commits(PROJECT, REPOSITORY)]


async def test_commits_tell_the_items_that_are_linked_to_them(azure: Azure) -> None:
    git = azure.service.git
    first = (await begin(azure)).commits[0].commit_id
    await git.push(PROJECT, REPOSITORY, "main", first, "Unlinked", add={"/a": "a"})
    item, repository = await azure.make(), await git.repository(PROJECT, REPOSITORY)
    assert repository.project
    artifact = artifacts.commit(repository.project.id, repository.id, first)
    await azure.service.work_items.patch(item.id, [add_artifact(artifact)])
    found = [commit async for commit in git.linked_commits(PROJECT, REPOSITORY)]
    assert [(commit.commit_id, [one.number for one in commit.work_items]) for commit in found] == [(first, [item.id])]
