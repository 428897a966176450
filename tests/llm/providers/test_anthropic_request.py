"""Requests as the Messages API takes them: checked against the types of the official SDK and by the stand-in."""

import json
from collections.abc import Iterable
from typing import get_type_hints

import pytest
from anthropic.types import MessageParam, TextBlockParam
from anthropic.types.message_create_params import MessageCreateParamsNonStreaming
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.models import KNOWN, traits
from pointsman.llm.providers.anthropic.request import BINDING_BETA, Body, body_of
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    ProviderState,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.anthropic_messages.catalogue import MODELS
from pointsman.sandbox.models.anthropic_messages.checks import check_message
from pointsman.sandbox.models.anthropic_messages.request import CreateMessage, read_request
from pointsman.sandbox.models.formats import ApiFault
from tests.llm.test_types import json_objects, messages

PARAMETERS = set(get_type_hints(MessageCreateParamsNonStreaming)) - {"stream"}
MESSAGES: TypeAdapter[list[MessageParam]] = TypeAdapter(list[MessageParam])
SYSTEM: TypeAdapter[list[TextBlockParam]] = TypeAdapter(list[TextBlockParam])
HELLO = text_message(Role.USER, "hello")
LOOK = ToolSpec(name="look")
EFFORTS = st.sampled_from([None, "none", "minimal", "low", "medium", "high", "xhigh", "max"])


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "claude-haiku-5-5", "messages": (HELLO,), **fields})


def written(**fields: object) -> Body:
    return body_of(request(**fields), "anthropic")


def body(**fields: object) -> dict[str, Json]:
    return written(**fields).content


def notes(**fields: object) -> str:
    return "; ".join(written(**fields).notes)


def turns(*told: Message, model: str = "claude-haiku-5-5") -> list[Json]:
    found = body(messages=told, model=model)["messages"]
    assert isinstance(found, list)
    return found


def user(*blocks: Json) -> Json:
    return {"role": "user", "content": list(blocks)}


def assistant(*blocks: Json) -> Json:
    return {"role": "assistant", "content": list(blocks)}


def text(told: str, **more: Json) -> Json:
    return {"type": "text", "text": told, **more}


def of(role: Role, *parts: object, cache: bool = False) -> Message:
    return Message.model_validate({"role": role, "parts": parts, "cache": cache or None})


def accepts(content: dict[str, Json], betas: Iterable[str]) -> str:
    """Why the service would refuse the body, as far as its parameters and its order go."""
    try:
        check_message(read_request(json.dumps(content).encode(), CreateMessage), list(betas), 0)
    except ApiFault as fault:
        return str(fault)
    return ""


@given(st.lists(messages, min_size=1, max_size=4))
def test_any_conversation_is_of_the_published_shape(conversation: list[Message]) -> None:
    found = body(messages=tuple(conversation))
    MESSAGES.validate_python(found["messages"])
    SYSTEM.validate_python(found.get("system", []))


@given(st.lists(messages, min_size=1, max_size=4))
def test_no_text_is_lost_on_the_way(conversation: list[Message]) -> None:
    sent = json.dumps(body(messages=tuple(conversation)), ensure_ascii=False)
    for message in conversation:
        for part in message.parts:
            if isinstance(part, TextPart) and part.text.strip():
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in sent


calls = st.lists(st.text(max_size=6), min_size=1, max_size=2, unique=True)
said = st.text(min_size=1, max_size=8).map(lambda told: text_message(Role.USER, told))


@st.composite
def dialogues(draw: st.DrawFn) -> tuple[Message, ...]:
    """Conversations in which each call has its result, as ours have."""
    told: list[Message] = draw(st.lists(said | st.just(text_message(Role.SYSTEM, "Be brief.")), max_size=2))
    for ids in draw(st.lists(calls, max_size=3)):
        told.append(text_message(Role.USER, "Look."))
        told.append(
            of(Role.ASSISTANT, *(ToolCallPart(call_id=name, name="look", arguments=draw(json_objects)) for name in ids))
        )
        told += [
            of(Role.TOOL, ToolResultPart(call_id=name, name="look", text=draw(st.text(max_size=3)))) for name in ids
        ]
        told += draw(st.lists(said | st.just(text_message(Role.SYSTEM, "Hush.")), max_size=2))
        told.append(text_message(Role.ASSISTANT, "Seen."))
    return (*told, HELLO)


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


