"""Operations around work items: comments, queries, types, projects, and who one is."""

from dataclasses import replace
from datetime import UTC, datetime

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits, wiql
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.config import Identity, Project
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, no_project
from pointsman.sandbox.azure_devops.item_operations import collection, item_of, kind_of
from pointsman.sandbox.azure_devops.process import FIELDS, KINDS, Field, Kind, Shape, has_field
from pointsman.sandbox.azure_devops.rendering import comment_json, field_json, kind_json, states_json
from pointsman.sandbox.azure_devops.state import Comment, Item

COMMENTS_MAX = 200
PROJECTS_MAX = 100


def comments(call: Call) -> Reply:
    """Newest first unless asked otherwise; the token of the next page is the place where it begins."""
    item = item_of(call)
    found = [c for c in item.comments if not c.deleted or call.flag("includeDeleted")]
    if call.query.get("order", "desc").lower() == "desc":
        found.reverse()
    start, top = call.count("continuationToken", 0), min(call.count("$top", COMMENTS_MAX), COMMENTS_MAX)
    page = found[start : start + top]
    body: dict[str, Json] = {
        "totalCount": len(found),
        "count": len(page),
        "comments": [comment_json(item, comment, call.links) for comment in page],
    }
    if start + top < len(found):
        body["continuationToken"] = str(start + top)
        root = f"{call.links.project_tracking(item.project)}/workItems/{item.id}/comments"
        body["nextPage"] = f"{root}?$top={top}&continuationToken={start + top}"
    return Reply(body)


def add_comment(call: Call) -> Reply:
    item = item_of(call)
    text = _comment_text(call)
    call.sandbox.deliverer.publish(edits.comment(call.world, item, text, call.identity), call.links)
    return Reply(comment_json(item, item.comments[-1], call.links))


def get_comment(call: Call) -> Reply:
    item = item_of(call)
    return Reply(comment_json(item, _comment(call, item), call.links))


def edit_comment(call: Call) -> Reply:
    item = item_of(call)
    comment = _comment(call, item)
    happened = edits.edit_comment(call.world, item, comment, _comment_text(call), call.identity)
    call.sandbox.deliverer.publish(happened, call.links)
    return Reply(comment_json(item, comment, call.links))


def query(call: Call) -> Reply:
    text = call.body.get("query") if isinstance(call.body, dict) else None
    if not isinstance(text, str):
        raise invalid("The request is invalid: query must be a text.")
    parsed = wiql.parse(text, wiql.Context(call.project, call.identity, datetime.now(UTC)))
    found = parsed.run(list(call.world.items_of(call.organisation).values()))
    limit = call.world.config.query_max
    if len(found) > limit:
        raise ServiceError(
            400,
            f"VS402337: The number of work items returned exceeds the size limit of {limit}. Change the query to "
            "return fewer items.",
            "WorkItemTrackingQueryResultSizeLimitExceededException",
        )
    top = call.count("$top", limit)
    return Reply(
        {
            "queryType": "flat",
            "queryResultType": "workItem",
            "asOf": call.world.clock.now(),
            "columns": [_column(call, name) for name in parsed.columns],
            "sortColumns": [
                {"field": _column(call, order.field), "descending": order.descending} for order in parsed.order
            ],
            "workItems": [{"id": item.id, "url": call.links.item(item.id)} for item in found[:top]],
        }
    )


def kinds(call: Call) -> Reply:
    return collection([_kind(call, name) for name in KINDS])


def kind(call: Call) -> Reply:
    return Reply(_kind(call, call.place["type"]))


def kind_states(call: Call) -> Reply:
    return collection(states_json(kind_of(call, call.place["type"])))


def kind_fields(call: Call) -> Reply:
    """`allowedValues` and `defaultValue` come with `$expand=allowedValues` only."""
    kind = kind_of(call, call.place["type"])
    whole = call.query.get("$expand", "").lower() in ("allowedvalues", "all")
    fields = [(reference, field) for reference, field in FIELDS.items() if has_field(kind, reference)]
    return collection([_kind_field(call, kind, reference, field, whole) for reference, field in fields])


def fields(call: Call) -> Reply:
    return collection([_field(call, reference, field) for reference, field in FIELDS.items()])


