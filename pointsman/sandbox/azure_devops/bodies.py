"""Reading the bodies of requests: what is not of the right kind is refused or counts as absent."""

from contextlib import suppress
from datetime import UTC, datetime

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.calls import Call
from pointsman.sandbox.azure_devops.config import Identity
from pointsman.sandbox.azure_devops.faults_of_service import invalid


def object_in(body: Json) -> dict[str, Json]:
    if not isinstance(body, dict):
        raise invalid("The request is invalid: the body must be an object.")
    return body


def objects_in(body: Json) -> list[dict[str, Json]]:
    if not isinstance(body, list):
        raise invalid("The request is invalid: the body must be a list.")
    return [object_in(entry) for entry in body]


def inner(body: dict[str, Json], *names: str) -> dict[str, Json]:
    """The object at the place; an empty one where there is none."""
    found: Json = body
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def each(body: dict[str, Json], name: str) -> list[dict[str, Json]]:
    found = body.get(name)
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def text(body: dict[str, Json], name: str, default: str = "") -> str:
    found = body.get(name)
    return found if isinstance(found, str) else default


def needed(body: dict[str, Json], name: str) -> str:
    found = text(body, name).strip()
    if not found:
        raise invalid(f"The request is invalid: {name} is missing.")
    return found


def number(body: dict[str, Json], name: str, default: int = 0) -> int:
    """A number, also where it comes as text."""
    found = body.get(name)
    if isinstance(found, str) and found.isdecimal():
        return int(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else default


def identity(call: Call, identity_id: str) -> Identity:
    """Somebody known, by id."""
    found = next((one for one in call.world.config.identities if one.id == identity_id.lower()), None)
    if found is None:
        raise invalid(f"The identity {identity_id!r} is not valid.", "IdentityNotFoundException")
    return found


def within(call: Call, at: str, since: str, until: str) -> bool:
    """Whether a moment lies between two that the query may name."""
    moment = _moment(at)
    bounds = [(call.query.get(since, ""), True), (call.query.get(until, ""), False)]
    return all(not bound or (moment >= _moment(bound) if low else moment <= _moment(bound)) for bound, low in bounds)


def _moment(value: str) -> datetime:
    """In ISO 8601, or in American as Microsoft's own examples, which means UTC."""
    with suppress(ValueError):
        return datetime.strptime(value, "%m/%d/%Y %I:%M:%S %p").replace(tzinfo=UTC)
    try:
        found = datetime.fromisoformat(value)
    except ValueError as error:
        raise invalid(f"The request is invalid: {value!r} is no date.") from error
    if found.tzinfo is None:
        raise invalid(f"The request is invalid: {value!r} has no time zone.")
    return found
