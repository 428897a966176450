"""Operations that are done after the answer: each look at one brings it a step further."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, no_project
from pointsman.sandbox.azure_devops.policy_state import Pending

OPERATIONS_API = "Microsoft.VisualStudio.Services.Operations"


def begin(call: Call, pending: Pending) -> Reply:
    """Keep it, and answer where to look."""
    call.world.code.policies.operations[pending.id] = pending
    return Reply(_shown(call, pending), 202)


def get(call: Call) -> Reply:
    wanted = call.place["operation"]
    found = call.world.code.policies.operations.get(wanted)
    if found is None or found.organisation.name != call.organisation.name:
        message = f"The operation {wanted} could not be found."
        raise ServiceError(404, message, "OperationNotFoundException", namespace=OPERATIONS_API)
    found.advance()
    body: dict[str, Json] = {**_shown(call, found), "_links": {"self": {"href": _url(call, found)}}}
    return Reply(body | ({"resultMessage": found.message} if found.message else {}))


def delete_project(call: Call) -> Reply:
    """Gone once the operation has succeeded. The stand-in brings none back."""
    wanted, world = call.place["name"], call.world
    found = call.organisation.project(wanted)
    if found is None or found.id_in(call.organisation.name) != wanted.lower():
        raise no_project(wanted)

    def remove() -> None:
        key = call.organisation.name.lower()
        held = world.organisations[key]
        left = tuple(one for one in held.projects if one != found)
        world.organisations[key] = held.model_copy(update={"projects": left})

    return begin(call, Pending(wanted.lower(), call.organisation, remove))


def _url(call: Call, pending: Pending) -> str:
    return f"{call.links.root}/_apis/operations/{pending.id}"


def _shown(call: Call, pending: Pending) -> dict[str, Json]:
    return {"id": pending.id, "status": pending.status, "url": _url(call, pending)}


OPERATIONS = (
    Operation("operations.get", "GET", "operations/{operation}", get, scope="organisation"),
    Operation("projects.delete", "DELETE", "projects/{name}", delete_project, scope="organisation"),
)