def test_results_stand_first_and_in_one_turn() -> None:
    call = of(Role.ASSISTANT, ToolCallPart(call_id="a", name="f"), ToolCallPart(call_id="b", name="f"))
    one = of(Role.TOOL, ToolResultPart(call_id="a", text="x", data={"n": 1}, images=(ImagePart(data=b"p"),)))
    other = of(Role.TOOL, ToolResultPart(call_id="b", text="", is_error=True))
    found = turns(HELLO, call, one, text_message(Role.USER, "Quick!"), other)
    assert found[-1] == user(
        {
            "type": "tool_result",
            "tool_use_id": "a",
            "content": [
                text('x\n{"n":1}'),
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "cA=="}},
            ],
        },
        {"type": "tool_result", "tool_use_id": "b", "is_error": True},
        text("Quick!"),
    )


def test_ids_of_others_are_made_acceptable_and_stay_paired() -> None:
    def round_of(call_id: str) -> tuple[Message, Message]:
        call = of(Role.ASSISTANT, ToolCallPart(call_id=call_id, name="a.b/c"))
        return call, of(Role.TOOL, ToolResultPart(call_id=call_id, text="seen"))

    found = turns(HELLO, *round_of("call/1"), *round_of("call/1"), *round_of("x" * 90), *round_of("c"), *round_of("c"))
    shown = TypeAdapter(list[dict[str, list[dict[str, object]] | str]]).validate_python(found)
    blocks = [block for turn in shown for block in turn["content"] if isinstance(block, dict)]
    asked = [block["id"] for block in blocks if block["type"] == "tool_use"]
    answered = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
    assert asked == answered
    assert len(set(asked)) == 5
    assert asked[-2:] == ["c", "c_2"]
    assert {block["name"] for block in blocks if block["type"] == "tool_use"} == {"a_b_c"}


def test_arguments_that_were_no_json_go_back_in_their_wrapper() -> None:
    broken = ToolCallPart(call_id="c", name="f", raw_arguments='{"at": "the sk', invalid="the arguments are not JSON")
    whole = ToolCallPart(call_id="d", name="f", raw_arguments='{"at": 1}')
    [_, said_before, _] = turns(HELLO, of(Role.ASSISTANT, broken, whole))
    assert said_before == assistant(
        {"type": "tool_use", "id": "c", "name": "f", "input": {"INVALID_JSON": '{"at": "the sk'}},
        {"type": "tool_use", "id": "d", "name": "f", "input": {"at": 1}},
    )


def sealed(told: str, **data: Json) -> ReasoningPart:
    state = ProviderState(provider="anthropic", data={"type": "thinking", **data})
    return ReasoningPart(text=told, signature="" if data else "c2VhbA==", provider_state=state)


def test_own_reasoning_goes_back_as_it_came_and_foreign_reasoning_does_not() -> None:
    foreign = ReasoningPart(text="hm", signature="x", provider_state=ProviderState(provider="openai", data={"id": "r"}))
    secret = sealed("", type="redacted_thinking", data="b3BhcXVl")
    told = (HELLO, of(Role.ASSISTANT, sealed("Is it?"), foreign, secret, TextPart(text="Yes.")), HELLO)
    assert turns(*told)[1] == assistant(
        {"type": "thinking", "thinking": "Is it?", "signature": "c2VhbA=="},
        {"type": "redacted_thinking", "data": "b3BhcXVl"},
        text("Yes."),
    )


def test_reasoning_that_no_longer_fits_is_to_be_dropped_not_refused() -> None:
    told = (HELLO, of(Role.ASSISTANT, sealed("Is it?"), TextPart(text="Yes.")), HELLO)
    sent = written(messages=told)
    assert sent.headers == {"anthropic-beta": BINDING_BETA}
    thinking = sent.content["thinking"]
    assert isinstance(thinking, dict)
    assert thinking["block_binding"] == {"prefix_mismatch_behavior": "drop_block"}
    assert written(messages=told, model="claude-opus-5").headers == {}
    assert written().headers == {}


