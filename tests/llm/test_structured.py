"""JSON that a model wrote is either read whole or refused with a reason; it never breaks us."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.domain.answers import ANSWER_SCHEMA
from pointsman.llm.structured import allows_strict, clean, cleaned, read_arguments

texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=5)


@given(st.text())
def test_any_text_is_read_or_explained(raw: str) -> None:
    arguments, invalid = read_arguments(raw)
    assert not (arguments and invalid)
    if raw.strip() and not invalid:
        assert json.loads(raw) == arguments


@given(st.dictionaries(texts, st.integers() | texts | st.none(), max_size=4))
def test_objects_are_read(value: dict[str, Json]) -> None:
    assert read_arguments(json.dumps(value)) == (value, "")


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ('{"text": "chec', "not JSON"),
        ("[1]", "no JSON object"),
        ('"text"', "no JSON object"),
        ('{"a": NaN}', "NaN is not JSON"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "cannot be read"),
        ('{"a": ' + "9" * 5_000 + "}", "cannot be read"),
    ],
)
def test_arguments_that_cannot_be_used_say_why(raw: str, reason: str) -> None:
    arguments, invalid = read_arguments(raw)
    assert arguments == {}
    assert reason in invalid


def test_arguments_can_always_be_stored() -> None:
    assert read_arguments('{"a": ["\\ud800", "\\ud83d\\ude00"]}') == ({"a": ["\ufffd", "😀"]}, "")


def test_no_arguments_are_an_empty_object() -> None:
    assert read_arguments(" ") == ({}, "")


def test_lone_surrogates_and_nul_are_replaced_and_pairs_kept() -> None:
    assert clean("a\ud800b\x00") == "a\ufffdb\ufffd"
    assert clean("\ud83d\ude00 é") == "😀 é"
    assert cleaned({"k": ["\udfff", 1, None, math.inf]}) == {"k": ["\ufffd", 1, None, None]}


def test_the_answer_that_agents_are_asked_for_is_strict() -> None:
    assert allows_strict(ANSWER_SCHEMA)


CLOSED: dict[str, Json] = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("change", "strict"),
    [
        ({}, True),
        ({"required": []}, False),
        ({"additionalProperties": True}, False),
        ({"type": "array"}, False),
        ({"anyOf": [{"type": "object"}]}, False),
        ({"allOf": []}, False),
        ({"properties": {"a": CLOSED}}, True),
        ({"properties": {"a": {"type": "object", "properties": {}}}}, False),
        ({"properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({"properties": {"a": {"type": "array", "items": {"oneOf": []}}}}, False),
        ({"properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}}, True),
        ({"properties": {"a": {"anyOf": [{"not": {}}]}}}, False),
        ({"properties": {"a": True}}, False),
        ({"properties": []}, False),
        ({"$defs": {"x": {"type": "object", "properties": {"b": {}}, "required": []}}}, False),
    ],
)
def test_strict_mode_is_asked_for_only_where_it_holds(change: dict[str, Json], strict: bool) -> None:
    assert allows_strict({**CLOSED, **change}) is strict
