"""What an item takes: shapes and values of its fields, the ways between its states, and what a state brings along."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.documents import FieldEdit
from pointsman.sandbox.azure_devops.faults_of_service import (
    ServiceError,
    invalid_field,
    over_limit,
    rule_broken,
    rules_broken,
)
from pointsman.sandbox.azure_devops.process import COMMON, FIELDS, Field, Kind, Shape, has_field
from pointsman.sandbox.azure_devops.revisions import Fields, Value
from pointsman.sandbox.azure_devops.shapes import read
from pointsman.sandbox.azure_devops.state import Item, World

TAGS_MAX = 100
FORGEABLE = {"System.CreatedBy", "System.CreatedDate", "System.ChangedBy", "System.ChangedDate"}
"""Fields that nobody may set, except with `bypassRules`."""
TREES = {"System.AreaPath": "areas", "System.IterationPath": "iterations"}
"""By field: the tree that its value is a place in."""
UNLISTED = ("HasValues", "LimitedToValues", "InvalidNotOldValue")
LISTED_OR_OLD = ("Required", "HasValues", "LimitedToValues", "AllowsOldValue", "InvalidNotOldValue")
_ENTERED = {"InProgress": "Activated", "Resolved": "Resolved", "Completed": "Closed"}
_BEYOND = {
    "Proposed": ("Activated", "Resolved", "Closed"),
    "InProgress": ("Resolved", "Closed"),
    "Resolved": ("Closed",),
}
Broken = tuple[str, str, Sequence[str]]


@dataclass
class Draft:
    """An item on its way to its next revision. Nothing of the item itself changes before all of it is found right."""

    item: Item
    kind: Kind
    project: str
    fields: Fields
    before: Fields
    """Empty where the item is new."""
    by: Identity
    now: str
    bypass: bool = False
    touched: set[str] = field(default_factory=set)

    @property
    def is_new(self) -> bool:
        return not self.before

    @property
    def moved(self) -> bool:
        """To another type or project, where other rules hold."""
        return not self.is_new and (self.kind.name, self.project) != (self.item.kind.name, self.item.project)

    @property
    def state(self) -> str:
        return str(self.fields.get("System.State", ""))

    @property
    def changes_state(self) -> bool:
        return self.state != self.before.get("System.State")


def edit(world: World, draft: Draft, change: FieldEdit) -> None:
    """Put one edit into the draft. Raises `ServiceError` and leaves it as it is if the field refuses it."""
    definition = draft.kind.fields.get(change.name, FIELDS[change.name])
    if change.name in ("System.WorkItemType", "System.TeamProject"):  # decided before the first field is looked at
        return
    if definition.read_only and not (draft.bypass and (change.name in FORGEABLE or not _is_counted(change.name))):
        raise invalid_field(change.name, "ReadOnly")
    if not has_field(draft.kind, change.name):
        raise invalid_field(change.name, "InvalidField")
    if definition.shape is Shape.TAGS:
        value = _tags(draft.fields, change)
    else:
        value = read(world, change, definition, anybody=draft.bypass)
        if definition.shape is Shape.TREE:
            value = _node(world, draft, change.name, str(value or ""))
        if value is not None and not draft.bypass:
            _require_allowed(change.name, definition, value)
    draft.touched.add(change.name)
    if value is None or value == "":
        draft.fields.pop(change.name, None)
    else:
        draft.fields[change.name] = value


def settle(draft: Draft) -> None:
    """Bring along what follows from the state, and check what must hold of the whole item."""
    if draft.changes_state and not draft.bypass:
        _require_way(draft)
    if draft.changes_state:
        _enter(draft)
    if draft.bypass:
        return
    broken = [*_missing(draft), *_locked(draft), *_unreasoned(draft)]
    if broken:
        raise rules_broken(broken)


def defaults(kind: Kind, project: str, by: Identity) -> Fields:
    """Fields of an item that nobody has filled yet."""
    fields: Fields = {
        "System.AreaPath": project,
        "System.TeamProject": project,
        "System.IterationPath": project,
        "System.WorkItemType": kind.name,
        "System.State": kind.initial,
    }
    if kind.assigned_at_creation:
        fields["System.AssignedTo"] = by
    return fields | {name: one.default for name, one in kind.fields.items() if one.default is not None}


def tags_of(value: Value) -> list[str]:
    return [tag for tag in (part.strip() for part in re.split("[;,]", str(value or ""))) if tag]


def board_field(item: Item) -> str:
    """The column of the team's board: one of the fields that change as noise."""
    return f"WEF_{item.organisation.collection_id.replace('-', '').upper()}_Kanban.Column"


def _is_counted(name: str) -> bool:
    """The service's own book-keeping, which no permission lets anybody write."""
    return name.startswith("System.")


def _require_allowed(name: str, definition: Field, value: Value) -> None:
    if definition.allowed and str(value) not in definition.allowed:
        raise rule_broken(name, definition.name, UNLISTED)