def test_reasoning_without_an_answer_is_left_out() -> None:
    told = (HELLO, of(Role.ASSISTANT, sealed("Is it?")), HELLO)
    assert turns(*told) == [user(text("hello"), text("hello"))]
    assert "led to no answer" in notes(messages=told)


def test_instructions_in_the_middle_stay_there_where_the_model_takes_them() -> None:
    told = (HELLO, text_message(Role.SYSTEM, "Be brief."), HELLO, text_message(Role.ASSISTANT, "So."), HELLO)
    hush = {"role": "system", "content": [text("Be brief.")]}
    both = user(text("hello"), text("hello"))
    assert turns(*told) == [both, hush, assistant(text("So.")), user(text("hello"))]
    assert turns(*told, model="claude-haiku-4-5")[0] == user(text("hello"), text("hello"), text("Be brief."))
    assert "went as the user's words" in notes(messages=told, model="claude-haiku-4-5")


def test_conversation_begins_and_ends_with_the_user() -> None:
    told = (text_message(Role.ASSISTANT, "Well."), HELLO, text_message(Role.ASSISTANT, "I was"))
    assert turns(*told) == [
        user(text("Go on.")),
        assistant(text("Well.")),
        user(text("hello")),
        assistant(text("I was")),
        user(text("Go on.")),
    ]
    assert notes(messages=told).count("'Go on.' added") == 2
    assert turns(text_message(Role.SYSTEM, "Be brief.")) == [user(text("Be brief."))]


def test_documents_and_images() -> None:
    parts = (
        ImagePart(url="https://x.example/a.jpg"),
        ImagePart(data=b"x", media_type="image/tiff"),
        DocumentPart(data=b"%PDF", name="plan.pdf"),
        DocumentPart(url="https://x.example/a.pdf"),
        DocumentPart(data="é".encode(), media_type="text/markdown"),
        DocumentPart(data=b"\xff", media_type="application/zip", name="a.zip"),
    )
    assert turns(of(Role.USER, *parts)) == [
        user(
            {"type": "image", "source": {"type": "url", "url": "https://x.example/a.jpg"}},
            text("[image of type 'image/tiff': cannot be shown to you]"),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                "title": "plan.pdf",
            },
            {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}},
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "é"}},
            text("[document 'a.zip' of type 'application/zip': cannot be shown to you]"),
        )
    ]
    assert notes(messages=(of(Role.USER, *parts),)).count("left out: the API takes none of type") == 2


def test_parts_that_have_no_place_are_noted() -> None:
    told = (of(Role.SYSTEM, ImagePart(data=b"x")), of(Role.USER, RefusalPart(text="No."), ReasoningPart(text="hm")))
    assert turns(*told) == [user(text("No."))]
    assert "image left out: the API takes none in instructions" in notes(messages=told)
    answer = of(Role.ASSISTANT, DocumentPart(data=b"x"), RefusalPart(text="No."))
    assert turns(HELLO, answer, HELLO)[1] == assistant(text("No."))


def test_cache_is_marked_at_most_four_times() -> None:
    told = [text_message(Role.SYSTEM, "Rules."), HELLO, text_message(Role.ASSISTANT, "So.")] * 2
    marked = tuple(message.model_copy(update={"cache": True}) for message in told)
    found = body(messages=(*marked, HELLO))
    assert json.dumps(found).count("cache_control") == 4
    assert found["system"] == [text("Rules.", cache_control={"type": "ephemeral"})]
    thought = of(Role.ASSISTANT, TextPart(text="Yes."), sealed("hm"), cache=True)
    assert turns(HELLO, thought, HELLO)[1] == assistant(text("Yes.", cache_control={"type": "ephemeral"}))


def test_more_of_a_conversation_only_adds_to_it() -> None:
    call = of(Role.ASSISTANT, sealed("Is it?"), ToolCallPart(call_id="a/b", name="f"))
    result = of(Role.TOOL, ToolResultPart(call_id="a/b", text="dark"))
    told = (HELLO, call, result)
    assert turns(*told, text_message(Role.ASSISTANT, "So."), HELLO)[:3] == turns(*told)
