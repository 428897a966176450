"""Conversations as the Messages API takes them: nothing is lost, and what it would refuse is made acceptable."""

import json

from anthropic.types import MessageParam, TextBlockParam
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from pointsman.llm.providers.anthropic.thinking import BINDING_BETA
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    Message,
    ProviderState,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    text_message,
)
from tests.llm.providers.anthropic_bodies import (
    HELLO,
    assistant,
    body,
    dialogues,
    notes,
    of,
    text,
    turns,
    user,
    written,
)
from tests.llm.test_types import FEW, messages

MESSAGES: TypeAdapter[list[MessageParam]] = TypeAdapter(list[MessageParam])
SYSTEM: TypeAdapter[list[TextBlockParam]] = TypeAdapter(list[TextBlockParam])


@FEW
@given(st.lists(messages, min_size=1, max_size=4))
def test_any_conversation_is_of_the_published_shape(conversation: list[Message]) -> None:
    found = body(messages=tuple(conversation))
    MESSAGES.validate_python(found["messages"])
    SYSTEM.validate_python(found.get("system", []))


@FEW
@given(st.lists(messages, min_size=1, max_size=4))
def test_no_text_is_lost_on_the_way(conversation: list[Message]) -> None:
    sent = json.dumps(body(messages=tuple(conversation)), ensure_ascii=False)
    for message in conversation:
        for part in message.parts:
            if isinstance(part, TextPart) and part.text.strip():
                assert json.dumps(part.text, ensure_ascii=False)[1:-1] in sent


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


@FEW
@given(dialogues())
def test_any_conversation_that_goes_on_leaves_its_past_as_it_was(told: tuple[Message, ...]) -> None:
    past = turns(*told)
    assert turns(*told, text_message(Role.ASSISTANT, "So."), HELLO)[: len(past)] == past
