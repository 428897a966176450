"""What the stand-in is told to do, and what it saw: scripts, faults, holds, and the log of requests."""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from pointsman.contracts.base import Json
from pointsman.sandbox.models.formats import Asked
from pointsman.sandbox.models.replies import Reply


class Rule(BaseModel):
    """Which requests are meant: those whose body contains `match`; of these `skip` pass, then `count` are taken."""

    model_config = ConfigDict(extra="forbid")
    match: str = ""
    model: str = ""
    skip: int = Field(default=0, ge=0)
    count: int = Field(default=1, ge=1)

    def take(self, body: str, model: str) -> bool:
        """Whether this request is one of them. Counts it."""
        if self.count == 0 or self.match not in body or self.model not in ("", model):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.count -= 1
        return True


class FaultKind(StrEnum):
    STATUS = "status"
    """An error instead of an answer: `status`, `code`, `message`, `retry_after`."""
    SILENCE = "silence"
    """Nothing at all, until the client gives up."""
    SLOW = "slow"
    """`seconds` before the first token."""
    CUT = "cut"
    """The stream ends cleanly after `after` events."""
    DROP = "drop"
    """The connection breaks after `after` events."""
    STALL = "stall"
    """Nothing more after `after` events."""
    ERROR_EVENT = "error_event"
    """An `error` event after `after` events."""
    FAILED = "failed"
    """The response ends with status failed."""
    BAD_ARGUMENTS = "bad_arguments"
    """Tool calls whose arguments are cut in the middle."""
    BAD_JSON = "bad_json"
    """A body, or an event, that is no JSON."""


class Fault(Rule):
    kind: FaultKind
    status: int = 500
    code: str | None = None
    message: str = "The server had an error while processing your request."
    retry_after: str = ""
    """Value of the header `Retry-After`."""
    seconds: float = 5.0
    after: int = Field(default=3, ge=0)


class Script(BaseModel):
    """The next replies to requests whose body contains `match`, in this order."""

    model_config = ConfigDict(extra="forbid")
    match: str = ""
    replies: list[Reply] = Field(min_length=1)


class Hold(Rule):
    """Requests that wait until they are released."""

    id: str = Field(default_factory=lambda: f"hold-{uuid4().hex[:8]}")
    held: int = 0
    released: bool = False


class Outcome(StrEnum):
    OPEN = "open"
    HELD = "held"
    ANSWERED = "answered"
    FAULTED = "faulted"
    """An error, or an answer that was broken off, by order."""
    REFUSED = "refused"
    """The request or its key was wrong."""
    ABORTED = "aborted"
    """The client went away before the answer was complete."""


class Seen(BaseModel):
    """One request. Equal bodies have equal hashes, so that a repeated request is recognised."""

    number: int
    request_id: str
    format: str = ""
    at: datetime
    body_sha256: str
    model: str = ""
    stream: bool = False
    metadata: dict[str, str] = Field(default_factory=dict)
    outcome: Outcome = Outcome.OPEN
    detail: str = ""
    response_id: str = ""
    ended_at: datetime | None = None

    def end(self, outcome: Outcome, detail: str = "") -> None:
        """The first end stands."""
        if self.ended_at is None:
            self.outcome, self.detail, self.ended_at = outcome, detail, datetime.now(UTC)


class Control:
    """All that was ordered and all that was seen, in memory."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.seen: list[Seen] = []
        self.faults: list[Fault] = []
        self.scripts: list[Script] = []
        self.holds: dict[str, Hold] = {}
        self._gates: dict[str, asyncio.Event] = {}

    def receive(self, raw: bytes, format_name: str) -> Seen:
        seen = Seen(
            number=len(self.seen) + 1,
            request_id=f"req_{uuid4().hex}",
            format=format_name,
            at=datetime.now(UTC),
            body_sha256=hashlib.sha256(raw).hexdigest(),
        )
        self.seen.append(seen)
        return seen

    def note(self, seen: Seen, asked: Asked) -> None:
        seen.model, seen.stream, seen.metadata = asked.model, asked.stream, dict(asked.metadata)

    def fault(self, body: str, model: str) -> Fault | None:
        return next((fault for fault in self.faults if fault.take(body, model)), None)

    def scripted(self, body: str) -> Reply | None:
        for script in self.scripts:
            if script.replies and script.match in body:
                return script.replies.pop(0)
        return None

    def add_hold(self, hold: Hold) -> None:
        self.holds[hold.id] = hold
        self._gates[hold.id] = asyncio.Event()

    def release(self, hold_id: str) -> bool:
        if hold_id not in self.holds:
            return False
        self.holds[hold_id].released = True
        self._gates[hold_id].set()
        return True

    async def wait(self, body: str, model: str, seen: Seen) -> None:
        """Wait if the request is one to hold."""
        for hold in list(self.holds.values()):
            if hold.take(body, model) and not hold.released:
                hold.held += 1
                seen.outcome = Outcome.HELD
                await self._gates[hold.id].wait()
                seen.outcome = Outcome.OPEN

    def counters(self) -> dict[str, object]:
        """Requests by outcome, by model and by each metadata pair; repeats are equal bodies beyond the first."""
        bodies = Counter(seen.body_sha256 for seen in self.seen)
        pairs = Counter(f"{name}={value}" for seen in self.seen for name, value in seen.metadata.items())
        return {
            "requests": len(self.seen),
            "by_outcome": dict(Counter(seen.outcome.value for seen in self.seen)),
            "by_model": dict(Counter(seen.model for seen in self.seen if seen.model)),
            "by_metadata": dict(pairs),
            "repeats": sum(count - 1 for count in bodies.values()),
            "held": sum(seen.outcome is Outcome.HELD for seen in self.seen),
        }


def as_text(raw: bytes) -> str:
    """What a rule is matched against: the body as it came, and each text in it with its escapes resolved."""
    try:
        texts = list(_texts(json.loads(raw)))
    except ValueError:
        texts = []
    return "\n".join([raw.decode(errors="replace"), *texts])


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for entry in value.values() if isinstance(value, dict) else value:
            yield from _texts(entry)
