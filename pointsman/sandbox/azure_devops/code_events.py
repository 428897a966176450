"""What subscribers hear of code and builds, with the resources that Microsoft documents."""

from collections.abc import Iterable

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.git_rendering import (
    comment_json,
    move_json,
    names_of,
    pull_request_json,
    pull_request_url,
    push_json,
    repository_json,
    repository_url,
    short_commit,
    whole_commit_json,
)
from pointsman.sandbox.azure_devops.git_state import HEADS, PullRequest, Push, Repository, Thread, ThreadComment
from pointsman.sandbox.azure_devops.occurrences import Told
from pointsman.sandbox.azure_devops.rendering import Links, identity_json

PUSHED, REVIEWERS, STATUS, VOTED = (
    f"{name}Notification" for name in ("Push", "ReviewersUpdate", "StatusUpdate", "ReviewerVote")
)
_COMMENT = "ms.vss-code.git-pullrequest-comment-event"


def announce(call: Call, told: Iterable[Told]) -> None:
    call.sandbox.deliverer.publish(told, call.links)


def repository_changed(event_type: str, repository: Repository, by: Identity, links: Links) -> Told:
    resource: dict[str, Json] = {
        "repository": repository_json(repository, links),
        "initiatedBy": identity_json(by, links),
        "utcTimestamp": repository.changed_at,
    }
    if event_type == "git.repo.statuschanged":
        resource["disabled"] = repository.disabled
    text = f"{by.display_name} changed the Git repository {repository.name}."
    marks = {"repository": (repository.id, repository.name)}
    return Told(event_type, repository.organisation, repository.project, resource, text, marks)


def pushed(push: Push, repository: Repository, links: Links) -> Told:
    """A push tells its commits with whom they are by, and no parents."""
    resource = push_json(push, repository, links, moves=False, commits=False)
    told = [whole_commit_json(repository.commits[held], repository, links) for held in push.commits]
    kept = ("commitId", "author", "committer", "comment", "url")
    resource["commits"] = [{name: commit[name] for name in kept} for commit in told]
    moves = [move_json(move, repository) for move in push.moves]
    resource["refUpdates"] = [{name: value for name, value in move.items() if name != "repositoryId"} for move in moves]
    url = str(resource["url"])
    home = repository_url(repository, links)
    hrefs = {
        "self": url,
        "repository": home,
        "commits": f"{url}/commits",
        "pusher": f"{links.root}/_apis/Identities/{push.by.id}",
        "refs": f"{home}/refs",
    }
    resource["_links"] = {name: {"href": href} for name, href in hrefs.items()}
    branch = push.moves[0].name.removeprefix(HEADS)
    marks = {
        "repository": (repository.id, repository.name),
        "branch": tuple(name for move in push.moves for name in names_of(move.name)),
        "pushedBy": (push.by.id,),
    }
    text = f"{push.by.display_name} pushed updates to branch {branch} of {repository.name}"
    return Told("git.push", repository.organisation, repository.project, resource, text, marks)


def pull_request_told(what: str, pull_request: PullRequest, by: Identity, links: Links, why: str = "") -> Told:
    """`what` is created, updated or merged; `why` the kind of an update. Who acted is in the text alone."""
    repository = pull_request.repository
    brought = repository.between(pull_request.target_commit, pull_request.source_commit)
    resource = pull_request_json(pull_request, links)
    resource["commits"] = [short_commit(commit.id, repository, links) for commit in brought]
    merged = "Succeeded" if pull_request.merge_status == "succeeded" else "Conflicts"
    marks = {
        "repository": (repository.id, repository.name),
        "branch": names_of(pull_request.target),
        "pullrequestCreatedBy": (pull_request.by.id,),
        "pullrequestReviewersContains": tuple(held.identity.id for held in pull_request.reviewers),
        "notificationType": (why,),
        "mergeResult": (merged, *(("Unsuccessful",) if merged != "Succeeded" else ())),
    }
    done = {
        "created": "created a new pull request",
        "updated": "updated the pull request",
        "merged": "has created a pull request merge commit",
    }[what]
    text = f"{by.display_name} {done}"
    event_type = f"git.pullrequest.{what}"
    return Told(event_type, repository.organisation, repository.project, resource, text, marks)


def comment_told(comment: ThreadComment, thread: Thread, pull_request: PullRequest, links: Links) -> Told:
    repository = pull_request.repository
    threads = f"{pull_request_url(pull_request, links)}/threads/{thread.id}"
    said = comment_json(comment, links)
    said["_links"] = {"self": {"href": f"{threads}/comments/{comment.id}"}, "threads": {"href": threads}}
    resource: dict[str, Json] = {"comment": said, "pullRequest": pull_request_json(pull_request, links)}
    text = f"{comment.by.display_name} has commented on a pull request"
    marks = {"repository": (repository.id, repository.name), "branch": names_of(pull_request.target)}
    return Told(_COMMENT, repository.organisation, repository.project, resource, text, marks)
