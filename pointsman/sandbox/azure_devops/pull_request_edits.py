"""What changes pull requests, each as one step; and what subscribers hear of it."""

from collections.abc import Sequence
from uuid import uuid4

from pointsman.sandbox.azure_devops import git_edits
from pointsman.sandbox.azure_devops.calls import Call
from pointsman.sandbox.azure_devops.code_events import PUSHED, STATUS, announce, pull_request_told, pushed
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.git_state import (
    HEADS,
    NO_COMMIT,
    Iteration,
    Moved,
    PullRequest,
    Push,
    Repository,
    Reviewer,
    Thread,
    ThreadComment,
)
from pointsman.sandbox.azure_devops.policy_evaluation import policies_of, require_completion
from pointsman.sandbox.azure_devops.policy_state import MIN_REVIEWERS
from pointsman.sandbox.azure_devops.state import World


def create(
    world: World,
    repository: Repository,
    branches: tuple[str, str],
    title: str,
    description: str,
    by: Identity,
    reviewers: Sequence[Reviewer] = (),
) -> PullRequest:
    """Open one from the first branch into the second.

    Raises:
        ServiceError: 404, a branch is not there; 409, there is an active one of the two.
    """
    source, target = branches
    for branch in branches:
        if branch not in repository.refs:
            message = f"TF401398: The pull request cannot be activated because the branch {branch} does not exist."
            raise git_error(404, message, "GitPullRequestCannotBeActivated")
    held = world.code.pull_requests_of(repository.organisation)
    if any(_same(one, repository, branches) for one in held.values()):
        message = "TF401179: An active pull request for the source and target branch already exists."
        raise git_error(409, message, "GitPullRequestExistsException")
    number, at = max(held, default=0) + 1, world.clock.now()
    made = PullRequest(number, repository, source, target, title, description, by, at, str(uuid4()))
    made.reviewers = list(reviewers)
    held[number] = made
    attempt(world, made, by, "create")
    return made


def attempt(world: World, pull_request: PullRequest, by: Identity, reason: str = "") -> None:
    """See what a merge would make. A `reason` makes an iteration of it: the source has moved."""
    repository = pull_request.repository
    pull_request.source_commit = repository.refs.get(pull_request.source, pull_request.source_commit)
    pull_request.target_commit = repository.refs.get(pull_request.target, pull_request.target_commit)
    source, target = pull_request.source_commit, pull_request.target_commit
    comment = (
        f"Merge pull request {pull_request.id} from {_short(pull_request.source)} into {_short(pull_request.target)}"
    )
    pull_request.merge_commit = git_edits.merge(world, repository, target, source, comment, by)
    pull_request.merge_status = "succeeded" if pull_request.merge_commit else "conflicts"
    if reason:
        common = repository.common(source, target)
        number = len(pull_request.iterations) + 1
        base = common.id if common else NO_COMMIT
        pull_request.iterations.append(Iteration(number, by, world.clock.now(), reason, source, target, base))


def told_of_push(call: Call, repository: Repository, push: Push) -> None:
    announce(call, [pushed(push, repository, call.links)])
    follow(call, repository, push.moves)


def follow(call: Call, repository: Repository, moves: Sequence[Moved]) -> None:
    """What moved branches mean for the pull requests that are from them, or into them."""
    names = {move.name for move in moves}
    for held in call.world.code.pull_requests_of(call.organisation).values():
        if held.repository is not repository or held.status != "active" or not {held.source, held.target} & names:
            continue
        from_source = held.source in names and held.source in repository.refs
        attempt(call.world, held, call.identity, "push" if from_source else "")
        if from_source:
            if _resets(call.world, held):
                for reviewer in held.reviewers:
                    reviewer.vote = 0
            announce(call, [pull_request_told("updated", held, call.identity, call.links, PUSHED)])
        announce(call, [pull_request_told("merged", held, call.identity, call.links)])


def complete(call: Call, pull_request: PullRequest, seen: str, *, bypass: bool) -> None:
    """Merge it: the target moves, and everybody hears of it."""
    if seen != pull_request.source_commit:
        message = "TF401192: The source branch of the pull request was updated since it was read."
        raise git_error(409, message, "GitPullRequestStaleException")
    if pull_request.is_draft:
        raise git_error(400, "TF401197: A draft can not be completed.", "GitPullRequestNotCompletableException")
    if not bypass:
        require_completion(call.world, pull_request)
    attempt(call.world, pull_request, call.identity)
    merged = pull_request.merge_commit
    if merged is None:
        announce(call, [pull_request_told("merged", pull_request, call.identity, call.links)])
        return
    repository = pull_request.repository
    repository.commits[merged.id] = merged
    brought = [commit.id for commit in repository.between(pull_request.target_commit, merged.id)]
    moves = [Moved(pull_request.target, pull_request.target_commit, merged.id)]
    if pull_request.options.get("deleteSourceBranch") is True:
        moves.append(Moved(pull_request.source, pull_request.source_commit, NO_COMMIT))
    close(call, pull_request, "completed")
    push = git_edits.moved(call.world, repository, moves, brought, call.identity)
    announce(
        call,
        [pull_request_told(what, pull_request, call.identity, call.links, STATUS) for what in ("merged", "updated")],
    )
    told_of_push(call, repository, push)


def close(call: Call, pull_request: PullRequest, status: str) -> None:
    pull_request.status = status
    pull_request.closed_by, pull_request.closed_at = call.identity, call.world.clock.now()


def say(world: World, pull_request: PullRequest, content: str, by: Identity) -> None:
    """A thread of the service itself: it has no status, and cannot be answered."""
    at = world.clock.now()
    comment = ThreadComment(1, 0, content, by, at, "system")
    pull_request.threads.append(Thread(len(pull_request.threads) + 1, "", [comment], at))


def _resets(world: World, pull_request: PullRequest) -> bool:
    return any(
        policy.type_id == MIN_REVIEWERS and policy.flag("resetOnSourcePush")
        for policy in policies_of(world, pull_request)
    )


def _same(held: PullRequest, repository: Repository, branches: tuple[str, str]) -> bool:
    return held.repository is repository and held.status == "active" and (held.source, held.target) == branches


def _short(branch: str) -> str:
    return branch.removeprefix(HEADS)
