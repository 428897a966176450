"""What was written is taken back, as new revisions: what is asked for, what would be set, what came of it."""

from datetime import datetime

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.work_items import WorkItemKey


class RollbackScope(Contract):
    """What is to be taken back: one write, one turn, or all since a moment or revision; of it these fields alone.

    Fields without any of these mean, of each, the last write of ours that changed it.
    """

    write: str = ""
    """An operation of the write ledger."""
    turn: str = ""
    """A run, for all that it wrote, or `RUN/2` for its second turn."""
    moment: datetime | None = None
    rev: int = Field(default=0, ge=0)
    fields: tuple[str, ...] = ()
    """Reference names; empty: all that are in it."""


class RollbackRequest(Contract):
    key: WorkItemKey
    tenant: str
    correlation_id: str
    operation: str
    """Unique for this request: repeated attempts find its ledger row."""
    scope: RollbackScope
    force: bool = False
    """Also what somebody else has changed since."""
    comments: bool = False
    """Also comments of ours: they are deleted, or get their earlier text again."""
    dry_run: bool = False
    by: str
    reason: str


class FieldBack(Contract):
    """A field that gets its old value again."""

    field: str
    now: Json = None
    then: Json = None


class FieldHeld(Contract):
    """A field that does not, and why. Without a field it is said of all."""

    field: str = ""
    reason: str
    by: str = ""
    """Who changed it since."""
    rev: int = 0


class LinkBack(Contract):
    """A link that goes again, or comes back: `rel`, `url` and `name` as the service spells them."""

    link: str
    """As people say it: `Parent 7`."""
    comes_back: bool = False
    rel: str
    url: str
    name: str = ""
    comment: str = ""


class CommentBack(Contract):
    """A comment of ours that gets its earlier text again; without one it is deleted."""

    id: int
    now: str = ""
    then: str = ""


class RollbackPlan(Contract):
    """What taking it back comes to. With anything `refused`, nothing is set at all."""

    rev: int = 0
    """The revision that it was computed from."""
    back: tuple[FieldBack, ...] = ()
    refused: tuple[FieldHeld, ...] = ()
    kept: tuple[FieldHeld, ...] = ()
    """What is not taken back, for example comments that nobody asked for."""
    links: tuple[LinkBack, ...] = ()
    comments: tuple[CommentBack, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.back or self.links or self.comments)

    def values(self) -> dict[str, Json]:
        """Reference name to the value to set; None clears."""
        return {one.field: one.then for one in self.back}


class RollbackResult(Contract):
    """`status`: would (a dry run) | written | unchanged (nothing is left to take back) | refused (nothing was set).

    Values in `plan` are cut to what a person reads at a glance.
    """

    key: WorkItemKey
    operation: str
    status: str
    rev: int = 0
    """The revision that was made; 0 where none was."""
    plan: RollbackPlan = RollbackPlan()
