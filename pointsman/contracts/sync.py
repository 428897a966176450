"""Both ways: what Azure DevOps and we agreed on last, how two changes of one field become one, where they did not."""

from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.work_items import WorkItemKey


class FieldStrategy(StrEnum):
    """What stands where both sides changed a field, each to something else."""

    REMOTE_WINS = "remote_wins"
    """What Azure DevOps has."""
    LOCAL_WINS = "local_wins"
    """What we want to write."""
    NEWEST = "newest"
    """Whichever was meant later: ours counts from the moment when it was proposed."""
    UNION = "union"
    """Both, for what is a set: tags and links. What one side took away stays away."""
    TEXT_MERGE = "text_merge"
    """Line by line; lines that both changed are asked about."""
    ESCALATE = "escalate"
    """A human decides."""


class FieldKind(StrEnum):
    """What a field holds, as far as two values of it must be compared and merged."""

    STATE = "state"
    TEXT = "text"
    """Of several lines: HTML or Markdown."""
    TAGS = "tags"
    LINKS = "links"
    IDENTITY = "identity"
    DATE = "date"
    NUMBER = "number"
    PLAIN = "plain"
    """A line of text, a truth value, a choice of a list."""


class LoopBreaker(Contract):
    """So many writes of ours to one item within the window are a loop: the next is not sent."""

    writes: int = Field(default=20, gt=0)
    within: timedelta = timedelta(minutes=10)


class RepairRules(Contract):
    """What a reconciliation may mend by itself. What it may not is reported, and asked about."""

    lost_events: bool = True
    """Read again what changed in Azure DevOps and came in no event."""
    lost_writes: bool = True
    """Settle a write that is in doubt by what the item's history says."""


class SyncPolicy(Contract):
    """How both sides are kept the same. A field's own strategy counts before that of its kind."""

    kinds: dict[FieldKind, FieldStrategy] = Field(
        default_factory=lambda: {
            FieldKind.STATE: FieldStrategy.ESCALATE,
            FieldKind.TEXT: FieldStrategy.TEXT_MERGE,
            FieldKind.TAGS: FieldStrategy.UNION,
            FieldKind.LINKS: FieldStrategy.UNION,
        }
    )
    fields: dict[str, FieldStrategy] = Field(default_factory=dict)
    """By reference name."""
    default: FieldStrategy = FieldStrategy.ESCALATE
    """For kinds that are not named."""
    breaker: LoopBreaker = LoopBreaker()
    attempts: int = Field(default=5, gt=0)
    """How often a write that a change of somebody else overtook is merged anew before a human is asked."""
    status_comment: bool = False
    """Tell on the item, in one comment that is kept up to date, what is being done about it."""
    repair: RepairRules = RepairRules()
    grace: timedelta = timedelta(days=30)
    """How long an item in the recycle bin is looked for. After that only an event brings it back."""


class Agreed(Contract):
    """What both sides agreed on last about one item: what was read of it, then each write and each event taken in.

    `field_revs` are the fields that came after the item was read as a whole (`read_rev`), with the revision that
    brought each: events come in any order, and an older one must not take back a later.
    """

    key: WorkItemKey
    tenant: str = ""
    rev: int = 0
    """The highest revision that is in here."""
    read_rev: int = 0
    fields: dict[str, Json] = Field(default_factory=dict)
    field_revs: dict[str, int] = Field(default_factory=dict)
    links: tuple[str, ...] = ()
    """Each as `relation url`, sorted."""
    link_updates: tuple[int, ...] = ()
    """Numbers of the last updates of links that were taken in."""
    comments: dict[int, int] = Field(default_factory=dict)
    """Version of each comment that was taken in, by its id."""
    own_comments: tuple[int, ...] = ()
    """Ids of comments that we wrote."""
    status_comment: int = 0
    """Id of the comment that tells what is being done; 0 while there is none."""
    snapshot: str = ""
    """Content hash of `fields` as canonical JSON."""
    at: datetime | None = None


class Advance(Contract):
    """What one event adds to what is agreed, see `domain.sync.agreeing.advanced`."""

    rev: int = 0
    changes: dict[str, Json] = Field(default_factory=dict)
    links: tuple[str, ...] | None = None
    comments: dict[int, int] | None = None
    link_update: int = 0
    own_comment: int = 0
    """A comment of ours; 0 for none."""


class SyncState(Contract):
    """How synchronisation stands in one project."""

    organisation: str
    project: str
    items: int = 0
    """Of which something was agreed."""
    conflicts: int = 0
    """Open ones."""
    quarantined: int = 0
    in_doubt: int = 0
    """Writes of which nobody knows yet whether they were carried out."""
    newest_at: datetime | None = None
    """When something was last agreed."""
