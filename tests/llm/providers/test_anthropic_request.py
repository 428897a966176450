"""Requests as the Messages API takes them: checked against the types of the official SDK and by the stand-in."""

import json
from collections.abc import Iterable
from typing import get_type_hints

import pytest
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.models import KNOWN, traits
from pointsman.llm.types import (
    Message,
    Role,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS
from pointsman.sandbox.models.anthropic_messages.checks import check_message
from pointsman.sandbox.models.anthropic_messages.request import CreateMessage, read_request
from pointsman.sandbox.models.formats import ApiFault
from tests.llm.providers.anthropic_bodies import HELLO, body, dialogues, notes, of, text, user, written
from tests.llm.test_types import FEW

PARAMETERS = set(get_type_hints(MessageCreateParamsNonStreaming)) - {"stream"}
LOOK = ToolSpec(name="look")
EFFORTS = st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh", "max"])


def accepts(content: dict[str, Json], betas: Iterable[str]) -> str:
    """Why the service would refuse the body, as far as its parameters and its order go."""
    try:
        check_message(read_request(json.dumps(content).encode(), CreateMessage), list(betas), 0)
    except ApiFault as fault:
        return str(fault)
    return ""


@FEW
@given(dialogues(), st.sampled_from(sorted(MODELS)), EFFORTS, st.sampled_from(["auto", "none", "required", "look"]))
def test_the_service_takes_every_request(
    told: tuple[Message, ...], model: str, effort: str | None, choice: str
) -> None:
    sent = written(
        messages=told, model=model, reasoning_effort=effort, tools=(LOOK,), tool_choice=choice, max_tokens=9_000
    )
    assert accepts(sent.content, sent.betas) == ""


def test_whole_request_uses_parameters_that_exist() -> None:
    whole = body(
        max_tokens=500,
        temperature=1.0,
        seed=7,
        stop=("END",),
        reasoning_effort="high",
        tools=(LOOK,),
        response_schema={"type": "object", "properties": {"a": {"type": "string"}}},
        metadata={"a": "b"},
        user="ada",
        messages=(text_message(Role.SYSTEM, "Be brief."), HELLO),
    )
    assert set(whole) <= PARAMETERS
    assert whole["max_tokens"] == 500
    assert whole["stop_sequences"] == ["END"]
    assert whole["system"] == [text("Be brief.")]
    assert whole["output_config"] == {
        "effort": "high",
        "format": {
            "type": "json_schema",
            "schema": {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False},
        },
    }
    assert accepts(whole, ()) == ""


def test_what_the_api_does_not_take_is_left_out_with_a_note() -> None:
    told = notes(temperature=0.4, seed=7, stop=(" ",), metadata={"a": "b"})
    for name in ("temperature", "seed", "stop", "metadata"):
        assert f"{name} left out" in told


def test_limit_of_output_is_always_given() -> None:
    assert body()["max_tokens"] == 16_000
    assert "max_tokens 16,000: the API wants a limit" in notes()
    assert notes(max_tokens=50) == ""
    assert body(max_tokens=500_000)["max_tokens"] == 128_000
    assert "128,000 instead of 500,000" in notes(max_tokens=500_000)


def test_user_is_told_by_a_hash_only() -> None:
    assert (
        body(user="ada@fabrikam.example", tenant="fabrikam")["metadata"]
        != body(user="ada@fabrikam.example")["metadata"]
    )
    assert "fabrikam" not in json.dumps(body(user="ada@fabrikam.example", tenant="fabrikam"))


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "given", "note"),
    [
        ("claude-haiku-5-5", None, "adaptive", None, ""),
        ("claude-haiku-5-5", "none", "disabled", None, ""),
        ("claude-haiku-5-5", "minimal", "adaptive", "low", "'low' instead of 'minimal'"),
        ("claude-haiku-5-5", "max", "adaptive", "max", ""),
        ("claude-sonnet-5-5", "none", "between_tools", None, ""),
        ("claude-opus-5-5", "none", "adaptive", "low", "'low' instead of 'none'"),
        ("claude-opus-5-5", "xhigh", "adaptive", "xhigh", ""),
        ("claude-opus-4-6", None, None, None, ""),
        ("claude-opus-4-6", "none", None, None, ""),
        ("claude-opus-4-6", "xhigh", "adaptive", "high", "'high' instead of 'xhigh'"),
        ("claude-haiku-4-5-20251001", None, None, None, ""),
        ("claude-haiku-4-5", "none", None, None, ""),
        ("claude-haiku-4-5", "low", "enabled", None, ""),
        ("house-model", None, None, None, ""),
        ("house-model", "none", None, None, ""),
        ("house-model", "low", "adaptive", "low", ""),
    ],
)
def test_reasoning_as_the_model_takes_it(
    model: str, effort: str | None, thinking: str | None, given: str | None, note: str
) -> None:
    sent = written(model=model, reasoning_effort=effort, max_tokens=9_000)
    config, output = sent.content.get("thinking"), sent.content.get("output_config")
    assert (config["type"] if isinstance(config, dict) else None) == thinking
    assert (output["effort"] if isinstance(output, dict) else None) == given
    assert note in "; ".join(sent.notes)
    assert bool(note) is bool(sent.notes)
    if model in MODELS:
        assert accepts(sent.content, sent.betas) == ""


