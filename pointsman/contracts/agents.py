"""What is said about the work of a remote agent service. What it writes stays in the store, but for short notes."""

from datetime import timedelta
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract, Json
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import ProposalRef


class RemoteState(StrEnum):
    """Where a remote task stands; the names are those of A2A 1.0, in our spelling."""

    SUBMITTED = "submitted"
    WORKING = "working"
    INPUT_REQUIRED = "input-required"
    AUTH_REQUIRED = "auth-required"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"
    REJECTED = "rejected"
    UNKNOWN = "unknown"
    """The service named none, or one that this protocol version does not have."""


AT_WORK = frozenset({RemoteState.SUBMITTED, RemoteState.WORKING, RemoteState.UNKNOWN})
INTERRUPTED = frozenset({RemoteState.INPUT_REQUIRED, RemoteState.AUTH_REQUIRED})
"""The task goes on with the next message."""
ENDED = frozenset(RemoteState) - AT_WORK - INTERRUPTED


class RemoteCard(Contract):
    """What a service says of itself, after it was checked."""

    name: str
    version: str
    protocol: str
    skills: tuple[str, ...] = ()
    signed: bool = False
    """By a key that policy names."""


class RemoteMessage(Contract):
    """What is sent to a service: with a task it continues that one, without it begins one."""

    id: str
    """The same for each attempt to send it."""
    context: str
    text: str
    task: str = ""
    after: tuple[str, ...] = ()
    """Ended tasks that it refers to."""
    data: dict[str, Json] = Field(default_factory=dict)


class RemoteTask(Contract):
    """A task as the service tells it. One without an id was answered at once."""

    id: str
    state: RemoteState
    note: str = ""
    """What the service says about the state."""
    at: str = ""
    """When the state was entered, by the service's own clock."""
    answer: str = ""
    """JSON of the first part that is data, else the text of all artifacts."""
    messages: tuple[str, ...] = ()
    """Ids of the messages that it got, as far as it tells them."""


class SendToService(Contract):
    """Send what the service has not been told. A repeated attempt finds what an earlier one has sent."""

    request: TurnRequest
    step: int
    instructions: tuple[str, ...] = ()
    """Content hashes."""


class SentToService(Contract):
    """`task` is empty where the service answered at once."""

    task: str = ""


class FollowService(Contract):
    """Look at the task until there is something to tell, or `patience` has passed."""

    request: TurnRequest
    step: int
    task: str
    seen: str = ""
    """What of its state is known: nothing is told twice."""
    pause: timedelta
    """Before progress is told."""
    patience: timedelta


class FollowedService(Contract):
    """What a look came to: progress while it works, else how it ended or what it waits for."""

    state: RemoteState
    note: str = ""
    seen: str = ""
    overdue: bool = False
    """It still worked when patience ended."""
    proposal: ProposalRef | None = None
    question: str = ""
    invalid: str = ""
    """Why the answer is not what was asked for."""
    dropped: tuple[str, ...] = ()


class SayToService(Contract):
    """One more message to a task that is at work. `instruction` is a content hash."""

    request: TurnRequest
    task: str
    instruction: str


class CancelAtService(Contract):
    """Have the service stop. Without a task, what an attempt to send may have begun is looked for first."""

    request: TurnRequest
    step: int
    task: str = ""


class SettleElsewhere(Contract):
    """Have the service stop all that is open of a conversation which does not go on. `request` is one of its turns."""

    request: TurnRequest


class SettleLeft(SettleElsewhere):
    """The same for what a run of an item has left open, if that run is over."""

    workflow_id: str
    run_id: str


class SettledElsewhere(Contract):
    """Ids of tasks: those that ended with it, and those that the service says go on nevertheless."""

    stopped: tuple[str, ...] = ()
    going_on: tuple[str, ...] = ()
