"""What is said when a human must decide: the question, the decision, what became of it."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.policy import Ladder, Severity
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import OfItemOrProject, ProposalRef, WorkItemKey


class EscalationKind(StrEnum):
    APPROVAL = "approval"
    """A proposal touches what an agent may not change alone."""
    ROUTING = "routing"
    """In scope, but no rule names an agent."""
    LIMIT = "limit"
    """A turn reached one of its limits."""
    QUESTION = "question"
    """The agent asks."""
    CONFLICT = "conflict"
    """Somebody else changed the same field to something else."""
    FAILURE = "failure"
    """A step failed in a way that no retry mends."""
    RULE = "rule"
    """What is to be written would break rules of the item's process."""
    VIOLATION = "violation"
    """An item breaks a rule of its process: who takes it on?"""


class Verb(StrEnum):
    APPROVE = "approve"
    EDIT = "edit"
    REJECT = "reject"
    RESPOND = "respond"


class Escalation(OfItemOrProject):
    """The question. Immutable once it is open; an approval is bound to `subject`."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    number: int
    """Counts from 1 over all runs of the item."""
    kind: EscalationKind
    severity: Severity
    summary: str
    """What is asked, one sentence."""
    details: str = ""
    """What a human needs to decide, Markdown."""
    allowed: tuple[Verb, ...]
    subject: str
    """Hash of what is approved: the proposal's, or of the question itself."""
    proposal: ProposalRef | None = None
    choices: tuple[str, ...] = ()
    """What a respond may name, for example agents; empty for free text."""
    fields: tuple[str, ...] = ()
    """Fields in conflict that are asked about; others may have been decided on before. Empty where it is not told."""
    open_elsewhere: tuple[TurnRequest, ...] = ()
    """Turns of services that have something open while this is asked, without what they are about. Not in the books."""
    checks: tuple[str, ...] = ()
    """Rules of the process that an approval lets be broken."""
    ladder: Ladder
    agent: str = ""
    title: str = ""
    """Of the work item, once it was read."""
    url: str = ""
    """Where people find the work item."""


class Decision(Contract):
    """A human's answer. `subject` binds an approval or an edit to what was seen."""

    verb: Verb
    by: str = Field(min_length=1, max_length=200)
    """As claimed by whoever decides, until identity arrives."""
    comment: str = Field(default="", max_length=20_000)
    subject: str = ""
    """Hash of what the human saw. May be a prefix of at least 8 characters."""
    edits: dict[str, Json] = Field(default_factory=dict)
    """For edit: field reference names to values, and `comment`, `tags`."""
    channel: str = ""
    """Where it was decided: cli, temporal, web."""


class Resolution(Contract):
    """How an escalation ended. Without a decision it went out of rungs, or was withdrawn."""

    escalation_id: str
    verb: Verb | None = None
    by: str = ""
    comment: str = ""
    proposal: ProposalRef | None = None
    """What stands after the decision: the approved or the edited proposal."""
    outcome: str = "decided"
    """decided | expired | withdrawn"""
    reason: str = ""
    """Why it was withdrawn, in our own words, where it was not the item that was."""
    waited_seconds: float = 0.0


class Opened(Contract):
    """The escalation as people name it, for example `ESC-7`."""

    id: str
    opened_at: datetime


class Refusal(Contract):
    """A decision that could not be taken: malformed, stale, late. Kept, so that it does not vanish."""

    number: int
    reason: str
    by: str = ""
    channel: str = ""


class Standing(Contract):
    """The answer to whoever decides: the decision that stands, and whether it was theirs."""

    escalation_id: str
    accepted: bool
    verb: Verb
    by: str
    at: datetime
    note: str = ""


class Whose(OfItemOrProject):
    """Whose question a step is about, for logs and spans."""

    key: WorkItemKey
    tenant: str
    correlation_id: str


class Notify(Contract):
    """Tell one target of one rung. `text` is Markdown with the way to decide."""

    escalation_id: str
    rung: int
    target: str
    subject: str
    text: str
    whose: Whose | None = None


class Settle(Contract):
    decision: Decision | None
    resolution: Resolution
    whose: Whose | None = None


class Close(Contract):
    """Close a question whose own run can no longer do it: `workflow_id` and `run_id` are that run's."""

    escalation: Escalation
    workflow_id: str
    run_id: str
    reason: str


class Refuse(Contract):
    escalation_id: str
    refusal: Refusal
    whose: Whose | None = None
