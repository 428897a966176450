"""A delivery as a typed event. The receiver reads less, by `pointsman.domain.deliveries`; this is for whoever looks.

Never raises: a type that we know by name only becomes an `OpaqueEvent`, and whatever else comes an `UnknownEvent`.
"""

import json

from pydantic import ValidationError

from pointsman.contracts.base import Json
from pointsman.contracts.events import Event, OpaqueEvent, UnknownEvent
from pointsman.domain import deliveries
from pointsman.domain.deliveries import Heard
from pointsman.domain.events import code, parts, pipelines, work_items
from pointsman.domain.events.subjects import canonical
from pointsman.domain.loose import Object, get, json_type, objects, text
from pointsman.domain.texts import cleaned

READERS: dict[str, parts.Reader] = {**code.READERS, **pipelines.READERS}
TYPED = frozenset(READERS) | frozenset(deliveries.KINDS)
# Documented by name and by a sample that says little, or no longer sent: docs/assumptions.md lists them.
OPAQUE = frozenset(
    {
        "agentqueue.created",
        "agentqueue.updated",
        "elasticagentpool.resized",
        "manualintervention.pending",
        "message.posted",
        "ms.vss-pipelinechecks-events.check-updated-event",
    }
)
TOO_DEEP = "nested too deeply"


def parse_bytes(body: bytes, organisation: str = "", heard: Heard | None = None) -> Event:
    """`parse` for a body as it was received."""
    try:
        return parse(json.loads(body), organisation, heard)
    except (ValueError, RecursionError) as error:
        return UnknownEvent(reason=f"not JSON: {text(str(error))}")


def parse(body: Json, organisation: str = "", heard: Heard | None = None) -> Event:
    """`organisation` counts where the delivery names none. `heard` spares hearing it again; who gives it wants no items
    of test notifications."""
    if not isinstance(body, dict):
        return UnknownEvent(reason=f"a JSON object is wanted, this is {json_type(body)}")
    try:
        return _parse(body, heard or deliveries.read_item(body, organisation))
    except (RecursionError, ValidationError):  # the latter for JSON that is no cycle, and as deep as one
        return UnknownEvent(envelope=parts.envelope(body, organisation), reason=TOO_DEEP)


def _parse(body: Object, heard: Heard) -> Event:
    envelope = parts.envelope(body, heard.organisation)
    name, raw = canonical(envelope.event_type), get(body, "resource")
    if name in deliveries.KINDS and heard.item_id:
        return work_items.event(envelope, objects(raw), heard)
    if name in READERS:
        return READERS[name](parts.head(envelope, objects(raw)), objects(raw))
    if name in OPAQUE or name in deliveries.KINDS:  # an event of an item that names none is only its resource
        return OpaqueEvent(envelope=envelope, resource=cleaned(raw))
    return UnknownEvent(envelope=envelope, resource=cleaned(raw), reason=heard.reason)
