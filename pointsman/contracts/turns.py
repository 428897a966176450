"""What is said about an agent's turn. The conversation itself stays in the store: here are references to it."""

from enum import StrEnum

from pointsman.contracts.base import Contract
from pointsman.contracts.policy import AgentPolicy
from pointsman.contracts.work_items import Facts, ProposalRef, Usage, WorkItemKey


class TurnRequest(Contract):
    """One turn of one agent on one item. `transcript` names an append-only conversation in the store."""

    key: WorkItemKey
    tenant: str
    correlation_id: str
    number: int
    transcript: str
    agent: AgentPolicy
    facts: Facts
    instructions: tuple[str, ...] = ()
    """Content hashes of what to tell the agent first, for example a human's response."""
    tells_status: bool = False
    """Progress is said on the item, see `SyncPolicy.status_comment`."""


class Think(Contract):
    """Input of one model call. Its key in the transcript is `step`: a repeated attempt finds what was stored."""

    request: TurnRequest
    step: int
    instructions: tuple[str, ...] = ()
    falls_back: bool = False
    """Whether who asks takes another model where this one does not answer: then the activity gives up sooner."""
    avoid: tuple[str, ...] = ()
    """Models that have not answered in this turn."""


class Fallback(Contract):
    """Detail of a model call that gave up because another model may take over."""

    gave_up: str
    """The model that did not answer."""
    others: tuple[str, ...]


class ToolCallRef(Contract):
    """A tool call of a reply. Arguments stay in the transcript; their hash tells repeated calls."""

    call_id: str
    name: str
    arguments_hash: str


class Thought(Contract):
    """What a model call came to, without its text."""

    message: str
    """Content hash of the reply."""
    finish: str
    """stop | length | tool_calls | content_filter | refusal"""
    tool_calls: tuple[ToolCallRef, ...] = ()
    proposal: ProposalRef | None = None
    question: str = ""
    invalid: str = ""
    """Why the answer is not what was asked for; empty when it is, or when tools are called."""
    dropped: tuple[str, ...] = ()
    """Fields that the agent proposed and may not change."""
    usage: Usage = Usage()
    model: str = ""
    """The model that answered, as its provider names it."""
    provider: str = ""
    rationale: str = ""
    """Why that one was asked."""


class CallTool(Contract):
    request: TurnRequest
    step: int
    call: ToolCallRef


class ToolOutcome(Contract):
    """The result is in the transcript; `ok` is false for a tool's own error, which the model gets to read."""

    call_id: str
    ok: bool
    message: str
    chars: int


class TurnEnd(StrEnum):
    ANSWERED = "answered"
    QUESTION = "question"
    LIMIT = "limit"
    INVALID = "invalid"
    FAILED = "failed"


class TurnResult(Contract):
    """How a turn ended. `reason` names the limit and its value, the question, or the fault."""

    end: TurnEnd
    reason: str = ""
    proposal: ProposalRef | None = None
    dropped: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    """What was proposed and the item said already; known once that was looked at."""
    usage: Usage = Usage()
    steps: int = 0
    seconds: float = 0.0
    unread: tuple[str, ...] = ()
    """Instructions that arrived too late for this turn: the next one is told them."""


class Tell(Contract):
    """Words for the agent, on their way into the store: histories carry their hash."""

    text: str
