"""JSON that models write and schemas that they are held to: parsed defensively, because nothing of it is ours."""

import json
from collections.abc import Mapping
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from pointsman.contracts.base import Json
from pointsman.domain.texts import clean, cleaned

__all__ = ["allows_strict", "clean", "cleaned", "read_arguments"]

_OBJECT: TypeAdapter[dict[str, Json]] = TypeAdapter(dict[str, Json])

# Keywords that no provider's strict mode accepts (OpenAI, "Structured outputs", supported schemas).
_NOT_STRICT = frozenset(
    {
        "allOf",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "not",
        "oneOf",
        "patternProperties",
        "then",
        "unevaluatedProperties",
    }
)


def read_arguments(raw: str) -> tuple[dict[str, Json], str]:
    """The arguments of a tool call, and why they are none: one of both is empty. No arguments at all are `{}`."""
    if not raw.strip():
        return {}, ""
    try:
        return _OBJECT.validate_python(cleaned(json.loads(raw, parse_constant=_refuse))), ""
    except json.JSONDecodeError as error:
        return {}, f"the arguments are not JSON: {error.msg} at character {error.pos} of {len(raw)}"
    except ValidationError as error:
        return {}, f"the arguments are no JSON object: {error.errors(include_url=False)[0]['msg']}"
    except (ValueError, RecursionError) as error:
        return {}, f"the arguments cannot be read: {error}"


def allows_strict(schema: dict[str, Json]) -> bool:
    """Whether a provider's strict mode takes the schema: objects closed, every property required, plain keywords."""
    return schema.get("type") == "object" and "anyOf" not in schema and _is_strict(schema)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON (RFC 8259)")


def _is_strict(schema: Json) -> bool:
    if not isinstance(schema, Mapping):
        return False
    if _NOT_STRICT & schema.keys():
        return False
    if (schema.get("type") == "object" or "properties" in schema) and not _is_closed(schema):
        return False
    return all(_is_strict(part) for part in _parts(schema))


def _is_closed(schema: Mapping[str, Json]) -> bool:
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, Mapping) or not isinstance(required, list):
        return False
    return schema.get("additionalProperties") is False and set(properties) == set(map(str, required))


def _parts(schema: Mapping[str, Json]) -> list[Json]:
    parts: list[Json] = []
    for key in ("properties", "$defs", "definitions"):
        named = schema.get(key)
        parts += named.values() if isinstance(named, Mapping) else []
    choices = schema.get("anyOf")
    parts += choices if isinstance(choices, list) else []
    return [*parts, schema["items"]] if "items" in schema else parts
