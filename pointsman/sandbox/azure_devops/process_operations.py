"""Processes of the organisation as projects may be made with them, and what is in them: types, states, fields, rules.

Rules are those that the stand-in itself holds items to. `process_edits` makes inherited ones.
"""

from collections.abc import Iterator
from uuid import NAMESPACE_URL, uuid5

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, unknown_field
from pointsman.sandbox.azure_devops.listing import in_one
from pointsman.sandbox.azure_devops.process import STATE_COLORS, Field, Kind, Process, Shape

NOBODY = "00000000-0000-0000-0000-000000000000"
DEFAULT = "Agile"


def processes(call: Call) -> Reply:
    return in_one(list(call.world.processes.values()), lambda one: _named(call, one))


def process(call: Call) -> Reply:
    return Reply(_named(call, process_of(call)))


def infos(call: Call) -> Reply:
    return in_one(list(call.world.processes.values()), lambda one: info_json(call, one))


def info(call: Call) -> Reply:
    return Reply(info_json(call, process_of(call)))


def kinds(call: Call) -> Reply:
    found = process_of(call)
    return in_one(list(found.kinds.values()), lambda kind: _kind_json(call, found, kind))


def kind(call: Call) -> Reply:
    found = process_of(call)
    return Reply(_kind_json(call, found, kind_of(call, found)))


def states(call: Call) -> Reply:
    found = process_of(call)
    held = kind_of(call, found)
    return in_one(list(held.states), lambda name: state_json(call, found, held, name))


def state(call: Call) -> Reply:
    found = process_of(call)
    held = kind_of(call, found)
    name = next((one for one in held.states if _state_id(found, held, one) == call.place["state"]), None)
    if name is None:
        raise missing("state", call.place["state"], "WorkItemStateDefinitionNotFoundException")
    return Reply(state_json(call, found, held, name))


def fields(call: Call) -> Reply:
    found = process_of(call)
    held = kind_of(call, found)
    return in_one(list(held.fields.items()), lambda one: _field_json(call, found, held, *one))


def field(call: Call) -> Reply:
    found = process_of(call)
    held = kind_of(call, found)
    name = next((one for one in held.fields if one.lower() == call.place["field"]), None)
    if name is None:
        raise unknown_field(call.place["field"])
    return Reply(_field_json(call, found, held, name, held.fields[name]))


def rules(call: Call) -> Reply:
    found = process_of(call)
    held = kind_of(call, found)
    return in_one(list(_rules(held)), lambda rule: _rule_json(call, found, held, *rule))


def rule(call: Call) -> Reply:
    found = process_of(call)
    held = kind_of(call, found)
    shown = (_rule_json(call, found, held, *one) for one in _rules(held))
    one = next((one for one in shown if one["id"] == call.place["rule"]), None)
    if one is None:
        raise missing("rule", call.place["rule"], "ProcessRuleNotFoundException")
    return Reply(one)


def process_of(call: Call) -> Process:
    wanted = call.place["process"].lower()
    found = next((one for one in call.world.processes.values() if one.type_id == wanted), None)
    if found is None:
        raise missing("process", wanted, "ProcessNotFoundByTypeIdException")
    return found


def kind_of(call: Call, process: Process) -> Kind:
    wanted = call.place["type"].lower()
    found = next((one for one in process.kinds.values() if one.reference_name.lower() == wanted), None)
    if found is None:
        raise missing("work item type", call.place["type"], "ProcessWorkItemTypeDoesNotExistException")
    return found


def missing(what: str, name: str, type_key: str) -> ServiceError:
    """The service's own words are not confirmed."""
    return ServiceError(404, f"VS402362: The {what} {name} does not exist.", type_key)


def _url(call: Call, process: Process, *names: str) -> str:
    return "/".join((f"{call.links.root}/_apis/work/processes/{process.type_id}", *names))


def _named(call: Call, process: Process) -> dict[str, Json]:
    url = f"{call.links.root}/_apis/process/processes/{process.type_id}"
    return {
        "id": process.type_id,
        "name": process.name,
        "description": process.description,
        "isDefault": process.name == DEFAULT,
        "type": _origin(process),
        "url": url,
        "_links": {"self": {"href": url}},
    }


def info_json(call: Call, process: Process) -> dict[str, Json]:
    body: dict[str, Json] = {
        "typeId": process.type_id,
        "referenceName": _reference_name(process),
        "name": process.name,
        "description": process.description,
        "parentProcessTypeId": process.parent or NOBODY,
        "isEnabled": True,
        "isDefault": process.name == DEFAULT,
        "customizationType": _origin(process),
    }
    if call.query.get("$expand", "").lower() == "projects":
        held = [one for one in call.organisation.projects if one.process == process.name]
        body["projects"] = [_project(call, one.name) for one in held]
    return body