def projects(call: Call) -> Reply:
    """The place of the next page goes out in a header."""
    start = call.count("continuationToken", 0) or call.count("$skip", 0)
    top = call.count("$top", PROJECTS_MAX)
    held = call.organisation.projects
    more = {"x-ms-continuationtoken": str(start + top)} if start + top < len(held) else {}
    page = collection([_project(call, project) for project in held[start : start + top]])
    return replace(page, headers=more)


def project(call: Call) -> Reply:
    found = call.organisation.project(call.place["name"])
    if found is None:
        raise no_project(call.place["name"])
    return Reply(_project(call, found))


def connection_data(call: Call) -> Reply:
    who = _account(call.identity)
    return Reply(
        {
            "authenticatedUser": who,
            "authorizedUser": who,
            "instanceId": call.organisation.collection_id,
            "deploymentId": call.organisation.account_id,
            "deploymentType": "hosted",
            "locationServiceData": {"serviceOwner": "00025394-6065-48ca-87d9-7f5672854ef7", "lastChangeId": 1},
        }
    )


def _comment_text(call: Call) -> str:
    text = call.body.get("text") if isinstance(call.body, dict) else None
    if not isinstance(text, str) or not text.strip():
        raise invalid("The request is invalid: a comment needs a text.")
    return text


def _comment(call: Call, item: Item) -> Comment:
    number = call.number("comment_id")
    comment = next((comment for comment in item.comments if comment.id == number), None)
    if comment is None:
        raise invalid(f"Comment {number} of work item {item.id} does not exist.", "CommentNotFoundException", 404)
    return comment


def _column(call: Call, name: str) -> dict[str, Json]:
    return {"referenceName": name, "name": FIELDS[name].name, "url": f"{call.links.tracking}/fields/{name}"}


def _kind(call: Call, name: str) -> Json:
    kind = kind_of(call, name)
    fields = [(reference, field) for reference, field in FIELDS.items() if has_field(kind, reference)]
    return kind_json(kind, call.project, call.links, fields)


def _kind_field(call: Call, kind: Kind, name: str, field: Field, whole: bool) -> dict[str, Json]:
    body: dict[str, Json] = {**field_json(name, field, call.links), "helpText": None, "dependentFields": []}
    if whole:
        states = list(kind.states) if name == "System.State" else list(field.allowed)
        allowed: list[Json] = [*states]
        body |= {"allowedValues": allowed, "defaultValue": None if field.default is None else str(field.default)}
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


def _project(call: Call, project: Project) -> Json:
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


def _account(identity: Identity) -> dict[str, Json]:
    return {
        "id": identity.id,
        "descriptor": identity.descriptor,
        "subjectDescriptor": identity.descriptor,
        "providerDisplayName": identity.display_name,
        "isActive": True,
        "properties": {"Account": {"$type": "System.String", "$value": identity.unique_name}},
    }


_COMMENTS = "wit/workitems/{id}/comments"
OPERATIONS = (
    Operation("comments.list", "GET", _COMMENTS, comments, scope="project", preview=True),
    Operation("comments.add", "POST", _COMMENTS, add_comment, scope="project", preview=True),
    Operation("comments.get", "GET", f"{_COMMENTS}/{{comment_id}}", get_comment, scope="project", preview=True),
    Operation("comments.edit", "PATCH", f"{_COMMENTS}/{{comment_id}}", edit_comment, scope="project", preview=True),
    Operation("wiql.query", "POST", "wit/wiql", query),
    Operation("types.list", "GET", "wit/workitemtypes", kinds, scope="project"),
    Operation("types.get", "GET", "wit/workitemtypes/{type}", kind, scope="project"),
    Operation("types.states", "GET", "wit/workitemtypes/{type}/states", kind_states, scope="project"),
    Operation("types.fields", "GET", "wit/workitemtypes/{type}/fields", kind_fields, scope="project"),
    Operation("fields.list", "GET", "wit/fields", fields),
    Operation("projects.list", "GET", "projects", projects, scope="organisation"),
    Operation("projects.get", "GET", "projects/{name}", project, scope="organisation"),
    Operation("connection.data", "GET", "connectiondata", connection_data, scope="organisation", preview=True),
)
