"""Types of work items as a project has them, their fields, and the categories and levels that they belong to."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import invalid, unknown_field
from pointsman.sandbox.azure_devops.item_operations import collection, kind_of
from pointsman.sandbox.azure_devops.process import FIELDS, LINKS, Field, Kind, Process, Shape, field_named, has_field
from pointsman.sandbox.azure_devops.rendering import Links, field_json, kind_json, states_json


def kinds(call: Call) -> Reply:
    return collection([kind_json(kind, call.project, call.links) for kind in _process(call).kinds.values()])


def kind(call: Call) -> Reply:
    return Reply(kind_json(kind_of(call, call.place["type"]), call.project, call.links))


def kind_states(call: Call) -> Reply:
    return collection(states_json(kind_of(call, call.place["type"])))


def kind_fields(call: Call) -> Reply:
    """`allowedValues` and `defaultValue` come with `$expand=allowedValues` only."""
    kind = kind_of(call, call.place["type"])
    return collection([_kind_field(call, kind, name) for name in kind.fields])


def kind_field(call: Call) -> Reply:
    kind = kind_of(call, call.place["type"])
    found = field_named(call.place["field"])
    if found is None or not has_field(kind, found[0]):
        raise unknown_field(call.place["field"])
    return Reply(_kind_field(call, kind, found[0]))


def fields(call: Call) -> Reply:
    """Those of the organisation, or those that the types of a project use."""
    used = {name for kind in _process(call).kinds.values() for name in kind.fields} if call.project else set(FIELDS)
    return collection([_field(call, name, field) for name, field in FIELDS.items() if name in used])


def field(call: Call) -> Reply:
    found = field_named(call.place["field"])
    if found is None:
        raise unknown_field(call.place["field"])
    return Reply(_field(call, *found))


def categories(call: Call) -> Reply:
    return collection([_category(call, name) for name in _process(call).categories])


def category(call: Call) -> Reply:
    wanted = call.place["category"].lower()
    found = next((name for name in _process(call).categories if name.lower() == wanted), None)
    if found is None:
        message = f"VS402805: Cannot find work item type category {call.place['category']}."
        raise invalid(message, "WorkItemTypeCategoryNotFoundException", 404)
    return Reply(_category(call, found))


def relation_types(call: Call) -> Reply:
    return collection([_relation_type(call.links, name) for name in LINKS])


def _process(call: Call) -> Process:
    return call.world.process_of(call.organisation, call.project)


def _kind_field(call: Call, kind: Kind, name: str) -> dict[str, Json]:
    whole = call.query.get("$expand", "").lower() in ("allowedvalues", "all")
    body: dict[str, Json] = {**field_json(kind, name, call.links), "helpText": None, "dependentFields": []}
    if whole:
        own = kind.fields[name]
        allowed: list[Json] = [*(kind.states if name == "System.State" else own.allowed)]
        body |= {"allowedValues": allowed, "defaultValue": None if own.default is None else str(own.default)}
    return body


def _field(call: Call, name: str, field: Field) -> dict[str, Json]:
    """Identities and tags are texts with a flag or a rule of their own."""
    shape = "string" if field.shape is Shape.IDENTITY else "plainText" if field.shape is Shape.TAGS else field.shape
    return {
        "name": field.name,
        "referenceName": name,
        "type": shape,
        "usage": "workItem",
        "readOnly": field.read_only,
        "canSortBy": True,
        "isQueryable": True,
        "isIdentity": field.shape is Shape.IDENTITY,
        "isPicklist": False,
        "isPicklistSuggested": False,
        "url": f"{call.links.tracking}/fields/{name}",
    }


def _category(call: Call, name: str) -> dict[str, Json]:
    root = call.links.project_tracking(call.project)
    types: list[Json] = [{"name": one, "url": f"{root}/workItemTypes/{one}"} for one in _process(call).categories[name]]
    title = name.removeprefix("Microsoft.").removesuffix("Category")
    return {
        "name": f"{title} Category",
        "referenceName": name,
        "defaultWorkItemType": types[0],
        "workItemTypes": types,
        "url": f"{root}/workItemTypeCategories/{name}",
    }


def _relation_type(links: Links, name: str) -> dict[str, Json]:
    directed = not name.endswith("Related")
    return {
        "referenceName": name,
        "name": LINKS[name][0],
        "attributes": {
            "usage": "workItemLink",
            "editable": False,
            "enabled": True,
            "acyclic": directed,
            "directional": directed,
            "singleTarget": name == "System.LinkTypes.Hierarchy-Reverse",
            "topology": "tree" if "Hierarchy" in name else "dependency" if directed else "network",
            "isForward": not name.endswith("-Reverse"),
            "oppositeEndReferenceName": LINKS[name][1],
        },
        "url": f"{links.tracking}/workItemRelationTypes/{name}",
    }


_TYPES, _CATEGORIES = "wit/workitemtypes", "wit/workitemtypecategories"
OPERATIONS = (
    Operation("types.list", "GET", _TYPES, kinds, scope="project"),
    Operation("types.get", "GET", f"{_TYPES}/{{type}}", kind, scope="project"),
    Operation("types.states", "GET", f"{_TYPES}/{{type}}/states", kind_states, scope="project"),
    Operation("types.fields", "GET", f"{_TYPES}/{{type}}/fields", kind_fields, scope="project"),
    Operation("types.field", "GET", f"{_TYPES}/{{type}}/fields/{{field}}", kind_field, scope="project"),
    Operation("types.categories", "GET", _CATEGORIES, categories, scope="project"),
    Operation("types.category", "GET", f"{_CATEGORIES}/{{category}}", category, scope="project"),
    Operation("types.relations", "GET", "wit/workitemrelationtypes", relation_types, scope="organisation"),
    Operation("fields.list", "GET", "wit/fields", fields),
    Operation("fields.get", "GET", "wit/fields/{field}", field),
)
