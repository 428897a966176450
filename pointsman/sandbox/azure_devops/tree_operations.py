"""Operations on areas and iterations.

Items hold the node and not its path: where it is renamed or moved they follow, without a revision of theirs. That is
not confirmed, and neither is that items of a node that is deleted get none.
"""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid
from pointsman.sandbox.azure_devops.rules import TREES
from pointsman.sandbox.azure_devops.trees import Node

GROUPS = {"areas": ("area", "Area"), "iterations": ("iteration", "Iteration")}
DATES = ("startDate", "finishDate")


def get(call: Call) -> Reply:
    node, above = _found(call)
    return Reply(_json(call, node, above, call.count("$depth", 0)))


def create(call: Call) -> Reply:
    """A node below the one of the path, or the one that the body numbers, moved there."""
    parent, above = _found(call)
    body = call.body if isinstance(call.body, dict) else {}
    name = body.get("name")
    if isinstance(number := body.get("id"), int) and not name:
        moved = _moved(call, number, parent)
        return Reply(_json(call, moved, [*above, parent.name], 0), 200)
    if not isinstance(name, str) or not name.strip():
        raise invalid("The request is invalid: a node needs a name.")
    _require_free(parent, name)
    made = Node(next(call.world.forest.ids), name, _attributes(body))
    parent.children.append(made)
    return Reply(_json(call, made, [*above, parent.name], 0), 201)


def change(call: Call) -> Reply:
    node, above = _found(call)
    body = call.body if isinstance(call.body, dict) else {}
    name = body.get("name")
    if isinstance(name, str) and name.strip() and name != node.name:
        parent = _root(call).at(above[1:])
        if not above or parent is None:
            raise invalid("The request is invalid: the root has the name of its project.")
        if name.lower() != node.name.lower():
            _require_free(parent, name)
        _follow(call, [*above, node.name], [*above, name])
        node.name = name
    node.attributes |= _attributes(body)
    return Reply(_json(call, node, above, 0))


def delete(call: Call) -> Reply:
    """Items of it, and of all below it, go to the node of `$reclassifyId`."""
    node, above = _found(call)
    root = _root(call)
    wanted = call.count("$reclassifyId", 0)
    target = root.way_to(wanted)
    if node is root or not target or wanted in {held.id for held in node.all()}:
        raise invalid(f"The request is invalid: {wanted} is no node that items can move to.")
    _follow(call, [*above, node.name], target, is_gone=True)
    for held in root.all():
        held.children = [child for child in held.children if child is not node]
    return Reply(status=204)


def _moved(call: Call, number: int, parent: Node) -> Node:
    """A node with all below it, at its new place, which may not be below itself."""
    root = _root(call)
    found = next((held for held in root.all() if held.id == number and held is not root), None)
    if found is None or any(held is parent for held in found.all()):
        raise invalid(f"The request is invalid: node {number} can not be moved below {parent.name}.")
    before = root.way_to(number)
    for held in root.all():
        held.children = [child for child in held.children if child is not found]
    parent.children.append(found)
    _follow(call, before, root.way_to(number))
    return found


def _require_free(parent: Node, name: str) -> None:
    if parent.child(name):
        raise ServiceError(
            409,
            f"TF237018: The classification node name you specified is already in use: {name}.",
            "ClassificationNodeDuplicateNameException",
        )


def _follow(call: Call, before: list[str], after: list[str], *, is_gone: bool = False) -> None:
    """Give items another path with their node; where it `is_gone`, what was below it is at the same place."""
    field = next(name for name, group in TREES.items() if group == call.place["group"])
    old, new = "\\".join(before), "\\".join(after)
    for item in call.world.items_of(call.organisation).values():
        path = str(item.fields.get(field, ""))
        if path == old or path.startswith(f"{old}\\"):
            item.fields[field] = new if is_gone else new + path.removeprefix(old)


def _root(call: Call) -> Node:
    group = call.place["group"]
    if group not in GROUPS:
        raise invalid(f"The request is invalid: {group!r} is no structure group.")
    return call.world.forest.root(call.organisation.name, call.project, group)


def _found(call: Call) -> tuple[Node, list[str]]:
    """The node that the path names, and the names above it."""
    root = _root(call)
    names = [name for name in call.place.get("path", "").split("/") if name]
    node = root.at(names)
    if node is None:
        raise ServiceError(
            404,
            f"VS402485: The classification node {'/'.join(names)} is not recognized as a node.",
            "WorkItemTrackingTreeNodeNotFoundException",
        )
    return node, [root.name, *names[:-1]] if names else []


def _attributes(body: dict[str, Json]) -> dict[str, Json]:
    given = body.get("attributes")
    return {name: given[name] for name in DATES if name in given} if isinstance(given, dict) else {}


def _json(call: Call, node: Node, above: list[str], depth: int) -> dict[str, Json]:
    kind, label = GROUPS[call.place["group"]]
    root, *rest = [*above, node.name]
    body: dict[str, Json] = {
        "id": node.id,
        "identifier": node.identifier,
        "name": node.name,
        "structureType": kind,
        "hasChildren": bool(node.children),
        "path": "\\" + "\\".join([root, label, *rest]),
        "url": f"{call.links.project_tracking(call.project)}/classificationNodes/{label}s/{'/'.join(rest)}",
    }
    if node.attributes:
        body["attributes"] = node.attributes
    if depth and node.children:
        body["children"] = [_json(call, child, [*above, node.name], depth - 1) for child in node.children]
    return body


_NODES = "wit/classificationnodes/{group}"
OPERATIONS = tuple(
    Operation(f"nodes.{name}{where}", method, f"{_NODES}{path}", handler, scope="project")
    for name, method, handler in (
        ("get", "GET", get),
        ("create", "POST", create),
        ("change", "PATCH", change),
        ("delete", "DELETE", delete),
    )
    for where, path in ((".root", ""), ("", "/{path:path}"))
)
