"""What the stand-in remembers: items with every revision, update, comment and link. In memory only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.clock import NEVER, Clock
from pointsman.sandbox.azure_devops.config import Identity, Organisation, SandboxConfig
from pointsman.sandbox.azure_devops.process import Kind
from pointsman.sandbox.azure_devops.trees import Forest, Team

Value = Json | Identity
Fields = dict[str, Value]


@dataclass(frozen=True)
class Change:
    """Old and new value of a field. None: there was, or is, none."""

    old: Value = None
    new: Value = None


@dataclass(frozen=True)
class Relation:
    """A link. Between items it names the `target`, to anything else its `url`."""

    rel: str
    target: int = 0
    url: str = ""
    attributes: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True)
class CommentVersion:
    text: str
    by: Identity
    at: str


@dataclass
class Comment:
    id: int
    revision: int
    versions: list[CommentVersion]
    deleted: bool = False


@dataclass
class Update:
    """One entry of the history. `until` is when the next one superseded it."""

    id: int
    rev: int
    by: Identity
    at: str
    changed: dict[str, Change] = field(default_factory=dict)
    added: list[Relation] = field(default_factory=list)
    removed: list[Relation] = field(default_factory=list)
    comment: tuple[int, int] | None = None
    """(id, version) of the comment that was made or edited."""
    until: str = NEVER


@dataclass
class Item:
    id: int
    organisation: Organisation
    project: str
    kind: Kind
    revisions: list[Fields] = field(default_factory=list)
    relations: list[Relation] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    deleted: tuple[Identity, str] | None = None
    """Who put it into the recycle bin, and when."""

    @property
    def rev(self) -> int:
        return len(self.revisions)

    @property
    def fields(self) -> Fields:
        return self.revisions[-1]

    @property
    def comment_count(self) -> int:
        return sum(not comment.deleted for comment in self.comments)


@dataclass
class World:
    config: SandboxConfig
    clock: Clock = field(default_factory=Clock)
    items: dict[str, dict[int, Item]] = field(default_factory=dict)
    """By organisation, then by id."""
    watermark: int = 0
    last_comment: int = 0
    forest: Forest = field(default_factory=Forest)
    teams: dict[str, list[Team]] = field(default_factory=dict)
    """By the project's id."""
    files: dict[str, bytes] = field(default_factory=dict)
    bearers: dict[str, Identity] = field(default_factory=dict)
    """Tokens of Entra that were given out, and to whom."""

    def organisation(self, name: str) -> Organisation | None:
        return next((o for o in self.config.organisations if o.name.lower() == name.lower()), None)

    def items_of(self, organisation: Organisation) -> dict[int, Item]:
        return self.items.setdefault(organisation.name.lower(), {})

    def find_identity(self, text: str) -> Identity | None:
        """By unique name, display name or both, as the service resolves what it gets."""
        wanted = text.strip().lower()
        for identity in self.config.identities:
            if wanted in (identity.unique_name.lower(), identity.display_name.lower(), identity.combined.lower()):
                return identity
        return None

    def next_watermark(self) -> int:
        self.watermark += 1
        return self.watermark

    def next_comment(self) -> int:
        self.last_comment += 1
        return self.last_comment
