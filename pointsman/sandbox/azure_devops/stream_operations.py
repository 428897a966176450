"""What happened, for those who were not there: revisions of an item, and the streams of revisions and links."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call, Operation, Reply
from pointsman.sandbox.azure_devops.faults_of_service import invalid
from pointsman.sandbox.azure_devops.item_operations import collection, item_of
from pointsman.sandbox.azure_devops.listing import at_most, skipped
from pointsman.sandbox.azure_devops.process import FIELDS, Shape
from pointsman.sandbox.azure_devops.rendering import Links, fields_json, identity_json, relations_json
from pointsman.sandbox.azure_devops.revisions import Fields
from pointsman.sandbox.azure_devops.state import Item, Relation, Update

PAGE_MAX = 200
BATCH_MAX = 1_000
LONG = {name for name, field in FIELDS.items() if field.shape in (Shape.HTML, Shape.HISTORY)}
FORWARD, REVERSE = "-Forward", "-Reverse"


@dataclass(frozen=True)
class Told:
    """A link that came, or is there with another comment (`active`), or went."""

    update: Update
    item: Item
    relation: Relation
    active: bool

    @property
    def rel(self) -> str:
        return self.relation.rel.removesuffix(FORWARD)

    @property
    def target(self) -> int:
        return self.relation.target


def revisions(call: Call) -> Reply:
    """`relations` are those of the end of the revision's time, as far as the history tells."""
    item = item_of(call)
    numbered = list(enumerate(item.revisions, start=1))[skipped(call, PAGE_MAX)]
    whole = call.expand in ("all", "relations")
    return collection([_whole(call, item, rev, fields, whole) for rev, fields in numbered])


def revision_stream(call: Call) -> Reply:
    """The token is the watermark of the last revision told. Long texts come with `$expand=fields` only."""
    after, asked = call.count("continuationToken", 0), min(call.count("$maxPageSize", BATCH_MAX), BATCH_MAX)
    top = at_most(call, asked)
    found = [told for told in _marked(call, after) if _wanted(call, _named(call, "types"), told[1], told[2])]
    found.sort(key=lambda told: told[0])
    page = found[:top]
    links = Links(call.links.base, call.organisation, plain=not call.flag("includeIdentityRef"))
    names = _named(call, "fields")
    return _batch(
        call,
        "workItemRevisions",
        [_streamed(item, fields, links, call.expand == "fields", names) for _, item, fields in page],
        str(page[-1][0] if page else after),
        last=len(found) <= top,
    )


def link_stream(call: Call) -> Reply:
    """Links between items, told from the forward end, each time one came, went or got another comment.

    The token is the place of the last change told. `comment` is where the specification has it; whether the service
    tells a change of nothing but a comment is not confirmed.
    """
    after = call.count("continuationToken", 0)
    since = _since(call)
    kinds = _named(call, "linkTypes")
    items = call.world.items_of(call.organisation)
    told = [one for item in items.values() if _inside(call, item) for one in _links(item) if one.update.mark > after]
    told = [
        one for one in told if (after or _moment(one.update.at) >= since) and (not kinds or one.rel.lower() in kinds)
    ]
    told.sort(key=lambda one: one.update.mark)
    end = at_most(call, BATCH_MAX)
    while end < len(told) and told[end].update.mark == told[end - 1].update.mark:
        end += 1  # links that one change made have one place: a page that ended among them would lose the rest
    page = told[:end]
    token = str(page[-1].update.mark if page else after)
    return _batch(call, "workItemLinks", [_linked(call, one) for one in page], token, last=len(told) == len(page))


def _linked(call: Call, told: Told) -> dict[str, Json]:
    items = call.world.items_of(call.organisation)
    target = items.get(told.target)
    comment = told.relation.attributes.get("comment")
    return {
        "rel": told.rel,
        "sourceId": told.item.id,
        "targetId": told.target,
        "changedDate": told.update.at,
        "changedBy": identity_json(told.update.by, call.links),
        "isActive": told.active,
        "changedOperation": "create" if told.active else "remove",
        "sourceProjectId": call.links.project_id(told.item.project),
        "targetProjectId": call.links.project_id(target.project) if target else "",
        **({"comment": comment} if comment else {}),
    }


def _named(call: Call, name: str) -> set[str]:
    return {one.strip().lower() for one in call.query.get(name, "").split(",") if one.strip()}


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


def _marked(call: Call, after: int) -> Iterator[tuple[int, Item, Fields]]:
    """Revisions behind a watermark, or with `includeLatestOnly` the newest of each item."""
    for item in call.world.items_of(call.organisation).values():
        if _mark(item.fields) <= after:
            continue
        for fields in [item.fields] if call.flag("includeLatestOnly") else item.revisions:
            if _mark(fields) > after:
                yield _mark(fields), item, fields


def _mark(fields: Fields) -> int:
    return int(str(fields["System.Watermark"]))


def _wanted(call: Call, kinds: set[str], item: Item, fields: Fields) -> bool:
    if not _inside(call, item) or (kinds and item.kind.name.lower() not in kinds):
        return False
    if fields.get("System.IsDeleted") and not call.flag("includeDeleted"):
        return False
    return call.count("continuationToken", 0) > 0 or _moment(str(fields["System.ChangedDate"])) >= _since(call)


def _since(call: Call) -> datetime:
    text = call.query.get("startDateTime", "")
    try:
        return _moment(text) if text else datetime.min.replace(tzinfo=UTC)
    except ValueError:
        raise invalid(f"The request is invalid: {text!r} is not a valid value for startDateTime.") from None


def _moment(text: str) -> datetime:
    told = datetime.fromisoformat(text)
    return told if told.tzinfo else told.replace(tzinfo=UTC)


def _inside(call: Call, item: Item) -> bool:
    return not call.project or item.project == call.project


def _streamed(item: Item, fields: Fields, links: Links, long_texts: bool, names: set[str]) -> dict[str, Json]:
    kept = {name: value for name, value in fields.items() if long_texts or name not in LONG}
    kept = {name: value for name, value in kept.items() if not names or name.lower() in names}
    rev = int(str(fields["System.Rev"]))
    return {"id": item.id, "rev": rev, "fields": fields_json(kept, links, quiet_too=True)}


def _links(item: Item) -> Iterator[Told]:
    for update in item.updates:
        for active, relations in ((False, update.removed), (True, (*update.added, *update.updated))):
            for relation in relations:
                if relation.target and _is_forward(item, relation):
                    yield Told(update, item, relation, active)


def _is_forward(item: Item, relation: Relation) -> bool:
    """Of a link without direction the lower id is the source."""
    return relation.rel.endswith(FORWARD) or (not relation.rel.endswith(REVERSE) and item.id < relation.target)


def _batch(call: Call, what: str, values: list[Json], token: str, last: bool) -> Reply:
    root = call.links.project_tracking(call.project) if call.project else call.links.tracking
    link = f"{root}/reporting/{what}?continuationToken={token}&api-version=7.1"
    return Reply({"values": values, "nextLink": link, "continuationToken": token, "isLastBatch": last})


OPERATIONS = (
    Operation("work_items.revisions", "GET", "wit/workitems/{id}/revisions", revisions),
    Operation("streams.revisions", "GET", "wit/reporting/workitemrevisions", revision_stream),
    Operation("streams.links", "GET", "wit/reporting/workitemlinks", link_stream),
)
