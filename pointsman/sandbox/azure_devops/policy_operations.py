"""Operations on branch policies, their types, and what they say of a pull request."""

from uuid import NAMESPACE_URL, uuid5

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.bodies import each, inner, object_in, text
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.listing import by_skip, by_token, in_one
from pointsman.sandbox.azure_devops.policy_evaluation import policies_of, verdict
from pointsman.sandbox.azure_devops.policy_state import TYPES, Policy, Scope
from pointsman.sandbox.azure_devops.rendering import identity_json

POLICY = "Microsoft.TeamFoundation.Policy.WebApi"
KINDS = ("exact", "prefix")
_ARTIFACT = "vstfs:///CodeReview/CodeReviewId/"


def types(call: Call) -> Reply:
    return in_one(list(TYPES), lambda type_id: _type_json(call, type_id))


def listed(call: Call) -> Reply:
    wanted = call.query.get("policyType", "").lower()
    return by_token(
        call, [one for one in _policies(call) if wanted in ("", one.type_id)], lambda one: _shown(call, one)
    )


def get(call: Call) -> Reply:
    return Reply(_shown(call, _policy(call)))


def create(call: Call) -> Reply:
    """Each call makes one more, also where there is the same already."""
    held = call.world.code.policies.of(call.organisation)
    held[max(held, default=0) + 1] = made = _read(call, max(held, default=0) + 1)
    return Reply(_shown(call, made))


def replace(call: Call) -> Reply:
    before = _policy(call)
    made = _read(call, before.id)
    made.revision, made.by, made.at = before.revision + 1, before.by, before.at
    call.world.code.policies.of(call.organisation)[before.id] = made
    return Reply(_shown(call, made))


def delete(call: Call) -> Reply:
    _policy(call).deleted = True
    return Reply(status=204)


def evaluations(call: Call) -> Reply:
    artifact = call.query.get("artifactId", "")
    project, _, wanted = artifact.removeprefix(_ARTIFACT).partition("/")
    held = call.world.code.pull_requests_of(call.organisation)
    found = held.get(int(wanted)) if wanted.isdecimal() else None
    if not artifact.startswith(_ARTIFACT) or found is None or project.lower() != call.links.project_id(call.project):
        raise invalid(f"The artifact {artifact!r} could not be found.", "ArgumentException")

    def shown(policy: Policy) -> Json:
        name = f"evaluation/{call.organisation.name}/{policy.id}/{wanted}"
        status = verdict(call.world, policy, found)
        done: dict[str, Json] = {"completedDate": found.at} if status in ("approved", "rejected") else {}
        return {
            "configuration": _shown(call, policy),
            "artifactId": artifact,
            "evaluationId": str(uuid5(NAMESPACE_URL, name)),
            "startedDate": found.at,
            **done,
            "status": status,
            "context": {},
        }

    return by_skip(call, policies_of(call.world, found), shown)


def _policies(call: Call) -> list[Policy]:
    held = call.world.code.policies.of(call.organisation).values()
    return [one for one in held if one.project == call.project and not one.deleted]


def _policy(call: Call) -> Policy:
    wanted = call.number("policy")
    found = next((one for one in _policies(call) if one.id == wanted), None)
    if found is None:
        message = f"TF402457: The policy configuration {wanted} could not be found."
        raise ServiceError(404, message, "PolicyConfigurationNotFoundException", namespace=POLICY)
    return found


def _read(call: Call, number: int) -> Policy:
    body = object_in(call.body)
    type_id, settings = text(inner(body, "type"), "id").lower(), inner(body, "settings")
    if type_id not in TYPES:
        message = f"TF402458: The policy type {type_id!r} could not be found."
        raise ServiceError(404, message, "PolicyTypeNotFoundException", namespace=POLICY)
    scopes = tuple(_scope(entry) for entry in each(settings, "scope"))
    if not scopes:
        raise invalid("The policy has no scope.", "PolicyConfigurationInvalidException")
    own = {name: value for name, value in settings.items() if name != "scope"}
    enabled, blocking = body.get("isEnabled") is True, body.get("isBlocking") is True
    now = call.world.clock.now()
    return Policy(number, call.organisation, call.project, type_id, enabled, blocking, own, scopes, call.identity, now)


def _scope(body: dict[str, Json]) -> Scope:
    kind = text(body, "matchKind", "exact").lower()
    if kind not in KINDS:
        raise invalid(f"The stand-in does not play the matchKind {kind!r}.", "NotSupportedException")
    return Scope(text(body, "repositoryId").lower(), text(body, "refName"), kind == "prefix")


def _type_json(call: Call, type_id: str) -> dict[str, Json]:
    url = f"{call.links.root}/{call.links.project_id(call.project)}/_apis/policy/types/{type_id}"
    return {"id": type_id, "displayName": TYPES[type_id], "description": TYPES[type_id], "url": url}


def _shown(call: Call, one: Policy) -> dict[str, Json]:
    """Settings that are false are dropped, and the kind of a scope comes back with a capital."""
    url = f"{call.links.root}/{call.links.project_id(one.project)}/_apis/policy/configurations/{one.id}"
    scopes: list[Json] = [
        {
            **({"refName": scope.ref_name} if scope.ref_name else {}),
            "matchKind": "Prefix" if scope.is_prefix else "Exact",
            "repositoryId": scope.repository_id or None,
        }
        for scope in one.scopes
    ]
    type_json = {name: value for name, value in _type_json(call, one.type_id).items() if name != "description"}
    return {
        "id": one.id,
        "type": type_json,
        "revision": one.revision,
        "isEnabled": one.is_enabled,
        "isBlocking": one.is_blocking,
        "isDeleted": False,
        "isEnterpriseManaged": False,
        "settings": {**{name: value for name, value in one.settings.items() if value is not False}, "scope": scopes},
        "createdBy": identity_json(one.by, call.links),
        "createdDate": one.at,
        "url": url,
        "_links": {"self": {"href": url}},
    }


_CONFIGURATIONS = "policy/configurations"
_ONE = f"{_CONFIGURATIONS}/{{policy}}"
OPERATIONS = (
    Operation("policies.types", "GET", "policy/types", types, scope="project"),
    Operation("policies.list", "GET", _CONFIGURATIONS, listed, scope="project"),
    Operation("policies.create", "POST", _CONFIGURATIONS, create, scope="project"),
    Operation("policies.get", "GET", _ONE, get, scope="project"),
    Operation("policies.replace", "PUT", _ONE, replace, scope="project"),
    Operation("policies.delete", "DELETE", _ONE, delete, scope="project"),
    Operation("policies.evaluations", "GET", "policy/evaluations", evaluations, scope="project", preview=True),
)
