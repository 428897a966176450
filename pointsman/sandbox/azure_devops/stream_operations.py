"""What happened, for those who were not there: revisions of an item, and the streams of revisions and links."""

from collections.abc import Iterator

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.item_operations import collection, item_of
from pointsman.sandbox.azure_devops.process import FIELDS, Shape
from pointsman.sandbox.azure_devops.rendering import Links, fields_json, relations_json
from pointsman.sandbox.azure_devops.state import Fields, Item, Relation, Update

PAGE_MAX = 200
BATCH_MAX = 1_000
LONG = {name for name, field in FIELDS.items() if field.shape in (Shape.HTML, Shape.HISTORY)}
FORWARD, REVERSE = "-Forward", "-Reverse"

Told = tuple[str, int, int, str, bool]
"""When, source, target, kind, whether it came."""


def revisions(call: Call) -> Reply:
    """`relations` are those of the end of the revision's time, as far as the history tells."""
    item = item_of(call)
    skip, top = call.count("$skip", 0), min(call.count("$top", PAGE_MAX), PAGE_MAX)
    numbered = list(enumerate(item.revisions, start=1))[skip : skip + top]
    whole = call.expand in ("all", "relations")
    return collection([_whole(call, item, rev, fields, whole) for rev, fields in numbered])


def revision_stream(call: Call) -> Reply:
    """The token is the watermark of the last revision told. Long texts come with `$expand=fields` only."""
    after, top = call.count("continuationToken", 0), min(call.count("$maxPageSize", BATCH_MAX), BATCH_MAX)
    kinds = {name.strip().lower() for name in call.query.get("types", "").split(",") if name.strip()}
    found = [(mark, item, fields) for mark, item, fields in _marked(call) if mark > after]
    found = [told for told in found if _wanted(call, kinds, told[1], told[2])]
    found.sort(key=lambda told: told[0])
    page = found[:top]
    links = Links(call.links.base, call.organisation, plain=not call.flag("includeIdentityRef"))
    return _batch(
        call,
        "workItemRevisions",
        [_streamed(item, fields, links, call.expand == "fields") for _, item, fields in page],
        str(page[-1][0] if page else after),
        last=len(found) <= top,
    )


def link_stream(call: Call) -> Reply:
    """Links between items, told from the forward end; the token is how many were told so far."""
    start = call.count("continuationToken", 0)
    since = call.query.get("startDateTime", "")
    items = call.world.items_of(call.organisation).values()
    told = sorted({entry for item in items if _inside(call, item) for entry in _links(item)})
    told = [entry for entry in told if start or entry[0] >= since[:19]]
    page = told[start : start + BATCH_MAX]
    values: list[Json] = [
        {
            "rel": kind,
            "sourceId": source,
            "targetId": target,
            "changedDate": when,
            "isActive": active,
            "changedOperation": "create" if active else "remove",
        }
        for when, source, target, kind, active in page
    ]
    end = start + len(page)
    return _batch(call, "workItemLinks", values, str(end), last=end >= len(told))


def _whole(call: Call, item: Item, rev: int, fields: Fields, whole: bool) -> dict[str, Json]:
    body: dict[str, Json] = {
        "id": item.id,
        "rev": rev,
        "fields": fields_json(fields, call.links, quiet_too=call.expand in ("all", "fields")),
        "url": f"{call.links.item(item.id)}/revisions/{rev}",
    }
    relations = _relations_at(item, rev)
    if whole and relations:
        body["relations"] = relations_json(relations, call.links)
    return body


def _relations_at(item: Item, rev: int) -> list[Relation]:
    held: list[Relation] = []
    for update in item.updates:
        if update.rev <= rev:
            held = [relation for relation in held if relation not in update.removed] + update.added
    return held


def _marked(call: Call) -> Iterator[tuple[int, Item, Fields]]:
    for item in call.world.items_of(call.organisation).values():
        for fields in item.revisions:
            yield int(str(fields["System.Watermark"])), item, fields


def _wanted(call: Call, kinds: set[str], item: Item, fields: Fields) -> bool:
    if not _inside(call, item) or (kinds and item.kind.name.lower() not in kinds):
        return False
    if fields.get("System.IsDeleted") and not call.flag("includeDeleted"):
        return False
    since = call.query.get("startDateTime", "")[:19]
    return call.count("continuationToken", 0) > 0 or str(fields["System.ChangedDate"]) >= since


def _inside(call: Call, item: Item) -> bool:
    return not call.project or item.project == call.project


def _streamed(item: Item, fields: Fields, links: Links, long_texts: bool) -> dict[str, Json]:
    kept = {name: value for name, value in fields.items() if long_texts or name not in LONG}
    rev = int(str(fields["System.Rev"]))
    return {"id": item.id, "rev": rev, "fields": fields_json(kept, links, quiet_too=True)}


def _links(item: Item) -> Iterator[Told]:
    for update in item.updates:
        for active, relations in ((True, update.added), (False, update.removed)):
            for relation in relations:
                if relation.target and _is_forward(item, relation):
                    yield _told(item, update, relation, active)


def _is_forward(item: Item, relation: Relation) -> bool:
    """Of a link without direction the lower id is the source."""
    return relation.rel.endswith(FORWARD) or (not relation.rel.endswith(REVERSE) and item.id < relation.target)


def _told(item: Item, update: Update, relation: Relation, active: bool) -> Told:
    return (update.at, item.id, relation.target, relation.rel.removesuffix(FORWARD), active)


def _batch(call: Call, what: str, values: list[Json], token: str, last: bool) -> Reply:
    root = call.links.project_tracking(call.project) if call.project else call.links.tracking
    link = f"{root}/reporting/{what}?continuationToken={token}&api-version=7.1"
    return Reply({"values": values, "nextLink": link, "continuationToken": token, "isLastBatch": last})


OPERATIONS = (
    Operation("work_items.revisions", "GET", "wit/workitems/{id}/revisions", revisions),
    Operation("streams.revisions", "GET", "wit/reporting/workitemrevisions", revision_stream),
    Operation("streams.links", "GET", "wit/reporting/workitemlinks", link_stream),
)
