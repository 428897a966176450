"""The organisation's audit log: who changed what, for changes that no service hook tells of.

Ids and words of actions are Microsoft's; only actions that the stand-in itself plays are among them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.bodies import inner, text, within
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import forbidden
from pointsman.sandbox.azure_devops.listing import at_most, in_one
from pointsman.sandbox.azure_devops.policy_state import TYPES
from pointsman.sandbox.azure_devops.state import AuditEntry

BATCH_DEFAULT = 200
Data = dict[str, Json]


@dataclass(frozen=True)
class Action:
    category: str
    words: str


ACTIONS: Mapping[str, Action] = {
    "Git.RefUpdatePoliciesBypassed": Action(
        "modify", 'Policies on "{FriendlyName}" were bypassed in Git repository "{RepoName}" in project {ProjectName}'
    ),
    "Git.RepositoryCreated": Action("create", 'Created Git repository "{RepoName}" in project {ProjectName}'),
    "Git.RepositoryDefaultBranchChanged": Action(
        "modify", 'Default branch of Git repository "{RepoName}" was changed to "{DefaultBranch}"'
    ),
    "Git.RepositoryDeleted": Action("remove", 'Git repository "{RepoName}" was deleted from project {ProjectName}'),
    "Git.RepositoryDisabled": Action("modify", 'Git repository "{RepoName}" was disabled in project {ProjectName}'),
    "Git.RepositoryEnabled": Action("modify", 'Git repository "{RepoName}" was enabled in project {ProjectName}'),
    "Group.CreateGroups": Action("create", "{GroupName} group was created"),
    "Group.UpdateGroupMembership.Add": Action("modify", "{MemberId} was added as a member of group {GroupId}"),
    "Group.UpdateGroupMembership.Remove": Action("modify", "{MemberId} was removed as a member of group {GroupId}"),
    "Group.UpdateGroups.Delete": Action("remove", "{GroupId} group was deleted"),
    "Pipelines.PipelineCreated": Action("create", 'Created pipeline "{PipelineName}" in project {ProjectName}'),
    "Policy.PolicyConfigCreated": Action("create", "Created {PolicyTypeDisplayName} policy in project {ProjectName}"),
    "Policy.PolicyConfigModified": Action("modify", "Modified {PolicyTypeDisplayName} policy in project {ProjectName}"),
    "Policy.PolicyConfigRemoved": Action("remove", "Removed {PolicyTypeDisplayName} policy in project {ProjectName}"),
    "Project.AreaPath.Create": Action("create", 'Area path "{Path}" has been created.'),
    "Project.AreaPath.Delete": Action("remove", 'Area path "{Path}" has been deleted.'),
    "Project.AreaPath.Update": Action("modify", 'Area path "{Path}" has been updated.'),
    "Project.CreateQueued": Action("create", "Project {ProjectName} creation was started"),
    "Project.SoftDeleteQueued": Action("remove", "{PreviousProjectName} project deletion was started"),
}


def log(call: Call) -> Reply:
    """Newest first. The token is where the next batch begins."""
    _require_permission(call)
    held = [one for one in reversed(_held(call)) if within(call, one.at, "startTime", "endTime")]
    start = call.count("continuationToken", 0)
    end = start + at_most(call, call.count("batchSize", BATCH_DEFAULT) or BATCH_DEFAULT)
    entries: list[Json] = [_entry_json(call, one) for one in held[start:end]]
    more = end < len(held)
    return Reply(
        {"decoratedAuditLogEntries": entries, "continuationToken": str(end) if more else None, "hasMore": more}
    )


def actions(call: Call) -> Reply:
    _require_permission(call)
    wanted = call.query.get("areaName", "").lower()
    found = [name for name in ACTIONS if wanted in ("", _area(name).lower())]
    return in_one(found, lambda name: {"actionId": name, "area": _area(name), "category": ACTIONS[name].category})


def note(call: Call, reply: Reply) -> None:
    """Keep what a request that succeeded has changed, if it is something that the log tells of."""
    tell = NOTED.get(call.operation)
    told = tell(call, reply.body if isinstance(reply.body, dict) else {}) if tell else None
    if told is None:
        return
    action, data = told
    held = _held(call)
    held.append(
        AuditEntry(len(held) + 1, action, {"ProjectName": call.project, **data}, call.identity, call.world.clock.now())
    )


def _held(call: Call) -> list[AuditEntry]:
    return call.world.audit.setdefault(call.organisation.name.lower(), [])


def _require_permission(call: Call) -> None:
    if call.identity.unique_name in call.world.config.restricted:
        raise forbidden("view the audit log")


Told = Callable[[Call, Data], tuple[str, Data] | None]


def _policy(action: str) -> Told:
    def tell(call: Call, answer: Data) -> tuple[str, Data]:
        held = call.world.code.policies.of(call.organisation)
        number = answer.get("id", call.place.get("policy"))
        return action, {"PolicyTypeDisplayName": TYPES[held[int(str(number))].type_id], "ConfigId": number}

    return tell


def _repository(call: Call, answer: Data) -> tuple[str, Data] | None:
    """A change of the name alone is told by no action here."""
    body = call.body if isinstance(call.body, dict) else {}
    data: Data = {"RepoId": answer.get("id"), "RepoName": answer.get("name")}
    if call.operation == "git.create_repository":
        return "Git.RepositoryCreated", data
    if isinstance(disabled := body.get("isDisabled"), bool):
        return ("Git.RepositoryDisabled" if disabled else "Git.RepositoryEnabled"), data
    if branch := text(body, "defaultBranch"):
        return "Git.RepositoryDefaultBranchChanged", {**data, "DefaultBranch": branch}
    return None


def _repository_deleted(call: Call, _: Data) -> tuple[str, Data]:
    wanted = call.place["repository"].lower()
    projects = [one.name for one in call.organisation.projects]
    held = [one for name in projects for one in call.world.code.repositories(call.organisation, name)]
    return "Git.RepositoryDeleted", {"RepoId": wanted, "RepoName": next(one.name for one in held if one.id == wanted)}


def _bypassed(call: Call, answer: Data) -> tuple[str, Data] | None:
    body = call.body if isinstance(call.body, dict) else {}
    if answer.get("status") != "completed" or inner(body, "completionOptions").get("bypassPolicy") is not True:
        return None
    data: Data = {"FriendlyName": answer.get("targetRefName"), "RepoName": inner(answer, "repository").get("name")}
    return "Git.RefUpdatePoliciesBypassed", data


def _group(call: Call, answer: Data) -> tuple[str, Data]:
    if call.operation == "graph.create_group":
        return "Group.CreateGroups", {"GroupName": answer.get("principalName"), "GroupId": answer.get("originId")}
    return "Group.UpdateGroups.Delete", {"GroupId": call.place["descriptor"]}


def _member(call: Call, _: Data) -> tuple[str, Data]:
    action = "Add" if call.operation == "graph.add_member" else "Remove"
    data: Data = {"MemberId": call.place["descriptor"], "GroupId": call.place["container"]}
    return f"Group.UpdateGroupMembership.{action}", data


def _project(call: Call, _: Data) -> tuple[str, Data]:
    if call.operation == "projects.create":
        return "Project.CreateQueued", {"ProjectName": text(call.body if isinstance(call.body, dict) else {}, "name")}
    found = call.organisation.project(call.place["name"])
    return "Project.SoftDeleteQueued", {"PreviousProjectName": found.name if found else call.place["name"]}


def _area_path(action: str) -> Told:
    def tell(call: Call, answer: Data) -> tuple[str, Data] | None:
        path = answer.get("path") or call.place.get("path", "")
        return (action, {"Path": path}) if call.place["group"] == "areas" else None

    return tell


def _pipeline(call: Call, answer: Data) -> tuple[str, Data]:
    return "Pipelines.PipelineCreated", {"PipelineName": answer.get("name"), "PipelineId": answer.get("id")}


NOTED: Mapping[str, Told] = {
    "policies.create": _policy("Policy.PolicyConfigCreated"),
    "policies.replace": _policy("Policy.PolicyConfigModified"),
    "policies.delete": _policy("Policy.PolicyConfigRemoved"),
    "git.create_repository": _repository,
    "git.update_repository": _repository,
    "git.delete_repository": _repository_deleted,
    "pull_requests.update": _bypassed,
    "graph.create_group": _group,
    "graph.delete_group": _group,
    "graph.add_member": _member,
    "graph.remove_member": _member,
    "projects.create": _project,
    "projects.delete": _project,
    "nodes.create": _area_path("Project.AreaPath.Create"),
    "nodes.create.root": _area_path("Project.AreaPath.Create"),
    "nodes.change": _area_path("Project.AreaPath.Update"),
    "nodes.delete": _area_path("Project.AreaPath.Delete"),
    "pipelines.create": _pipeline,
}


def _area(action: str) -> str:
    return action.partition(".")[0]


def _entry_json(call: Call, entry: AuditEntry) -> Data:
    action, who, organisation = ACTIONS[entry.action], entry.by, call.organisation
    number = str(uuid5(NAMESPACE_URL, f"audit/{organisation.name}/{entry.number}".lower()))
    project = organisation.project(str(entry.data.get("ProjectName") or ""))
    details = re.sub(r"\{(\w+)\}", lambda match: str(entry.data.get(match[1]) or ""), action.words)
    return {
        "id": f"{entry.number:019};00000064;{number}",
        "correlationId": number,
        "activityId": number,
        "actorCUID": who.id,
        "actorUserId": who.id,
        "actorClientId": None,
        "actorUPN": who.unique_name,
        "actorDisplayName": who.display_name,
        "actorImageUrl": None,
        "authenticationMechanism": "PAT_Unscoped",
        "timestamp": entry.at,
        "scopeType": "organization",
        "scopeDisplayName": f"{organisation.name} (Organization)",
        "scopeId": organisation.account_id,
        "projectId": project.id_in(organisation.name) if project else "00000000-0000-0000-0000-000000000000",
        "projectName": project.name if project else None,
        "ipAddress": "127.0.0.1",
        "userAgent": "",
        "actionId": entry.action,
        "data": {**entry.data},
        "details": details,
        "area": _area(entry.action),
        "category": action.category,
        "categoryDisplayName": action.category.title(),
    }


OPERATIONS = (
    Operation("audit.log", "GET", "audit/auditlog", log, scope="organisation", preview=True),
    Operation("audit.actions", "GET", "audit/actions", actions, scope="organisation", preview=True),
)
