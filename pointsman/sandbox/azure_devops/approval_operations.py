"""Operations on approvals that stages of pipelines wait for."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import build_edits
from pointsman.sandbox.azure_devops.bodies import objects_in, text
from pointsman.sandbox.azure_devops.build_state import Approval
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.git_edits import git_error
from pointsman.sandbox.azure_devops.listing import in_one
from pointsman.sandbox.azure_devops.rendering import identity_json

QUERY_DEFAULT = 250


def query(call: Call) -> Reply:
    held = call.world.code.builds.approvals_of(call.organisation).values()
    state = call.query.get("state", "all")
    users = {part for part in call.query.get("userIds", "").split(",") if part}
    found = [
        one
        for one in held
        if one.project == call.project
        and state in ("all", one.status)
        and (not users or users & {person.id for person in one.approvers})
    ]
    return in_one(found[: call.count("top", QUERY_DEFAULT)], lambda one: _shown(call, one))


def get(call: Call) -> Reply:
    return Reply(_shown(call, _approval(call, call.place["approval"])))


def update(call: Call) -> Reply:
    """All or nothing is not promised: those before one that is refused stay decided."""
    decided = []
    for body in objects_in(call.body):
        found = _approval(call, text(body, "approvalId"))
        build_edits.decide(call.world, found, call.identity, text(body, "status"), text(body, "comment"))
        decided.append(found)
    return in_one(decided, lambda one: _shown(call, one))


def _approval(call: Call, wanted: str) -> Approval:
    found = call.world.code.builds.approvals_of(call.organisation).get(wanted.lower())
    if found is None or found.project != call.project:
        raise git_error(404, f"The approval {wanted} could not be found.", "ApprovalNotFoundException")
    return found


def _shown(call: Call, one: Approval) -> dict[str, Json]:
    url = f"{call.links.root}/{call.links.project_id(one.project)}/_apis/pipelines/approvals/{one.id}"
    body: dict[str, Json] = {
        "id": one.id,
        "status": one.status,
        "createdOn": one.at,
        "lastModifiedOn": one.modified_at or one.at,
        "executionOrder": "anyOrder",
        "minRequiredApprovers": one.needed,
        "instructions": one.instructions,
        "blockedApprovers": [],
        "_links": {"self": {"href": url}},
    }
    if call.query.get("$expand") == "steps" or call.operation == "approvals.update":
        body["steps"] = [_step(call, one, number) for number in range(len(one.approvers))]
    return body


def _step(call: Call, one: Approval, number: int) -> dict[str, Json]:
    approver = one.approvers[number]
    given = one.given.get(approver.id)
    body: dict[str, Json] = {
        "assignedApprover": identity_json(approver, call.links),
        "status": given[1] if given else "pending",
        "comment": given[2] if given else "",
        "order": number + 1,
        "initiatedOn": one.at,
        "lastModifiedOn": given[3] if given else one.at,
    }
    return {**body, **({"actualApprover": identity_json(given[0], call.links)} if given else {})}


_PATH = "pipelines/approvals"
OPERATIONS = (
    Operation("approvals.query", "GET", _PATH, query, scope="project"),
    Operation("approvals.update", "PATCH", _PATH, update, scope="project"),
    Operation("approvals.get", "GET", f"{_PATH}/{{approval}}", get, scope="project"),
)
