"""Operations on work items, their history and the recycle bin."""

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import edits, rules
from pointsman.sandbox.azure_devops.calls import JSON_PATCH, Call, Operation, Reply
from pointsman.sandbox.azure_devops.documents import parse
from pointsman.sandbox.azure_devops.earlier import as_of
from pointsman.sandbox.azure_devops.faults_of_service import forbidden, invalid, no_item, over_batch_limit
from pointsman.sandbox.azure_devops.listing import skipped
from pointsman.sandbox.azure_devops.process import Kind
from pointsman.sandbox.azure_devops.rendering import deleted_json, fields_json, item_json, listed_json, update_json
from pointsman.sandbox.azure_devops.state import Item

BATCH_MAX = 200
PAGE_MAX = 200
SUPPRESS = "suppressNotifications"


def item_of(call: Call, name: str = "id") -> Item:
    """The item that the URL names. One in the recycle bin, or of another project, is as good as none."""
    item_id = call.number(name)
    item = call.world.items_of(call.organisation).get(item_id)
    if item is None or item.deleted or (call.project and item.project != call.project):
        raise no_item(item_id)
    return item


def kind_of(call: Call, name: str) -> Kind:
    kind = call.world.process_of(call.organisation, call.project).kind_named(name)
    if kind is None:
        message = f"VS402323: Work item type {name} does not exist in project {call.project} or you do not have "
        raise invalid(message + "permission to access it.", "WorkItemTypeNotFoundException", 404)
    return kind


def get(call: Call) -> Reply:
    item = as_of(item_of(call), call.query.get("asOf", ""))
    return Reply(item_json(item, call.links, call.expand, _wanted(_fields(call.query.get("fields", "")), call.expand)))


def listed(call: Call) -> Reply:
    names = [part for part in call.query.get("ids", "").split(",") if part.strip()]
    if not names or not all(part.strip().isdecimal() for part in names):
        raise invalid("The request is invalid: ids must be a list of numbers.")
    omit = call.query.get("errorPolicy", "fail").lower() == "omit"
    fields = _wanted(_fields(call.query.get("fields", "")), call.expand)
    told = call.query.get("asOf", "")
    return _batch(call, [int(part) for part in names], fields, call.expand, omit=omit, told=told)


def batch(call: Call) -> Reply:
    body = call.body if isinstance(call.body, dict) else {}
    ids, fields, expand = body.get("ids"), body.get("fields") or [], body.get("$expand") or "none"
    if not isinstance(ids, list) or not all(isinstance(value, int) and not isinstance(value, bool) for value in ids):
        raise invalid("The request is invalid: ids must be a list of numbers.")
    if not isinstance(fields, list):
        raise invalid("The request is invalid: fields must be a list of names.")
    wanted = [int(str(value)) for value in ids]
    omit = str(body.get("errorPolicy", "fail")).lower() == "omit"
    names = _wanted([str(field) for field in fields], str(expand).lower())
    return _batch(call, wanted, names, str(expand).lower(), omit=omit, told=str(body.get("asOf") or ""))


def create(call: Call) -> Reply:
    kind = kind_of(call, call.place["type"])
    document = parse(call.body)
    manner = _manner(call)
    item, happened = edits.create(call.world, call.organisation, call.project, kind, document, call.identity, manner)
    _tell(call, happened)
    return Reply(item_json(item, call.links, call.expand))


def template(call: Call) -> Reply:
    """What an item of a type begins with, before anybody has made it."""
    kind = kind_of(call, call.place["type"])
    fields = rules.defaults(kind, call.project, call.identity)
    return Reply({"fields": fields_json(fields, call.links), "url": f"{call.links.tracking}/workItems/${kind.name}"})


def update(call: Call) -> Reply:
    item = item_of(call)
    document = parse(call.body)
    manner = _manner(call)
    happened = edits.patch(call.world, item, document, call.identity, manner)
    if manner.keep:
        call.sandbox.writes[(call.organisation.name, item.id, call.identity.unique_name)] += 1
    _tell(call, happened)
    return Reply(item_json(item, call.links, call.expand))


def _manner(call: Call) -> edits.Manner:
    """Both past the rules and past the subscribers goes only who has the permission."""
    if call.identity.unique_name in call.world.config.restricted:
        for flag, what in (("bypassRules", "bypass rules on work item updates"), (SUPPRESS, "suppress notifications")):
            if call.flag(flag):
                raise forbidden(what)
    return edits.Manner(keep=not call.flag("validateOnly"), bypass=call.flag("bypassRules"))


