"""What the stand-in remembers: items with every revision, update, comment and link. In memory only."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.clock import NEVER, Clock
from pointsman.sandbox.azure_devops.config import Identity, Organisation, Project, SandboxConfig
from pointsman.sandbox.azure_devops.directory import Directory
from pointsman.sandbox.azure_devops.git_state import Code
from pointsman.sandbox.azure_devops.process import PROCESSES, Kind, Process
from pointsman.sandbox.azure_devops.revisions import Fields, Revisions, Value
from pointsman.sandbox.azure_devops.trees import Forest, Team

_SPACED = re.compile(r"\s*<")
PARENT = "System.LinkTypes.Hierarchy-Reverse"


class Change(NamedTuple):
    """Old and new value of a field. None: there was, or is, none."""

    old: Value = None
    new: Value = None


@dataclass(frozen=True, slots=True)
class Relation:
    """A link. Between items it names the `target`, to anything else its `url`."""

    rel: str
    target: int = 0
    url: str = ""
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommentVersion:
    text: str
    by: Identity
    at: str
    format: str = "html"
    deleted: bool = False


@dataclass(slots=True)
class Comment:
    id: int
    revision: int
    versions: list[CommentVersion]
    deleted: bool = False
    marks: list[tuple[int, int]] = field(default_factory=list)
    """Watermark of each version, for the stream of discussions."""


@dataclass(slots=True)
class Update:
    """One entry of the history. `until` is when the next one superseded it."""

    id: int
    rev: int
    by: Identity
    at: str
    changed: dict[str, Change] = field(default_factory=dict)
    added: list[Relation] = field(default_factory=list)
    removed: list[Relation] = field(default_factory=list)
    updated: list[Relation] = field(default_factory=list)
    """Links whose comment was changed."""
    comment: tuple[int, int] | None = None
    """(id, version) of the comment that was made or edited."""
    until: str = NEVER
    mark: int = 0
    """Place in the stream of links."""


@dataclass(slots=True)
class Item:
    id: int
    organisation: Organisation
    project: str
    kind: Kind
    revisions: Revisions = field(default_factory=Revisions)
    relations: list[Relation] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    deleted: tuple[Identity, str] | None = None
    """Who put it into the recycle bin, and when."""
    formats: dict[str, str] = field(default_factory=dict)
    """Long texts that are written in Markdown, by field."""

    @property
    def rev(self) -> int:
        return len(self.revisions)

    @property
    def fields(self) -> Fields:
        return self.revisions.newest

    @property
    def parent(self) -> int:
        return next((held.target for held in self.relations if held.rel == PARENT), 0)

    @property
    def comment_count(self) -> int:
        return sum(not comment.deleted for comment in self.comments)


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """`action` is the service's id of what was done, `data` what its words are filled with."""

    number: int
    action: str
    data: Mapping[str, Json]
    by: Identity
    at: str


@dataclass
class World:
    config: SandboxConfig
    clock: Clock = field(default_factory=Clock)
    items: dict[str, dict[int, Item]] = field(default_factory=dict)
    """By organisation, then by id."""
    watermark: int = 0
    last_comment: int = 0
    last_link: int = 0
    forest: Forest = field(default_factory=Forest)
    teams: dict[str, list[Team]] = field(default_factory=dict)
    """By the project's id."""
    files: dict[str, bytes] = field(default_factory=dict)
    bearers: dict[str, Identity] = field(default_factory=dict)
    """Tokens of Entra that were given out, and to whom."""
    code: Code = field(default_factory=Code)
    directory: Directory = field(default_factory=Directory)
    audit: dict[str, list[AuditEntry]] = field(default_factory=dict)
    """By organisation, oldest first."""
    organisations: dict[str, Organisation] = field(init=False)
    """By name in lower case, each with the projects that it has now."""
    processes: dict[str, Process] = field(default_factory=lambda: dict(PROCESSES), repr=False)
    _named: tuple[SandboxConfig, dict[str, Identity]] | None = field(default=None, init=False, repr=False)
    """Identities of that configuration by each of their names in lower case."""
    destroyed: set[tuple[str, int]] = field(default_factory=set)
    """Items that are gone for good, by organisation and id."""

    def __post_init__(self) -> None:
        self.organisations = {one.name.lower(): one for one in self.config.organisations}

    def organisation(self, name: str) -> Organisation | None:
        return self.organisations.get(name.lower())

    def add_project(self, organisation: Organisation, project: Project) -> Organisation:
        """The organisation with one more project. What holds the old one does not see it."""
        held = self.organisations[organisation.name.lower()]
        changed = held.model_copy(update={"projects": (*held.projects, project)})
        self.organisations[organisation.name.lower()] = changed
        return changed

    def process_of(self, organisation: Organisation, project: str) -> Process:
        """The process of a project; without one the first that any of the organisation's projects has."""
        held = self.organisations[organisation.name.lower()]
        found = held.project(project) if project else held.projects[0]
        assert found is not None, f"no project {project!r} in {organisation.name}"
        return self.processes[found.process]

    def items_of(self, organisation: Organisation) -> dict[int, Item]:
        return self.items.setdefault(organisation.name.lower(), {})

    def find_identity(self, text: str) -> Identity | None:
        """By unique name, display name or both, as the service resolves what it gets."""
        if self._named is None or self._named[0] is not self.config:
            self._named = self.config, _names(self.config.identities)
        return self._named[1].get(_SPACED.sub(" <", text.strip().lower()))

    def next_item(self, organisation: Organisation) -> int:
        """Ids are counted in the organisation, over what was destroyed too."""
        gone = (number for name, number in self.destroyed if name == organisation.name.lower())
        return max((next(reversed(self.items_of(organisation)), 0), *gone)) + 1

    def next_watermark(self) -> int:
        self.watermark += 1
        return self.watermark

    def next_link(self) -> int:
        self.last_link += 1
        return self.last_link

    def next_comment(self) -> int:
        self.last_comment += 1
        return self.last_comment


def _names(identities: Sequence[Identity]) -> dict[str, Identity]:
    """A unique name counts before those that people are shown by; the first of several people stands."""
    shown = {name.lower(): one for one in reversed(identities) for name in (one.display_name, one.combined)}
    return shown | {one.unique_name.lower(): one for one in reversed(identities)}
