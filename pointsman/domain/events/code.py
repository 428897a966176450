"""Events of code: pushes, pull requests, repositories, changesets."""

import re
from functools import partial
from typing import Any

from pointsman.contracts.events import (
    ChangesetCheckedIn,
    CodePushed,
    Commit,
    Event,
    PullRequestCommented,
    PullRequestCreated,
    PullRequestMergeAttempted,
    PullRequestTold,
    PullRequestUpdated,
    RefUpdate,
    RepositoryCreated,
    RepositoryDeleted,
    RepositoryForked,
    RepositoryRenamed,
    RepositoryStatusChanged,
)
from pointsman.domain.events.parts import Head, Reader, person, repository
from pointsman.domain.events.subjects import COMMENT, comment_link, pull_request_number
from pointsman.domain.loose import ID_CHARS, Object, each, get, inner, number_in, string, text, truth, whole
from pointsman.domain.texts import clean

THREAD_IN_URL = re.compile(r"/threads/(\d+)", re.IGNORECASE)


def pushed(told: Head, resource: Object) -> Event:
    return CodePushed(
        **told._asdict(),
        actor=person(get(resource, "pushedBy")),
        push_id=whole(get(resource, "pushId")),
        refs=tuple(_ref(one) for one in each(get(resource, "refUpdates"))),
        commits=tuple(_commit(one) for one in each(get(resource, "commits"))),
    )


def _ref(told: Object) -> RefUpdate:
    old, new = text(get(told, "oldObjectId"), ID_CHARS), text(get(told, "newObjectId"), ID_CHARS)
    return RefUpdate(name=text(get(told, "name")), old=old, new=new)


def _commit(told: Object) -> Commit:
    author = inner(told, "author")
    return Commit(
        id=text(get(told, "commitId"), ID_CHARS),
        author=text(get(author, "email")) or text(get(author, "name")),
        comment=clean(string(get(told, "comment"))),
    )


def _pull_request(resource: Object) -> dict[str, Any]:
    told = inner(resource, "pullRequest") or resource
    return {
        "number": pull_request_number(resource),
        "title": text(get(told, "title")),
        "description": clean(string(get(told, "description"))),
        "status": text(get(told, "status")),
        "source": text(get(told, "sourceRefName")),
        "target": text(get(told, "targetRefName")),
        "merge_status": text(get(told, "mergeStatus")),
        "source_commit": text(get(inner(told, "lastMergeSourceCommit"), "commitId"), ID_CHARS),
        "merge_commit": text(get(inner(told, "lastMergeCommit"), "commitId"), ID_CHARS),
    }


def pull_request(kind: type[PullRequestTold], told: Head, resource: Object) -> Event:
    """Who acted is not told; `createdBy` is its author, and says nothing about who updated or merged it."""
    author = person(get(resource, "createdBy")) if kind is PullRequestCreated else person()
    return kind(**told._asdict(), actor=author, **_pull_request(resource))


def merge_attempted(told: Head, resource: Object) -> Event:
    found = _pull_request(resource)
    succeeded = str(found["merge_status"]).casefold() == "succeeded"
    return PullRequestMergeAttempted(**told._asdict(), **found, succeeded=succeeded)


def commented(told: Head, resource: Object) -> Event:
    """The older version of the resource is the comment itself, without its pull request."""
    comment = inner(resource, "comment") or resource
    return PullRequestCommented(
        **told._asdict(),
        actor=person(get(comment, "author")),
        **_pull_request(resource),
        thread_id=number_in(THREAD_IN_URL, comment_link(resource)),
        comment_id=whole(get(comment, "id")),
        parent_comment_id=whole(get(comment, "parentCommentId")),
        content=clean(string(get(comment, "content"))),
        is_deleted=truth(get(comment, "isDeleted")),
    )


def created(told: Head, resource: Object) -> Event:
    return RepositoryCreated(**told._asdict(), actor=person(get(resource, "initiatedBy")))


def deleted(told: Head, resource: Object) -> Event:
    is_final = truth(get(resource, "isHardDelete"))
    return RepositoryDeleted(**told._asdict(), actor=person(get(resource, "initiatedBy")), is_final=is_final)


def forked(told: Head, resource: Object) -> Event:
    fork = repository(inner(resource, "targetRepository"))
    return RepositoryForked(**told._asdict(), actor=person(get(resource, "initiatedBy")), fork=fork)


def renamed(told: Head, resource: Object) -> Event:
    return RepositoryRenamed(
        **told._asdict(),
        actor=person(get(resource, "initiatedBy")),
        old_name=text(get(resource, "oldName")),
        new_name=text(get(resource, "newName")) or (told.repository.name if told.repository else ""),
    )


def status_changed(told: Head, resource: Object) -> Event:
    disabled = get(resource, "disabled")
    return RepositoryStatusChanged(
        **told._asdict(),
        actor=person(get(resource, "initiatedBy")),
        is_disabled=truth(get(inner(resource, "repository"), "isDisabled") if disabled is None else disabled),
    )


def checked_in(told: Head, resource: Object) -> Event:
    return ChangesetCheckedIn(
        **told._asdict(),
        actor=person(get(resource, "checkedInBy"), get(resource, "author")),
        changeset=whole(get(resource, "changesetId")),
        comment=clean(string(get(resource, "comment"))),
    )


READERS: dict[str, Reader] = {
    "git.push": pushed,
    "git.pullrequest.created": partial(pull_request, PullRequestCreated),
    "git.pullrequest.updated": partial(pull_request, PullRequestUpdated),
    "git.pullrequest.merged": merge_attempted,
    COMMENT: commented,
    "git.repo.created": created,
    "git.repo.deleted": deleted,
    "git.repo.forked": forked,
    "git.repo.renamed": renamed,
    "git.repo.statuschanged": status_changed,
    "tfvc.checkin": checked_in,
}
