"""Everything that changes an item, each as one step that happens whole or not at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import moves, rules
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.documents import HTML, Document, FieldEdit, Test
from pointsman.sandbox.azure_devops.faults_of_service import invalid, over_limit, revision_conflict
from pointsman.sandbox.azure_devops.formats import formats_after
from pointsman.sandbox.azure_devops.linking import Linked, apply_links, apply_other_ends
from pointsman.sandbox.azure_devops.process import Kind
from pointsman.sandbox.azure_devops.revisions import Fields, different
from pointsman.sandbox.azure_devops.state import Change, Comment, CommentVersion, Item, Update, World

HISTORY = "System.History"
REVISIONS_MAX = 10_000
"""Through REST; what people do in the web pages may go beyond."""


MAINTAINED = (
    "System.Id",
    "System.Rev",
    "System.ChangedDate",
    "System.ChangedBy",
    "System.TeamProject",
    "System.WorkItemType",
    "System.AuthorizedDate",
    "System.AuthorizedAs",
    "System.RevisedDate",
    "System.Watermark",
    "System.CommentCount",
)
"""Fields that the service sets itself with each revision."""
NO_LINKS = Linked()


@dataclass(frozen=True)
class Happened:
    """What a subscriber may hear of. `kind` is the event type's last word, for example `updated`."""

    kind: str
    item: Item
    update: Update


@dataclass(frozen=True)
class Manner:
    """How a document is to be written: for good or as a trial, under the rules or past them."""

    keep: bool = True
    bypass: bool = False
    comment_format: str = HTML


KEPT = Manner()


def create(
    world: World,
    organisation: Organisation,
    project: str,
    kind: Kind,
    document: Document,
    by: Identity,
    manner: Manner = KEPT,
) -> tuple[Item, list[Happened]]:
    """Make an item; without `keep` only check that it could be made."""
    item = Item(world.next_item(organisation), organisation, project, kind)
    now = world.clock.now()
    draft = rules.Draft(item, kind, project, rules.defaults(kind, project, by), {}, by, now, manner.bypass)
    formats = _apply(world, draft, document)
    draft.fields.setdefault("System.CreatedDate", now)
    draft.fields.setdefault("System.CreatedBy", by)
    linked = apply_links(world, item, document.links)
    if not manner.keep:
        item.revisions.append(draft.fields, draft.fields)
        item.formats = formats
        return item, []
    world.items_of(organisation)[item.id] = item
    item.relations, item.formats = linked.relations, formats
    update = revise(world, item, draft.fields, by, now, linked, manner.comment_format, _signed(draft))
    others = apply_other_ends(world, item, linked, by, now)
    return item, [Happened("created", item, update), *(Happened("updated", other, entry) for other, entry in others)]


def patch(world: World, item: Item, document: Document, by: Identity, manner: Manner = KEPT) -> list[Happened]:
    """Apply a document. A change that changes nothing makes no revision; links alone make none either."""
    for test in document.tests:
        _hold(item, test)
    if item.rev >= REVISIONS_MAX:
        raise over_limit("revisions", REVISIONS_MAX)
    now = world.clock.now()
    fields = _without(item, HISTORY)
    kind, project = moves.destination(world, item, document)
    draft = rules.Draft(item, kind, project, dict(fields), fields, by, now, manner.bypass)
    moves.settle_in(draft)
    formats = _apply(world, draft, document)
    linked = apply_links(world, item, document.links)
    if not manner.keep or (draft.fields == fields and formats == item.formats and not linked.changes):
        return []
    item.relations, item.formats, item.kind, item.project = linked.relations, formats, kind, project
    others = apply_other_ends(world, item, linked, by, now)
    if draft.fields == fields and not linked.makes_revision:
        update = _link_update(world, item, by, now, linked)
    else:
        update = revise(world, item, draft.fields, by, now, linked, manner.comment_format, _signed(draft))
    return [*_events(item, update), *(Happened("updated", other, entry) for other, entry in others)]


def _signed(draft: rules.Draft) -> Fields:
    names = draft.touched & {"System.ChangedDate", "System.ChangedBy"}
    return {name: draft.fields[name] for name in names if name in draft.fields}


def _apply(world: World, draft: rules.Draft, document: Document) -> dict[str, str]:
    """Fields and rules of a document. Returns what its long texts are written in then."""
    for change in document.fields:
        rules.edit(world, draft, change)
    rules.settle(draft)
    return formats_after(draft.item.formats, document)


def comment(world: World, item: Item, text: str, by: Identity, written: str = HTML) -> list[Happened]:
    """Comment as the comments API does: a revision of its own."""
    document = Document(fields=(FieldEdit(HISTORY, text, merge=True),))
    return patch(world, item, document, by, Manner(comment_format=written))


def edit_comment(
    world: World, item: Item, edited: Comment, text: str, by: Identity, written: str = HTML
) -> list[Happened]:
    """Arrives at subscribers as an update with another `System.History`, and a version above 1."""
    old = edited.versions[-1].text
    update = _comment_version(world, item, edited, CommentVersion(text, by, world.clock.now(), written))
    update.changed[HISTORY] = Change(old, text)
    return [Happened("updated", item, update)]


