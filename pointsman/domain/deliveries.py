"""What a service-hook delivery of Azure DevOps says, read leniently: whatever cannot be understood is told, not raised.

Real deliveries differ from the documented ones, by event, by resource version and by who serialised them. So keys
of the envelope are found in any case, numbers may be text, identities may be text or objects, and any part may be
missing. Text is cut and freed of control characters, because it goes into columns, labels and logs.
"""

import json
import re
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pointsman.contracts.base import Json
from pointsman.contracts.policy import MatchFacts
from pointsman.contracts.work_items import EventKind, WorkItemKey
from pointsman.domain.briefing import TEXT_FIELDS, facts_of
from pointsman.domain.echoes import is_board, is_noise
from pointsman.domain.events.subjects import project_of, subject_of
from pointsman.domain.loose import (
    ID_CHARS,
    INT64_MAX,
    NO_GUID,
    URL_CHARS,
    Object,
    get,
    identity,
    inner,
    json_type,
    number_in,
    objects,
    organisation_in,
    string,
    text,
    whole,
)
from pointsman.domain.routing import match_facts
from pointsman.domain.sync.agreeing import link_name
from pointsman.domain.texts import clean, cleaned

KINDS = {f"workitem.{kind}": kind for kind in EventKind}
SCOPE_FIELDS = ("System.TeamProject", "System.AreaPath", "System.WorkItemType", "System.Title")
# Microsoft's documentation shows these names, by a careless replacement of a product's name; the service never does.
MISNAMED = ("Microsoft.Azure DevOps Services.", "Microsoft.VSTS.")
ITEM_IN_URL = re.compile(r"/_apis/wit/(?:workitems|recyclebin)/(\d+)", re.IGNORECASE)
UPDATE_IN_URL = re.compile(r"/updates/(\d+)", re.IGNORECASE)
COMMENT_COUNT = "System.CommentCount"
# Follow from links and files, which a delivery may leave out.
OF_LINKS = re.compile(r"System\.(Parent|\w+LinkCount|AttachedFileCount)$")
# Comes with whatever somebody sends by pressing Test in Azure DevOps.
NO_SUBSCRIPTION = NO_GUID
# Where events of code and of builds name their organisation, when neither the envelope nor the resource does.
URLS_INSIDE = (("repository",), ("pullRequest",), ("definition",))

Changes = dict[str, tuple[Json, Json]]


@dataclass(frozen=True)
class Heard:
    """One delivery as understood. Without `kind` it has no effect, and `reason` says why."""

    kind: EventKind | None = None
    reason: str = ""
    unreadable: bool = False
    """It should concern a work item, or cannot be read at all: somebody has to look at it."""
    event_type: str = ""
    organisation: str = ""
    project: str = ""
    """Empty where the delivery does not tell its name."""
    item_id: int = 0
    rev: int = 0
    update_id: int = 0
    actor: str = ""
    """Unique name of whoever did it, or the display name where there is none."""
    changed: Changes = field(default_factory=dict)
    """Reference name to (old, new), without fields that move with every save."""
    fields: dict[str, Json] = field(default_factory=dict)
    """All fields that the delivery tells, as they are after the event."""
    comment: str = ""
    """HTML."""
    comment_id: int = 0
    comment_version: int = 0
    """2 and above for an edited comment."""
    links_changed: bool = False
    links_added: tuple[str, ...] = ()
    """Each as `relation target`, as `domain.sync.agreeing.link_name` says it."""
    links_removed: tuple[str, ...] = ()
    is_idle: bool = False
    """It tells what changed, and nothing of it matters: a card in another column of a board, a comment taken back."""
    event_id: str = ""
    created_date: str = ""
    """When the service made the event, as it says it."""
    subscription_id: str = ""
    notification_id: int = 0
    idempotency_key: str = ""
    """Empty where nothing in the delivery identifies the event."""

    @property
    def is_hint(self) -> bool:
        """It does not say what happened to the item: the item's history has to."""
        return not (self.fields or self.links_changed)

    def key(self) -> WorkItemKey | None:
        """The item that it is about, if it is about one."""
        if not self.item_id:
            return None
        return WorkItemKey(organisation=self.organisation, project=self.project, id=self.item_id)

    def facts_for_scope(self, *, with_text: bool = True) -> MatchFacts | None:
        """What scope rules look at, or None where the delivery does not carry it. Making plain text of long fields
        takes longer than all the rest: `with_text` only where a rule reads it."""
        key = self.key()
        if key is None or any(name not in self.fields for name in SCOPE_FIELDS):
            return None
        told = {name: value for name, value in self.fields.items() if with_text or name not in TEXT_FIELDS}
        return match_facts(facts_of(key, told, self.rev, "", deleted=False))


def read_bytes(body: bytes, organisation: str = "") -> Heard:
    """`read` for a body as it was received. Never raises."""
    try:
        return read(json.loads(body), organisation)
    except (ValueError, RecursionError) as error:
        return Heard(unreadable=True, reason=f"not JSON: {text(str(error))}")


