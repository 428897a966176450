"""What changes builds and approvals; and what subscribers hear of a build that is done."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.build_state import Approval, Build, Definition
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.faults_of_service import invalid
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.git_state import NO_COMMIT, Repository
from pointsman.sandbox.azure_devops.occurrences import Told
from pointsman.sandbox.azure_devops.rendering import Links, identity_json
from pointsman.sandbox.azure_devops.state import World

RESULTS = ("succeeded", "partiallySucceeded", "failed", "canceled")
_HOOK_RESULTS = {"canceled": "Stopped"}


def define(
    world: World, organisation: Organisation, project: str, name: str, repository: Repository, yaml: str, by: Identity
) -> Definition:
    held = world.code.builds.definitions_of(organisation)
    number, now = max(held, default=0) + 1, world.clock.now()
    held[number] = Definition(number, organisation, project, name, "\\", repository.id, yaml, by, now)
    return held[number]


def repository_built(world: World, definition: Definition) -> Repository:
    held = world.code.repositories(definition.organisation, definition.project)
    return next(one for one in held if one.id == definition.repository_id)


def queue(world: World, definition: Definition, branch: str, version: str, by: Identity) -> Build:
    """Begin one, of the branch's newest commit unless another is named."""
    repository = repository_built(world, definition)
    branch = branch or repository.default_branch
    tip = version or repository.refs.get(branch, NO_COMMIT)
    if tip not in repository.commits:
        raise invalid(
            f"Could not find the branch or commit to build: {branch} {version}.", "BuildRequestValidationFailed"
        )
    held = world.code.builds.builds_of(definition.organisation)
    before = [one.version for one in held.values() if one.definition is definition and one.branch == branch]
    brought = repository.between(before[-1] if before else NO_COMMIT, tip)
    number, at = max(held, default=0) + 1, world.clock.now()
    name = f"{at[:10].replace('-', '')}.{len(before) + 1}"
    commits = tuple(commit.id for commit in brought)
    held[number] = Build(number, definition, name, branch, tip, commits, by, at)
    return held[number]


def finish(world: World, build: Build, result: str) -> None:
    """Let it be done. What is done stays so."""
    if build.status == "completed" or result not in RESULTS:
        raise invalid(f"Build {build.id} is {build.status} and can not become {result!r}.", "BuildStatusInvalidChange")
    build.started_at = build.started_at or world.clock.now()
    build.status, build.result, build.finished_at = "completed", result, world.clock.now()


def completed(world: World, build: Build, links: Links) -> Told:
    definition = build.definition
    text = f"Build {build.number} {build.result}"
    marks = {"definitionName": (definition.name,), "buildStatus": (_HOOK_RESULTS.get(build.result, build.result),)}
    resource, older = build_json(world, build, links), _older_json(build, links)
    return Told("build.complete", definition.organisation, definition.project, resource, text, marks, older)


def decide(world: World, approval: Approval, by: Identity, status: str, comment: str) -> None:
    """Take an approver's word. One who rejects ends it, and so does the last approval that is needed."""
    if approval.status != "pending":
        message = f"The approval {approval.id} is already {approval.status}."
        raise git_error(409, message, "ApprovalAlreadyCompletedException")
    if by not in approval.approvers or status not in ("approved", "rejected"):
        message = f"{by.display_name} can not set the approval {approval.id} to {status!r}."
        raise git_error(403, message, "ApprovalUnauthorizedException")
    approval.modified_at = world.clock.now()
    approval.given[by.id] = (by, status, comment, approval.modified_at)
    approving = sum(given[1] == "approved" for given in approval.given.values())
    if status == "rejected" or approving >= approval.needed:
        approval.status = status


def definition_json(definition: Definition, links: Links) -> dict[str, Json]:
    project_id = links.project_id(definition.project)
    return {
        "id": definition.id,
        "name": definition.name,
        "url": f"{links.root}/{project_id}/_apis/build/Definitions/{definition.id}?revision=1",
        "uri": f"vstfs:///Build/Definition/{definition.id}",
        "path": definition.folder,
        "type": "build",
        "queueStatus": "enabled",
        "revision": 1,
        "createdDate": definition.at,
        "project": _project_json(definition.project, links),
    }


def build_json(world: World, build: Build, links: Links) -> dict[str, Json]:
    """What has not happened yet is absent."""
    definition = build.definition
    repository = repository_built(world, definition)
    project_id = links.project_id(definition.project)
    moments = {"startTime": build.started_at, "finishTime": build.finished_at, "result": build.result}
    return {
        "id": build.id,
        "buildNumber": build.number,
        "status": build.status,
        **{name: value for name, value in moments.items() if value},
        "queueTime": build.queued_at,
        "url": f"{links.root}/{project_id}/_apis/build/Builds/{build.id}",
        "uri": build.uri,
        "definition": definition_json(definition, links),
        "project": _project_json(definition.project, links),
        "sourceBranch": build.branch,
        "sourceVersion": build.version,
        "priority": "normal",
        "reason": build.reason,
        "requestedFor": identity_json(build.by, links),
        "requestedBy": identity_json(build.by, links),
        "lastChangedDate": build.finished_at or build.queued_at,
        "repository": {"id": repository.id, "type": "TfsGit", "name": repository.name, "checkoutSubmodules": False},
        "retainedByRelease": False,
        "tags": [*build.tags],
    }


def _older_json(build: Build, links: Links) -> dict[str, Json]:
    """A finished build as the first version of its event tells it: the result is in `status`."""
    definition, root = build.definition, f"{links.root}/{links.project_id(build.definition.project)}/_apis/build"
    by: Json = identity_json(build.by, links)
    containers = f"{links.root}/_apis/resources/Containers/{build.id}"
    return {
        "uri": build.uri,
        "id": build.id,
        "buildNumber": build.number,
        "url": f"{root}/Builds/{build.id}",
        "startTime": build.started_at,
        "finishTime": build.finished_at,
        "reason": build.reason,
        "status": build.result,
        "dropLocation": f"#/{build.id}/drop",
        "drop": {
            "location": f"#/{build.id}/drop",
            "type": "container",
            "url": f"{containers}/drop",
            "downloadUrl": f"{containers}/drop?$format=zip",
        },
        "log": {"type": "container", "url": f"{containers}/logs", "downloadUrl": f"{containers}/logs?$format=zip"},
        "sourceGetVersion": f"LG:{build.branch}:{build.version}",
        "lastChangedBy": by,
        "retainIndefinitely": False,
        "hasDiagnostics": True,
        "definition": {
            "batchSize": 1,
            "triggerType": "none",
            "definitionType": "build",
            "id": definition.id,
            "name": definition.name,
            "url": f"{root}/Definitions/{definition.id}",
        },
        "queue": {"queueType": "buildController", "id": 1, "name": "Default", "url": f"{root}/Queues/1"},
        "requests": [{"id": build.id, "url": f"{root}/Requests/{build.id}", "requestedFor": by}],
    }


def _project_json(project: str, links: Links) -> dict[str, Json]:
    project_id = links.project_id(project)
    url = f"{links.root}/_apis/projects/{project_id}"
    return {"id": project_id, "name": project, "url": url, "state": "wellFormed", "visibility": "private"}
