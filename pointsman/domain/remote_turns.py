"""A turn that a remote agent service takes: how its task is known again, and what became of it.

Workflows import this module into their sandbox anew for each run, so it imports little.
"""

from collections.abc import Collection, Sequence
from uuid import NAMESPACE_URL, uuid5

from pointsman.contracts.agents import RemoteState, RemoteTask, SettledElsewhere
from pointsman.contracts.turns import TurnRequest

NOTE_CHARS_MAX = 500
QUESTION_CHARS_MAX = 2_000
GO_ON = "Go on."
WAITS = {
    RemoteState.AUTH_REQUIRED: "it waits for credentials. Give them to the service, then approve to let it go on",
    RemoteState.FAILED: "its task failed",
    RemoteState.REJECTED: "it does not take the task",
    RemoteState.CANCELED: "its task was canceled there",
}


def transcript_of(request: TurnRequest) -> str:
    """The conversation with this service about the item: one for each run of it."""
    return f"{request.transcript}/{request.agent.name}"


def context_of(request: TurnRequest) -> str:
    """What A2A calls a context: the same for all tasks of a conversation, so that one that was lost is found by it."""
    return str(uuid5(NAMESPACE_URL, f"pointsman:{transcript_of(request)}"))


def message_id(request: TurnRequest, what: str) -> str:
    """The same for each attempt: named after the run of the item, the turn, and what is said in it."""
    return str(uuid5(NAMESPACE_URL, f"pointsman:{transcript_of(request)}:{request.number}:{what}"))


def sent_before(tasks: Sequence[RemoteTask], message: str, known: Collection[str]) -> RemoteTask | None:
    """The task that a message began whose answer was lost; None where the service has none.

    Raises:
        LookupError: it cannot be told; the text says why.
    """
    strange = [task for task in tasks if task.id not in known]
    named = [task for task in strange if message in task.messages]
    if named or not strange:
        return named[0] if named else None
    if len(strange) == 1 and not strange[0].messages:
        return strange[0]  # a service that does not tell messages; nobody else knows the context
    raise LookupError(f"{len(strange)} tasks are there that nobody here has begun, and none names the message")


def short(text: str, chars_max: int = NOTE_CHARS_MAX) -> str:
    """A service's words as one line."""
    return " ".join(text.split())[:chars_max]


def seen_as(task: RemoteTask) -> str:
    """What of a task's state is known once it was told."""
    return f"{task.state}:{task.at}:{hash_of(task.note)}"


def hash_of(text: str) -> str:
    return str(uuid5(NAMESPACE_URL, text))


def why_ended(state: RemoteState, note: str, task: str, last: str) -> str:
    """Why a turn came to nothing, and what was done by then."""
    words = f": {note}" if note else ""
    done = f"; its last word before: {last}" if last and last != note else ""
    return f"the agent service says {state}: {WAITS.get(state, 'its task ended')}{words} (task {task or 'none'}){done}"


def settled(agent: str, found: SettledElsewhere) -> str:
    """What an item's timeline says of tasks that were open when it was done with the agent."""
    said = f"; {agent} was told to stop: task {', '.join(found.stopped)}" if found.stopped else ""
    return said + (f"; {agent} goes on all the same: task {', '.join(found.going_on)}" if found.going_on else "")
