"""What checks of a process ask about a project as a whole, read from the service: branches, what went into them, the
audit log."""

from datetime import UTC, datetime, timedelta

from pointsman.clients.azure_devops.answers_code import PullRequestStatus, Repository
from pointsman.clients.azure_devops.answers_policies import Scope
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.pull_requests import Criteria
from pointsman.contracts.process import ProjectFacts
from pointsman.domain import artifacts
from pointsman.ports import Missing, Rejected

BYPASSED = "Git.RefUpdatePoliciesBypassed"


async def read(client: AzureDevOps, project: str, days: int, merged_days: int = 0) -> ProjectFacts:
    """How far back the audit log is looked through, and how far completed pull requests; 0 for not at all."""
    policies, bypasses = await branch_policies(client, project), await policies_bypassed(client, project, days)
    without = await unaccounted(client, project, merged_days)
    return ProjectFacts(name=project, policies=policies, bypasses=bypasses, unaccounted=without)


async def unaccounted(client: AzureDevOps, project: str, days: int) -> tuple[tuple[str, int], ...] | None:
    """Pull requests that went into a default branch and name no work item; None where we may not see them, or not the
    items. A request for each page of those that were completed, and one for 200 of them."""
    if not days:
        return None
    since = datetime.now(UTC) - timedelta(days=days)
    asked = Criteria(status=PullRequestStatus.COMPLETED, since=since, by_closing=True)
    merged: dict[str, tuple[str, int]] = {}
    try:
        places = {one.id: one for one in await client.git.repositories(project)}
        project_id = (await client.project(project)).id
        async for request in client.pull_requests.each(project, asked):
            place = places.get(request.repository.id if request.repository else "")
            if place is None or request.target_ref_name != place.default_branch:
                continue
            number = request.pull_request_id
            merged[artifacts.pull_request(project_id, place.id, number).uri] = (place.name, number)
        items = await client.work_items.linked_to(merged)
    except (Missing, Rejected):
        return None
    return tuple(named for uri, named in merged.items() if not items[uri])


async def policies_bypassed(client: AzureDevOps, project: str, days: int) -> tuple[tuple[datetime, str], ...] | None:
    """When somebody went past branch policies; None where we may not see the log. A request per thousand entries.

    A log without any entry is one that we may not see, or that is switched off.
    """
    if not days:
        return None
    until = datetime.now(UTC)
    seen, found = 0, []
    try:
        async for batch in client.audit.batches(until - timedelta(days=days), until):
            seen += len(batch.entries)
            found += [
                (one.timestamp, one.details or one.action_id)
                for one in batch.entries
                if one.action_id == BYPASSED and one.project_name.casefold() == project.casefold()
            ]
    except (Missing, Rejected):
        return None
    return tuple(found) if seen else None


async def branch_policies(client: AzureDevOps, project: str) -> dict[str, tuple[str, ...]] | None:
    """By repository with a default branch, types of the policies that are on and blocking on it; None where we may
    not see them."""
    try:
        repositories = [one for one in await client.git.repositories(project) if not one.is_disabled]
        policies = [one async for one in client.policies.each(project) if one.is_enabled and one.is_blocking]
    except (Missing, Rejected):
        return None
    return {
        one.name: tuple(sorted({p.type.id.lower() for p in policies if any(covers(s, one) for s in p.scopes)}))
        for one in repositories
        if one.default_branch
    }


def covers(scope: Scope, repository: Repository) -> bool:
    """Whether a policy of this scope holds for the default branch of a repository."""
    if scope.repository_id and scope.repository_id.lower() != repository.id.lower():
        return False
    match scope.match_kind:
        case "defaultbranch":
            return True
        case "prefix":
            return repository.default_branch.startswith(scope.ref_name)
        case _:
            return not scope.ref_name or repository.default_branch == scope.ref_name
