"""Which events of a work item never reached us, told from its history, and each as the delivery that it would be.

An item's updates are numbered, and so are the versions of its comments: what is there and not in the inbox is missing.
A recovered delivery has the idempotency key of the real one, so whichever comes second is a duplicate.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

from pointsman.contracts.base import Json
from pointsman.contracts.recovery import CommentVersionTold, Containers, Snapshot, UpdateTold
from pointsman.contracts.work_items import EventKind
from pointsman.domain import unnamed
from pointsman.domain.loose import get, inner, moment, objects, truth
from pointsman.domain.unnamed import Happened, Unnamed

HISTORY, COUNT, DELETED = "System.History", "System.CommentCount", "System.IsDeleted"
CHANGED = "System.ChangedDate"
RESOURCE_VERSION = "5.1-preview.3"
SAME_SAVE = timedelta(seconds=2)
STREAM_STEP = timedelta(seconds=1)
"""So far apart may the moments of a comment and of the update that tells of it be."""


@dataclass(frozen=True)
class Listened:
    """What reached us of an item: idempotency keys of its events, and from when on we wanted to hear of it."""

    organisation: str
    item_id: int
    keys: Collection[str] = ()
    floor: datetime | None = None
    """None: from the very beginning."""
    streamed_rev: int = 0
    """The lowest revision that the stream told behind the watermark; 0 for none."""
    unnamed: Sequence[Unnamed] = ()
    """Deliveries of it that do not tell which of its events they are."""


@dataclass(frozen=True)
class Missed:
    """An event to bring back. `comment` is the version that it tells of."""

    kind: EventKind
    key: str
    rev: int
    at: datetime | None
    update: UpdateTold | None = None
    comment: CommentVersionTold | None = None


@dataclass(frozen=True)
class Found:
    missed: tuple[Missed, ...]
    known: int
    """Events within what we listened to that are there."""


def key_of(organisation: str, item_id: int, kind: EventKind, number: int = 0, version: int = 0) -> str:
    """The idempotency key that `pointsman.domain.deliveries` gives the real delivery."""
    item = f"{kind}:{organisation}:{item_id}"
    match kind:
        case EventKind.CREATED:
            return item
        case EventKind.COMMENTED:
            return f"{item}:{number}:{version}"
    return f"{item}:{number}"


def kind_of(update: UpdateTold) -> EventKind:
    """Which event the service sends for an entry of the history."""
    if update.id == 1 or (update.rev == 1 and _change(update, "System.Id") != (None, None)):
        return EventKind.CREATED
    before, after = (truth(value) for value in _change(update, DELETED))
    if before != after:
        return EventKind.DELETED if after else EventKind.RESTORED
    return EventKind.UPDATED


def front(keys: Collection[str], organisation: str, item_id: int) -> int:
    """So many entries of the history, from the first on, are there without a gap: they need not be read again."""
    if key_of(organisation, item_id, EventKind.CREATED) not in keys:
        return 0
    number = 1
    while key_of(organisation, item_id, EventKind.UPDATED, number + 1) in keys:
        number += 1
    return number


def tells_of_comments(updates: Sequence[UpdateTold]) -> bool:
    return any(_is_of_comments(update) for update in updates)


def missing(listened: Listened, updates: Sequence[UpdateTold], comments: Sequence[CommentVersionTold] = ()) -> Found:
    """What is to be brought back, in order. `updates` may begin behind the `front`; comments are all versions known.

    Of an item that we have heard of, whatever came after the first that we heard counts; else what came since the
    floor. An update that does not say when it was counts, if it may have been since then.
    """
    told = sorted(updates, key=lambda update: update.id)
    carried = _carried(told, comments)
    listened = _with(listened, _happened(listened, told, carried, comments))
    keys = [_key(listened, update) for update in told]
    heard = [number for number, key in enumerate(keys) if key in listened.keys]
    first = heard[0] if heard else len(told)
    begun = 0 if front(listened.keys, listened.organisation, listened.item_id) else first
    wanted = [number >= begun or _may_be_since(listened, told, number) for number in range(len(told))]
    missed: list[Missed] = []
    known = 0
    for number, update in enumerate(told):
        comment = carried.get(update.id)
        events = [(kind_of(update), keys[number])] if wanted[number] else []
        if comment and comment.version == 1 and wanted[number]:
            events.append((EventKind.COMMENTED, _comment_key(listened, comment)))
        for kind, key in events:
            if key in listened.keys:
                known += 1
            else:
                missed.append(Missed(kind, key, update.rev, update.at, update, comment))
    loose, there = _loose(listened, told, wanted, carried, comments)
    return Found((*missed, *loose), known + there)


def _with(listened: Listened, happened: Sequence[Happened]) -> Listened:
    """With the events that deliveries without a name of their own tell of."""
    return replace(listened, keys=unnamed.told(listened.unnamed, happened).union(listened.keys))


def _happened(
    listened: Listened,
    told: Sequence[UpdateTold],
    carried: Mapping[int, CommentVersionTold],
    comments: Sequence[CommentVersionTold],
) -> list[Happened]:
    revs = {one.comment_id: update.rev for update in told if (one := carried.get(update.id)) and one.version == 1}
    said = [
        Happened(EventKind.COMMENTED, _comment_key(listened, one), one.at, revs.get(one.comment_id, 0))
        for one in comments
        if one.version == 1
    ]
    return said + [Happened(kind_of(one), _key(listened, one), one.at, one.rev) for one in told]


def _loose(
    listened: Listened,
    told: Sequence[UpdateTold],
    wanted: Sequence[bool],
    carried: Mapping[int, CommentVersionTold],
    comments: Sequence[CommentVersionTold],
) -> tuple[list[Missed], int]:
    """Versions that no entry tells of: each comes as an event of its own. Of those before the first entry that was read
    nobody knows that, and whoever wants to must read from the beginning."""
    within = {(one.comment_id, one.version) for one in carried.values()}
    since = _moment_of_first(told, wanted)
    floor = min((one for one in (listened.floor, since) if one), default=None)
    read_from = None if told and told[0].id == 1 else _moment_of_first(told, [True] * len(told))
    missed, there = [], 0
    for one in comments if told else ():
        if (one.comment_id, one.version) in within or not _is_since(one.at, floor) or not _is_since(one.at, read_from):
            continue
        key = _comment_key(listened, one)
        if key in listened.keys:
            there += 1
            continue
        at_the_time = [update.rev for update in told if update.at and one.at and update.at <= one.at]
        missed.append(Missed(EventKind.COMMENTED, key, max(at_the_time, default=0), one.at, None, one))
    return missed, there


def _carried(told: Sequence[UpdateTold], comments: Sequence[CommentVersionTold]) -> dict[int, CommentVersionTold]:
    """By update: the version that it tells of, which was made in the same save. Between several the text decides, then
    the moment: of some that were made within a breath the first may be told by an entry that was not read."""
    near = [
        (_text(update) != one.text, _apart(update, one), one.comment_id, one.version, update.id, one)
        for update in told
        if update.at and _is_of_comments(update)
        for one in comments
        if _apart(update, one) <= SAME_SAVE
    ]
    found: dict[int, CommentVersionTold] = {}
    placed: set[tuple[int, int]] = set()
    for _, _, comment, version, update_id, one in sorted(near, key=lambda pair: pair[:5]):
        if update_id not in found and (comment, version) not in placed:
            found[update_id] = one
            placed.add((comment, version))
    return found


def _apart(update: UpdateTold, comment: CommentVersionTold) -> timedelta:
    return abs(update.at - comment.at) if update.at and comment.at else timedelta.max


def _may_be_since(listened: Listened, told: Sequence[UpdateTold], number: int) -> bool:
    update = told[number]
    if listened.streamed_rev and update.rev > listened.streamed_rev:
        return True
    if update.at is not None:
        # The stream's own word counts for more than a date, which whoever bypasses rules can set; but it may count
        # whole seconds, and what came in that of the floor is as old as its date says.
        close = listened.floor is not None and listened.floor - STREAM_STEP < update.at < listened.floor
        return _is_since(update.at, listened.floor) or (update.rev == listened.streamed_rev and not close)
    later = next((one.at for one in told[number + 1 :] if one.at), None)
    before = told[number - 1].until if number else None
    latest = before if before and before.year < datetime.max.year else later
    return _is_since(latest, listened.floor)


def _is_since(at: datetime | None, floor: datetime | None) -> bool:
    return at is None or floor is None or at >= floor


def _moment_of_first(told: Sequence[UpdateTold], wanted: Sequence[bool]) -> datetime | None:
    return next((update.at for update, want in zip(told, wanted, strict=True) if want and update.at), None)


def _key(listened: Listened, update: UpdateTold) -> str:
    kind = kind_of(update)
    number = update.rev if kind in (EventKind.DELETED, EventKind.RESTORED) else update.id
    return key_of(listened.organisation, listened.item_id, kind, number)


def _comment_key(listened: Listened, comment: CommentVersionTold) -> str:
    return key_of(listened.organisation, listened.item_id, EventKind.COMMENTED, comment.comment_id, comment.version)


def _is_of_comments(update: UpdateTold) -> bool:
    fields = inner(update.resource, "fields")
    return HISTORY in fields or (COUNT in fields and update.id > 1)


def _text(update: UpdateTold) -> Json:
    return _change(update, HISTORY)[1]


def _change(update: UpdateTold, name: str) -> tuple[Json, Json]:
    change = objects(inner(update.resource, "fields").get(name))
    return get(change, "oldValue"), get(change, "newValue")


# Bodies


def body_of(missed: Missed, listened: Listened, snapshot: Snapshot, where: Containers) -> bytes:
    """The delivery, in the shape that the service documents. Its event id follows from what it tells."""
    resource = (
        _update_resource(missed, listened, snapshot, where)
        if missed.kind is EventKind.UPDATED
        else _item_resource(missed, listened, snapshot, where)
    )
    base: dict[str, Json] = {"baseUrl": f"{where.base_url}/"}
    body: dict[str, Json] = {
        "id": delivery_id("", missed.key),
        "eventType": f"workitem.{missed.kind}",
        "publisherId": "tfs",
        "message": None,
        "detailedMessage": None,
        "resource": resource,
        "resourceVersion": RESOURCE_VERSION,
        "resourceContainers": {
            "collection": {"id": where.collection_id, **base},
            "account": {"id": where.collection_id, **base},
            "project": {"id": where.project_id, **base},
        },
        "createdDate": _iso(missed.at),
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def delivery_id(tenant: str, key: str) -> str:
    """The same for the same event, so that a repeated attempt finds what it kept."""
    return str(uuid5(NAMESPACE_URL, f"pointsman/recovered/{tenant}/{key}"))


def _update_resource(missed: Missed, listened: Listened, snapshot: Snapshot, where: Containers) -> dict[str, Json]:
    assert missed.update is not None, "an update is told by its entry"
    url = _item_url(listened, where)
    revision: dict[str, Json] = {
        "id": listened.item_id,
        "rev": snapshot.rev,
        "fields": dict(snapshot.fields),
        "url": f"{url}/revisions/{snapshot.rev}",
    }
    if snapshot.relations:
        revision["relations"] = list(snapshot.relations)
    resource: dict[str, Json] = {
        **missed.update.resource,
        "_links": {"self": {"href": f"{url}/updates/{missed.update.id}"}, "parent": {"href": url}},
        "revision": revision,
    }
    return {**resource, **_comment_reference(missed.comment)}


def _item_resource(missed: Missed, listened: Listened, snapshot: Snapshot, where: Containers) -> dict[str, Json]:
    url = _item_url(listened, where)
    if missed.kind is EventKind.DELETED:
        url = f"{where.base_url}/_apis/wit/recyclebin/{listened.item_id}"
    fields = dict(snapshot.fields)
    if missed.kind is EventKind.COMMENTED and missed.comment:
        fields[HISTORY] = missed.comment.text
    resource: dict[str, Json] = {
        "id": listened.item_id,
        "rev": missed.rev or snapshot.rev,
        "fields": fields,
        "_links": {"self": {"href": url}},
        "url": url,
    }
    if snapshot.relations:
        resource["relations"] = list(snapshot.relations)
    return {**resource, **(_comment_reference(missed.comment) if missed.kind is EventKind.COMMENTED else {})}


def _comment_reference(comment: CommentVersionTold | None) -> dict[str, Json]:
    if comment is None:
        return {}
    told: dict[str, Json] = {"commentId": comment.comment_id, "version": comment.version, "url": comment.url}
    return {"commentVersionRef": {**told, **({"isDeleted": True} if comment.is_deleted else {})}}


def _item_url(listened: Listened, where: Containers) -> str:
    return f"{where.base_url}/_apis/wit/workItems/{listened.item_id}"


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


def snapshot_for(missed: Missed, snapshots: Sequence[Snapshot]) -> Snapshot:
    """The item as it was then: the revision of the event, or the last before it."""
    before = [one for one in snapshots if one.rev <= missed.rev] or list(snapshots[:1])
    return max(before, key=lambda one: one.rev, default=Snapshot(rev=missed.rev))


def deletion_of(listened: Listened, snapshots: Sequence[Snapshot]) -> Iterator[tuple[Missed, Snapshot]]:
    """What the stream alone tells of an item that cannot be read: that it went into the recycle bin."""
    gone = [
        one
        for before, one in zip([None, *snapshots], snapshots, strict=False)
        if truth(one.fields.get(DELETED)) and not (before and truth(before.fields.get(DELETED)))
    ]
    keys = [key_of(listened.organisation, listened.item_id, EventKind.DELETED, one.rev) for one in gone]
    told = [
        Happened(EventKind.DELETED, key, moment(one.fields.get(CHANGED)), one.rev)
        for key, one in zip(keys, gone, strict=True)
    ]
    listened = _with(listened, told)
    for key, one in zip(keys, gone, strict=True):
        if key not in listened.keys:
            yield Missed(EventKind.DELETED, key, one.rev, None), one