def _reference_name(process: Process) -> str | None:
    """The one that was given, or one that nobody else has; the system's have none."""
    return process.reference_name or (f"Inherited.{process.type_id.replace('-', '')}" if process.parent else None)


def _project(call: Call, name: str) -> dict[str, Json]:
    number = call.links.project_id(name)
    return {"id": number, "name": name, "description": "", "url": f"{call.links.root}/_apis/projects/{number}"}


def _origin(process: Process) -> str:
    return "inherited" if process.parent else "system"


def _kind_json(call: Call, process: Process, kind: Kind) -> dict[str, Json]:
    body: dict[str, Json] = {
        "referenceName": kind.reference_name,
        "name": kind.name,
        "description": f"A {kind.name} of the {process.name} process.",
        "url": _url(call, process, "workItemTypes", kind.reference_name),
        "customization": _origin(process),
        "color": kind.color,
        "icon": "icon_clipboard",
        "isDisabled": False,
        "inherits": None,
    }
    if call.query.get("$expand", "").lower() in ("states", "all"):
        body["states"] = [state_json(call, process, kind, name) for name in kind.states]
    return body


def _state_id(process: Process, kind: Kind, name: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"state/{process.type_id}/{kind.reference_name}/{name}"))


def state_json(call: Call, process: Process, kind: Kind, name: str) -> dict[str, Json]:
    number = _state_id(process, kind, name)
    return {
        "id": number,
        "name": name,
        "color": STATE_COLORS[kind.states[name]],
        "stateCategory": kind.states[name],
        "order": list(kind.states).index(name) + 1,
        "url": _url(call, process, "workItemTypes", kind.reference_name, "states", number),
        "customizationType": "custom" if _is_added(call, process, kind, name) else _origin(process),
    }


def _is_added(call: Call, process: Process, kind: Kind, state: str) -> bool:
    """Whether the process that this one was derived from has the type, and not the state."""
    parents = (one.kinds.get(kind.name) for one in call.world.processes.values() if one.type_id == process.parent)
    return any(parent is not None and state not in parent.states for parent in parents)


def _field_json(call: Call, process: Process, kind: Kind, name: str, field: Field) -> dict[str, Json]:
    body: dict[str, Json] = {
        "referenceName": name,
        "name": field.name,
        "type": "plainText" if field.shape is Shape.TAGS else field.shape,
        "description": "",
        "required": name in kind.required,
        "readOnly": field.read_only,
        "defaultValue": field.default,
        "customization": _origin(process),
        "isLocked": False,
        "url": _url(call, process, "workItemTypes", kind.reference_name, "fields", name),
    }
    if call.query.get("$expand", "").lower() in ("allowedvalues", "all"):
        body["allowedValues"] = [*field.allowed]
    return body


def _rules(kind: Kind) -> Iterator[tuple[str, str, str]]:
    """(action, state, field) of all rules that a state brings along."""
    for action, held in (
        ("makeRequired", kind.required_in),
        ("makeReadOnly", kind.locked_in),
        ("setValueToEmpty", kind.emptied_in),
    ):
        for name, names in held.items():
            yield from ((action, name, one) for one in names)


def _rule_json(call: Call, process: Process, kind: Kind, action: str, state: str, field: str) -> dict[str, Json]:
    number = str(uuid5(NAMESPACE_URL, f"rule/{process.type_id}/{kind.reference_name}/{action}/{state}/{field}"))
    condition: dict[str, Json] = {"conditionType": "when", "field": "System.State", "value": state}
    return {
        "id": number,
        "name": f"{action} {field} in {state}",
        "conditions": [condition],
        "actions": [{"actionType": action, "targetField": field, "value": ""}],
        "isDisabled": False,
        "customizationType": "system",
        "url": _url(call, process, "workItemTypes", kind.reference_name, "rules", number),
    }


NAMED, WORK = "process/processes", "work/processes"
ONE = f"{WORK}/{{process:uuid}}"
TYPES = f"{ONE}/workitemtypes"
OPERATIONS = tuple(
    Operation(f"processes.{name}", "GET", path, handler, scope="organisation")
    for name, path, handler in (
        ("list", NAMED, processes),
        ("get", f"{NAMED}/{{process:uuid}}", process),
        ("infos", WORK, infos),
        ("info", ONE, info),
        ("types", TYPES, kinds),
        ("type", f"{TYPES}/{{type}}", kind),
        ("states", f"{TYPES}/{{type}}/states", states),
        ("state", f"{TYPES}/{{type}}/states/{{state}}", state),
        ("fields", f"{TYPES}/{{type}}/fields", fields),
        ("field", f"{TYPES}/{{type}}/fields/{{field}}", field),
        ("rules", f"{TYPES}/{{type}}/rules", rules),
        ("rule", f"{TYPES}/{{type}}/rules/{{rule}}", rule),
    )
)
