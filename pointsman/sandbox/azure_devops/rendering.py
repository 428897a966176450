"""Items as JSON, as the service writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.formats import rendered
from pointsman.sandbox.azure_devops.process import STATE_COLORS, Kind
from pointsman.sandbox.azure_devops.revisions import Fields, Value
from pointsman.sandbox.azure_devops.state import Change, Comment, Item, Relation, Update

EXPAND = {"none", "relations", "fields", "links", "all"}
QUIET = {
    "System.Id",
    "System.Rev",
    "System.Watermark",
    "System.AuthorizedDate",
    "System.AuthorizedAs",
    "System.RevisedDate",
}
"""Fields that are there, but come only when they are asked for."""


@dataclass(frozen=True)
class Links:
    """URLs of one organisation as the caller reaches it. `plain` writes identities as strings, as old payloads do."""

    base: str
    organisation: Organisation
    plain: bool = False

    @property
    def root(self) -> str:
        return f"{self.base}/{self.organisation.name}"

    @property
    def tracking(self) -> str:
        return f"{self.root}/_apis/wit"

    def project_tracking(self, project: str) -> str:
        return f"{self.root}/{self.project_id(project)}/_apis/wit"

    def project_id(self, project: str) -> str:
        found = self.organisation.project(project)
        return found.id_in(self.organisation.name) if found else project

    def item(self, item_id: int) -> str:
        return f"{self.tracking}/workItems/{item_id}"

    def page(self, item_id: int) -> str:
        return f"{self.root}/web/wi.aspx?pcguid={self.organisation.collection_id}&id={item_id}"

    def kind(self, item: Item) -> str:
        return f"{self.project_tracking(item.project)}/workItemTypes/{quote(item.kind.name)}"

    def comment(self, item: Item, comment_id: int) -> str:
        return f"{self.project_tracking(item.project)}/workItems/{item.id}/comments/{comment_id}"


def identity_json(identity: Identity, links: Links) -> dict[str, Json]:
    image = f"{links.root}/_apis/GraphProfile/MemberAvatars/{identity.descriptor}"
    return {
        "displayName": identity.display_name,
        "url": f"{links.root}/_apis/Identities/{identity.id}",
        "_links": {"avatar": {"href": image}},
        "id": identity.id,
        "uniqueName": identity.unique_name,
        "imageUrl": image,
        "descriptor": identity.descriptor,
    }


def value_json(value: Value, links: Links) -> Json:
    if isinstance(value, Identity):
        return value.combined if links.plain else identity_json(value, links)
    return value


def fields_json(fields: Fields, links: Links, wanted: Sequence[str] = (), quiet_too: bool = False) -> dict[str, Json]:
    """Fields that have a value: those named, or all but the quiet ones."""
    if wanted:
        names = {name.lower() for name in wanted}
        return {name: value_json(value, links) for name, value in fields.items() if name.lower() in names}
    shown = {name: value for name, value in fields.items() if quiet_too or name not in QUIET}
    return {name: value_json(value, links) for name, value in shown.items()}


def item_json(item: Item, links: Links, expand: str = "none", wanted: Sequence[str] = ()) -> dict[str, Json]:
    """An item at its newest revision, for an answer about this one item."""
    body = listed_json(item, links, expand, wanted)
    body["_links"] = item_links(item, links)
    return body


def listed_json(item: Item, links: Links, expand: str = "none", wanted: Sequence[str] = ()) -> dict[str, Json]:
    """An item among others: without links unless they are asked for."""
    fields = fields_json(whole_fields(item), links, wanted, quiet_too=expand in ("fields", "all"))
    body: dict[str, Json] = {"id": item.id, "rev": item.rev, "fields": fields, "url": links.item(item.id)}
    if expand in ("relations", "all") and item.relations:
        body["relations"] = relations_json(item.relations, links)
    if expand in ("links", "all"):
        body["_links"] = item_links(item, links)
    if item.formats and not wanted:
        body["multilineFieldsFormat"] = {**item.formats}
    comment = next((entry.comment for entry in reversed(item.updates) if entry.rev == item.rev and entry.comment), None)
    if comment and not wanted:
        body["commentVersionRef"] = comment_ref(item, comment, links)
    return body


def whole_fields(item: Item) -> Fields:
    """With the parent, which is a link and no part of a revision."""
    return {**item.fields, "System.Parent": item.parent} if item.parent else item.fields


def item_links(item: Item, links: Links) -> dict[str, Json]:
    url = links.item(item.id)
    return {
        "self": {"href": url},
        "workItemUpdates": {"href": f"{url}/updates"},
        "workItemRevisions": {"href": f"{url}/revisions"},
        "workItemComments": {"href": f"{links.project_tracking(item.project)}/workItems/{item.id}/comments"},
        "workItemHistory": {"href": f"{url}/history"},
        "html": {"href": links.page(item.id)},
        "workItemType": {"href": links.kind(item)},
        "fields": {"href": f"{links.tracking}/fields"},
    }


def relations_json(relations: Sequence[Relation], links: Links) -> list[Json]:
    return [
        {
            "rel": relation.rel,
            "url": links.item(relation.target) if relation.target else relation.url,
            "attributes": dict(relation.attributes),
        }
        for relation in relations
    ]


def comment_ref(item: Item, comment: tuple[int, int], links: Links) -> dict[str, Json]:
    number, version = comment
    return {"commentId": number, "version": version, "url": f"{links.comment(item, number)}/versions/{version}"}


def update_json(item: Item, update: Update, links: Links) -> dict[str, Json]:
    """An entry of the history. `fields` and `relations` are there only if one of them changed."""
    who = identity_json(update.by, links)
    body: dict[str, Json] = {
        "id": update.id,
        "workItemId": item.id,
        "rev": update.rev,
        "revisedBy": {**who, "name": update.by.combined},
        "revisedDate": update.until,
        "url": f"{links.project_tracking(item.project)}/workItems/{item.id}/updates/{update.id}",
    }
    if update.changed:
        body["fields"] = {name: change_json(change, links) for name, change in update.changed.items()}
    relations = relation_changes_json(update, links)
    if relations:
        body["relations"] = relations
    return body


def change_json(change: Change, links: Links) -> dict[str, Json]:
    """A missing `oldValue` says that the field was empty, a missing `newValue` that it is."""
    sides = {"oldValue": change.old, "newValue": change.new}
    return {name: value_json(value, links) for name, value in sides.items() if value is not None}


def relation_changes_json(update: Update, links: Links) -> dict[str, Json]:
    sides = {"removed": update.removed, "added": update.added, "updated": update.updated}
    return {name: relations_json(relations, links) for name, relations in sides.items() if relations}


def comment_json(item: Item, comment: Comment, links: Links) -> dict[str, Json]:
    first, last = comment.versions[0], comment.versions[-1]
    return {
        "workItemId": item.id,
        "id": comment.id,
        "version": len(comment.versions),
        "text": last.text,
        "renderedText": rendered(last.text, last.format),
        "format": last.format,
        "createdBy": identity_json(first.by, links),
        "createdDate": first.at,
        "modifiedBy": identity_json(last.by, links),
        "modifiedDate": last.at,
        "isDeleted": comment.deleted,
        "url": links.comment(item, comment.id),
    }


def version_json(item: Item, comment: Comment, number: int, links: Links) -> dict[str, Json]:
    """A comment as it was at a version; the number begins with 1."""
    first, version = comment.versions[0], comment.versions[number - 1]
    return {
        "id": comment.id,
        "version": number,
        "text": version.text,
        "renderedText": rendered(version.text, version.format),
        "createdBy": identity_json(first.by, links),
        "createdDate": first.at,
        "modifiedBy": identity_json(version.by, links),
        "modifiedDate": version.at,
        "isDeleted": version.deleted,
        "url": f"{links.comment(item, comment.id)}/versions/{number}",
    }


def deleted_json(item: Item, links: Links, code: int = 200) -> dict[str, Json]:
    """An entry of the recycle bin; of a restored item, what there was."""
    who, when = item.deleted or (None, "")
    return {
        "id": item.id,
        "code": code,
        "type": item.kind.name,
        "name": str(item.fields.get("System.Title", "")),
        "project": item.project,
        "deletedDate": when,
        "deletedBy": who.combined if who else "",
        "url": f"{links.tracking}/recycleBin/{item.id}" if item.deleted else links.item(item.id),
        "resource": item_json(item, links, "all"),
    }


def kind_json(kind: Kind, project: str, links: Links) -> dict[str, Json]:
    url = f"{links.project_tracking(project)}/workItemTypes/{quote(kind.name)}"
    return {
        "name": kind.name,
        "referenceName": kind.reference_name,
        "description": f"A {kind.name} of the {kind.process} process.",
        "color": kind.color,
        "isDisabled": False,
        "fields": [field_json(kind, name, links) for name in kind.fields],
        "transitions": transitions_json(kind),
        "states": states_json(kind),
        "url": url,
    }


def transitions_json(kind: Kind) -> dict[str, Json]:
    """From each state where it may go; a state leads to itself too."""
    ways: dict[str, Json] = {}
    for state in ("", *kind.states):
        there = [state] if state else []
        ways[state] = [{"to": to, "actions": None} for to in (*there, *kind.transitions.get(state, {}))]
    return ways


def field_json(kind: Kind, name: str, links: Links) -> dict[str, Json]:
    return {
        "alwaysRequired": name in kind.required,
        "referenceName": name,
        "name": kind.fields[name].name,
        "url": f"{links.tracking}/fields/{name}",
    }


def states_json(kind: Kind) -> list[Json]:
    return [
        {"name": name, "color": STATE_COLORS[category], "category": category} for name, category in kind.states.items()
    ]
