"""Patch documents of work items: what may be asked for, before any item is looked at."""

from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, unknown_field
from pointsman.sandbox.azure_devops.process import field_named

OPS = {"add", "remove", "replace", "move", "copy", "test"}
FIELDS, RELATIONS = "/fields/", "/relations/"


@dataclass(frozen=True)
class Test:
    path: str
    value: Json


@dataclass(frozen=True)
class FieldEdit:
    """`merge` adds to what stands where the field is a set (tags); a `value` of None clears the field."""

    name: str
    value: Json
    merge: bool


@dataclass(frozen=True)
class LinkEdit:
    """Add `link`, or without one remove that at `index`."""

    index: int = -1
    link: dict[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    tests: tuple[Test, ...] = ()
    fields: tuple[FieldEdit, ...] = ()
    links: tuple[LinkEdit, ...] = ()


def parse(body: Json) -> Document:
    """Sort the operations of a document by what they touch.

    Raises:
        ServiceError: 400, no such document, operation or field; or one that only the real service knows.
    """
    if not isinstance(body, list):
        raise invalid("You must pass a valid patch document in the body of the request.")
    tests: list[Test] = []
    fields: list[FieldEdit] = []
    links: list[LinkEdit] = []
    for operation in body:
        edit = _edit(operation)
        if isinstance(edit, Test):
            tests.append(edit)
        elif isinstance(edit, FieldEdit):
            fields.append(edit)
        else:
            links.append(edit)
    return Document(tuple(tests), tuple(fields), tuple(links))


def _edit(operation: Json) -> Test | FieldEdit | LinkEdit:
    if not isinstance(operation, dict):
        raise invalid("You must pass a valid patch document in the body of the request.")
    op, path, value = operation.get("op"), operation.get("path"), operation.get("value")
    if not isinstance(op, str) or op.lower() not in OPS:
        raise invalid(f"Operation {op!r} of a patch document is not one of: {', '.join(sorted(OPS))}.")
    if not isinstance(path, str) or not path.startswith("/"):
        raise invalid(f"Path {path!r} of a patch document is not a path.")
    return _known_edit(op.lower(), path, value)


def _known_edit(op: str, path: str, value: Json) -> Test | FieldEdit | LinkEdit:
    if op == "test":
        return Test(path, value)
    if op in ("move", "copy"):
        raise _not_played(f"{op} {path}")
    if path.startswith(FIELDS):
        return _field_edit(op, path.removeprefix(FIELDS), value)
    if path.startswith(RELATIONS):
        return _link_edit(op, path.removeprefix(RELATIONS), value)
    raise _not_played(f"{op} {path}")


def _field_edit(op: str, name: str, value: Json) -> FieldEdit:
    known = field_named(name)
    if known is None:
        raise unknown_field(name)
    return FieldEdit(known[0], None if op == "remove" else value, merge=op == "add")


def _link_edit(op: str, place: str, value: Json) -> LinkEdit:
    if op == "add" and place == "-" and isinstance(value, dict):
        return LinkEdit(link=value)
    if op == "remove" and place.isdecimal():
        return LinkEdit(index=int(place))
    raise _not_played(f"{op} {RELATIONS}{place}")


def _not_played(what: str) -> ServiceError:
    return invalid(f"The stand-in does not play this operation of a patch document: {what}.", "NotSupportedException")