def delete_comment(world: World, item: Item, gone: Comment, by: Identity) -> list[Happened]:
    """A last version without a text; the number of comments falls. How subscribers hear of it is not confirmed."""
    gone.deleted = True
    version = CommentVersion("", by, world.clock.now(), gone.versions[-1].format, deleted=True)
    return [Happened("updated", item, _comment_version(world, item, gone, version))]


def _comment_version(world: World, item: Item, comment: Comment, version: CommentVersion) -> Update:
    comment.versions.append(version)
    update = revise(world, item, _without(item, HISTORY), version.by, version.at, Linked())
    update.comment = (comment.id, len(comment.versions))
    comment.marks.append((int(str(item.fields["System.Watermark"])), len(comment.versions)))
    return update


def delete(world: World, item: Item, by: Identity) -> list[Happened]:
    now = world.clock.now()
    item.deleted = (by, now)
    update = revise(world, item, {**_without(item, HISTORY), "System.IsDeleted": True}, by, now, Linked())
    return [Happened("deleted", item, update)]


def destroy(world: World, item: Item) -> None:
    """For good: the id is never given again, and nobody hears of it. Other items lose their links to it silently."""
    items = world.items_of(item.organisation)
    del items[item.id]
    world.destroyed.add((item.organisation.name.lower(), item.id))
    for held in item.relations:
        other = items.get(held.target)
        if other is not None:
            other.relations = [one for one in other.relations if one.target != item.id]


def restore(world: World, item: Item, by: Identity) -> list[Happened]:
    item.deleted = None
    update = revise(world, item, _without(item, HISTORY, "System.IsDeleted"), by, world.clock.now(), Linked())
    return [Happened("restored", item, update)]


def _without(item: Item, *names: str) -> Fields:
    """What the next revision starts from. A comment is of its own revision only."""
    return {name: value for name, value in item.fields.items() if name not in names}


def _hold(item: Item, test: Test) -> None:
    current: Json = item.rev
    if test.path.startswith("/fields/"):
        value = item.fields.get(test.path.removeprefix("/fields/"))
        current = value.combined if isinstance(value, Identity) else value
    elif test.path != "/rev":
        raise invalid(f"The stand-in does not play this test: {test.path}.", "NotSupportedException")
    if current != test.value and str(current) != str(test.value):
        raise revision_conflict(test.path, current, test.value)


def revise(
    world: World,
    item: Item,
    fields: Fields,
    by: Identity,
    now: str,
    linked: Linked = NO_LINKS,
    written: str = HTML,
    signed: Fields | None = None,
    names: Sequence[str] = (),
) -> Update:
    """The next revision, with the fields that the service maintains, and its entry in the history.

    Who bypasses the rules may say who changed it and when (`signed`); who did is in `System.AuthorizedAs`. Without
    `names` all fields are compared with those before; with them only these, and whoever tells them answers for it.
    """
    before = item.fields if item.revisions else {}
    mark = world.next_watermark()
    made = _comment(world, item, fields, by, now, written, mark)
    maintained: Fields = {
        "System.Id": item.id,
        "System.Rev": item.rev + 1,
        "System.ChangedDate": now,
        "System.ChangedBy": by,
        **(signed or {}),
        "System.TeamProject": item.project,
        "System.WorkItemType": item.kind.name,
        "System.AuthorizedDate": now,
        "System.AuthorizedAs": by,
        "System.RevisedDate": "9999-01-01T00:00:00Z",
        "System.Watermark": mark,
        "System.CommentCount": item.comment_count,
    }
    after = {**fields, **maintained}
    if before:
        before["System.RevisedDate"] = now
    changed = different(before, after, names)
    item.revisions.append(after, changed)
    update = Update(_next_update(item, now), item.rev, by, now, _changes(before, after, changed))
    update.added, update.removed, update.updated = linked.added, linked.removed, linked.updated
    update.comment = made
    update.mark = world.next_link() if linked.changes else 0
    item.updates.append(update)
    return update


def _comment(
    world: World, item: Item, fields: Fields, by: Identity, now: str, written: str, mark: int
) -> tuple[int, int] | None:
    text = fields.get(HISTORY)
    if not isinstance(text, str):
        return None
    made = Comment(world.next_comment(), item.rev + 1, [CommentVersion(text, by, now, written)], marks=[(mark, 1)])
    item.comments.append(made)
    return (made.id, 1)


def _link_update(world: World, item: Item, by: Identity, now: str, linked: Linked) -> Update:
    update = Update(_next_update(item, now), item.rev, by, now, mark=world.next_link())
    update.added, update.removed, update.updated = linked.added, linked.removed, linked.updated
    item.updates.append(update)
    return update


def _next_update(item: Item, now: str) -> int:
    if item.updates:
        item.updates[-1].until = now
    return len(item.updates) + 1


_change = partial(tuple.__new__, Change)  # without the detour over its arguments: there are a million in a large world


def _changes(before: Fields, after: Fields, names: Sequence[str]) -> dict[str, Change]:
    """Comments are not taken back by the next revision: their field only ever appears."""
    changes = {name: _change((before.get(name), after.get(name))) for name in names}
    if HISTORY in changes:
        changes.pop(HISTORY)
    if HISTORY in after:
        changes[HISTORY] = Change(None, after[HISTORY])
    return changes


def _events(item: Item, update: Update) -> list[Happened]:
    happened = [Happened("updated", item, update)]
    if update.comment:
        happened.append(Happened("commented", item, update))
    return happened
