"""The four system processes: their types of work items with fields, states, transitions and reasons, and their levels.

The figures are in `processes/*.toml`. Where a project was customised, states that somebody adds go any-to-any; the
system processes here keep the graph of Microsoft's published templates. Ids are those of the live service.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from importlib.resources import files

COMMON, SCHEDULING, TCM = "Microsoft.VSTS.Common.", "Microsoft.VSTS.Scheduling.", "Microsoft.VSTS.TCM."
CMMI = "Microsoft.VSTS.CMMI."
BOARD_LEVELS = ("portfolio", "requirement")
BUG_CATEGORY = "Microsoft.BugCategory"
STATE_COLORS = {
    "Proposed": "b2b2b2",
    "InProgress": "007acc",
    "Resolved": "ff9d00",
    "Completed": "339933",
    "Removed": "ffffff",
}


class Shape(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    DOUBLE = "double"
    BOOLEAN = "boolean"
    DATE = "dateTime"
    HTML = "html"
    PLAIN = "plainText"
    TREE = "treePath"
    IDENTITY = "identity"
    TAGS = "tags"
    HISTORY = "history"


@dataclass(frozen=True)
class Field:
    name: str
    shape: Shape
    allowed: tuple[str, ...] = ()
    default: str | int | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Kind:
    """A type of work item. `states` leads from each state to its category.

    `transitions` leads from a state (empty: a new item) to those behind it, each with its reasons, the default first.
    """

    name: str
    reference_name: str
    color: str
    process: str
    states: Mapping[str, str]
    transitions: Mapping[str, Mapping[str, tuple[str, ...]]]
    fields: Mapping[str, Field] = field(repr=False)
    required: tuple[str, ...] = ()
    required_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By state: fields that must be filled in it."""
    emptied_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By state: fields that lose their value on the way into it."""
    locked_in: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By state: fields that nobody may change in it."""
    assigned_at_creation: bool = False
    """Whoever makes one has it, unless they name somebody else."""
    activates_when_skipped: bool = False
    """Who resolves or closes one that nobody had begun counts as having begun it."""
    on_board: bool = False

    @property
    def initial(self) -> str:
        return next(iter(self.transitions[""]))

    def reasons(self, before: str, after: str) -> tuple[str, ...]:
        """Why an item may go from one state to another; nothing if it may not. An empty `before`: it is new."""
        return self.transitions.get(before, {}).get(after, ())


@dataclass(frozen=True)
class Level:
    """A level of backlogs. `kind` is portfolio, requirement or task."""

    name: str
    category: str
    types: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Process:
    """`parent` is the id of the process that one was derived from; the system's have none."""

    name: str
    type_id: str
    description: str
    levels: tuple[Level, ...]
    categories: Mapping[str, tuple[str, ...]]
    """Types of each category, its default first."""
    kinds: Mapping[str, Kind] = field(repr=False)
    parent: str = ""
    reference_name: str = ""
    """As whoever derived it called it."""

    def kind_named(self, name: str) -> Kind | None:
        return next((kind for held, kind in self.kinds.items() if held.lower() == name.lower()), None)


def field_named(name: str) -> tuple[str, Field] | None:
    """Canonical reference name and definition; names are case-insensitive."""
    canonical = _FIELD_NAMES.get(name.lower())
    return (canonical, FIELDS[canonical]) if canonical else None


def process_named(name_or_id: str) -> Process | None:
    wanted = name_or_id.lower()
    return next((one for one in PROCESSES.values() if wanted in (one.name.lower(), one.type_id)), None)


def has_field(kind: Kind, name: str) -> bool:
    return name in kind.fields


Table = Mapping[str, object]


def _read(name: str) -> dict[str, object]:
    return tomllib.loads((files(__package__) / "processes" / f"{name}.toml").read_text("utf-8"))