def _tell(call: Call, happened: list[edits.Happened]) -> None:
    if not (call.flag(SUPPRESS) and call.world.config.suppression_silences_hooks):
        call.sandbox.deliverer.publish(happened, call.links)


def updates(call: Call) -> Reply:
    item = item_of(call)
    told = item.updates[skipped(call, PAGE_MAX)]
    return collection([update_json(item, entry, call.links) for entry in told])


def delete(call: Call) -> Reply:
    item = item_of(call)
    call.sandbox.deliverer.publish(edits.delete(call.world, item, call.identity), call.links)
    if call.flag("destroy"):
        edits.destroy(call.world, item)
    return Reply(deleted_json(item, call.links))


def destroy(call: Call) -> Reply:
    edits.destroy(call.world, _in_bin(call))
    return Reply(status=204)


def one_update(call: Call) -> Reply:
    item, number = item_of(call), call.number("number")
    if not 0 < number <= len(item.updates):
        raise invalid(f"VS402639: Update {number} of work item {item.id} does not exist.", "NotFoundException", 404)
    return Reply(update_json(item, item.updates[number - 1], call.links))


def deleted(call: Call) -> Reply:
    return Reply(deleted_json(_in_bin(call), call.links))


def bin_listed(call: Call) -> Reply:
    items = call.world.items_of(call.organisation).values()
    urls = [f"{call.links.tracking}/recycleBin/{item.id}" for item in items if item.deleted]
    ids = [item.id for item in items if item.deleted]
    return collection([{"id": item_id, "url": url} for item_id, url in zip(ids, urls, strict=True)])


def restore(call: Call) -> Reply:
    item = _in_bin(call)
    if not isinstance(call.body, dict) or call.body.get("isDeleted") is not False:
        raise invalid("The request is invalid: isDeleted must be false to restore a work item.")
    before = deleted_json(item, call.links)
    call.sandbox.deliverer.publish(edits.restore(call.world, item, call.identity), call.links)
    return Reply({**before, "url": call.links.item(item.id), "resource": item_json(item, call.links, "all")})


def collection(values: list[Json]) -> Reply:
    """Lists come wrapped, whatever the specification says."""
    return Reply({"count": len(values), "value": values})


def _fields(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _wanted(fields: list[str], expand: str) -> list[str]:
    if fields and expand not in ("none", "links"):
        raise invalid(
            "The expand parameter can not be used with the fields parameter.", "ConflictingParametersException"
        )
    return fields


def _batch(call: Call, ids: list[int], fields: list[str], expand: str, *, omit: bool, told: str) -> Reply:
    if len(ids) > BATCH_MAX:
        raise over_batch_limit(len(ids))
    found: list[Json] = []
    for item_id in ids:
        item = call.world.items_of(call.organisation).get(item_id)
        if item is not None and not item.deleted:
            found.append(listed_json(as_of(item, told), call.links, expand, fields))
        elif omit:
            found.append(None)
        else:
            raise no_item(item_id)
    return collection(found)


def _in_bin(call: Call) -> Item:
    item_id = call.number("id")
    item = call.world.items_of(call.organisation).get(item_id)
    if item is None or not item.deleted:
        raise no_item(item_id)
    return item


OPERATIONS = (
    Operation("work_items.create", "POST", "wit/workitems/${type}", create, scope="project", content=JSON_PATCH),
    Operation("work_items.template", "GET", "wit/workitems/${type}", template, scope="project"),
    Operation("work_items.get", "GET", "wit/workitems/{id}", get),
    Operation("work_items.list", "GET", "wit/workitems", listed),
    Operation("work_items.batch", "POST", "wit/workitemsbatch", batch),
    Operation("work_items.update", "PATCH", "wit/workitems/{id}", update, content=JSON_PATCH),
    Operation("work_items.delete", "DELETE", "wit/workitems/{id}", delete),
    Operation("work_items.updates", "GET", "wit/workitems/{id}/updates", updates),
    Operation("recycle_bin.list", "GET", "wit/recyclebin", bin_listed),
    Operation("recycle_bin.get", "GET", "wit/recyclebin/{id}", deleted),
    Operation("work_items.update_of", "GET", "wit/workitems/{id}/updates/{number}", one_update),
    Operation("recycle_bin.destroy", "DELETE", "wit/recyclebin/{id}", destroy),
    Operation("recycle_bin.restore", "PATCH", "wit/recyclebin/{id}", restore),
)
