"""Projects, their teams, and files of items."""

from dataclasses import replace
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import BYTES, Call, Operation, Reply
from pointsman.sandbox.azure_devops.config import Identity, Project
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, no_project
from pointsman.sandbox.azure_devops.item_operations import collection
from pointsman.sandbox.azure_devops.lifecycle_operations import begin
from pointsman.sandbox.azure_devops.listing import at_most, by_skip
from pointsman.sandbox.azure_devops.policy_state import Pending
from pointsman.sandbox.azure_devops.rendering import identity_json
from pointsman.sandbox.azure_devops.trees import Team

PROJECTS_MAX = 100
ATTACHMENT_BYTES_MAX = 60 * 1024 * 1024


def projects(call: Call) -> Reply:
    """The place of the next page goes out in a header."""
    start = call.count("continuationToken", 0) or call.count("$skip", 0)
    top = at_most(call, call.count("$top", PROJECTS_MAX))
    held = call.organisation.projects
    more = {"x-ms-continuationtoken": str(start + top)} if start + top < len(held) else {}
    page = collection([_project_json(call, project) for project in held[start : start + top]])
    return replace(page, headers=more)


def project(call: Call) -> Reply:
    """With `includeCapabilities` also its process and its version control."""
    found = call.organisation.project(call.place["name"])
    if found is None:
        raise no_project(call.place["name"])
    body = _project_json(call, found)
    if call.flag("includeCapabilities"):
        process = call.world.processes[found.process]
        body["capabilities"] = {
            "processTemplate": {"templateName": process.name, "templateTypeId": process.type_id},
            "versioncontrol": {"sourceControlType": "Git", "gitEnabled": "True", "tfvcEnabled": "False"},
        }
    return Reply(body)


def create_project(call: Call) -> Reply:
    """Made at once; the operation that the caller is told to ask for has succeeded by the time that it asks."""
    body = call.body if isinstance(call.body, dict) else {}
    name, capabilities = body.get("name"), body.get("capabilities")
    template = capabilities.get("processTemplate") if isinstance(capabilities, dict) else None
    type_id = str(template.get("templateTypeId", "")) if isinstance(template, dict) else ""
    if not isinstance(name, str) or not name.strip():
        raise invalid("The request is invalid: a project needs a name.")
    if call.organisation.project(name):
        message = f"TF200019: The following project already exists on the Azure DevOps Server: {name}."
        raise ServiceError(409, message, "ProjectAlreadyExistsException")
    process = next((one for one in call.world.processes.values() if one.type_id == type_id.lower()), None)
    if process is None:
        raise ServiceError(404, f"VS402356: The process {type_id!r} does not exist.", "ProcessNotFoundException")
    made = Project(name=name, process=process.name)
    call.world.add_project(call.organisation, made)
    number = made.id_in(call.organisation.name)
    return begin(call, Pending(number, call.organisation))


def teams(call: Call) -> Reply:
    project, held = _teams(call)
    return by_skip(call, held, lambda team: _json(call, project, team))


def team(call: Call) -> Reply:
    return Reply(_json(call, *_team(call)))


def create(call: Call) -> Reply:
    project, held = _teams(call)
    body = call.body if isinstance(call.body, dict) else {}
    name, description = body.get("name"), body.get("description")
    if not isinstance(name, str) or not name.strip():
        raise invalid("The request is invalid: a team needs a name.")
    if any(one.name.lower() == name.lower() for one in held):
        raise ServiceError(409, f"TF50620: The team {name} already exists.", "TeamAlreadyExistsException")
    held.append(Team(name, str(description or "")))
    return Reply(_json(call, project, held[-1]), 201)


def delete(call: Call) -> Reply:
    _, held = _teams(call)
    held.remove(_team(call)[1])
    return Reply(status=204)


def members(call: Call) -> Reply:
    """Everybody is a member of each team; the first is its administrator."""
    _team(call)
    everyone = call.world.config.identities

    def shown(one: Identity) -> Json:
        return {"identity": identity_json(one, call.links), **({"isTeamAdmin": True} if one is everyone[0] else {})}

    return by_skip(call, everyone, shown)


def upload(call: Call) -> Reply:
    if len(call.data) > ATTACHMENT_BYTES_MAX:
        message = f"VS402307: The attachment exceeds the limit of {ATTACHMENT_BYTES_MAX} bytes."
        raise ServiceError(400, message, "WorkItemAttachmentExceedsMaxSizeException")
    file_id = str(uuid4())
    call.world.files[file_id] = call.data
    name = call.query.get("fileName", "")
    suffix = f"?fileName={name}" if name else ""
    url = f"{call.links.project_tracking(call.project)}/attachments/{file_id}{suffix}"
    return Reply({"id": file_id, "url": url}, 201)


def download(call: Call) -> Reply:
    data = call.world.files.get(call.place["id"])
    if data is None:
        message = f"TF401286: The attachment {call.place['id']} does not exist."
        raise ServiceError(404, message, "AttachmentNotFoundException")
    return Reply(data=data)


def _teams(call: Call) -> tuple[Project, list[Team]]:
    project = call.organisation.project(call.place["name"])
    if project is None:
        raise no_project(call.place["name"])
    first = [Team(f"{project.name} Team", "The default project team.")]
    return project, call.world.teams.setdefault(project.id_in(call.organisation.name), first)


def _team(call: Call) -> tuple[Project, Team]:
    project, held = _teams(call)
    wanted, project_id = call.place["team"].lower(), project.id_in(call.organisation.name)
    found = next((one for one in held if wanted in (one.name.lower(), one.id_in(project_id))), None)
    if found is None:
        message = f"TF50619: The team with id or name '{call.place['team']}' does not exist."
        raise ServiceError(404, message, "TeamNotFoundException")
    return project, found


def _project_json(call: Call, project: Project) -> dict[str, Json]:
    project_id = project.id_in(call.organisation.name)
    return {
        "id": project_id,
        "name": project.name,
        "url": f"{call.links.root}/_apis/projects/{project_id}",
        "state": "wellFormed",
        "revision": 1,
        "visibility": "private",
        "lastUpdateTime": "2024-01-01T00:00:00Z",
    }


def _json(call: Call, project: Project, team: Team) -> dict[str, Json]:
    project_id = project.id_in(call.organisation.name)
    team_id = team.id_in(project_id)
    url = f"{call.links.root}/_apis/projects/{project_id}/teams/{team_id}"
    return {
        "id": team_id,
        "name": team.name,
        "url": url,
        "description": team.description,
        "identityUrl": f"{call.links.root}/_apis/Identities/{team_id}",
        "projectName": project.name,
        "projectId": project_id,
    }


_TEAMS, _FILES = "projects/{name}/teams", "wit/attachments"
OPERATIONS = (
    Operation("projects.list", "GET", "projects", projects, scope="organisation"),
    Operation("projects.create", "POST", "projects", create_project, scope="organisation"),
    Operation("projects.get", "GET", "projects/{name}", project, scope="organisation"),
    Operation("teams.list", "GET", _TEAMS, teams, scope="organisation"),
    Operation("teams.create", "POST", _TEAMS, create, scope="organisation"),
    Operation("teams.get", "GET", f"{_TEAMS}/{{team}}", team, scope="organisation"),
    Operation("teams.delete", "DELETE", f"{_TEAMS}/{{team}}", delete, scope="organisation"),
    Operation("teams.members", "GET", f"{_TEAMS}/{{team}}/members", members, scope="organisation"),
    Operation("attachments.upload", "POST", _FILES, upload, content=BYTES),
    Operation("attachments.download", "GET", f"{_FILES}/{{id}}", download),
)
