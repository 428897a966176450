"""Operations on repositories, branches, pushes and commits."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import git_edits, pull_request_edits
from pointsman.sandbox.azure_devops.bodies import each, inner, needed, object_in, objects_in, text, within
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.code_events import announce, repository_changed
from pointsman.sandbox.azure_devops.faults_of_service import invalid, no_project
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.git_rendering import (
    commit_json,
    is_commit,
    move_json,
    push_json,
    ref_json,
    repository_json,
    whole_commit_json,
)
from pointsman.sandbox.azure_devops.git_state import HEADS, NO_COMMIT, Commit, FileChange, Moved, Repository, made
from pointsman.sandbox.azure_devops.linked import commit_uri, references
from pointsman.sandbox.azure_devops.listing import by_skip, by_token, in_one
from pointsman.sandbox.azure_devops.policy_evaluation import require_direct_push

CHANGES = ("add", "edit", "delete", "rename")
_REFS = "refs/"


def repository_of(call: Call, place: str = "repository") -> Repository:
    """By name or id, where the URL names no project by id only. A disabled one is as good as none."""
    wanted = call.place[place]
    found = _find(call, wanted)
    if found is None or found.disabled:
        raise _no_repository(wanted)
    return found


def repositories(call: Call) -> Reply:
    return in_one([one for one in _held(call) if not one.deleted], lambda one: repository_json(one, call.links))


def repository(call: Call) -> Reply:
    return Reply(repository_json(repository_of(call), call.links))


def create_repository(call: Call) -> Reply:
    body = object_in(call.body)
    name, project = needed(body, "name"), _project_for(call, body)
    held = call.world.code.repositories(call.organisation, project)
    if any(one.name.lower() == name.lower() and not one.deleted for one in held):
        message = f"TF400948: A Git repository with the name {name} already exists."
        raise git_error(409, message, "GitRepositoryNameAlreadyExistsException")
    held.append(made(call.organisation, project, name, sum(one.name == name for one in held)))
    held[-1].changed_at = call.world.clock.now()
    if parent := text(inner(body, "parentRepository"), "id"):
        _fork(call, held[-1], parent.lower())
    announce(call, [repository_changed("git.repo.created", held[-1], call.identity, call.links)])
    return Reply(repository_json(held[-1], call.links), 201)


def update_repository(call: Call) -> Reply:
    """To disable one goes alone: the service takes no other change beside it."""
    found, body = _find(call, call.place["repository"]), object_in(call.body)
    if found is None:
        raise _no_repository(call.place["repository"])
    disabled, branch, name = body.get("isDisabled"), text(body, "defaultBranch"), text(body, "name")
    if isinstance(disabled, bool):
        if branch or name:
            raise invalid("isDisabled can not be changed together with other properties.", "ArgumentException")
        if found.disabled != disabled:
            found.disabled, found.changed_at = disabled, call.world.clock.now()
            announce(call, [repository_changed("git.repo.statuschanged", found, call.identity, call.links)])
        return Reply(repository_json(found, call.links))
    if found.disabled:
        raise _no_repository(call.place["repository"])
    if branch and branch not in found.refs:
        raise git_error(400, f"TF401035: The branch {branch} does not exist.", "GitReferenceNotFoundException")
    found.default_branch, found.name = branch or found.default_branch, name or found.name
    return Reply(repository_json(found, call.links))


def delete_repository(call: Call) -> Reply:
    found = _find(call, call.place["repository"])
    if found is None or found.id != call.place["repository"].lower():
        raise _no_repository(call.place["repository"])
    found.deleted = True
    return Reply(status=204)


def refs(call: Call) -> Reply:
    found = repository_of(call)
    beginning = _REFS + call.query.get("filter", "")
    names = sorted(name for name in found.refs if name.startswith(beginning))
    return by_token(call, names, lambda name: ref_json(name, found.refs[name], found, call.links, call.identity))


def update_refs(call: Call) -> Reply:
    """Each for itself: one that is refused is told so in an answer that is a success."""
    found, results = repository_of(call), []
    for body in objects_in(call.body):
        move = Moved(needed(body, "name"), text(body, "oldObjectId", NO_COMMIT), text(body, "newObjectId", NO_COMMIT))
        status = _ref_status(found, move)
        if status == "succeeded":
            git_edits.moved(call.world, found, [move], [], call.identity)
            pull_request_edits.follow(call, found, [move])
        result = {**move_json(move, found), "isLocked": False, "updateStatus": status, "success": status == "succeeded"}
        results.append(result)
    return in_one(results, lambda result: result)


def push(call: Call) -> Reply:
    found, body = repository_of(call), object_in(call.body)
    updates, commits = each(body, "refUpdates"), each(body, "commits")
    if len(updates) != 1 or not commits:
        raise invalid("A push needs one refUpdate and at least one commit in the stand-in.", "ArgumentException")
    name, old = needed(updates[0], "name"), text(updates[0], "oldObjectId", NO_COMMIT)
    if not name.startswith(_REFS):
        raise git_error(400, f"TF401034: The name {name} is not a valid Git ref name.", "InvalidGitRefNameException")
    require_direct_push(call, found, name)
    wanted = [(text(commit, "comment"), [_change(change) for change in each(commit, "changes")]) for commit in commits]
    pushed = git_edits.push(call.world, found, Moved(name, old, NO_COMMIT), wanted, call.identity)
    pull_request_edits.told_of_push(call, found, pushed)
    return Reply(push_json(pushed, found, call.links, moves=True, commits=True), 201)


def pushes(call: Call) -> Reply:
    found = repository_of(call)
    ref = call.query.get("searchCriteria.refName", "")
    wanted = [
        held
        for held in reversed(found.pushes)
        if (not ref or any(move.name == ref for move in held.moves))
        and within(call, held.at, "searchCriteria.fromDate", "searchCriteria.toDate")
    ]
    moves = call.flag("searchCriteria.includeRefUpdates")
    return by_skip(call, wanted, lambda held: push_json(held, found, call.links, moves=moves, commits=False))


def one_push(call: Call) -> Reply:
    found, wanted = repository_of(call), call.number("number")
    held = next((held for held in found.pushes if held.id == wanted), None)
    if held is None:
        raise git_error(404, f"TF401185: The push {wanted} does not exist.", "GitPushNotFoundException")
    moves, commits = call.flag("includeRefUpdates"), call.count("includeCommits", 0) > 0
    return Reply(push_json(held, found, call.links, moves=moves, commits=commits))


def commits(call: Call) -> Reply:
    found = repository_of(call)
    wanted = [
        commit
        for commit in found.history(_tip(call, found))
        if within(call, commit.at, "searchCriteria.fromDate", "searchCriteria.toDate")
    ]
    with_items = call.flag("searchCriteria.includeWorkItems")

    def shown(commit: Commit) -> Json:
        uri = commit_uri(call.links, found.project, found.id, commit.id)
        items: dict[str, Json] = {"workItems": [*references(call.world, call.links, uri)]} if with_items else {}
        return {**commit_json(commit, found, call.links), **items}

    return by_skip(call, wanted, shown, prefix="searchCriteria.$")


def one_commit(call: Call) -> Reply:
    found, wanted = repository_of(call), call.place["commit"]
    commit = found.commits.get(wanted)
    if commit is None:
        message = f"TF401175: The version descriptor <Commit: {wanted}> could not be resolved to a version."
        raise git_error(404, message, "GitUnresolvableToCommitException")
    return Reply({**whole_commit_json(commit, found, call.links), "treeId": commit.id[::-1]})


def _fork(call: Call, made: Repository, parent_id: str) -> None:
    """All branches of another repository, or the one that `sourceRef` names, with what leads to them."""
    projects = [one.name for one in call.organisation.projects]
    everywhere = (one for name in projects for one in call.world.code.repositories(call.organisation, name))
    parent = next((one for one in everywhere if one.id == parent_id and not one.deleted), None)
    if parent is None:
        raise _no_repository(parent_id)
    only = call.query.get("sourceRef", "")
    made.parent, made.commits = parent, dict(parent.commits)
    made.refs = {name: commit for name, commit in parent.refs.items() if only in ("", name)}
    made.default_branch = parent.default_branch if parent.default_branch in made.refs else next(iter(made.refs), "")


def _tip(call: Call, repository: Repository) -> str:
    """The commit that a list of commits is asked from: that of a branch, unless the query names one itself."""
    asked = call.query.get("searchCriteria.itemVersion.version", "")
    if call.query.get("searchCriteria.itemVersion.versionType", "branch").lower() == "commit":
        kind, found = "Commit", asked if asked in repository.commits else ""
    else:
        kind, found = "Branch", repository.refs.get(HEADS + asked if asked else repository.default_branch, "")
    if asked and not found:
        message = f"TF401175: The version descriptor <{kind}: {asked}> could not be resolved to a version."
        raise git_error(404, message, "GitUnresolvableToCommitException")
    return found


def _held(call: Call) -> list[Repository]:
    """Those of the project that the URL names, or of all."""
    names = [call.project] if call.project else [one.name for one in call.organisation.projects]
    return [one for name in names for one in call.world.code.repositories(call.organisation, name)]


def _find(call: Call, wanted: str) -> Repository | None:
    held = [one for one in _held(call) if not one.deleted]
    return next((one for one in held if wanted.lower() in (one.id, one.name.lower() if call.project else one.id)), None)


def _project_for(call: Call, body: dict[str, Json]) -> str:
    """The project of a new repository: that of the URL, or of its body."""
    named = inner(body, "project")
    found = call.organisation.project(call.project or text(named, "id") or text(named, "name"))
    if found is None:
        raise no_project(text(named, "id") or text(named, "name"))
    return found.name


def _no_repository(wanted: str) -> Exception:
    message = (
        f"TF401019: The Git repository with name or identifier {wanted} does not exist or you do not have permissions "
        "for the operation you are attempting."
    )
    return git_error(404, message, "GitRepositoryNotFoundException")


def _ref_status(repository: Repository, move: Moved) -> str:
    if not move.name.startswith(_REFS):
        return "invalidRefName"
    if repository.refs.get(move.name, NO_COMMIT) != move.old:
        return "staleOldObjectId"
    return "succeeded" if is_commit(move.new, repository) else "unresolvableToCommit"


def _change(body: dict[str, Json]) -> FileChange:
    kind, path = text(body, "changeType").lower(), text(inner(body, "item"), "path")
    if kind not in CHANGES or not path.startswith("/"):
        raise invalid(f"The stand-in does not play the change {kind!r} of {path!r}.", "NotSupportedException")
    return FileChange(path, kind, text(inner(body, "newContent"), "content"), text(body, "sourceServerItem"))


_REPOSITORIES = "git/repositories"
_ONE = f"{_REPOSITORIES}/{{repository}}"
OPERATIONS = (
    Operation("git.repositories", "GET", _REPOSITORIES, repositories),
    Operation("git.create_repository", "POST", _REPOSITORIES, create_repository),
    Operation("git.repository", "GET", _ONE, repository),
    Operation("git.update_repository", "PATCH", _ONE, update_repository),
    Operation("git.delete_repository", "DELETE", _ONE, delete_repository),
    Operation("git.refs", "GET", f"{_ONE}/refs", refs),
    Operation("git.update_refs", "POST", f"{_ONE}/refs", update_refs),
    Operation("git.push", "POST", f"{_ONE}/pushes", push),
    Operation("git.pushes", "GET", f"{_ONE}/pushes", pushes),
    Operation("git.get_push", "GET", f"{_ONE}/pushes/{{number}}", one_push),
    Operation("git.commits", "GET", f"{_ONE}/commits", commits),
    Operation("git.commit", "GET", f"{_ONE}/commits/{{commit}}", one_commit),
)
