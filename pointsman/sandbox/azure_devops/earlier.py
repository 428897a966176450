"""An item as it stood at a moment (`asOf`): its revision then, and the links that it had."""

from dataclasses import replace
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from pointsman.sandbox.azure_devops.faults_of_service import invalid, no_item
from pointsman.sandbox.azure_devops.revisions import Fields, Revisions, different
from pointsman.sandbox.azure_devops.state import Item

_MOMENT = TypeAdapter(datetime)


def as_of(item: Item, told: str) -> Item:
    """The item itself where no moment is told. Before it was made there is none: not confirmed.

    Raises:
        ServiceError: it is no moment, or there was no such item.
    """
    if not told:
        return item
    moment = _moment(told)
    updates = [one for one in item.updates if _moment(one.at) <= moment]
    if not updates:
        raise no_item(item.id)
    relations = list(item.relations)
    for update in reversed(item.updates[len(updates) :]):
        relations = [one for one in relations if one not in update.added] + update.removed
    return replace(item, revisions=_first(item, updates[-1].rev), relations=relations, updates=updates)


def _first(item: Item, count: int) -> Revisions:
    found, before = Revisions(), Fields()
    for fields in item.revisions[:count]:
        found.append(fields, different(before, fields))
        before = fields
    return found


def _moment(told: str) -> datetime:
    try:
        moment = _MOMENT.validate_python(told)
    except ValidationError as error:
        raise invalid(f"The request is invalid: {told!r} is not a valid value for asOf.") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
