"""Operations on build definitions and builds, and on pipelines and runs, which are the same in other words."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import build_edits
from pointsman.sandbox.azure_devops.bodies import inner, needed, number, object_in, text, within
from pointsman.sandbox.azure_devops.build_edits import build_json, definition_json
from pointsman.sandbox.azure_devops.build_state import Build, Definition
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.linked import commit_uri, references
from pointsman.sandbox.azure_devops.listing import by_token, in_one

RUN_STATES = {"notStarted": "inProgress", "cancelling": "canceling"}


def definitions(call: Call) -> Reply:
    wanted = call.query.get("name", "").lower()
    prefix = wanted.removesuffix("*")
    found = [
        one
        for one in _definitions(call)
        if (one.name.lower().startswith(prefix) if wanted.endswith("*") else wanted in ("", one.name.lower()))
    ]
    return by_token(call, sorted(found, key=lambda one: one.name), lambda one: definition_json(one, call.links))


def definition(call: Call) -> Reply:
    found = _definition(call, call.number("number"))
    repository = build_edits.repository_built(call.world, found)
    told: Json = {"id": repository.id, "name": repository.name, "type": "TfsGit"}
    return Reply({**definition_json(found, call.links), "repository": told})


def builds(call: Call) -> Reply:
    """Newest first, unless asked for by the time they were queued at."""
    newest_first = call.query.get("queryOrder", "") != "queueTimeAscending"
    found = sorted(_builds(call), key=lambda one: -one.id if newest_first else one.id)
    return by_token(call, [one for one in found if _fits(call, one)], lambda one: _shown(call, one))


def build(call: Call) -> Reply:
    return Reply(_shown(call, _build(call)))


def queue(call: Call) -> Reply:
    body = object_in(call.body)
    found = _definition(call, number(inner(body, "definition"), "id"))
    branch, version = text(body, "sourceBranch"), text(body, "sourceVersion")
    return Reply(_shown(call, build_edits.queue(call.world, found, branch, version, call.identity)))


def work_items(call: Call) -> Reply:
    """Of the commits that the build is the first to build, and those that are linked to the build itself."""
    found = _build(call)
    repository = found.definition.repository_id
    uris = [commit_uri(call.links, call.project, repository, commit) for commit in found.commits]
    listed = references(call.world, call.links, found.uri, *uris)
    return in_one(listed[: call.count("$top", 50)], lambda one: one)


def pipelines(call: Call) -> Reply:
    return by_token(call, _definitions(call), lambda one: _pipeline_json(call, one))


def pipeline(call: Call) -> Reply:
    return Reply(_pipeline_json(call, _definition(call, call.number("number"))))


def create_pipeline(call: Call) -> Reply:
    body = object_in(call.body)
    name, configuration = needed(body, "name"), inner(body, "configuration")
    if any(one.name.lower() == name.lower() for one in _definitions(call)):
        message = f"The pipeline {name} already exists in this folder."
        raise git_error(409, message, "DefinitionExistsException")
    wanted = text(inner(configuration, "repository"), "id")
    held = call.world.code.repositories(call.organisation, call.project)
    repository = next((one for one in held if one.id == wanted and not one.deleted), None)
    if repository is None:
        raise git_error(404, f"TF401019: The Git repository {wanted} does not exist.", "GitRepositoryNotFoundException")
    path = text(configuration, "path")
    made = build_edits.define(call.world, call.organisation, call.project, name, repository, path, call.identity)
    made.folder = text(body, "folder", made.folder)
    return Reply(_pipeline_json(call, made))


def runs(call: Call) -> Reply:
    found = _definition(call, call.number("number"))
    own = sorted((one for one in _builds(call) if one.definition is found), key=lambda one: -one.id)
    return in_one(own, lambda one: _run_json(call, one))


def run(call: Call) -> Reply:
    found, wanted = _definition(call, call.number("number")), call.number("run")
    held = next((one for one in _builds(call) if one.definition is found and one.id == wanted), None)
    if held is None:
        raise _missing("run", wanted, "RunNotFoundException")
    return Reply(_run_json(call, held))


def start_run(call: Call) -> Reply:
    found = _definition(call, call.number("number"))
    branch = text(inner(object_in(call.body), "resources", "repositories", "self"), "refName")
    return Reply(_run_json(call, build_edits.queue(call.world, found, branch, "", call.identity)))


def _definitions(call: Call) -> list[Definition]:
    held = call.world.code.builds.definitions_of(call.organisation).values()
    return [one for one in held if one.project == call.project]


def _builds(call: Call) -> list[Build]:
    held = call.world.code.builds.builds_of(call.organisation).values()
    return [one for one in held if one.definition.project == call.project]


def _definition(call: Call, wanted: int) -> Definition:
    found = next((one for one in _definitions(call) if one.id == wanted), None)
    if found is None:
        raise _missing("definition", wanted, "DefinitionNotFoundException")
    return found


def _build(call: Call) -> Build:
    wanted = call.number("number")
    found = next((one for one in _builds(call) if one.id == wanted), None)
    if found is None:
        raise _missing("build", wanted, "BuildNotFoundException")
    return found


def _missing(what: str, wanted: int, type_key: str) -> ServiceError:
    message = f"The requested {what} {wanted} could not be found."
    return ServiceError(404, message, type_key, namespace="Microsoft.TeamFoundation.Build.WebApi")


def _fits(call: Call, one: Build) -> bool:
    ids = [part for part in call.query.get("definitions", "").split(",") if part]
    told = {
        "statusFilter": one.status,
        "resultFilter": one.result,
        "branchName": one.branch,
        "repositoryId": one.definition.repository_id,
    }
    if ids and str(one.definition.id) not in ids:
        return False
    if any(call.query.get(name) not in (None, value) for name, value in told.items()):
        return False
    return within(call, one.queued_at, "minTime", "maxTime")


def _shown(call: Call, one: Build) -> dict[str, Json]:
    return build_json(call.world, one, call.links)


def _pipeline_json(call: Call, one: Definition) -> dict[str, Json]:
    url = f"{call.links.root}/{call.links.project_id(one.project)}/_apis/pipelines/{one.id}?revision=1"
    links: Json = {"self": {"href": url}}
    return {"_links": links, "url": url, "id": one.id, "revision": 1, "name": one.name, "folder": one.folder}


def _run_json(call: Call, one: Build) -> dict[str, Json]:
    pipeline_body = _pipeline_json(call, one.definition)
    url = f"{str(pipeline_body['url']).partition('?')[0]}/runs/{one.id}"
    body: dict[str, Json] = {
        "_links": {"self": {"href": url}},
        "pipeline": {name: value for name, value in pipeline_body.items() if name != "_links"},
        "state": RUN_STATES.get(one.status, one.status),
        "createdDate": one.queued_at,
        "url": url,
        "id": one.id,
        "name": one.number,
    }
    if one.result:
        body |= {
            "result": "failed" if one.result == "partiallySucceeded" else one.result,
            "finishedDate": one.finished_at,
        }
    return body


_DEFINITIONS, _BUILDS, _PIPELINES = "build/definitions", "build/builds", "pipelines"
_RUNS = f"{_PIPELINES}/{{number}}/runs"
OPERATIONS = (
    Operation("builds.definitions", "GET", _DEFINITIONS, definitions, scope="project"),
    Operation("builds.definition", "GET", f"{_DEFINITIONS}/{{number}}", definition, scope="project"),
    Operation("builds.list", "GET", _BUILDS, builds, scope="project"),
    Operation("builds.queue", "POST", _BUILDS, queue, scope="project"),
    Operation("builds.get", "GET", f"{_BUILDS}/{{number}}", build, scope="project"),
    Operation("builds.work_items", "GET", f"{_BUILDS}/{{number}}/workitems", work_items, scope="project"),
    Operation("pipelines.list", "GET", _PIPELINES, pipelines, scope="project"),
    Operation("pipelines.create", "POST", _PIPELINES, create_pipeline, scope="project"),
    Operation("pipelines.runs", "GET", _RUNS, runs, scope="project"),
    Operation("pipelines.run", "POST", _RUNS, start_run, scope="project"),
    Operation("pipelines.get_run", "GET", f"{_RUNS}/{{run}}", run, scope="project"),
    Operation("pipelines.get", "GET", f"{_PIPELINES}/{{number}}", pipeline, scope="project"),
)