def _table(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value


def _texts(value: object) -> tuple[str, ...]:
    assert isinstance(value, list)
    return tuple(str(one) for one in value)


def _by_state(value: object) -> dict[str, tuple[str, ...]]:
    return {state: _texts(names) for state, names in _table(value).items()}


def _field(row: Table) -> Field:
    default = row.get("default")
    assert default is None or isinstance(default, (str, int))
    return Field(
        name=str(row["name"]),
        shape=Shape(str(row["shape"])),
        allowed=_texts(row.get("allowed", [])),
        default=default,
        read_only=row.get("read_only") is True,
    )


def _own_field(name: str, allowed: Mapping[str, tuple[str, ...]], defaults: Table) -> Field:
    """A field as one type has it. A default that is empty says that it has none."""
    known = FIELDS[name]
    default = defaults.get(name, known.default)
    assert default is None or isinstance(default, (str, int))
    return replace(known, allowed=allowed.get(name, known.allowed), default=None if default == "" else default)


def _kind(name: str, row: Table, process: Table, on_board: bool) -> Kind:
    allowed, defaults = _by_state(row.get("allowed", {})), _table(row.get("defaults", {}))
    owned = sorted((*_EVERYWHERE, *_texts(row["fields"])))
    return Kind(
        name=name,
        reference_name=str(row["reference_name"]),
        color=str(row["color"]),
        process=str(process["name"]),
        states={state: str(category) for state, category in _table(row["states"]).items()},
        transitions={state: _by_state(ways) for state, ways in _table(row["transitions"]).items()},
        fields={one: _own_field(one, allowed, defaults) for one in owned},
        required=_texts(row["required"]),
        required_in=_by_state(row.get("required_in", {})),
        emptied_in=_by_state(row.get("emptied_in", {})),
        locked_in=_by_state(row.get("locked_in", {})),
        assigned_at_creation=row.get("assigned_at_creation") is True,
        activates_when_skipped=process.get("activates_when_skipped") is True,
        on_board=on_board,
    )


def _level(value: object) -> Level:
    row = _table(value)
    return Level(str(row["name"]), str(row["category"]), _texts(row["types"]), str(row["kind"]))


def _process(name: str) -> Process:
    document = _read(name)
    rows = document["levels"]
    assert isinstance(rows, list)
    levels = tuple(_level(row) for row in rows)
    categories = _by_state(document["categories"])
    boards = {one for level in levels if level.kind in BOARD_LEVELS for one in level.types}
    boards |= set(categories.get(BUG_CATEGORY, ()))
    types = {**_table(document["types"]), **_table(_SHARED["types"])}
    kinds = {one: _kind(one, _table(row), document, one in boards) for one, row in sorted(types.items())}
    return Process(
        str(document["name"]), str(document["type_id"]), str(document["description"]), levels, categories, kinds
    )


FIELDS: Mapping[str, Field] = {name: _field(_table(row)) for name, row in _read("fields").items()}
_FIELD_NAMES = {name.lower(): name for name in FIELDS}
_SHARED = _read("common")
_EVERYWHERE: Sequence[str] = _texts(_SHARED["fields"])
PROCESSES: Mapping[str, Process] = {one.name: one for one in map(_process, ("agile", "scrum", "cmmi", "basic"))}

LINKS: Mapping[str, tuple[str, str]] = {
    f"{family}{end}": (name, f"{family}{other}")
    for family, forward, reverse in (
        ("System.LinkTypes.Hierarchy", "Child", "Parent"),
        ("System.LinkTypes.Dependency", "Successor", "Predecessor"),
        ("System.LinkTypes.Duplicate", "Duplicate", "Duplicate Of"),
        ("Microsoft.VSTS.Common.TestedBy", "Tested By", "Tests"),
        ("Microsoft.VSTS.Common.Affects", "Affects", "Affected By"),
    )
    for end, name, other in (("-Forward", forward, "-Reverse"), ("-Reverse", reverse, "-Forward"))
} | {"System.LinkTypes.Related": ("Related", "System.LinkTypes.Related")}
"""Links between items: the name at this end, and the type that the other end shows."""

RESOURCE_LINKS = ("Hyperlink", "ArtifactLink", "AttachedFile")
