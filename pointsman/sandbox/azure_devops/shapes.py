"""Values of fields as clients send them, read by the shape of the field."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from pydantic import TypeAdapter, ValidationError

from pointsman.contracts.base import Json
from pointsman.sandbox.azure_devops.clock import iso
from pointsman.sandbox.azure_devops.documents import FieldEdit
from pointsman.sandbox.azure_devops.faults_of_service import ServiceError, invalid_field
from pointsman.sandbox.azure_devops.process import Field, Shape
from pointsman.sandbox.azure_devops.revisions import Value
from pointsman.sandbox.azure_devops.state import World

STRING_CHARS_MAX = 255
LONG_CHARS_MAX = 1_048_576
_MOMENT = TypeAdapter(datetime)


def read(world: World, change: FieldEdit, definition: Field, *, anybody: bool = False) -> Value:
    """The value that an edit sets; None where it clears the field. `anybody` takes names that are nobody's.

    Raises:
        ServiceError: 400, it is no value of the field.
    """
    if change.value is None or change.value == "":
        return None
    if definition.shape is Shape.IDENTITY:
        return _identity(world, definition, change.value, anybody)
    value = _plain(change, definition)
    if definition.shape is Shape.STRING and len(str(value)) > STRING_CHARS_MAX:
        raise invalid_field(change.name, "InvalidTooLong")
    if isinstance(value, str) and len(value) > LONG_CHARS_MAX:
        raise invalid_field(change.name, "InvalidTooLong")
    return value


def _plain(change: FieldEdit, definition: Field) -> Json:
    try:
        return _READERS.get(definition.shape, _text)(change.value)
    except (ValueError, TypeError, ValidationError) as error:
        raise invalid_field(change.name, "InvalidType") from error


def _text(value: Json) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError("not a text")
    return str(value)


def _integer(value: Json) -> int:
    number = _double(value)
    if not number.is_integer():
        raise ValueError("not a whole number")
    return int(number)


def _double(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise TypeError("not a number")
    return float(value)


def _boolean(value: Json) -> bool:
    return TypeAdapter(bool).validate_python(value)


def _date(value: Json) -> str:
    moment = _MOMENT.validate_python(value)
    return iso(moment.astimezone(UTC) if moment.tzinfo else moment)


_READERS: Mapping[Shape, Callable[[Json], Json]] = {
    Shape.INTEGER: _integer,
    Shape.DOUBLE: _double,
    Shape.BOOLEAN: _boolean,
    Shape.DATE: _date,
}


def _identity(world: World, definition: Field, value: Json, anybody: bool) -> Value:
    named = value.get("uniqueName") or value.get("displayName") if isinstance(value, dict) else value
    identity = world.find_identity(named) if isinstance(named, str) else None
    if identity is None and anybody and isinstance(named, str):
        return named
    if identity is None:
        message = f"The identity value '{named}' for field '{definition.name}' is an unknown identity."
        raise ServiceError(400, message, "RuleValidationException", error_code=600171)
    return identity
