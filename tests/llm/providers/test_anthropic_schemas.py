"""Schemas for Anthropic's structured output: what can be said is closed, what cannot is asked for in words."""

import json

import pytest
from hypothesis import given

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.request import body_of
from pointsman.llm.providers.anthropic.schemas import format_schema
from pointsman.llm.types import LLMRequest, Role, text_message
from pointsman.sandbox.models.anthropic_messages.checks import check_message
from pointsman.sandbox.models.anthropic_messages.request import CreateMessage, read_request
from tests.llm.test_types import FEW, json_objects
from tests.sandbox.models.scene import OUTCOME

STRING: Json = {"type": "string"}
NODE: Json = {"type": "object", "properties": {"next": {"$ref": "#/$defs/node"}}}


def closed(**properties: Json) -> dict[str, Json]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object", "properties": {"a": STRING}, "required": ["a"]}, {**closed(a=STRING), "required": ["a"]}),
        (
            {"type": ["string", "null"], "description": "Who."},
            {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Who."},
        ),
        ({"type": ["string", "null"], "enum": ["a", None]}, {"enum": ["a", None]}),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "description": "{minimum: 1}"}),
        ({"type": "array", "items": {"oneOf": [STRING]}}, {"type": "array", "items": {"anyOf": [STRING]}}),
        (
            {"$ref": "#/$defs/who", "$defs": {"who": STRING}},
            {"$ref": "#/$defs/who", "$defs": {"who": STRING}},
        ),
    ],
)
def test_schema_as_the_format_takes_it(schema: dict[str, Json], expected: Json) -> None:
    assert format_schema(schema) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "object", "additionalProperties": STRING}}},
        {"type": "object", "properties": {"a": STRING}, "patternProperties": {"^b": STRING}},
        {"type": "array", "items": True},
        {"$ref": "#/$defs/node", "$defs": {"node": NODE}},
        {"type": "array", "items": {"$ref": "https://x.example/schema"}},
        {"type": "array", "items": {"$ref": "#/$defs/missing"}},
        {"type": "hologram"},
    ],
)
def test_what_the_format_cannot_say_is_asked_for_in_words(schema: dict[str, Json]) -> None:
    assert format_schema(schema) is None
    request = LLMRequest(
        model="claude-haiku-5-5", messages=(text_message(Role.USER, "hello"),), response_schema=schema, max_tokens=99
    )
    sent = body_of(request, "anthropic")
    assert "output_config" not in sent.content
    assert json.dumps(json.dumps(schema, sort_keys=True))[1:-1] in json.dumps(sent.content["messages"])
    assert sent.notes == ("response_schema asked for in words: the API's format cannot say it",)


@FEW
@given(json_objects)
def test_any_schema_is_said_or_not(schema: dict[str, Json]) -> None:
    assert format_schema(schema) is None or isinstance(format_schema(schema), dict)


def test_schema_of_an_outcome_is_taken_by_the_service() -> None:
    schema = json.loads(json.dumps(OUTCOME))
    request = LLMRequest(model="claude-haiku-5-5", messages=(text_message(Role.USER, "hi"),), response_schema=schema)
    sent = body_of(request, "anthropic")
    assert "output_config" in sent.content
    check_message(read_request(json.dumps(sent.content).encode(), CreateMessage), (), 0)
