"""Operations on pull requests, their reviewers, threads, iterations and work items."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import pull_request_edits
from pointsman.sandbox.azure_devops.bodies import each, identity, inner, needed, number, object_in, text, within
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.code_events import (
    REVIEWERS,
    STATUS,
    VOTED,
    announce,
    comment_told,
    pull_request_told,
)
from pointsman.sandbox.azure_devops.faults_of_service import invalid
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.git_operations import repository_of
from pointsman.sandbox.azure_devops.git_rendering import (
    comment_json,
    commit_json,
    iteration_json,
    pull_request_json,
    reviewer_json,
    thread_json,
)
from pointsman.sandbox.azure_devops.git_state import PullRequest, Reviewer, Thread, ThreadComment
from pointsman.sandbox.azure_devops.linked import references
from pointsman.sandbox.azure_devops.listing import by_skip, by_token, in_one

VOTES = (10, 5, 0, -5, -10)
THREAD_STATUSES = ("active", "fixed", "wontFix", "closed", "byDesign", "pending", "unknown")
_CRITERIA = "searchCriteria."


def pull_request_of(call: Call) -> PullRequest:
    wanted = call.number("number")
    found = call.world.code.pull_requests_of(call.organisation).get(wanted)
    inside = found is not None and call.project in ("", found.repository.project)
    if inside and "repository" in call.place:
        inside = found is not None and found.repository is repository_of(call)
    if found is None or not inside:
        message = f"TF401180: The requested pull request was not found: {wanted}."
        raise git_error(404, message, "GitPullRequestNotFoundException")
    return found


def listed(call: Call) -> Reply:
    """Without a status only the active ones."""
    held = call.world.code.pull_requests_of(call.organisation).values()
    repository = repository_of(call) if "repository" in call.place else None
    wanted = [
        one
        for one in held
        if call.project in ("", one.repository.project) and repository in (None, one.repository) and _fits(call, one)
    ]
    newest = sorted(wanted, key=lambda one: -one.id)
    return by_skip(call, newest, lambda one: pull_request_json(one, call.links, listed=True))


def get(call: Call) -> Reply:
    return Reply(pull_request_json(pull_request_of(call), call.links))


def create(call: Call) -> Reply:
    repository, body = repository_of(call), object_in(call.body)
    branches = needed(body, "sourceRefName"), needed(body, "targetRefName")
    reviewers = [_reviewer(call, entry) for entry in each(body, "reviewers")]
    title, description = needed(body, "title"), text(body, "description")
    made = pull_request_edits.create(call.world, repository, branches, title, description, call.identity, reviewers)
    made.is_draft = body.get("isDraft") is True
    announce(call, [pull_request_told(what, made, call.identity, call.links) for what in ("created", "merged")])
    return Reply(pull_request_json(made, call.links), 201)


def update(call: Call) -> Reply:
    """The work items of a pull request cannot be set here: they are links of the items."""
    found, body = pull_request_of(call), object_in(call.body)
    status = text(body, "status", found.status)
    if status != found.status:
        _move(call, found, status, body)
    else:
        found.title, found.description = text(body, "title", found.title), text(body, "description", found.description)
        draft = body.get("isDraft")
        found.is_draft = draft if isinstance(draft, bool) else found.is_draft
        announce(call, [pull_request_told("updated", found, call.identity, call.links, STATUS)])
    return Reply(pull_request_json(found, call.links))


def reviewers(call: Call) -> Reply:
    found = pull_request_of(call)
    return in_one(found.reviewers, lambda held: reviewer_json(held, found, call.links))


def reviewer(call: Call) -> Reply:
    found, wanted = pull_request_of(call), call.place["reviewer"]
    held = next((one for one in found.reviewers if one.identity.id == wanted), None)
    if held is None:
        message = f"TF401298: The reviewer {wanted} is not on the pull request."
        raise git_error(404, message, "GitPullRequestReviewerNotFoundException")
    return Reply(reviewer_json(held, found, call.links))


def set_reviewer(call: Call) -> Reply:
    """Adds somebody, or casts a vote. Nobody votes for anybody else; a vote of 0 is none."""
    found, body, wanted = pull_request_of(call), object_in(call.body), call.place["reviewer"]
    held = next((one for one in found.reviewers if one.identity.id == wanted), None)
    if held is None:
        held = Reviewer(identity(call, wanted))
        found.reviewers.append(held)
        announce(call, [pull_request_told("updated", found, call.identity, call.links, REVIEWERS)])
    if isinstance(required := body.get("isRequired"), bool):
        held.is_required = required
    if "vote" in body:
        _vote(call, found, held, number(body, "vote", 1))
    return Reply(reviewer_json(held, found, call.links))


def remove_reviewer(call: Call) -> Reply:
    found, wanted = pull_request_of(call), call.place["reviewer"]
    found.reviewers = [held for held in found.reviewers if held.identity.id != wanted]
    announce(call, [pull_request_told("updated", found, call.identity, call.links, REVIEWERS)])
    return Reply(status=204)


def threads(call: Call) -> Reply:
    found = pull_request_of(call)
    return in_one(found.threads, lambda thread: thread_json(thread, found, call.links))


def open_thread(call: Call) -> Reply:
    found, body = pull_request_of(call), object_in(call.body)
    said = each(body, "comments")
    if not said:
        raise invalid("A thread needs a comment.", "ArgumentException")
    at = call.world.clock.now()
    comments = [ThreadComment(1, 0, text(said[0], "content"), call.identity, at)]
    file_path = text(inner(body, "threadContext"), "filePath")
    thread = Thread(len(found.threads) + 1, text(body, "status", "active"), comments, at, file_path)
    found.threads.append(thread)
    announce(call, [comment_told(comments[0], thread, found, call.links)])
    return Reply(thread_json(thread, found, call.links))


def update_thread(call: Call) -> Reply:
    found, thread = _thread(call)
    status = text(object_in(call.body), "status", thread.status)
    if status not in THREAD_STATUSES:
        raise invalid(f"The request is invalid: {status!r} is not a valid value for status.")
    thread.status = status
    return Reply(thread_json(thread, found, call.links))


def reply(call: Call) -> Reply:
    found, thread = _thread(call)
    body = object_in(call.body)
    at = call.world.clock.now()
    parent = number(body, "parentCommentId")
    comment = ThreadComment(len(thread.comments) + 1, parent, text(body, "content"), call.identity, at)
    thread.comments.append(comment)
    announce(call, [comment_told(comment, thread, found, call.links)])
    return Reply(comment_json(comment, call.links))


def iterations(call: Call) -> Reply:
    found = pull_request_of(call)
    return in_one(found.iterations, lambda one: iteration_json(one, found, call.links))


def commits(call: Call) -> Reply:
    found = pull_request_of(call)
    base = found.iterations[-1].common
    brought = found.repository.between(base, found.source_commit)
    return by_token(call, brought, lambda commit: commit_json(commit, found.repository, call.links))


def work_items(call: Call) -> Reply:
    return in_one(references(call.world, call.links, pull_request_of(call).uri), lambda reference: reference)


def _move(call: Call, found: PullRequest, status: str, body: dict[str, Json]) -> None:
    if found.status == "completed" or status not in ("active", "abandoned", "completed"):
        message = f"TF401181: The pull request cannot be edited: it is {found.status}."
        raise git_error(409, message, "GitPullRequestCannotBeEditedException")
    if status == "completed":
        found.options = {**inner(body, "completionOptions")}
        seen = text(inner(body, "lastMergeSourceCommit"), "commitId")
        pull_request_edits.complete(call, found, seen, bypass=found.options.get("bypassPolicy") is True)
        return
    if status == "abandoned":
        pull_request_edits.close(call, found, status)
    else:
        found.status, found.closed_by, found.closed_at = status, None, ""
        pull_request_edits.attempt(call.world, found, call.identity)
    announce(call, [pull_request_told("updated", found, call.identity, call.links, STATUS)])


def _vote(call: Call, found: PullRequest, held: Reviewer, vote: int) -> None:
    if vote not in VOTES:
        raise invalid(f"The vote {vote} is not valid.", "InvalidArgumentValueException")
    if held.vote != vote and held.identity != call.identity:
        message = "TF401186: You may not vote on behalf of another identity."
        raise git_error(403, message, "GitPullRequestReviewerVoteException")
    if held.vote != vote:
        held.vote = vote
        pull_request_edits.say(call.world, found, f"{held.identity.display_name} voted {vote}", held.identity)
        announce(call, [pull_request_told("updated", found, call.identity, call.links, VOTED)])


def _fits(call: Call, one: PullRequest) -> bool:
    asked = {name: call.query.get(_CRITERIA + name, "") for name in ("sourceRefName", "targetRefName", "creatorId")}
    status, reviewer = call.query.get(_CRITERIA + "status", "active"), call.query.get(_CRITERIA + "reviewerId", "")
    told = {"sourceRefName": one.source, "targetRefName": one.target, "creatorId": one.by.id}
    if status != "all" and one.status != status:
        return False
    if any(value and told[name] != value for name, value in asked.items()):
        return False
    if reviewer and reviewer not in {held.identity.id for held in one.reviewers}:
        return False
    by_closing = call.query.get(_CRITERIA + "queryTimeRangeType") == "closed"
    at = one.closed_at if by_closing else one.at
    return bool(at) and within(call, at, _CRITERIA + "minTime", _CRITERIA + "maxTime")


def _reviewer(call: Call, body: dict[str, Json]) -> Reviewer:
    return Reviewer(identity(call, text(body, "id")), is_required=body.get("isRequired") is True)


def _thread(call: Call) -> tuple[PullRequest, Thread]:
    found, wanted = pull_request_of(call), call.number("thread")
    thread = next((one for one in found.threads if one.id == wanted), None)
    if thread is None:
        message = f"TF401300: The thread {wanted} does not exist."
        raise git_error(404, message, "CommentThreadNotFoundException")
    return found, thread


_ALL, _IN = "git/pullrequests", "git/repositories/{repository}/pullrequests"
_ONE = f"{_IN}/{{number}}"
_REVIEWER, _THREAD = f"{_ONE}/reviewers/{{reviewer}}", f"{_ONE}/threads/{{thread}}"
OPERATIONS = (
    Operation("pull_requests.list_all", "GET", _ALL, listed),
    Operation("pull_requests.get", "GET", f"{_ALL}/{{number}}", get),
    Operation("pull_requests.list", "GET", _IN, listed),
    Operation("pull_requests.create", "POST", _IN, create),
    Operation("pull_requests.get_in", "GET", _ONE, get),
    Operation("pull_requests.update", "PATCH", _ONE, update),
    Operation("pull_requests.reviewers", "GET", f"{_ONE}/reviewers", reviewers),
    Operation("pull_requests.reviewer", "GET", _REVIEWER, reviewer),
    Operation("pull_requests.set_reviewer", "PUT", _REVIEWER, set_reviewer),
    Operation("pull_requests.remove_reviewer", "DELETE", _REVIEWER, remove_reviewer),
    Operation("pull_requests.threads", "GET", f"{_ONE}/threads", threads),
    Operation("pull_requests.open_thread", "POST", f"{_ONE}/threads", open_thread),
    Operation("pull_requests.update_thread", "PATCH", _THREAD, update_thread),
    Operation("pull_requests.reply", "POST", f"{_THREAD}/comments", reply),
    Operation("pull_requests.iterations", "GET", f"{_ONE}/iterations", iterations),
    Operation("pull_requests.commits", "GET", f"{_ONE}/commits", commits),
    Operation("pull_requests.work_items", "GET", f"{_ONE}/workitems", work_items),
)
