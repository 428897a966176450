"""Everything that changes an item, each as one step that happens whole or not at all."""

from dataclasses import dataclass

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops import rules
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.documents import Document, FieldEdit, Test
from pointsman.sandbox.azure_devops.faults_of_service import invalid, revision_conflict
from pointsman.sandbox.azure_devops.linking import Linked, apply_links, apply_other_ends
from pointsman.sandbox.azure_devops.process import Kind
from pointsman.sandbox.azure_devops.state import Change, Comment, CommentVersion, Fields, Item, Update, World

HISTORY = "System.History"


@dataclass(frozen=True)
class Happened:
    """What a subscriber may hear of. `kind` is the event type's last word, for example `updated`."""

    kind: str
    item: Item
    update: Update


def create(
    world: World, organisation: Organisation, project: str, kind: Kind, document: Document, by: Identity, keep: bool
) -> tuple[Item, list[Happened]]:
    """Make an item; without `keep` only check that it could be made."""
    ids = world.items_of(organisation)
    item = Item(max(ids, default=0) + 1, organisation, project, kind)
    now = world.clock.now()
    fields = rules.defaults(kind, project)
    for change in document.fields:
        rules.edit(world, item, fields, change, is_new=True)
    rules.settle(item, {}, fields, by, now)
    fields |= {"System.CreatedDate": now, "System.CreatedBy": by}
    linked = apply_links(world, item, document.links)
    if not keep:
        item.revisions.append(fields)
        return item, []
    ids[item.id] = item
    item.relations = linked.relations
    update = _revise(world, item, fields, by, now, linked)
    others = apply_other_ends(world, item, linked, by, now)
    return item, [Happened("created", item, update), *(Happened("updated", other, entry) for other, entry in others)]


def patch(world: World, item: Item, document: Document, by: Identity, keep: bool) -> list[Happened]:
    """Apply a document. A change that changes nothing makes no revision; links alone make none either."""
    for test in document.tests:
        _hold(item, test)
    now = world.clock.now()
    fields = {name: value for name, value in item.fields.items() if name != HISTORY}
    before = dict(fields)
    for change in document.fields:
        rules.edit(world, item, fields, change, is_new=False)
    rules.settle(item, before, fields, by, now)
    linked = apply_links(world, item, document.links)
    if not keep or (fields == before and not linked.changes):
        return []
    item.relations = linked.relations
    others = apply_other_ends(world, item, linked, by, now)
    if fields == before and not linked.makes_revision:
        update = _link_update(item, by, now, linked)
    else:
        update = _revise(world, item, fields, by, now, linked)
    return [*_events(item, update), *(Happened("updated", other, entry) for other, entry in others)]


def comment(world: World, item: Item, text: str, by: Identity) -> list[Happened]:
    """Comment as the comments API does: a revision of its own."""
    return patch(world, item, Document(fields=(FieldEdit(HISTORY, text, merge=True),)), by, keep=True)


def edit_comment(world: World, item: Item, edited: Comment, text: str, by: Identity) -> list[Happened]:
    """Arrives at subscribers as an update with another `System.History`, and a version above 1."""
    now = world.clock.now()
    old = edited.versions[-1].text
    edited.versions.append(CommentVersion(text, by, now))
    fields = {name: value for name, value in item.fields.items() if name != HISTORY}
    update = _revise(world, item, fields, by, now, Linked())
    update.changed[HISTORY] = Change(old, text)
    update.comment = (edited.id, len(edited.versions))
    return [Happened("updated", item, update)]


def delete(world: World, item: Item, by: Identity) -> list[Happened]:
    now = world.clock.now()
    item.deleted = (by, now)
    update = _revise(world, item, {**item.fields, "System.IsDeleted": True}, by, now, Linked())
    return [Happened("deleted", item, update)]


def restore(world: World, item: Item, by: Identity) -> list[Happened]:
    item.deleted = None
    fields = {name: value for name, value in item.fields.items() if name != "System.IsDeleted"}
    update = _revise(world, item, fields, by, world.clock.now(), Linked())
    return [Happened("restored", item, update)]


def _hold(item: Item, test: Test) -> None:
    current: Json = item.rev
    if test.path.startswith("/fields/"):
        value = item.fields.get(test.path.removeprefix("/fields/"))
        current = value.combined if isinstance(value, Identity) else value
    elif test.path != "/rev":
        raise invalid(f"The stand-in does not play this test: {test.path}.", "NotSupportedException")
    if current != test.value and str(current) != str(test.value):
        raise revision_conflict(test.path, current, test.value)


def _revise(world: World, item: Item, fields: Fields, by: Identity, now: str, linked: Linked) -> Update:
    """The next revision, with the fields that the service maintains, and its entry in the history."""
    before = item.fields if item.revisions else {}
    made = _comment(world, item, fields, by, now)
    maintained: Fields = {
        "System.Id": item.id,
        "System.Rev": item.rev + 1,
        "System.ChangedDate": now,
        "System.ChangedBy": by,
        "System.AuthorizedDate": now,
        "System.AuthorizedAs": by,
        "System.RevisedDate": "9999-01-01T00:00:00Z",
        "System.Watermark": world.next_watermark(),
        "System.CommentCount": item.comment_count,
    }
    after = {**fields, **maintained}
    if before:
        before["System.RevisedDate"] = now
    item.revisions.append(after)
    update = Update(_next_update(item, now), item.rev, by, now, _changes(before, after))
    update.added, update.removed, update.comment = linked.added, linked.removed, made
    item.updates.append(update)
    return update


def _comment(world: World, item: Item, fields: Fields, by: Identity, now: str) -> tuple[int, int] | None:
    text = fields.get(HISTORY)
    if not isinstance(text, str):
        return None
    made = Comment(world.next_comment(), item.rev + 1, [CommentVersion(text, by, now)])
    item.comments.append(made)
    return (made.id, 1)


def _link_update(item: Item, by: Identity, now: str, linked: Linked) -> Update:
    update = Update(_next_update(item, now), item.rev, by, now, added=linked.added, removed=linked.removed)
    item.updates.append(update)
    return update


def _next_update(item: Item, now: str) -> int:
    if item.updates:
        item.updates[-1].until = now
    return len(item.updates) + 1


def _changes(before: Fields, after: Fields) -> dict[str, Change]:
    """Comments are not taken back by the next revision: their field only ever appears."""
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changes = {name: Change(before.get(name), after.get(name)) for name in names}
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
