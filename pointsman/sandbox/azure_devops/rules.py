"""What a field takes: its shape, its allowed values, and what a change of state brings along."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.clock import iso
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.documents import FieldEdit
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid_field, rule_broken
from pointsman.sandbox.azure_devops.process import COMMON, FIELDS, Field, Kind, Shape, has_field
from pointsman.sandbox.azure_devops.state import Fields, Item, Value, World

STRING_CHARS_MAX = 255
_MOMENT = TypeAdapter(datetime)
_STAMPS = {"Active": "Activated", "Resolved": "Resolved", "Closed": "Closed"}


def edit(world: World, item: Item, fields: Fields, change: FieldEdit, is_new: bool) -> None:
    """Put one edit into `fields`. Raises `ServiceError` and leaves them as they are if the field refuses it."""
    definition = FIELDS[change.name]
    settles_at_creation = is_new and change.name in ("System.WorkItemType", "System.TeamProject")
    if settles_at_creation:  # clients repeat here what the URL says
        return
    if definition.read_only:
        raise invalid_field(change.name, "ReadOnly")
    if not has_field(item.kind, change.name):
        raise invalid_field(change.name, "InvalidField")
    value = _tags(fields, change) if definition.shape is Shape.TAGS else _value(world, item, change, definition)
    if value is None or value == "":
        fields.pop(change.name, None)
    else:
        fields[change.name] = value


def settle(item: Item, before: Fields, fields: Fields, by: Identity, now: str) -> None:
    """Check what must hold of a whole item, and stamp what follows from a change of state."""
    title = fields.get("System.Title")
    if not isinstance(title, str) or not title.strip():
        raise rule_broken("System.Title", "Title", ("Required", "InvalidEmpty"))
    state = fields.get("System.State")
    if state not in item.kind.states:
        flags = ("Required", "HasValues", "LimitedToValues", "AllowsOldValue", "InvalidNotOldValue")
        raise rule_broken("System.State", "State", flags)
    if state == before.get("System.State"):
        return
    if fields.get("System.Reason") == before.get("System.Reason"):
        fields["System.Reason"] = f"Moved to state {state}" if before else "New"
    fields[f"{COMMON}StateChangeDate"] = now
    stamp = _STAMPS.get(str(state))
    if stamp:
        fields[f"{COMMON}{stamp}Date"] = now
        fields[f"{COMMON}{stamp}By"] = by
    if item.kind.on_board:
        fields["System.BoardColumn"] = state
        fields["System.BoardColumnDone"] = False
        fields[board_field(item)] = state


def board_field(item: Item) -> str:
    """The column of the team's board: one of the fields that change as noise."""
    return f"WEF_{item.organisation.collection_id.replace('-', '').upper()}_Kanban.Column"


def defaults(kind: Kind, project: str) -> Fields:
    """Fields of an item that nobody has filled yet."""
    fields: Fields = {
        "System.AreaPath": project,
        "System.TeamProject": project,
        "System.IterationPath": project,
        "System.WorkItemType": kind.name,
        "System.State": kind.initial,
    }
    known = {name: field.default for name, field in FIELDS.items() if has_field(kind, name)}
    return fields | {name: value for name, value in known.items() if value is not None}


def tags_of(value: Value) -> list[str]:
    return [tag for tag in (part.strip() for part in re.split("[;,]", str(value or ""))) if tag]


def _tags(fields: Fields, change: FieldEdit) -> Value:
    """`add` merges, `replace` sets. Compared without case; the spelling that came first stays."""
    if change.value is not None and not isinstance(change.value, str):
        raise invalid_field(change.name, "InvalidType")
    wanted = tags_of(change.value)
    if change.merge and change.value:
        wanted = tags_of(fields.get(change.name)) + wanted
    unique = {tag.lower(): tag for tag in reversed(wanted)}
    return "; ".join(sorted(unique.values(), key=str.lower))


def _value(world: World, item: Item, change: FieldEdit, field: Field) -> Value:
    if change.value is None or change.value == "":
        return None
    value = _identity(world, field, change.value) if field.shape is Shape.IDENTITY else _plain(change, field)
    if field.shape is Shape.TREE:
        _require_node(item, change.name, str(value))
    if field.allowed and str(value) not in field.allowed:
        raise rule_broken(change.name, field.name, ("HasValues", "LimitedToValues", "InvalidNotOldValue"))
    return value


def _plain(change: FieldEdit, field: Field) -> Value:
    read = _READERS.get(field.shape, _text)
    try:
        value = read(change.value)
    except (ValueError, TypeError, ValidationError) as error:
        raise invalid_field(change.name, "InvalidType") from error
    if field.shape is Shape.STRING and len(str(value)) > STRING_CHARS_MAX:
        raise invalid_field(change.name, "InvalidTooLong")
    return value


def _text(value: Json) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError("not a text")
    return str(value)


def _integer(value: Json) -> int:
    number = _double(value)
    if not number.is_integer():
        raise ValueError("not a whole number")
    return int(number)


def _double(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("not a number")
    return float(value)


def _boolean(value: Json) -> bool:
    return TypeAdapter(bool).validate_python(value)


def _date(value: Json) -> str:
    moment = _MOMENT.validate_python(value)
    return iso(moment.astimezone(UTC) if moment.tzinfo else moment)


_READERS: Mapping[Shape, Callable[[Json], Json]] = {
    Shape.INTEGER: _integer,
    Shape.DOUBLE: _double,
    Shape.BOOLEAN: _boolean,
    Shape.DATE: _date,
}


def _identity(world: World, field: Field, value: Json) -> Identity:
    named = value.get("uniqueName") or value.get("displayName") if isinstance(value, dict) else value
    identity = world.find_identity(named) if isinstance(named, str) else None
    if identity is None:
        message = f"The identity value '{named}' for field '{field.name}' is an unknown identity."
        raise ServiceError(400, message, "RuleValidationException", error_code=600171)
    return identity


def _require_node(item: Item, name: str, path: str) -> None:
    root = item.project.lower()
    if path.lower() != root and not path.lower().startswith(f"{root}\\"):
        message = f"TF401347: Invalid tree name given for work item {item.id}, field '{name}'."
        raise ServiceError(400, message, "WorkItemTrackingTreeNodeNotFoundException")
