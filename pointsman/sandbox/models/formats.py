"""What a wire format of the stand-in is: how requests are read and refused, and how a reply goes out.

A format is built after its provider's published schema, never after our adapter, and is driven by the provider's own
SDK in its tests. It knows nothing of scripts, faults and holds: `app` does those, the same for every format.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pointsman.contracts.base import Json
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.documents import Object, tokens_in
from pointsman.sandbox.models.replies import Reply

if TYPE_CHECKING:
    from fastapi import FastAPI, Request  # 0.1 s that who only scripts replies should not pay


class ApiFault(Exception):
    """An answer that is an error, in the envelope of its format, under an HTTP status."""

    def __init__(self, status: int, message: str, body: Object) -> None:
        super().__init__(message)
        self.status = status
        self.body = body
        self.headers: dict[str, str] = {}


class Sent(NamedTuple):
    """A request as it came: what signatures are made of. Path and query are encoded; header names in small letters."""

    method: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


def sent_by(request: "Request", body: bytes) -> Sent:
    path, query = request.scope["raw_path"].decode("ascii"), request.scope["query_string"].decode("ascii")
    return Sent(request.method, path, query, request.headers, body)


@dataclass(frozen=True)
class Asked:
    """A request as the model reads it, whatever the format. `told`, `called` and `results` are in their order."""

    model: str
    stream: bool
    pieces: Sequence[Json]
    """What counts as prompt, piece by piece from its beginning: instructions, tools, then messages."""
    system: str = ""
    told: Sequence[str] = ()
    """What users said."""
    tools: Sequence[Object] = ()
    """Each with `name`, `description` and `parameters` (JSON Schema)."""
    called: Sequence[str] = ()
    """Names of tools that were called before."""
    results: Sequence[str] = ()
    tool_choice: str = "auto"
    """auto | none | required | the name of a tool"""
    parallel: bool = True
    schema: Mapping[str, Json] = field(default_factory=dict)
    """JSON Schema of the answer; empty where it is free text."""
    max_tokens: int | None = None
    reasons: bool = False
    """Whether the model reasons before it answers, as asked or by its nature."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    prompt_tokens: int = 0
    document: object = None
    """The request as its own format has read it."""


class Frame(NamedTuple):
    """A piece of a stream. After one that carries something of the answer the sender takes a breath."""

    data: bytes
    paced: bool = False


@dataclass(frozen=True)
class Rendered:
    """A reply as it goes out: whole, or as a stream."""

    id: str
    body: Object
    frames: Sequence[Frame] = ()


class Format(ABC):
    """One endpoint of one provider. Made once; keeps no state."""

    name: ClassVar[str]
    paths: ClassVar[Sequence[str]]
    """Paths of its POST, in the notation of routes: `/anthropic/v1/messages`."""
    stream_type: ClassVar[str] = "text/event-stream"
    request_id_header: ClassVar[str] = "x-request-id"
    headers_read: ClassVar[Sequence[str]] = ()
    """Headers that `read` gets among its parameters, in small letters."""

    def __init__(self, config: ModelsConfig) -> None:
        self.config = config

    def admit(self, sent: Sent) -> None:
        """Raises `ApiFault` unless the request may come in: by its headers alone, where nothing else is signed."""
        self.authorise(sent.headers)

    @abstractmethod
    def authorise(self, headers: Mapping[str, str]) -> None:
        """Raises `ApiFault` unless the headers carry one of the keys. Header names are in small letters."""

    @abstractmethod
    def read(self, raw: bytes, path: str, parameters: Mapping[str, str]) -> Asked:
        """The request, from body, path and the parameters of its route. Raises `ApiFault` as the service refuses."""

    @abstractmethod
    def check(self, asked: Asked) -> None:
        """Raises `ApiFault` for what the service would refuse although it can read it."""

    @abstractmethod
    def render(self, asked: Asked, reply: Reply, cached_tokens: int) -> Rendered:
        """The reply on the wire. It is cut already where the request's limit of tokens says so."""

    @abstractmethod
    def refusal(self, status: int, message: str, code: str | None) -> ApiFault:
        """An error by order. Without a code, the one that belongs to the status."""

    @abstractmethod
    def error_frame(self, message: str, code: str | None) -> bytes:
        """An error in the middle of a stream."""

    @abstractmethod
    def broken_frame(self) -> bytes:
        """A piece of a stream that cannot be read."""

    def failed(self, asked: Asked, message: str, code: str | None) -> Rendered:
        """An answer that says of itself that it failed. Where a format has none, it is refused."""
        raise self.refusal(500, message, code)

    def headers(self) -> Mapping[str, str]:
        """Headers of every answer, beside the request's id."""
        return {}

    def delay(self, refused: ApiFault, retry_after: str) -> None:
        """Say in a refusal when to come back: in the header, unless the format has a place of its own for it."""
        refused.headers["retry-after"] = retry_after

    def add_routes(self, app: "FastAPI") -> None:  # noqa: B027 - most formats have none
        """What the provider serves beside answers, for example its list of models."""


def cut(asked: Asked, reply: Reply) -> Reply:
    """The reply as far as `finish` or the request's limit of tokens lets it go."""
    if reply.finish:
        text = reply.said()
        return reply.model_copy(update={"text": text[: len(text) // 2], "data": None})
    if asked.max_tokens is None:
        return reply
    room = max(0, asked.max_tokens - (tokens_in(reply.reasoning) if asked.reasons else 0))
    if tokens_in(reply.said() + "".join(call.text() for call in reply.calls)) <= room:
        return reply
    text = reply.said()[: room * 4]
    return reply.model_copy(update={"text": text, "data": None, "calls": (), "finish": "length"})


def said_tokens(reply: Reply) -> int:
    """Tokens of what is told and called; reasoning is counted beside it."""
    return tokens_in(reply.said() + reply.refusal + "".join(call.text() for call in reply.calls)) + 3


def server_sent(document: Json, event: str = "") -> bytes:
    """One server-sent event, named where its format names them."""
    named = f"event: {event}\n" if event else ""
    return f"{named}data: {json.dumps(document, separators=(',', ':'))}\n\n".encode()