def _require_way(draft: Draft) -> None:
    """From one state to another along the graph; a new type or project asks for a state that it knows."""
    start = "" if draft.is_new else str(draft.before.get("System.State", ""))
    known = draft.state in draft.kind.states
    if not known or not (draft.moved or draft.kind.reasons(start, draft.state)):
        raise rule_broken("System.State", "State", LISTED_OR_OLD)


def _enter(draft: Draft) -> None:
    """What a state brings along: its reason, who and when, and fields that it empties."""
    start = "" if draft.is_new else str(draft.before.get("System.State", ""))
    reasons = draft.kind.reasons(start, draft.state) or (f"Moved to state {draft.state}",)
    if "System.Reason" not in draft.touched:
        draft.fields["System.Reason"] = reasons[0]
    draft.fields[f"{COMMON}StateChangeDate"] = draft.now
    category = draft.kind.states.get(draft.state, "")
    for stamp in _BEYOND.get(category, ()):
        _stamp(draft, stamp, clear=True)
    if category in _ENTERED:
        _stamp(draft, _ENTERED[category])
    skipped = draft.kind.activates_when_skipped and category in ("Resolved", "Completed")
    if skipped and f"{COMMON}ActivatedDate" not in draft.fields and not draft.is_new:
        _stamp(draft, "Activated")
    _resolve(draft, category)
    for name in draft.kind.emptied_in.get(draft.state, ()):
        draft.fields.pop(name, None)
    if draft.kind.on_board:
        draft.fields["System.BoardColumn"] = draft.state
        draft.fields["System.BoardColumnDone"] = False
        draft.fields[board_field(draft.item)] = draft.state


def _stamp(draft: Draft, stamp: str, clear: bool = False) -> None:
    """Who and when; what somebody set who bypasses the rules stays."""
    values: Fields = {f"{COMMON}{stamp}Date": draft.now, f"{COMMON}{stamp}By": draft.by}
    for name, value in values.items():
        if name not in draft.kind.fields or name in draft.touched:
            continue
        if clear:
            draft.fields.pop(name, None)
        else:
            draft.fields[name] = value


def _resolve(draft: Draft, category: str) -> None:
    name = f"{COMMON}ResolvedReason"
    if name not in draft.kind.fields or name in draft.touched:
        return
    if category == "Resolved":
        draft.fields[name] = draft.fields.get("System.Reason")
    elif category != "Completed":
        draft.fields.pop(name, None)


def _missing(draft: Draft) -> Iterator[Broken]:
    """A field that stood empty before does not hold up an edit of other fields in the same state."""
    in_state = draft.kind.required_in.get(draft.state, ())
    for name in (*draft.kind.required, *in_state):
        given = draft.fields.get(name)
        if given is not None and not (isinstance(given, str) and not given.strip()):
            continue
        if draft.changes_state or draft.moved or name in draft.touched or name in draft.before:
            yield name, FIELDS[name].name, ("Required", "InvalidEmpty")


def _locked(draft: Draft) -> Iterator[Broken]:
    for name in draft.kind.locked_in.get(draft.state, ()):
        if name in draft.touched and draft.fields.get(name) != draft.before.get(name) and not draft.changes_state:
            yield name, FIELDS[name].name, ("ReadOnly", "InvalidNotOldValue")


def _unreasoned(draft: Draft) -> Iterator[Broken]:
    """A reason belongs to a change of state, and is one of those that lead there."""
    if "System.Reason" not in draft.touched or draft.moved:
        return
    start = "" if draft.is_new else str(draft.before.get("System.State", ""))
    old = draft.before.get("System.Reason")
    allowed: Sequence[Value] = draft.kind.reasons(start, draft.state) if draft.changes_state else (old,)
    if draft.fields.get("System.Reason") not in allowed:
        yield "System.Reason", "Reason", LISTED_OR_OLD


def _tags(fields: Fields, change: FieldEdit) -> Value:
    """`add` merges, `replace` sets. Compared without case; the spelling that came first stays."""
    if change.value is not None and not isinstance(change.value, str):
        raise invalid_field(change.name, "InvalidType")
    wanted = tags_of(change.value)
    if change.merge and change.value:
        wanted = tags_of(fields.get(change.name)) + wanted
    unique = {tag.lower(): tag for tag in reversed(wanted)}
    if len(unique) > TAGS_MAX:
        raise over_limit("tags", TAGS_MAX)
    return "; ".join(sorted(unique.values(), key=str.lower))


def _node(world: World, draft: Draft, name: str, path: str) -> str:
    """A path as its nodes are written. There is no item without one."""
    spelled = world.forest.spelled(draft.item.organisation.name, draft.project, TREES[name], path)
    if not spelled:
        message = f"TF401347: Invalid tree name given for work item {draft.item.id}, field '{name}'."
        raise ServiceError(400, message, "WorkItemTrackingTreeNodeNotFoundException")
    return spelled
