"""What is said about a work item: its key, what happened to it, where it stands, what an agent proposes."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field, model_validator

from pointsman.contracts.base import Contract, Json


class WorkItemKey(Contract):
    """Names one Azure DevOps work item. `organisation` is the lower-case slug of its URL."""

    organisation: str
    project: str
    id: int = Field(gt=0)

    def __str__(self) -> str:
        return f"{self.organisation}/{self.project}/{self.id}"


class ProjectKey(WorkItemKey):
    """A project as a whole, where the key of one of its items might stand."""

    id: Literal[0] = 0

    def __str__(self) -> str:
        return f"{self.organisation}/{self.project}"


class OfItemOrProject(Contract):
    """What has a `key` that names an item, or with the id 0 a project as a whole."""

    @model_validator(mode="before")
    @classmethod
    def _of_project(cls, data: object) -> object:
        match data:
            case {"key": {"id": 0} as key, **others}:
                return {"key": ProjectKey.model_validate(key), **others}
        return data


class EventKind(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    COMMENTED = "commented"
    DELETED = "deleted"
    RESTORED = "restored"


class WorkItemEvent(Contract):
    """One delivery as the workflow sees it. Its body stays in the inbox, under `delivery_id`."""

    delivery_id: str
    idempotency_key: str
    correlation_id: str
    """Of this delivery. The chain's id is the first delivery's and travels in `DeliverRequest`."""
    kind: EventKind
    key: WorkItemKey
    rev: int = 0
    """Revision after the event, 0 where the delivery does not say."""
    update_id: int = 0
    actor: str = ""
    changed_fields: tuple[str, ...] = ()
    """Reference names only: values stay in the inbox."""
    links_changed: bool = False
    """Links came or went. They move no revision."""
    untold: bool = False
    """The delivery does not say what changed: it may be links, whatever the revision."""
    replayed_by: str = ""
    """Who asked for this replay; empty for a first hand-over."""


class WorkItemEvents(Contract):
    """Events of one item that waited together, oldest first."""

    events: tuple[WorkItemEvent, ...]


class WorkItemState(StrEnum):
    RECEIVED = "received"
    ANALYSED = "analysed"
    ROUTED = "routed"
    WORKING = "working"
    WAITING = "waiting"
    PUBLISHING = "publishing"
    DONE = "done"
    PARKED = "parked"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


ENDED = frozenset({WorkItemState.DONE, WorkItemState.PARKED, WorkItemState.WITHDRAWN, WorkItemState.FAILED})


class Facts(Contract):
    """What routing and policy look at. `snapshot` is the content hash of all fields as they were read."""

    key: WorkItemKey
    type: str
    title: str
    text: str = ""
    """Description as plain text, at most 2,000 characters: routing rules look at it."""
    area_path: str = ""
    tags: tuple[str, ...] = ()
    state: str = ""
    rev: int = 0
    snapshot: str = ""
    deleted: bool = False
    url: str = ""


class Transition(Contract):
    """One step of the lifecycle. `number` counts from 1 in a run, so (workflow, run, number) names it for ever."""

    number: int
    before: WorkItemState | None
    after: WorkItemState
    reason: str
    at: datetime
    agent: str = ""
    history_length: int = 0
    """Events of the run's history when the transition was made. Of two under one name the longer history's is true: the
    other was made in a workflow task that was lost before it was completed."""


class ProposedLink(Contract):
    """A link that the item is to have. `relation` is the name that people know, for example `Parent`.

    `target` is an item's number, or the address of a pull request, a commit, a build or a web page.
    """

    relation: str
    target: str
    comment: str = ""

    def __str__(self) -> str:
        return f"{self.relation} {self.target}"


class Proposal(Contract):
    """What an agent, or a human who edited it, wants written. All of it counts for `hash`."""

    comment: str = ""
    """Markdown."""
    fields: dict[str, Json] = Field(default_factory=dict)
    """Reference name to value; tags are not in here."""
    tags: tuple[str, ...] = ()
    """Tags to add; none is ever removed."""
    links: tuple[ProposedLink, ...] = ()
    """Links to add; none is ever removed."""


class ProposalRef(Contract):
    """A proposal by reference: its text is in the store, under `hash` (SHA-256 of its canonical JSON, hex)."""

    hash: str
    fields: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    """Each as `relation target`."""
    link_kinds: tuple[str, ...] = ()
    """Their relations, each once."""
    comment_chars: int = 0
    comment_start: str = ""
    """The comment's first 800 characters, so that who decides in Temporal's UI sees what is said."""
    summary: str = ""
    """One line for people: which fields get which values."""


class Verdict(StrEnum):
    """What a delivery turned out to be, once ledger and current revision were asked."""

    NEWS = "news"
    ECHO = "echo"
    STALE = "stale"
    DELETED = "deleted"
    RESTORED = "restored"


class Judgement(Contract):
    """The verdict on one event. `instruction` is the content hash of what the agent is told, for news only."""

    delivery_id: str
    verdict: Verdict
    rev: int = 0
    instruction: str = ""
    reason: str = ""
    moved_to: Facts | None = None
    """The item as it is now, where its project, area or type has changed: it is routed anew."""


class Usage(Contract):
    """What a run has used up so far. Tokens include cached and reasoning tokens, as the provider bills them."""

    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: str = "0"
    """Decimal as text: a float would round money."""
