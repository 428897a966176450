"""What led to what: things that happened or are there, by name, and the edges between them, from cause to effect.

A thing's name is `kind:name`, for example `event:0199…`, `item:fabrikam/42`, `build:fabrikam/7`, `write:op`: a text,
because it is a column, an argument of the command line and a part of a URL.
"""

from datetime import datetime
from enum import StrEnum

from pointsman.contracts.base import Contract


class ThingKind(StrEnum):
    EVENT = "event"
    """A delivery, under its own id."""
    ITEM = "item"
    PULL_REQUEST = "pull_request"
    COMMIT = "commit"
    BUILD = "build"
    """A build, and a run of a pipeline: the service numbers them together."""
    RELEASE = "release"
    APPROVAL = "approval"
    CHANGESET = "changeset"
    RUN = "run"
    """A workflow: of an item, or of an agent at work for it."""
    WRITE = "write"
    """An operation of the write ledger."""
    ESCALATION = "escalation"


class EdgeKind(StrEnum):
    ABOUT = "about"
    """An event or a question tells of a thing."""
    HANDED_OVER = "handed_over"
    REPEATED = "repeated"
    """The same event came once more."""
    REPLAYED = "replayed"
    STARTED = "started"
    WORKED_ON = "worked_on"
    ASKED = "asked"
    WROTE = "wrote"
    CHANGED = "changed"
    ECHOED = "echoed"
    """Our write came back as this event."""
    CHILD = "child"
    RELATED = "related"
    SUCCESSOR = "successor"
    DUPLICATE = "duplicate"
    TESTED_BY = "tested_by"
    AFFECTS = "affects"
    LINKED = "linked"
    MENTIONED = "mentioned"
    SOURCE = "source"
    """The commit that a pull request brings."""
    MERGED = "merged"
    BUILT = "built"


class Edge(Contract):
    """`evidence` names the event that told it, where that is neither end. `removed`: the link was taken away."""

    cause: str
    effect: str
    kind: EdgeKind
    removed: bool = False
    evidence: str = ""
    at: datetime | None = None
    """When it was told; the delivery's time of arrival where nobody says."""


class Direction(StrEnum):
    BOTH = "both"
    CAUSES = "causes"
    EFFECTS = "effects"


class Walk(Contract):
    """What is reachable from a thing. Nearest first, `start` first of all."""

    start: str
    tenant: str
    things: tuple[str, ...]
    edges: tuple[Edge, ...]
    """One for each cause, effect and kind, as it was told last; both ends are among `things`."""
    complete: bool = True
    """False where the limit was reached: there is more."""


class ThingTold(Contract):
    """A thing for people."""

    thing: str
    what: str = ""
    who: str = ""
    at: datetime | None = None
