"""Inherited processes, made while the stand-in runs: derived from a system process, given more states, taken away.

What else can be changed in a process is not played. A state that somebody adds is reached from every other, and leads
to every other. The words of refusals are not confirmed.
"""

from dataclasses import replace
from uuid import uuid4

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.process import STATE_COLORS, Kind, Process
from pointsman.sandbox.azure_devops.process_operations import (
    ONE,
    TYPES,
    WORK,
    info_json,
    kind_of,
    missing,
    process_of,
    state_json,
)


def create(call: Call) -> Reply:
    body = call.body if isinstance(call.body, dict) else {}
    name, parent_id = body.get("name"), str(body.get("parentProcessTypeId") or "").lower()
    if not isinstance(name, str) or not name.strip():
        raise invalid("The request is invalid: a process needs a name.")
    if any(one.name.lower() == name.lower() for one in call.world.processes.values()):
        raise ServiceError(409, f"VS402377: There is a process {name} already.", "ProcessNameConflictException")
    parent = next((one for one in call.world.processes.values() if one.type_id == parent_id), None)
    if parent is None:
        raise missing("process", parent_id, "ProcessNotFoundByTypeIdException")
    if parent.parent:
        raise invalid(f"The request is invalid: {parent.name} is inherited itself, and no parent of a process.")
    made = replace(
        parent,
        name=name,
        type_id=str(uuid4()),
        description=str(body.get("description") or ""),
        parent=parent.type_id,
        reference_name=str(body.get("referenceName") or ""),
    )
    call.world.processes[name] = made
    return Reply(info_json(call, made), 201)


def delete(call: Call) -> Reply:
    """One that no project has."""
    held = _inherited(call)
    users = [one.name for org in call.world.organisations.values() for one in org.projects if one.process == held.name]
    if users:
        raise invalid(f"The request is invalid: process {held.name} is that of {', '.join(users)}.")
    del call.world.processes[held.name]
    return Reply(status=204)


def create_state(call: Call) -> Reply:
    process = _inherited(call)
    kind = kind_of(call, process)
    body = call.body if isinstance(call.body, dict) else {}
    name, category = body.get("name"), str(body.get("stateCategory") or "")
    if not isinstance(name, str) or not name.strip():
        raise invalid("The request is invalid: a state needs a name.")
    if category not in STATE_COLORS:
        raise invalid(f"The request is invalid: {category!r} is none of {', '.join(STATE_COLORS)}.")
    if any(one.lower() == name.lower() for one in kind.states):
        raise ServiceError(409, f"VS402378: There is a state {name} already.", "WorkItemStateNameConflictException")
    widened = _widened(kind, name, category, body.get("order"))
    changed = replace(process, kinds={**process.kinds, kind.name: widened})
    call.world.processes[process.name] = changed
    _tell_items(call, changed, widened)
    return Reply(state_json(call, changed, widened, name), 201)


def _inherited(call: Call) -> Process:
    """
    Raises:
        ServiceError: it is one of the system's, which nobody changes.
    """
    found = process_of(call)
    if not found.parent:
        raise invalid(f"The request is invalid: {found.name} is a process of the system, and stays as it is.")
    return found


def _widened(kind: Kind, name: str, category: str, order: Json) -> Kind:
    """The type with the state in its place, by default behind the last of its category."""
    before = list(kind.states)
    ranks = list(STATE_COLORS)
    behind = [place for place, one in enumerate(before, 1) if ranks.index(kind.states[one]) <= ranks.index(category)]
    at = order - 1 if isinstance(order, int) and order > 0 else max(behind, default=0)
    names = [*before[:at], name, *before[at:]]
    transitions = {start: dict(ends) for start, ends in kind.transitions.items()}
    for one in before:
        transitions.setdefault(one, {})[name] = (f"Moved to state {name}",)
    transitions[name] = {one: (f"Moved to state {one}",) for one in before}
    states = {one: kind.states.get(one, category) for one in names}
    return replace(kind, states=states, transitions=transitions)


def _tell_items(call: Call, process: Process, kind: Kind) -> None:
    """Items that there are already may go into the state, too."""
    for organisation in call.world.organisations.values():
        projects = {one.name for one in organisation.projects if one.process == process.name}
        for item in call.world.items_of(organisation).values():
            if item.project in projects and item.kind.name == kind.name:
                item.kind = kind


OPERATIONS = (
    Operation("processes.create", "POST", WORK, create, scope="organisation"),
    Operation("processes.delete", "DELETE", ONE, delete, scope="organisation"),
    Operation("processes.create_state", "POST", f"{TYPES}/{{type}}/states", create_state, scope="organisation"),
)
