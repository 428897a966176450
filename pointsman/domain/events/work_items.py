"""Events of work items: what `pointsman.domain.deliveries` hears in them, with people and links besides."""

from typing import Any

from pointsman.contracts.events import (
    Envelope,
    FieldChange,
    Link,
    WorkItemCommented,
    WorkItemCreated,
    WorkItemDeleted,
    WorkItemRestored,
    WorkItemTold,
    WorkItemUpdated,
)
from pointsman.contracts.subjects import Subject, SubjectKind
from pointsman.contracts.work_items import EventKind
from pointsman.domain.deliveries import Heard
from pointsman.domain.events.parts import person
from pointsman.domain.loose import URL_CHARS, Object, each, get, inner, text

WHOLE: dict[EventKind, type[WorkItemTold]] = {
    EventKind.CREATED: WorkItemCreated,
    EventKind.COMMENTED: WorkItemCommented,
    EventKind.DELETED: WorkItemDeleted,
    EventKind.RESTORED: WorkItemRestored,
}


def event(envelope: Envelope, resource: Object, heard: Heard) -> WorkItemTold:
    subject = Subject(kind=SubjectKind.WORK_ITEM, id=str(heard.item_id), name=_title(heard), project=heard.project)
    common: dict[str, Any] = {
        "envelope": envelope,
        "subject": subject,
        "actor": person(get(resource, "revisedBy"), heard.fields.get("System.ChangedBy")),
        "item_id": heard.item_id,
        "rev": heard.rev,
        "fields": heard.fields,
        "comment": heard.comment,
        "comment_id": heard.comment_id,
        "comment_version": heard.comment_version,
    }
    if heard.kind in WHOLE:
        return WHOLE[heard.kind](**common, links=_links(resource, "relations"))
    relations = inner(resource, "relations")
    return WorkItemUpdated(
        **common,
        update_id=heard.update_id,
        changed={name: FieldChange(old=old, new=new) for name, (old, new) in heard.changed.items()},
        links_added=_links(relations, "added"),
        links_removed=_links(relations, "removed"),
        links_updated=_links(relations, "updated"),
    )


def _title(heard: Heard) -> str:
    return text(heard.fields.get("System.Title"))


def _links(relations: Object, change: str) -> tuple[Link, ...]:
    found = each(get(relations, change))
    return tuple(Link(rel=text(get(one, "rel")), url=text(get(one, "url"), URL_CHARS)) for one in found)
