"""Links of items. A link between items is seen at both ends and moves the revision of neither."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.documents import LinkEdit
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, no_item, over_limit
from pointsman.sandbox.azure_devops.process import LINKS, RESOURCE_LINKS
from pointsman.sandbox.azure_devops.state import PARENT, Item, Relation, Update, World

LINKS_MAX, FILES_MAX = 1_000, 100
CHILD = LINKS[PARENT][1]
ONE_PARENT = "TF201036: You cannot add a Child link, because a work item can have only one Parent link."
ONE_PARENT_KEY = "WorkItemLinkAddExtraParentException"
_NAMES = {name.lower(): name for name in (*LINKS, *RESOURCE_LINKS)}
"""Kinds of links are named without regard to case."""


@dataclass(frozen=True)
class Linked:
    """What a document does to the links of an item: how they stand then, and what came and went."""

    relations: list[Relation] = field(default_factory=list)
    added: list[Relation] = field(default_factory=list)
    removed: list[Relation] = field(default_factory=list)
    updated: list[Relation] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        return bool(self.added or self.removed or self.updated)

    @property
    def makes_revision(self) -> bool:
        """Links to anything but items do."""
        return any(relation.rel in RESOURCE_LINKS for relation in (*self.added, *self.removed))


def apply_links(world: World, item: Item, edits: Sequence[LinkEdit]) -> Linked:
    """Work out what the edits do, one after the other, without touching the item."""
    linked = Linked(relations=list(item.relations))
    for change in edits:
        if change.link:
            relation = _relation(world, item, change.link)
            _require_place_for(linked.relations, relation)
            linked.relations.append(relation)
            linked.added.append(relation)
        elif change.index >= len(linked.relations):
            raise invalid(f"There is no relation {change.index} at work item {item.id}.", "ArgumentOutOfRangeException")
        elif change.comment is not None:
            held = linked.relations[change.index]
            linked.relations[change.index] = _commented(held, change.comment)
            linked.updated.append(linked.relations[change.index])
        else:
            linked.removed.append(linked.relations.pop(change.index))
    _require_room(linked.relations)
    return linked


def apply_other_ends(world: World, item: Item, linked: Linked, by: Identity, now: str) -> list[tuple[Item, Update]]:
    """Show each link at its other end too: an entry of its history, at the revision where it stands."""
    touched: list[tuple[Item, Update]] = []
    for relation in (*linked.added, *linked.removed, *linked.updated):
        other = world.items_of(item.organisation).get(relation.target)
        if other is None:
            continue
        name, back = LINKS[LINKS[relation.rel][1]][0], LINKS[relation.rel][1]
        end = replace(relation, rel=back, target=item.id, attributes={**relation.attributes, "name": name})
        update = Update(len(other.updates) + 1, other.rev, by, now, mark=world.next_link())
        if relation in linked.added:
            other.relations.append(end)
            update.added.append(end)
        elif relation in linked.updated:
            kept = [held for held in other.relations if (held.rel, held.target) != (back, item.id)]
            other.relations = [*kept, end]
            update.updated.append(end)
        else:
            other.relations = [held for held in other.relations if (held.rel, held.target) != (back, item.id)]
            update.removed.append(end)
        if other.updates:
            other.updates[-1].until = now
        other.updates.append(update)
        touched.append((other, update))
    return touched


def _relation(world: World, item: Item, link: dict[str, Json]) -> Relation:
    rel, url, given = link.get("rel"), link.get("url"), link.get("attributes")
    attributes = given if isinstance(given, dict) else {}
    if not isinstance(rel, str) or not isinstance(url, str):
        raise invalid("A relation needs rel and url.")
    rel = _NAMES.get(rel.lower(), rel)
    if rel in RESOURCE_LINKS:
        return Relation(rel, url=url, attributes=attributes)
    if rel not in LINKS:
        raise invalid(f"The relation type {rel} does not exist.", "WorkItemLinkTypeException")
    target = int(tail) if (tail := url.rstrip("/").rsplit("/", 1)[-1]).isdecimal() else 0
    other = world.items_of(item.organisation).get(target)
    if other is None or other.deleted:
        raise no_item(target)
    if other is item:
        raise _refused_link("TF201034: A work item cannot be linked to itself.", "WorkItemLinkSelfException")
    if rel == PARENT:
        _require_no_circle(world, item, other)
    elif rel == CHILD:
        _require_no_circle(world, other, item)
        if other.parent not in (0, item.id):
            raise _refused_link(ONE_PARENT, ONE_PARENT_KEY)
    _require_room(other.relations, more=1)
    return Relation(rel, target=target, attributes={"isLocked": False, **attributes, "name": LINKS[rel][0]})


def _commented(relation: Relation, comment: str) -> Relation:
    return replace(relation, attributes={**relation.attributes, "comment": comment})


def _require_no_circle(world: World, below: Item, above: Item) -> None:
    """That nothing above an item is below it, too."""
    items = world.items_of(below.organisation)
    at: Item | None = above
    while at is not None:
        if at is below:
            raise _refused_link(
                f"TF201035: Work items {below.id} and {above.id} would be above each other.",
                "WorkItemLinkCircularException",
            )
        at = items.get(at.parent)


def _refused_link(message: str, type_key: str) -> ServiceError:
    """The service's own words are not confirmed."""
    return ServiceError(400, message, type_key)


def _require_room(relations: Sequence[Relation], more: int = 0) -> None:
    files = sum(relation.rel == "AttachedFile" for relation in relations)
    if files > FILES_MAX:
        raise over_limit("attachments", FILES_MAX)
    if len(relations) - files + more > LINKS_MAX:
        raise over_limit("links", LINKS_MAX)


def _require_place_for(relations: Sequence[Relation], wanted: Relation) -> None:
    """The exact refusals are not confirmed; that both are refused is."""
    if any((held.rel, held.target, held.url) == (wanted.rel, wanted.target, wanted.url) for held in relations):
        raise ServiceError(400, "Relation already exists.", "RelationAlreadyExistsException")
    if wanted.rel == PARENT and any(held.rel == PARENT for held in relations):
        raise _refused_link(ONE_PARENT, ONE_PARENT_KEY)
