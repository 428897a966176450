"""Events of code: who pushed what where, what became of a pull request, what happened to a repository."""

import pytest

from pointsman.contracts import events
from pointsman.contracts.base import Json
from pointsman.contracts.events import Commit, Person, RefUpdate, Repository
from pointsman.domain.events.reading import parse
from tests.domain.events.samples import ADA, COMMENT, PULL_REQUEST, REPOSITORY, REPOSITORY_ID, delivery, known

WHO = Person(id="ada-1", display_name="Ada Holm", unique_name="ada@harbour.example")


def test_a_push_tells_refs_and_commits() -> None:
    event = parse(known("git.push"))
    assert isinstance(event, events.CodePushed)
    assert (event.push_id, event.actor) == (14, WHO)
    assert event.refs == (RefUpdate(name="refs/heads/main", old="0" * 40, new="d" * 40),)
    assert event.commits == (
        Commit(id="c" * 40, author="ada@harbour.example", comment="Oil #41"),
        Commit(id="d" * 40, author="Bo"),
    )


def test_a_repository_is_told_without_the_user_in_its_url() -> None:
    url = "https://dev.azure.com/Harbour/Quay/_git/cranes"
    assert parse(known("git.push")).repository == Repository(id=REPOSITORY_ID, name="cranes", project="Quay", url=url)


def test_only_the_creator_of_a_pull_request_is_known_to_have_acted() -> None:
    assert parse(known("git.pullrequest.created")).actor == WHO
    assert parse(known("git.pullrequest.updated")).actor == Person()


@pytest.mark.parametrize(
    ("status", "succeeded"), [("succeeded", True), ("conflicts", False), ("failure", False), (None, False)]
)
def test_merged_means_attempted(status: str | None, succeeded: bool) -> None:
    event = parse(delivery("git.pullrequest.merged", {**PULL_REQUEST, "mergeStatus": status}))
    assert isinstance(event, events.PullRequestMergeAttempted)
    assert event.succeeded is succeeded


def test_a_comment_belongs_to_a_thread_of_a_pull_request() -> None:
    event = parse(known("ms.vss-code.git-pullrequest-comment-event"))
    assert isinstance(event, events.PullRequestCommented)
    assert (event.number, event.thread_id, event.comment_id, event.parent_comment_id) == (17, 5, 2, 1)
    assert (event.content, event.title, event.actor) == ("More *oil*.\nPlease.", "Oil the crane", WHO)


def test_a_comment_of_the_older_version_finds_its_pull_request_in_its_link() -> None:
    event = parse(delivery("ms.vss-code.git-pullrequest-comment-event", COMMENT, resourceVersion="1.0"))
    assert isinstance(event, events.PullRequestCommented)
    assert (event.number, event.thread_id, event.content) == (17, 5, "More *oil*.\nPlease.")
    assert event.repository == Repository(id=REPOSITORY_ID)


def test_repositories_are_made_forked_renamed_locked_and_lost() -> None:
    lost, fork = parse(known("git.repo.deleted")), parse(known("git.repo.forked"))
    renamed, locked = parse(known("git.repo.renamed")), parse(known("git.repo.statuschanged"))
    assert isinstance(lost, events.RepositoryDeleted)
    assert isinstance(fork, events.RepositoryForked)
    assert isinstance(renamed, events.RepositoryRenamed)
    assert isinstance(locked, events.RepositoryStatusChanged)
    assert (lost.is_final, fork.fork.name, locked.is_disabled) == (True, "our-cranes", True)
    assert (renamed.old_name, renamed.new_name) == ("crane", "cranes")
    assert lost.repository == Repository(id=REPOSITORY_ID, name="cranes", project="Quay")
    assert {one.actor for one in (lost, fork, renamed, locked, parse(known("git.repo.created")))} == {WHO}


def test_without_the_flag_the_repository_tells_whether_it_is_locked() -> None:
    resource: Json = {"repository": {**REPOSITORY, "isDisabled": True}, "initiatedBy": ADA}
    event = parse(delivery("git.repo.statuschanged", resource))
    assert isinstance(event, events.RepositoryStatusChanged)
    assert event.is_disabled


def test_a_changeset_has_a_number_and_whoever_checked_it_in() -> None:
    event = parse(known("tfvc.checkin"))
    assert isinstance(event, events.ChangesetCheckedIn)
    assert (event.changeset, event.comment, event.actor) == (18, "Oil", WHO)
