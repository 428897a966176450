"""Repositories, commits, pushes and pull requests as JSON, as the service writes them."""

from collections.abc import Sequence

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.git_state import (
    HEADS,
    NO_COMMIT,
    Commit,
    Iteration,
    Moved,
    PullRequest,
    Push,
    Repository,
    Reviewer,
    Thread,
    ThreadComment,
)
from pointsman.sandbox.azure_devops.rendering import Links, identity_json

LISTED_CHARS_MAX = 400
"""Of a description, where pull requests are listed."""


def repository_url(repository: Repository, links: Links) -> str:
    return f"{links.root}/{links.project_id(repository.project)}/_apis/git/repositories/{repository.id}"


def project_json(project: str, links: Links) -> dict[str, Json]:
    project_id = links.project_id(project)
    return {
        "id": project_id,
        "name": project,
        "url": f"{links.root}/_apis/projects/{project_id}",
        "state": "wellFormed",
        "visibility": "private",
    }


def repository_json(repository: Repository, links: Links) -> dict[str, Json]:
    """An empty repository has no default branch, so the key is absent."""
    page = f"{links.root}/{repository.project}/_git/{repository.name}"
    body: dict[str, Json] = {
        "id": repository.id,
        "name": repository.name,
        "url": repository_url(repository, links),
        "project": project_json(repository.project, links),
        "size": sum(len(commit.tree) for commit in repository.commits.values()),
        "remoteUrl": page,
        "webUrl": page,
        "isDisabled": repository.disabled,
        "isInMaintenance": False,
    }
    if repository.default_branch:
        body["defaultBranch"] = repository.default_branch
    if repository.parent:
        kept = ("id", "name", "url", "project", "remoteUrl")
        parent = repository_json(repository.parent, links)
        body |= {"isFork": True, "parentRepository": {name: parent[name] for name in kept}}
    return body


def signature_json(by: Identity, at: str) -> dict[str, Json]:
    return {"name": by.display_name, "email": by.unique_name, "date": at}


def short_commit(commit_id: str, repository: Repository, links: Links) -> dict[str, Json]:
    return {"commitId": commit_id, "url": f"{repository_url(repository, links)}/commits/{commit_id}"}


def commit_json(commit: Commit, repository: Repository, links: Links) -> dict[str, Json]:
    """As in lists: parents are told of single commits only."""
    counts: dict[str, Json] = {"Add": 0, "Edit": 0, "Delete": 0}
    for kind in counts:
        counts[kind] = sum(change.kind == kind.lower() for change in commit.changes)
    return {
        **short_commit(commit.id, repository, links),
        "author": signature_json(commit.by, commit.at),
        "committer": signature_json(commit.by, commit.at),
        "comment": commit.comment,
        "changeCounts": counts,
        "remoteUrl": f"{links.root}/{repository.project}/_git/{repository.name}/commit/{commit.id}",
    }


def whole_commit_json(commit: Commit, repository: Repository, links: Links) -> dict[str, Json]:
    return {**commit_json(commit, repository, links), "parents": [*commit.parents]}


def move_json(move: Moved, repository: Repository) -> dict[str, Json]:
    return {"repositoryId": repository.id, "name": move.name, "oldObjectId": move.old, "newObjectId": move.new}


def push_json(push: Push, repository: Repository, links: Links, *, moves: bool, commits: bool) -> dict[str, Json]:
    url = f"{repository_url(repository, links)}/pushes/{push.id}"
    body: dict[str, Json] = {
        "repository": repository_json(repository, links),
        "pushedBy": identity_json(push.by, links),
        "pushId": push.id,
        "date": push.at,
        "url": url,
    }
    if moves:
        body["refUpdates"] = [move_json(move, repository) for move in push.moves]
    if commits:
        body["commits"] = [whole_commit_json(repository.commits[held], repository, links) for held in push.commits]
    return body


def ref_json(name: str, commit_id: str, repository: Repository, links: Links, by: Identity) -> dict[str, Json]:
    url = f"{repository_url(repository, links)}/refs?filter={name.removeprefix('refs/')}"
    return {"name": name, "objectId": commit_id, "creator": identity_json(by, links), "url": url}