def read(body: Json, organisation: str = "") -> Heard:
    """Understand a delivery. `organisation` counts where it names none. Never raises."""
    if not isinstance(body, dict):
        return Heard(unreadable=True, reason=f"a JSON object is wanted, this is {json_type(body)}")
    try:
        return _read(body, organisation)
    except RecursionError:
        return Heard(unreadable=True, reason="nested too deeply")


def read_item(body: Object, organisation: str = "") -> Heard:
    """What a delivery says of a work item, whether it may have an effect or not: a test notification may not.

    Raises:
        RecursionError: it is nested too deeply.
    """
    told, resource = _told(body, organisation), objects(get(body, "resource"))
    kind = KINDS.get(told.event_type.casefold())
    return _of_item(told, kind, resource) if kind else _without_effect(told, resource)


def _read(body: Object, organisation: str) -> Heard:
    told, resource = _told(body, organisation), objects(get(body, "resource"))
    kind = KINDS.get(told.event_type.casefold())
    if kind is None:
        return _without_effect(told, resource)
    if told.subscription_id == NO_SUBSCRIPTION:
        return _unknown(told, "test notification: its work item is invented")
    heard = _of_item(told, kind, resource)
    if not heard.item_id:
        return _unknown(told, f"{told.event_type} names no work item", unreadable=True)
    if not heard.organisation:
        reason = f"{told.event_type} of work item {heard.item_id} names no organisation"
        return _unknown(told, reason, unreadable=True)
    return heard


def _told(body: Object, organisation: str) -> Heard:
    return Heard(
        event_type=text(get(body, "eventType"), ID_CHARS),
        organisation=_organisation(body, objects(get(body, "resource"))) or organisation.lower(),
        event_id=text(get(body, "id"), ID_CHARS),
        created_date=text(get(body, "createdDate"), ID_CHARS),
        subscription_id=text(get(body, "subscriptionId"), ID_CHARS),
        notification_id=whole(get(body, "notificationId"), INT64_MAX),
    )


def _of_item(told: Heard, kind: EventKind, resource: Object) -> Heard:
    return _updated(told, resource) if kind is EventKind.UPDATED else _changed_as_a_whole(told, kind, resource)


def _without_effect(told: Heard, resource: Object) -> Heard:
    """It is kept with what it concerns, and nobody acts on it."""
    if not told.event_type:
        return _unknown(told, "no event type")
    if told.event_type.casefold().startswith("workitem."):
        return _unknown(told, f"event type {told.event_type!r} is not known")
    subject = subject_of(told.event_type, resource)
    why = f"event type {told.event_type!r} concerns no work item"
    told = replace(told, project=subject.project if subject else project_of(resource))
    return _unknown(told, f"{why} but {subject}" if subject else why)


def _unknown(told: Heard, reason: str, *, unreadable: bool = False) -> Heard:
    return replace(told, reason=reason, unreadable=unreadable, idempotency_key=_event_key(told))


def _changed_as_a_whole(told: Heard, kind: EventKind, resource: Object) -> Heard:
    """Created, commented, deleted, restored: the resource is the work item itself."""
    fields = _fields(get(resource, "fields"))
    comment_id, version = _comment_version(resource)
    heard = replace(
        told,
        kind=kind,
        project=_project(fields),
        item_id=whole(get(resource, "id")) or number_in(ITEM_IN_URL, get(resource, "url")),
        rev=whole(get(resource, "rev")) or whole(fields.get("System.Rev")),
        actor=identity(fields.get("System.ChangedBy")),
        fields=fields,
        comment=string(fields.get("System.History")) if kind is EventKind.COMMENTED else "",
        comment_id=comment_id,
        comment_version=version,
    )
    return replace(heard, idempotency_key=_key(heard))


def _updated(told: Heard, resource: Object) -> Heard:
    """The resource is an entry of the history: its `id` counts updates and is not the work item's."""
    revision = objects(get(resource, "revision"))
    listed = _fields(get(resource, "fields"))
    changes = {name: pair for name, value in listed.items() if (pair := _change(value)) is not None}
    told_flat = {name: value for name, value in listed.items() if name not in changes}
    fields = _after({**_fields(get(revision, "fields")), **told_flat}, changes)
    comment_id, version = _comment_version(resource)
    item_id, update_id = _item_and_update(resource, revision, is_item=bool(told_flat) and not changes)
    meant = {name: pair for name, pair in changes.items() if not is_noise(name)}
    links_changed = any(objects(get(resource, "relations")).values())
    heard = replace(
        told,
        kind=EventKind.UPDATED,
        project=_project(fields),
        item_id=item_id,
        update_id=update_id,
        rev=whole(get(resource, "rev")) or whole(fields.get("System.Rev")) or whole(get(revision, "rev")),
        actor=identity(get(resource, "revisedBy")) or identity(fields.get("System.ChangedBy")),
        changed=meant,
        fields=fields,
        comment=string(changes.get("System.History", (None, None))[1]),
        comment_id=comment_id,
        comment_version=version,
        links_changed=links_changed,
        links_added=_links(inner(resource, "relations"), "added"),
        links_removed=_links(inner(resource, "relations"), "removed"),
        is_idle=not (meant or links_changed) and _says_nothing(changes, comment_id),
    )
    return replace(heard, idempotency_key=_key(heard))