def test_every_model_of_the_stand_in_is_known_here() -> None:
    for name, model in MODELS.items():
        ours = traits(name)
        assert set(model.thinking) == ours.thinking
        assert (model.thinks_unasked, model.efforts) == (ours.thinks_unasked, ours.efforts)
        assert (model.system_between, model.binds_thinking) == (ours.system_between, ours.binds_thinking)
        assert model.output_max == ours.output_tokens_max
    assert traits("anthropic.claude-haiku-5-5") is KNOWN["haiku-5-5"]


def test_budget_of_reasoning_leaves_room_for_the_answer() -> None:
    limited = body(model="claude-haiku-4-5", reasoning_effort="max", max_tokens=2_000)["thinking"]
    assert limited == {"type": "enabled", "budget_tokens": 1_500, "display": "summarized"}
    assert "leaves no room" in notes(model="claude-haiku-4-5", reasoning_effort="low", max_tokens=1_000)


def test_reasoning_by_budget_waits_for_calls_that_began_without_it() -> None:
    call = of(Role.ASSISTANT, ToolCallPart(call_id="c", name="look"))
    result = of(Role.TOOL, ToolResultPart(call_id="c", text="dark"))
    told = {"model": "claude-haiku-4-5", "reasoning_effort": "low", "tools": (LOOK,)}
    assert "thinking" not in body(messages=(HELLO, call, result), **told)
    assert "began without reasoning" in notes(messages=(HELLO, call, result), **told)
    assert "thinking" in body(messages=(HELLO, call, result, text_message(Role.ASSISTANT, "So."), HELLO), **told)


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        ("auto", True, {"type": "auto"}),
        ("auto", False, {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", False, {"type": "none"}),
        ("required", True, {"type": "any"}),
        ("look", False, {"type": "tool", "name": "look", "disable_parallel_tool_use": True}),
    ],
)
def test_tool_choice(choice: str, parallel: bool, expected: Json) -> None:
    assert body(tools=(LOOK,), tool_choice=choice, parallel_tool_calls=parallel)["tool_choice"] == expected


@pytest.mark.parametrize(("choice", "words"), [("required", "one of the tools"), ("look", "the tool `look`")])
def test_forced_call_is_asked_for_in_words_where_it_is_refused(choice: str, words: str) -> None:
    sent = written(model="claude-opus-5-5", tools=(LOOK,), tool_choice=choice)
    assert sent.content["tool_choice"] == {"type": "auto"}
    told: Json = {"role": "system", "content": [text(f"Call {words} now.")]}
    assert sent.content["messages"] == [user(text("hello")), told]
    assert "asked for in words: claude-opus-5-5 refuses forced calls" in "; ".join(sent.notes)


def test_forced_call_excludes_reasoning_on_models_that_say_so() -> None:
    sent = written(model="claude-opus-5", tools=(LOOK,), tool_choice="required", reasoning_effort="high")
    assert sent.content["thinking"] == {"type": "disabled"}
    assert "a forced call of a tool excludes it" in "; ".join(sent.notes)


def test_calls_of_before_keep_their_definitions() -> None:
    call = of(Role.ASSISTANT, ToolCallPart(call_id="c", name="look"))
    found = body(messages=(HELLO, call, of(Role.TOOL, ToolResultPart(call_id="c", text="dark"))))
    assert found["tools"] == [{"name": "look", "input_schema": {"type": "object"}}]
    assert found["tool_choice"] == {"type": "none"}


def test_choices_at_the_top_of_a_tool_s_schema_stay_with_us() -> None:
    open_schema: dict[str, Json] = {"anyOf": [{"required": ["a"]}], "properties": {"a": {"type": "string"}}}
    [tool] = TypeAdapter(list[dict[str, object]]).validate_python(
        body(tools=(ToolSpec(name="f", parameters=open_schema),))["tools"]
    )
    assert tool["input_schema"] == {"type": "object", "properties": {"a": {"type": "string"}}}
