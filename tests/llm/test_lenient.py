"""What others write is read for what it is worth, and checked against what it should be."""

from datetime import date

import pytest

from pointsman.contracts.base import Json
from pointsman.llm.estimates import estimate_tokens
from pointsman.llm.lenient import count_of, date_of, flags_of, object_of, objects, text_of
from pointsman.llm.schemas import violation
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    ReasoningPart,
    Role,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)

HELLO = text_message(Role.USER, "hello")


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-12-11", date(2026, 12, 11)),
        ("2026-12-11T08:00:00Z", date(2026, 12, 11)),
        (1_797_000_000, date(2026, 12, 11)),
        (1_797_000_000.5, date(2026, 12, 11)),
        ("soon", None),
        (True, None),
        (1e300, None),
        (None, None),
        ([], None),
    ],
)
def test_days_are_read_from_names_and_seconds(value: Json, day: date | None) -> None:
    assert date_of({"at": value}, "at") == day


def test_what_is_of_another_kind_is_as_if_it_were_not_there() -> None:
    odd: dict[str, Json] = {"n": True, "t": 3, "o": [], "l": {"a": 1}, "many": [1, {"a": 1}, None], "minus": -4}
    assert count_of(odd, "n") == count_of(odd, "t2") == count_of(odd, "minus") == 0
    assert count_of(odd, "t") == 3
    assert text_of(odd, "t") == ""
    assert object_of(odd, "o") == {}
    assert list(objects(odd["l"])) == []
    assert list(objects(odd["many"])) == [{"a": 1}]


SCHEMA: dict[str, Json] = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}


@pytest.mark.parametrize(
    ("schema", "value", "told"),
    [
        (SCHEMA, {"at": "x"}, ""),
        (SCHEMA, {"at": 3}, "at: 3 is not of type 'string'"),
        (SCHEMA, {}, "the whole: 'at' is a required property"),
        ({"type": "nonsense"}, {}, ""),
        ({"$ref": "https://elsewhere.example/schema.json"}, {}, "its schema cannot be applied"),
        ({"$ref": "#/$defs/none"}, {}, "its schema cannot be applied"),
    ],
)
def test_a_violation_says_where_and_how(schema: dict[str, Json], value: Json, told: str) -> None:
    found = violation(schema, value)
    assert found.startswith(told)
    assert bool(found) == bool(told)


def test_every_part_of_a_request_counts() -> None:
    plain = LLMRequest(messages=(HELLO,))
    call = ToolCallPart(call_id="c", name="look", arguments={"at": "here"})
    result = ToolResultPart(call_id="c", text="dark", data={"lamp": False}, images=(ImagePart(data=b"x"),))
    richer = [
        plain.model_copy(update={"tools": (ToolSpec(name="look", description="Look."),)}),
        plain.model_copy(update={"response_schema": SCHEMA}),
        *(
            plain.model_copy(update={"messages": (HELLO, Message(role=Role.USER, parts=(part,)))})
            for part in (
                ImagePart(url="https://x.example/y.png"),
                DocumentPart(data=b"%PDF" * 4_000),
                ReasoningPart(text="hm"),
                call,
                result,
            )
        ),
    ]
    base = estimate_tokens(plain)
    assert all(estimate_tokens(request) > base for request in richer)


def test_an_estimate_is_rather_too_high() -> None:
    # o200k makes 10 tokens of the first and 9 of the second sentence.
    for text, tokens in (("The quick brown fox jumps over the lazy dog.", 10), ("Zwölf Boxkämpfer jagen Viktor.", 9)):
        assert estimate_tokens(LLMRequest(messages=(text_message(Role.USER, text),))) > tokens


def test_a_result_of_text_and_json_is_both() -> None:
    assert ToolResultPart(call_id="c", text="two", data=[1, 2]).content == "two\n[1,2]"
    assert ToolResultPart(call_id="c", text="", data={"a": "é"}).content == '{"a":"é"}'
    assert ToolResultPart(call_id="c", text="plain").content == "plain"


def test_abilities_are_told_where_the_provider_tells_them_and_nowhere_else() -> None:
    listed: dict[str, Json] = {"vision": True, "pdf": {"supported": False}, "tools": "yes", "thinking": {}}
    names = {"images": "vision", "documents": "pdf", "tools": "tools", "reasoning": "thinking", "schema": "json"}
    assert flags_of(listed, names) == {"images": True, "documents": False}
