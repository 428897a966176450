"""Pull requests from opening to merging, each call against the stand-in over HTTP; and what is delivered of them."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from pointsman.clients.azure_devops import unique_name
from pointsman.clients.azure_devops.answers_code import PullRequest, PullRequestStatus, Vote
from pointsman.clients.azure_devops.patches import add_artifact
from pointsman.clients.azure_devops.pull_requests import Criteria, MergeStrategy
from pointsman.contracts.events import CodePushed, PullRequestCommented, PullRequestMergeAttempted, PullRequestTold
from pointsman.domain import artifacts
from pointsman.domain.events.reading import parse
from pointsman.ports import Conflict, Missing, Rejected
from pointsman.sandbox.azure_devops.config import ADA, POINTSMAN
from tests.sandbox.azure import Azure, azure_devops, receiver

PROJECT = REPOSITORY = "Fabrikam"


@pytest.fixture
async def azure() -> AsyncGenerator[Azure]:
    async with azure_devops() as running:
        git = running.person.git
        first = await git.first_commit(PROJECT, REPOSITORY, "main", "Begin", {"/README.md": "Fabrikam"})
        await git.update_ref(PROJECT, REPOSITORY, "basket", "0" * 40, first.commits[0].commit_id)
        yield running


async def change(azure: Azure, branch: str = "basket", path: str = "/basket", text: str = "") -> str:
    """One more commit on a branch, and its id."""
    ref = await azure.person.git.ref(PROJECT, REPOSITORY, branch)
    assert ref
    pushed = await azure.person.git.push(
        PROJECT, REPOSITORY, branch, ref.object_id, f"Change {branch}", add={path: text or branch}
    )
    return pushed.commits[-1].commit_id


async def opened(azure: Azure, *, is_draft: bool = False) -> PullRequest:
    await change(azure)
    return await azure.person.pull_requests.create(
        PROJECT, REPOSITORY, "basket", "main", "Keep the basket", "x" * 500, is_draft=is_draft
    )


async def test_pull_request_is_merged_as_it_was_seen(azure: Azure) -> None:
    requests, git = azure.person.pull_requests, azure.person.git
    made = await opened(azure)
    assert made.last_merge_source_commit
    assert (made.status, made.merge_status) == ("active", "succeeded")
    seen = made.last_merge_source_commit.commit_id
    done = await requests.complete(PROJECT, REPOSITORY, made.pull_request_id, seen, delete_source=True)
    assert (done.status, unique_name(done.closed_by)) == ("completed", ADA.unique_name)
    main = await git.ref(PROJECT, REPOSITORY, "main")
    assert main
    assert done.last_merge_commit
    assert main.object_id == done.last_merge_commit.commit_id
    assert (await git.commit(PROJECT, REPOSITORY, main.object_id)).parents[1] == seen
    assert await git.ref(PROJECT, REPOSITORY, "basket") is None
    with pytest.raises(Conflict, match="TF401181"):
        await requests.reactivate(PROJECT, REPOSITORY, made.pull_request_id)


async def test_pull_request_that_moved_since_is_not_merged(azure: Azure) -> None:
    made = await opened(azure)
    assert made.last_merge_source_commit
    await change(azure, path="/more")
    with pytest.raises(Conflict, match="TF401192"):
        await azure.person.pull_requests.complete(
            PROJECT, REPOSITORY, made.pull_request_id, made.last_merge_source_commit.commit_id
        )
    iterations = await azure.person.pull_requests.iterations(PROJECT, REPOSITORY, made.pull_request_id)
    assert [(one.id, one.reason) for one in iterations] == [(1, "create"), (2, "push")]
    commits = azure.person.pull_requests.commits(PROJECT, REPOSITORY, made.pull_request_id)
    assert len([commit async for commit in commits]) == 2


async def test_merge_that_conflicts_leaves_the_pull_request_open(azure: Azure) -> None:
    await change(azure, "main", "/basket", "theirs")
    made = await opened(azure)
    assert made.last_merge_source_commit
    assert (made.merge_status, made.last_merge_commit) == ("conflicts", None)
    tried = await azure.person.pull_requests.complete(
        PROJECT,
        REPOSITORY,
        made.pull_request_id,
        made.last_merge_source_commit.commit_id,
        strategy=MergeStrategy.SQUASH,
        message="Keep it",
    )
    assert (tried.status, tried.merge_status) == ("active", "conflicts")


async def test_there_is_one_active_of_two_branches(azure: Azure) -> None:
    requests = azure.person.pull_requests
    made = await opened(azure)
    with pytest.raises(Conflict, match="TF401179"):
        await requests.create(PROJECT, REPOSITORY, "basket", "main", "Again")
    assert (await requests.abandon(PROJECT, REPOSITORY, made.pull_request_id)).status == "abandoned"
    assert (await requests.reactivate(PROJECT, REPOSITORY, made.pull_request_id)).status == "active"
    with pytest.raises(Missing, match="TF401398"):
        await requests.create(PROJECT, REPOSITORY, "nowhere", "main", "Nothing")
    with pytest.raises(Missing, match="TF401180"):
        await requests.get(PROJECT, 99)


async def test_list_has_those_that_are_closed_too(azure: Azure) -> None:
    requests = azure.person.pull_requests
    first = await opened(azure)
    await requests.abandon(PROJECT, REPOSITORY, first.pull_request_id)
    second = await requests.create(PROJECT, REPOSITORY, "basket", "main", "Again", reviewer_ids=[POINTSMAN.id])
    numbers = {first.pull_request_id: "first", second.pull_request_id: "second"}

    async def found(criteria: Criteria | None = None, repository: str = "") -> list[str]:
        return [numbers[one.pull_request_id] async for one in requests.each(PROJECT, criteria, repository)]

    assert await found() == await found(repository=REPOSITORY) == ["second", "first"]
    assert await found(Criteria(PullRequestStatus.ABANDONED)) == ["first"]
    assert await found(Criteria(reviewer_id=POINTSMAN.id, source="basket", target="main")) == ["second"]
    assert await found(Criteria(creator_id=POINTSMAN.id)) == []
    soon = datetime.now(UTC) + timedelta(hours=1)
    assert await found(Criteria(since=soon)) == []
    assert await found(Criteria(until=soon, by_closing=True)) == ["first"]
    (listed, _) = [one async for one in requests.each(PROJECT)]
    assert len((await requests.get(PROJECT, first.pull_request_id)).description) == 500
    assert listed.repository


async def test_descriptions_are_cut_in_lists(azure: Azure) -> None:
    await opened(azure)
    (listed,) = [one async for one in azure.person.pull_requests.each(PROJECT)]
    assert len(listed.description) == 400


async def test_votes_are_ones_own(azure: Azure) -> None:
    requests = azure.service.pull_requests
    made = await opened(azure)
    place = (PROJECT, REPOSITORY, made.pull_request_id)
    added = await requests.add_reviewer(*place, POINTSMAN.id, is_required=True)
    assert (added.vote, added.is_required, added.approves) == (0, True, False)
    assert (await requests.vote(*place, POINTSMAN.id, Vote.APPROVED)).approves
    assert (await requests.add_reviewer(*place, POINTSMAN.id, is_required=True)).vote == Vote.APPROVED
    with pytest.raises(Rejected, match="TF401186"):
        await azure.person.pull_requests.vote(*place, POINTSMAN.id, Vote.REJECTED)
    assert [held.unique_name for held in await requests.reviewers(*place)] == [POINTSMAN.unique_name]
    await requests.remove_reviewer(*place, POINTSMAN.id)
    assert await requests.reviewers(*place) == []


async def test_threads_stay_open_until_they_are_settled(azure: Azure) -> None:
    requests = azure.service.pull_requests
    made = await opened(azure)
    place = (PROJECT, REPOSITORY, made.pull_request_id)
    thread = await requests.open_thread(*place, "Why?", "/basket")
    assert (await requests.reply(*place, thread.id, "Because.")).parent_comment_id == 1
    (held,) = await requests.threads(*place)
    assert held.is_open
    assert held.thread_context
    assert (held.thread_context.file_path, [one.content for one in held.comments]) == ("/basket", ["Why?", "Because."])
    assert not (await requests.set_thread_status(*place, thread.id, "fixed")).is_open
    with pytest.raises(Missing, match="TF401300"):
        await requests.reply(*place, 9, "Lost")
    await requests.vote(*place, POINTSMAN.id, Vote.WAITING)
    said = (await requests.threads(*place))[-1]
    assert (said.is_open, said.status, said.comments[0].comment_type) == (False, "", "system")


async def test_pull_request_is_edited_while_it_is_a_draft(azure: Azure) -> None:
    requests = azure.person.pull_requests
    made = await opened(azure, is_draft=True)
    assert made.last_merge_source_commit
    place = (PROJECT, REPOSITORY, made.pull_request_id)
    with pytest.raises(Rejected, match="TF401197"):
        await requests.complete(*place, made.last_merge_source_commit.commit_id)
    edited = await requests.edit(*place, title="Keep it", description="", is_draft=False)
    assert (edited.title, edited.description, edited.is_draft) == ("Keep it", "", False)


async def test_items_say_which_pull_request_serves_them(azure: Azure) -> None:
    requests = azure.person.pull_requests
    made = await opened(azure)
    assert made.repository
    assert made.repository.project
    link = artifacts.pull_request(made.repository.project.id, made.repository.id, made.pull_request_id)
    item = await azure.make()
    assert await requests.work_items(PROJECT, REPOSITORY, made.pull_request_id) == []
    await azure.person.work_items.patch(item.id, [add_artifact(link)])
    (found,) = await requests.work_items(PROJECT, REPOSITORY, made.pull_request_id)
    assert found.number == item.id
    (relation,) = (await azure.person.work_items.get(item.id)).relations
    assert artifacts.parse(relation.url) == link


async def test_subscribers_hear_of_pushes_and_pull_requests(azure: Azure) -> None:
    events = ["git.push", "ms.vss-code.git-pullrequest-comment-event"]
    events += [f"git.pullrequest.{what}" for what in ("created", "updated", "merged")]
    project = await azure.service.project(PROJECT)
    repository = await azure.service.git.repository(PROJECT, REPOSITORY)
    async with receiver() as heard:
        for event in events:
            filters = {"projectId": project.id, "repository": repository.id, "branch": "main"}
            await azure.service.hooks.create(event, heard.url, filters=filters)
        made = await opened(azure)
        assert made.last_merge_source_commit
        place = (PROJECT, REPOSITORY, made.pull_request_id)
        await azure.person.pull_requests.open_thread(*place, "Why?")
        done = await azure.person.pull_requests.complete(*place, made.last_merge_source_commit.commit_id)
        told = [parse(delivery) for delivery in await heard.wait(6)]
    assert done.last_merge_commit
    kinds = sorted(type(event).__name__ for event in told)
    assert kinds == [
        "CodePushed",
        "PullRequestCommented",
        "PullRequestCreated",
        "PullRequestMergeAttempted",
        "PullRequestMergeAttempted",
        "PullRequestUpdated",
    ]
    pushed = next(event for event in told if isinstance(event, CodePushed))
    assert (pushed.refs[0].new, pushed.actor.unique_name) == (done.last_merge_commit.commit_id, ADA.unique_name)
    assert pushed.repository
    assert pushed.repository.id == repository.id
    merges = [event for event in told if isinstance(event, PullRequestMergeAttempted)]
    assert [(event.succeeded, event.status) for event in merges] == [(True, "active"), (True, "completed")]
    assert {event.number for event in told if isinstance(event, PullRequestTold)} == {made.pull_request_id}
    comment = next(event for event in told if isinstance(event, PullRequestCommented))
    assert (comment.content, comment.thread_id, comment.actor.unique_name) == ("Why?", 1, ADA.unique_name)
