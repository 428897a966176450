"""Items and changes of state by the ten thousand: the rules decide the first of each kind, the others are done like it.

What becomes of an item follows from its type, from the state and the reasons before, and from which fields it has.
People and moments are the only parts of the outcome that differ, so the first outcome tells where they go.
"""

from collections.abc import Collection
from dataclasses import dataclass

from pointsman.sandbox.azure_devops import edits
from pointsman.sandbox.azure_devops.config import Identity, Organisation
from pointsman.sandbox.azure_devops.documents import Document, FieldEdit, LinkEdit
from pointsman.sandbox.azure_devops.linking import apply_links, apply_other_ends
from pointsman.sandbox.azure_devops.process import COMMON, Kind
from pointsman.sandbox.azure_devops.revisions import Fields, Value
from pointsman.sandbox.azure_devops.state import Item, World

STATE, ASSIGNED = "System.State", "System.AssignedTo"
DECIDING = (STATE, "System.Reason", f"{COMMON}ResolvedReason")
Key = tuple[str, str, tuple[Value, ...], tuple[str, ...]]


@dataclass(frozen=True)
class Step:
    """Into which state, who has the item then, and what was said; empty for nothing."""

    state: str
    assigned: Identity
    said: str = ""


@dataclass(frozen=True)
class _Outcome:
    """Fields that get the moment, those that get whoever did it, those with a value of their own, those that go."""

    moments: tuple[str, ...]
    people: tuple[str, ...]
    values: Fields
    gone: tuple[str, ...]
    names: tuple[str, ...]
    """All of these, those that the service maintains, and those of the step itself."""


class Learned:
    """In one project."""

    def __init__(self, world: World, organisation: Organisation, project: str) -> None:
        self._world, self._organisation, self._project = world, organisation, project
        self._outcomes: dict[Key, _Outcome] = {}

    def make(self, kind: Kind, given: Fields, links: tuple[LinkEdit, ...], by: Identity) -> Item:
        """As `edits.create`, of values as the service keeps them: none is empty, and one names somebody else."""
        key = (kind.name, "", (), tuple(given))
        outcome = self._outcomes.get(key)
        if outcome is not None:
            return self._make(kind, outcome, given, links, by)
        document = Document(fields=tuple(_edit(name, value) for name, value in given.items()), links=links)
        item, _ = edits.create(self._world, self._organisation, self._project, kind, document, by)
        if by is not given.get(ASSIGNED):
            self._outcomes[key] = _outcome({}, item.fields, by, given)
        return item

    def _make(self, kind: Kind, outcome: _Outcome, given: Fields, links: tuple[LinkEdit, ...], by: Identity) -> Item:
        world = self._world
        item = Item(world.next_item(self._organisation), self._organisation, self._project, kind)
        now = world.clock.now()
        fields = outcome.values | given | dict.fromkeys(outcome.moments, now) | dict.fromkeys(outcome.people, by)
        linked = apply_links(world, item, links)
        world.items_of(self._organisation)[item.id] = item
        item.relations = linked.relations
        edits.revise(world, item, fields, by, now, linked)
        apply_other_ends(world, item, linked, by, now)
        return item

    def take(self, item: Item, step: Step, by: Identity) -> None:
        """As `edits.patch` with the same fields."""
        before = item.fields
        key = (item.kind.name, step.state, tuple(before.get(name) for name in DECIDING), tuple(before))
        outcome = self._outcomes.get(key)
        if outcome is not None:
            self._follow(item, outcome, step, by)
            return
        is_telling = by is not step.assigned and all(by is not value for value in before.values())
        changes: Fields = {STATE: step.state, ASSIGNED: step.assigned}
        if step.said:
            changes[edits.HISTORY] = step.said
        edits.patch(self._world, item, Document(fields=tuple(_edit(*one) for one in changes.items())), by)
        if is_telling:
            self._outcomes[key] = _outcome(before, item.fields, by, (ASSIGNED,))

    def _follow(self, item: Item, outcome: _Outcome, step: Step, by: Identity) -> None:
        now = self._world.clock.now()
        fields = item.fields | outcome.values
        fields.pop(edits.HISTORY, None)
        for name in outcome.gone:
            del fields[name]
        for name in outcome.moments:
            fields[name] = now
        for name in outcome.people:
            fields[name] = by
        fields[ASSIGNED] = step.assigned
        if step.said:
            fields[edits.HISTORY] = step.said
        edits.revise(self._world, item, fields, by, now, names=outcome.names)


def _edit(name: str, value: Value) -> FieldEdit:
    """As clients send it."""
    return FieldEdit(name, value.unique_name if isinstance(value, Identity) else value, merge=True)


def _outcome(before: Fields, after: Fields, by: Identity, given: Collection[str]) -> _Outcome:
    now = after["System.ChangedDate"]
    own = {name: value for name, value in after.items() if name not in edits.MAINTAINED}
    own = {name: value for name, value in own.items() if name not in given and name != edits.HISTORY}
    moments = tuple(name for name, value in own.items() if value == now)
    people = tuple(name for name, value in own.items() if value is by)
    taken = {*moments, *people}
    values = {n: value for n, value in own.items() if n not in taken and before.get(n) != value}
    gone = tuple(name for name in before if name not in after and name != edits.HISTORY)
    names = (*moments, *people, *values, *gone, ASSIGNED, edits.HISTORY, *edits.MAINTAINED)
    return _Outcome(moments, people, values, gone, names)
