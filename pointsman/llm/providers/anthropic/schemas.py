"""JSON Schemas as Anthropic's structured output takes them: objects closed, no recursion, few keywords.

What it cannot hold a model to is moved into descriptions; every answer is checked against the whole schema anyhow.
"""

from collections.abc import Iterator, Mapping

from anthropic import transform_schema

from pointsman.contracts.base import Json

Schema = dict[str, Json]

_COMBINED = ("anyOf", "oneOf", "allOf")
_DEFS = "#/$defs/"


def format_schema(schema: Schema) -> Schema | None:
    """The schema for `output_config.format`; none where the format could not say it."""
    if not _is_sayable(schema) or _recurs(schema):
        return None
    try:
        return transform_schema(_without_type_lists(schema))
    except (AssertionError, AttributeError, TypeError, ValueError):  # a schema of somebody else may be anything
        return None


def input_schema(schema: Schema) -> Schema:
    """The schema of a tool's arguments: an object, without choices at its top, which the API refuses."""
    return {**{key: value for key, value in schema.items() if key not in _COMBINED}, "type": "object"}


def _is_sayable(schema: Json) -> bool:
    """Whether no part asks for names of its own choosing: the format closes every object."""
    if not isinstance(schema, Mapping):
        return False
    if "patternProperties" in schema or isinstance(schema.get("additionalProperties"), Mapping):
        return False
    if schema.get("type") == "object" and not schema.get("properties"):
        return False
    return all(_is_sayable(part) for part in _parts(schema))


def _recurs(schema: Schema) -> bool:
    """Whether a reference leads to itself, or to where the format looks up nothing."""
    definitions = schema.get("$defs")
    known: Mapping[str, Json] = definitions if isinstance(definitions, Mapping) else {}

    def circles(part: Json, seen: frozenset[str]) -> bool:
        if not isinstance(part, Mapping):
            return False
        target = part.get("$ref")
        if isinstance(target, str):
            name = target.removeprefix(_DEFS)
            if target == name or name in seen or name not in known:
                return True
            return circles(known[name], seen | {name})
        return any(circles(inner, seen) for inner in _parts(part))

    return circles({**schema, "$defs": None}, frozenset()) or any(circles(part, frozenset()) for part in known.values())


def _without_type_lists(schema: Json) -> Schema:
    """The same schema with choices where it lists types, deep down."""
    assert isinstance(schema, Mapping), "a schema that can be said is made of objects"
    same: Schema = {}
    for key, value in schema.items():
        if key in ("properties", "$defs") and isinstance(value, Mapping):
            same[key] = {name: _without_type_lists(part) for name, part in value.items()}
        elif key in _COMBINED and isinstance(value, list):
            same[key] = [_without_type_lists(part) for part in value]
        elif key == "items":
            same[key] = _without_type_lists(value)
        else:
            same[key] = value
    types = same.get("type")
    if not isinstance(types, list):
        return same
    told: Schema = {key: same.pop(key) for key in ("$defs", "description", "title") if key in same}
    if "enum" in same or "const" in same:
        del same["type"]
        return {**same, **told}
    return {"anyOf": [{**same, "type": kind} for kind in types], **told}


def _parts(schema: Mapping[str, Json]) -> Iterator[Json]:
    for key in ("properties", "$defs"):
        named = schema.get(key)
        yield from named.values() if isinstance(named, Mapping) else ()
    for key in _COMBINED:
        choices = schema.get(key)
        yield from choices if isinstance(choices, list) else ()
    if "items" in schema:
        yield schema["items"]
