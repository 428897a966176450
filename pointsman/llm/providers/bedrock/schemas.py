"""JSON Schemas as Converse takes them: for an answer's format objects closed and few keywords, for tools an object.

What a format cannot hold a model to is left out of it; every answer is checked against the whole schema anyhow.
"""

import json
from collections.abc import Mapping

from pointsman.contracts.base import Json

Schema = dict[str, Json]

# "Structured outputs", supported JSON Schema features (Amazon Bedrock user guide).
_KEPT = frozenset({"const", "default", "description", "enum", "format", "required", "title", "type"})
_CHOICES = ("anyOf", "allOf")
# What would mean something else if it were left out.
_UNSAYABLE = frozenset({"$ref", "else", "if", "not", "oneOf", "patternProperties", "then"})


class _Unsayable(Exception):
    """A format has no words for it."""


def format_schema(schema: Schema) -> str | None:
    """The schema for `outputConfig.textFormat`; none where a format could not say it."""
    if schema.get("type") != "object":
        return None
    try:
        return json.dumps(_told(schema), ensure_ascii=False)
    except _Unsayable:
        return None


def input_schema(schema: Schema) -> Schema:
    """The schema of a tool's arguments: an object, without choices at its top, which models refuse."""
    return {**{key: value for key, value in schema.items() if key not in ("anyOf", "oneOf", "allOf")}, "type": "object"}


def _told(schema: Json) -> Schema:
    if not isinstance(schema, Mapping) or _UNSAYABLE & schema.keys():
        raise _Unsayable
    told: Schema = {key: value for key, value in schema.items() if key in _KEPT}
    if schema.get("type") == "object" or "properties" in schema:
        properties, others = schema.get("properties"), schema.get("additionalProperties")
        if not isinstance(properties, Mapping) or not properties or isinstance(others, Mapping):
            raise _Unsayable  # an object of names of its own choosing
        told["properties"] = {name: _told(part) for name, part in properties.items()}
        told["additionalProperties"] = False
    for key in _CHOICES:
        choices = schema.get(key)
        if isinstance(choices, list):
            told[key] = [_told(part) for part in choices]
    if "items" in schema:
        told["items"] = _told(schema["items"])
    return told