def _says_nothing(changes: Changes, comment_id: int) -> bool:
    """Whether nobody has said or linked anything: a comment that came, or was edited, may be told without its words, as
    a link may be without what it connects."""
    if not changes or any(OF_LINKS.match(name) for name in changes):
        return False
    return takes_back(changes) or (COMMENT_COUNT not in changes and not comment_id)


def takes_back(changes: Changes) -> bool:
    """Whether nothing was changed but that a comment is gone."""
    before, after = map(whole, changes.get(COMMENT_COUNT, (None, None)))
    return after < before and all(is_noise(name) for name in changes)


def leaves_all(changes: Changes) -> bool:
    """Whether an entry of an item's history says that nothing happened but that a comment is gone, or a card went to
    another column of a board. One that names neither may be of an edited comment, without its words."""
    moves_card = any(map(is_board, changes)) and all(map(is_noise, changes))
    return takes_back(changes) or (moves_card and _says_nothing(changes, 0))


def _links(relations: Object, which: str) -> tuple[str, ...]:
    listed = get(relations, which)
    told = [objects(one) for one in listed] if isinstance(listed, list) else []
    named = ((text(get(one, "rel")), text(get(one, "url"), URL_CHARS)) for one in told)
    return tuple(link_name(rel, url) for rel, url in named if rel and url)


def _item_and_update(resource: Object, revision: Object, *, is_item: bool) -> tuple[int, int]:
    """Work item id and update number. A sample of Microsoft's has work item id 0, another shows an item instead."""
    number, url = whole(get(resource, "id")), get(resource, "url")
    in_url, update_in_url = number_in(ITEM_IN_URL, url), number_in(UPDATE_IN_URL, url)
    item_id = whole(get(resource, "workItemId")) or whole(get(revision, "id")) or in_url
    if is_item and not revision and not update_in_url:
        return item_id or number, 0
    if number == in_url and not revision and not update_in_url:
        return item_id, 0  # a minimal resource that links to the item: its number is the item's
    return item_id, number or update_in_url


def _key(heard: Heard) -> str:
    """What makes two deliveries the same event, however many subscriptions it came through."""
    item = f"{heard.kind}:{heard.organisation}:{heard.item_id}"
    match heard.kind:
        case EventKind.CREATED:
            return item
        case EventKind.UPDATED if heard.update_id:
            return f"{item}:{heard.update_id}"
        case EventKind.COMMENTED if heard.comment_id:
            return f"{item}:{heard.comment_id}:{heard.comment_version}"
        case EventKind.DELETED | EventKind.RESTORED if heard.rev:
            return f"{item}:{heard.rev}"
    return _event_key(heard)


def _event_key(heard: Heard) -> str:
    return f"event:{heard.organisation}:{heard.event_id}" if heard.event_id else ""


def _organisation(body: Object, resource: Object) -> str:
    containers = objects(get(body, "resourceContainers"))
    urls = [get(inner(containers, name), "baseUrl") for name in ("collection", "account", "project")]
    urls += [get(resource, "url"), get(inner(resource, "revision"), "url")]
    return organisation_in(urls) or organisation_in(get(inner(resource, *path), "url") for path in URLS_INSIDE)


def _project(fields: Object) -> str:
    return text(fields.get("System.TeamProject"))


def _comment_version(resource: Object) -> tuple[int, int]:
    told = objects(get(resource, "commentVersionRef"))
    return whole(get(told, "commentId")), whole(get(told, "version"))


def _fields(value: Json) -> dict[str, Json]:
    """Fields under their real names. Sorted, so that a real name wins over its misnamed twin."""
    fields = objects(value)
    return {_real_name(name): _clean_value(fields[name]) for name in sorted(fields)}


def _clean_value(value: Json) -> Json:
    return clean(value) if isinstance(value, str) else cleaned(value)


@lru_cache(maxsize=4_096)
def _real_name(name: str) -> str:
    return clean(name).replace(*MISNAMED)


def _change(value: Json) -> tuple[Json, Json] | None:
    """(old, new) of a changed field; None for a plain value, which may be an object too: an identity."""
    if not isinstance(value, dict) or not value or {key.casefold() for key in value} - {"oldvalue", "newvalue"}:
        return None
    return get(value, "oldValue"), get(value, "newValue")


def _after(fields: Object, changes: Changes) -> dict[str, Json]:
    """Fields after the event: some deliveries bring the revision before it."""
    cleared = {name for name, (_, new) in changes.items() if new is None}
    after = {name: value for name, value in fields.items() if name not in cleared}
    return after | {name: new for name, (_, new) in changes.items() if name not in cleared}