def reviewer_json(reviewer: Reviewer, pull_request: PullRequest, links: Links) -> dict[str, Json]:
    """`isRequired` is there only where it is true."""
    return {
        "reviewerUrl": f"{pull_request_url(pull_request, links)}/reviewers/{reviewer.identity.id}",
        "vote": reviewer.vote,
        "hasDeclined": False,
        "isFlagged": False,
        **({"isRequired": True} if reviewer.is_required else {}),
        **identity_json(reviewer.identity, links),
    }


def pull_request_url(pull_request: PullRequest, links: Links) -> str:
    return f"{repository_url(pull_request.repository, links)}/pullRequests/{pull_request.id}"


def pull_request_json(pull_request: PullRequest, links: Links, *, listed: bool = False) -> dict[str, Json]:
    repository = pull_request.repository
    cut = LISTED_CHARS_MAX if listed else None
    body: dict[str, Json] = {
        "repository": repository_json(repository, links),
        "pullRequestId": pull_request.id,
        "codeReviewId": pull_request.id,
        "status": pull_request.status,
        "createdBy": identity_json(pull_request.by, links),
        "creationDate": pull_request.at,
        "title": pull_request.title,
        "sourceRefName": pull_request.source,
        "targetRefName": pull_request.target,
        "mergeStatus": pull_request.merge_status,
        "isDraft": pull_request.is_draft,
        "mergeId": pull_request.merge_id,
        "lastMergeSourceCommit": short_commit(pull_request.source_commit, repository, links),
        "lastMergeTargetCommit": short_commit(pull_request.target_commit, repository, links),
        "reviewers": [reviewer_json(held, pull_request, links) for held in pull_request.reviewers],
        "url": pull_request_url(pull_request, links),
        "supportsIterations": True,
    }
    if pull_request.description:
        body["description"] = pull_request.description[:cut]
    if pull_request.merge_commit:
        merged = pull_request.merge_commit
        body["lastMergeCommit"] = short_commit(merged.id, repository, links)
    if pull_request.closed_by:
        body |= {"closedBy": identity_json(pull_request.closed_by, links), "closedDate": pull_request.closed_at}
    if not listed:
        body["artifactId"] = pull_request.uri
    return body


def comment_json(comment: ThreadComment, links: Links) -> dict[str, Json]:
    return {
        "id": comment.id,
        "parentCommentId": comment.parent,
        "author": identity_json(comment.by, links),
        "content": comment.content,
        "publishedDate": comment.at,
        "lastUpdatedDate": comment.at,
        "lastContentUpdatedDate": comment.at,
        "commentType": comment.kind,
        "usersLiked": [],
    }


def thread_json(thread: Thread, pull_request: PullRequest, links: Links) -> dict[str, Json]:
    """Threads of the service itself have no status."""
    url = f"{pull_request_url(pull_request, links)}/threads/{thread.id}"
    return {
        "id": thread.id,
        "publishedDate": thread.at,
        "lastUpdatedDate": thread.comments[-1].at,
        "comments": [comment_json(comment, links) for comment in thread.comments],
        **({"status": thread.status} if thread.status else {}),
        "threadContext": {"filePath": thread.file_path} if thread.file_path else None,
        "properties": {},
        "identities": None,
        "isDeleted": False,
        "_links": {"self": {"href": url}},
    }


def iteration_json(iteration: Iteration, pull_request: PullRequest, links: Links) -> dict[str, Json]:
    repository = pull_request.repository
    return {
        "id": iteration.id,
        "description": "",
        "author": identity_json(iteration.by, links),
        "createdDate": iteration.at,
        "updatedDate": iteration.at,
        "sourceRefCommit": short_commit(iteration.source, repository, links),
        "targetRefCommit": short_commit(iteration.target, repository, links),
        "commonRefCommit": short_commit(iteration.common, repository, links),
        "hasMoreCommits": False,
        "reason": iteration.reason,
        "_links": {"self": {"href": f"{pull_request_url(pull_request, links)}/iterations/{iteration.id}"}},
    }


def names_of(branch: str) -> tuple[str, str]:
    """A branch as subscriptions may name it."""
    return branch, branch.removeprefix(HEADS)


def commits_json(commits: Sequence[Commit], repository: Repository, links: Links) -> list[Json]:
    return [commit_json(commit, repository, links) for commit in commits]


def is_commit(commit_id: str, repository: Repository) -> bool:
    return commit_id == NO_COMMIT or commit_id in repository.commits
