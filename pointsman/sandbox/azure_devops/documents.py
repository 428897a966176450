"""Patch documents of work items: what may be asked for, before any item is looked at."""

from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid, unknown_field
from pointsman.sandbox.azure_devops.process import Shape, field_named

OPS = {"add", "remove", "replace", "move", "copy", "test"}
FIELDS, RELATIONS, FORMATS = "/fields/", "/relations/", "/multilineFieldsFormat/"
MARKDOWN, HTML = "markdown", "html"


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
    """Add `link`, without one remove that at `index`, or give that at `index` another comment."""

    index: int = -1
    link: dict[str, Json] = field(default_factory=dict)
    comment: str | None = None


@dataclass(frozen=True)
class FormatEdit:
    """What a long text is written in from now on: `markdown` or `html`."""

    name: str
    format: str


Edit = Test | FieldEdit | LinkEdit | FormatEdit


@dataclass(frozen=True)
class Document:
    tests: tuple[Test, ...] = ()
    fields: tuple[FieldEdit, ...] = ()
    links: tuple[LinkEdit, ...] = ()
    formats: tuple[FormatEdit, ...] = ()

    def value(self, name: str) -> str:
        """What the document sets a field to, as text; empty where it leaves it alone."""
        found = [change.value for change in self.fields if change.name == name and change.value is not None]
        return str(found[-1]) if found else ""


def parse(body: Json) -> Document:
    """Sort the operations of a document by what they touch.

    Raises:
        ServiceError: 400, no such document, operation or field; or one that only the real service knows.
    """
    if not isinstance(body, list):
        raise invalid("You must pass a valid patch document in the body of the request.")
    edits = [_edit(operation) for operation in body]
    return Document(
        tuple(edit for edit in edits if isinstance(edit, Test)),
        tuple(edit for edit in edits if isinstance(edit, FieldEdit)),
        tuple(edit for edit in edits if isinstance(edit, LinkEdit)),
        tuple(edit for edit in edits if isinstance(edit, FormatEdit)),
    )


def _edit(operation: Json) -> Edit:
    if not isinstance(operation, dict):
        raise invalid("You must pass a valid patch document in the body of the request.")
    op, path, value = operation.get("op"), operation.get("path"), operation.get("value")
    if not isinstance(op, str) or op.lower() not in OPS:
        raise invalid(f"Operation {op!r} of a patch document is not one of: {', '.join(sorted(OPS))}.")
    if not isinstance(path, str) or not path.startswith("/"):
        raise invalid(f"Path {path!r} of a patch document is not a path.")
    return _known_edit(op.lower(), path, value)


def _known_edit(op: str, path: str, value: Json) -> Edit:
    if op == "test":
        return Test(path, value)
    if op in ("move", "copy"):
        raise _not_played(f"{op} {path}")
    if path.startswith(FIELDS):
        return _field_edit(op, path.removeprefix(FIELDS), value)
    if path.startswith(RELATIONS):
        return _link_edit(op, path.removeprefix(RELATIONS), value)
    if path.startswith(FORMATS) and op in ("add", "replace"):
        return _format_edit(path.removeprefix(FORMATS), value)
    raise _not_played(f"{op} {path}")


def _field_edit(op: str, name: str, value: Json) -> FieldEdit:
    known = field_named(name)
    if known is None:
        raise unknown_field(name)
    return FieldEdit(known[0], None if op == "remove" else value, merge=op == "add")


def _format_edit(name: str, value: Json) -> FormatEdit:
    known = field_named(name)
    if known is None:
        raise unknown_field(name)
    wanted = str(value).lower()
    if known[1].shape is not Shape.HTML or wanted not in (MARKDOWN, HTML):
        raise invalid(f"The format {value!r} is not one that field {known[0]} can have.")
    return FormatEdit(known[0], wanted)


def _link_edit(op: str, place: str, value: Json) -> LinkEdit:
    if op == "add" and place == "-" and isinstance(value, dict):
        return LinkEdit(link=value)
    if op == "remove" and place.isdecimal():
        return LinkEdit(index=int(place))
    index, _, rest = place.partition("/")
    if op in ("add", "replace") and index.isdecimal() and rest == "attributes/comment":
        return LinkEdit(index=int(index), comment=str(value))
    raise _not_played(f"{op} {RELATIONS}{place}")


def _not_played(what: str) -> ServiceError:
    return invalid(f"The stand-in does not play this operation of a patch document: {what}.", "NotSupportedException")
