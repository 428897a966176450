"""Whether a pull request keeps the policies of its target branch, and what they forbid."""

from collections.abc import Iterator

from pointsman.sandbox.azure_devops.calls import Call
from pointsman.sandbox.azure_devops.config import Organisation
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.git_state import PullRequest, Repository
from pointsman.sandbox.azure_devops.linked import linked_items
from pointsman.sandbox.azure_devops.policy_state import (
    BUILD,
    COMMENTS,
    MIN_REVIEWERS,
    REQUIRED_REVIEWERS,
    WORK_ITEMS,
    Policy,
)
from pointsman.sandbox.azure_devops.state import World


def policies_for(
    world: World, organisation: Organisation, project: str, repository_id: str, branch: str
) -> Iterator[Policy]:
    """Those that are switched on for a branch."""
    for policy in world.code.policies.of(organisation).values():
        if policy.deleted or not policy.is_enabled or policy.project != project:
            continue
        if any(scope.covers(repository_id, branch) for scope in policy.scopes):
            yield policy


def policies_of(world: World, pull_request: PullRequest) -> list[Policy]:
    repository = pull_request.repository
    return list(policies_for(world, repository.organisation, repository.project, repository.id, pull_request.target))


def verdict(world: World, policy: Policy, pull_request: PullRequest) -> str:
    """`approved`, `rejected`, `queued` or `running`. Types that the stand-in does not play are always kept."""
    if policy.type_id == MIN_REVIEWERS:
        return _votes(policy, pull_request)
    if policy.type_id == REQUIRED_REVIEWERS:
        wanted = policy.settings.get("requiredReviewerIds")
        ids = set(wanted) if isinstance(wanted, list) else set()
        approving = {held.identity.id for held in pull_request.reviewers if held.vote > 0}
        return "approved" if ids <= approving else "queued"
    if policy.type_id == WORK_ITEMS:
        found = linked_items(world, pull_request.repository.organisation, pull_request.uri)
        return "approved" if found else "rejected"
    if policy.type_id == COMMENTS:
        is_open = any(thread.status in ("active", "pending") for thread in pull_request.threads)
        return "rejected" if is_open else "approved"
    return _built(world, policy, pull_request) if policy.type_id == BUILD else "approved"


def require_completion(world: World, pull_request: PullRequest) -> None:
    """Refuse where a policy that blocks is not kept. Status and type key of this refusal are not confirmed."""
    for policy in policies_of(world, pull_request):
        if policy.is_blocking and verdict(world, policy, pull_request) != "approved":
            message = f"TF402455: Pull request {pull_request.id} can not be completed: policy {policy.id} is not kept."
            raise git_error(403, message, "GitPullRequestUpdateRejectedByPolicyException")


def require_direct_push(call: Call, repository: Repository, branch: str) -> None:
    """A branch with a policy that blocks is changed through pull requests only. It may be begun, though."""
    found = policies_for(call.world, call.organisation, repository.project, repository.id, branch)
    if branch in repository.refs and any(policy.is_blocking for policy in found):
        message = (
            "TF402455: Pushes to this branch are not permitted; you must use a pull request to update this branch."
        )
        raise git_error(403, message, "GitRefUpdateRejectedByPolicyException")


def _votes(policy: Policy, pull_request: PullRequest) -> str:
    counted = [
        held.vote
        for held in pull_request.reviewers
        if held.identity != pull_request.by or policy.flag("creatorVoteCounts")
    ]
    if any(vote == -10 for vote in counted) and not policy.flag("allowDownvotes"):
        return "rejected"
    return "approved" if sum(vote > 0 for vote in counted) >= policy.number("minimumApproverCount", 1) else "queued"


def _built(world: World, policy: Policy, pull_request: PullRequest) -> str:
    """By the newest build of the definition of what is to be merged."""
    builds = [
        build
        for build in world.code.builds.builds_of(pull_request.repository.organisation).values()
        if build.definition.id == policy.number("buildDefinitionId") and build.version == pull_request.source_commit
    ]
    if not builds or builds[-1].status != "completed":
        return "running" if builds else "queued"
    return "approved" if builds[-1].result == "succeeded" else "rejected"
