"""Requests as GenerateContent takes them: every body is checked against the types of the official SDK."""

import json
from base64 import b64decode
from collections.abc import Iterator, Mapping

import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from pointsman.contracts.base import Json
from pointsman.llm.lenient import object_of, objects, text_of
from pointsman.llm.providers.gemini.contents import FOREIGN_SIGNATURE, wire_name
from pointsman.llm.providers.gemini.request import body_of, wire_names
from pointsman.llm.providers.gemini.traits import traits_of
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    Message,
    ProviderState,
    ReasoningEffort,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from tests.llm.test_types import FEW, messages

FLASH, OLDER = "gemini-3.8-flash", "gemini-2.5-flash"
HELLO = text_message(Role.USER, "hello")
LOOK = ToolSpec(name="look", description="Look.", parameters={"type": "object", "properties": {"at": {}}})


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": FLASH, "messages": (HELLO,), **fields})


def body(**fields: object) -> Mapping[str, Json]:
    return body_of(request(**fields), "gemini").content


def settings(**fields: object) -> Mapping[str, Json]:
    return object_of(body(**fields), "generationConfig")


def notes(**fields: object) -> str:
    return "; ".join(body_of(request(**fields), "gemini").notes)


def turns(*told: Message, model: str = FLASH) -> list[Mapping[str, Json]]:
    return list(objects(body(messages=told, model=model)["contents"]))


def parts(content: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return list(objects(content.get("parts")))


def all_parts(whole: Mapping[str, Json]) -> Iterator[Mapping[str, Json]]:
    for content in (object_of(whole, "systemInstruction"), *objects(whole["contents"])):
        yield from parts(content)


def own(**data: str) -> ProviderState:
    return ProviderState(provider="gemini", data=dict(data))


def said(*told: object) -> Message:
    return Message.model_validate({"role": "assistant", "parts": told})


def results(*told: ToolResultPart) -> Message:
    return Message(role=Role.TOOL, parts=told)


def check_shape(whole: Mapping[str, Json]) -> None:
    """Raises where a field is none of the published ones."""
    for content in objects(whole["contents"]):
        types.Content.model_validate(content)
        assert content["role"] in ("user", "model")
        assert content["parts"]
    known = {"contents", "generationConfig", "store", "tools", "toolConfig", "systemInstruction", "labels"}
    assert set(whole) <= known
    rest = {key: whole[key] for key in ("systemInstruction", "tools", "toolConfig", "labels", "store") if key in whole}
    types.GenerateContentConfig.model_validate({**rest, **object_of(whole, "generationConfig")})


@FEW
@given(st.lists(messages, min_size=1, max_size=4), st.sampled_from([FLASH, OLDER, "gemma-4-27b"]))
def test_any_conversation_is_of_the_published_shape(conversation: list[Message], model: str) -> None:
    check_shape(body(messages=tuple(conversation), model=model))


@FEW
@given(messages, st.sampled_from([FLASH, OLDER]))
def test_any_message_goes_without_losing_a_part(message: Message, model: str) -> None:
    wired = list(all_parts(body(messages=(message,), model=model)))
    texts = [text_of(part, "text") for part in wired if "text" in part]
    blobs = [object_of(part, "inlineData") for part in wired if "inlineData" in part]
    answers = [object_of(part, "functionResponse") for part in wired if "functionResponse" in part]
    blobs += [object_of(part, "inlineData") for answer in answers for part in objects(answer.get("parts"))]
    data = [b64decode(text_of(blob, "data")) for blob in blobs]
    calls = [object_of(part, "functionCall") for part in wired if "functionCall" in part]
    for part in message.parts:
        match part:
            case TextPart() | RefusalPart():
                assert not part.text or part.text in texts
            case ImagePart() | DocumentPart() if part.data:
                assert part.data in data
            case ToolCallPart():
                assert wire_name(part.name) in [text_of(call, "name") for call in calls]
                assert part.arguments in [object_of(call, "args") for call in calls] or not part.arguments
            case ToolResultPart() if message.role is not Role.ASSISTANT and message.role is not Role.SYSTEM:
                told = [value for answer in answers for value in object_of(answer, "response").values()]
                assert part.content in told or part.data in told
                assert all(image.data in data for image in part.images or ())


def test_whole_request_uses_fields_that_exist() -> None:
    whole = body(
        messages=(text_message(Role.SYSTEM, "Be brief."), HELLO),
        max_tokens=500,
        temperature=1.0,
        reasoning_effort=ReasoningEffort.HIGH,
        tools=(LOOK,),
        response_schema={"type": "object"},
        metadata={"item": "7"},
        trace_id="t1",
        seed=7,
        stop=("END",),
    )
    check_shape(whole)
    assert whole["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert whole["store"] is False, "projects of today keep what does not say so"
    assert whole["labels"] == {"item": "7", "trace_id": "t1"}
    assert object_of(whole, "generationConfig") == {
        "maxOutputTokens": 500,
        "stopSequences": ["END"],
        "seed": 7,
        "thinkingConfig": {"includeThoughts": True, "thinkingLevel": "HIGH"},
        "responseMimeType": "application/json",
        "responseJsonSchema": {"type": "object"},
    }


@pytest.mark.parametrize(
    ("model", "is_third", "thinks", "minimal", "ignores"),
    [
        ("gemini-3.8-flash", True, True, False, True),
        ("models/gemini-3.7-flash", True, True, False, True),
        ("gemini-3.6-flash", True, True, True, True),
        ("gemini-3.5-flash-lite", True, True, True, True),
        ("gemini-3.5-flash", True, True, True, False),
        ("gemini-3.1-pro-preview", True, True, False, False),
        ("gemini-4-argon", True, True, False, True),
        ("gemini-flash-latest", True, True, False, True),
        ("gemini-3.8-flash-tts", True, False, False, True),
        ("gemini-2.5-pro", False, True, False, False),
        ("gemini-2.0-flash", False, False, False, False),
        ("gemma-4-27b", False, False, False, False),
    ],
)
def test_what_a_model_takes_is_told_by_its_name(
    model: str, is_third: bool, thinks: bool, minimal: bool, ignores: bool
) -> None:
    traits = traits_of(model)
    assert (traits.is_third, traits.thinks) == (is_third, thinks)
    assert (traits.has_minimal_thinking, traits.ignores_sampling) == (minimal, ignores)


def test_temperature_reaches_models_that_heed_it() -> None:
    assert settings(temperature=0.2, model=OLDER)["temperature"] == 0.2
    assert "temperature" not in settings(temperature=0.2)
    assert "temperature left out: gemini-3.8-flash passes it over" in notes(temperature=0.2)


def test_limits_of_the_settings_are_kept() -> None:
    assert settings(stop=tuple("abcdefg"))["stopSequences"] == list("abcde")
    assert "2 of 7 stops left out: at most 5" in notes(stop=tuple("abcdefg"))
    assert "seed" not in settings(seed=2**31)
    assert "it has more than 32 bits" in notes(seed=2**31)


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "note"),
    [
        (FLASH, None, {}, ""),
        (FLASH, "low", {"thinkingLevel": "LOW"}, ""),
        (FLASH, "none", {"thinkingLevel": "LOW"}, "reasoning_effort none became low"),
        (FLASH, "max", {"thinkingLevel": "HIGH"}, "reasoning_effort max became high"),
        ("gemini-3.5-flash-lite", "none", {"thinkingLevel": "MINIMAL"}, "reasoning_effort none became minimal"),
        ("gemini-3.5-flash-lite", "minimal", {"thinkingLevel": "MINIMAL"}, ""),
        (OLDER, "none", {"thinkingBudget": 0}, ""),
        (OLDER, "medium", {"thinkingBudget": 8_192}, ""),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128}, "gemini-2.5-pro always reasons"),
    ],
)
def test_effort_becomes_what_the_model_takes(
    model: str, effort: str | None, thinking: dict[str, Json], note: str
) -> None:
    found = object_of(settings(model=model, reasoning_effort=effort), "thinkingConfig")
    assert found == {"includeThoughts": True, **thinking}
    assert note in notes(model=model, reasoning_effort=effort)
    assert bool(note) is bool(notes(model=model, reasoning_effort=effort))


def test_model_that_does_not_reason_is_not_asked_to() -> None:
    assert settings(model="gemma-4-27b", reasoning_effort="high") == {}
    assert "gemma-4-27b does not reason" in notes(model="gemma-4-27b", reasoning_effort="high")


def test_schema_beside_functions_is_asked_for_in_the_prompt_of_older_models() -> None:
    schema = {"type": "object", "title": "Answer"}
    whole = body(model=OLDER, tools=(LOOK,), response_schema=schema)
    assert "responseJsonSchema" not in object_of(whole, "generationConfig")
    assert json.dumps(schema) in json.dumps(whole["systemInstruction"]).replace('\\"', '"')
    assert "gemini-2.5-flash takes none beside functions" in notes(model=OLDER, tools=(LOOK,), response_schema=schema)
    assert settings(model=OLDER, response_schema=schema)["responseJsonSchema"] == schema


@pytest.mark.parametrize(
    ("choice", "calling"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ("look", {"mode": "ANY", "allowedFunctionNames": ["look"]}),
    ],
)
def test_choice_of_tools(choice: str, calling: Json) -> None:
    assert object_of(body(tools=(LOOK,), tool_choice=choice), "toolConfig") == {"functionCallingConfig": calling}


def test_one_call_at_a_time_cannot_be_asked_for() -> None:
    assert "GenerateContent has no such switch" in notes(tools=(LOOK,), parallel_tool_calls=False)
    assert notes(parallel_tool_calls=False) == ""


def test_names_that_the_api_refuses_are_changed_and_changed_back() -> None:
    tool = ToolSpec(name="2nd-look")
    [declared] = objects(next(objects(body(tools=(tool,))["tools"]))["functionDeclarations"])
    assert declared["name"] == "_2nd-look"
    assert wire_names(request(tools=(tool,))) == {"_2nd-look": "2nd-look"}
    assert wire_name("größe/1") == "gr__e_1"
    assert wire_name("") == "_"


def test_metadata_that_fits_no_label_is_left_out_with_a_note() -> None:
    pairs = {"work_item": "fabrikam/rail/7", "Team": "rail", "item": "7", "empty": ""}
    assert body(metadata=pairs)["labels"] == {"item": "7"}
    assert "3 of 4 metadata pairs left out" in notes(metadata=pairs)
    assert "labels" not in body(metadata={"A": "B"})


def test_system_prompts_are_one_instruction_and_a_late_one_is_noted() -> None:
    told = (text_message(Role.SYSTEM, "Be brief."), HELLO, text_message(Role.SYSTEM, "Be kind."))
    assert body(messages=told)["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert "a system message within the conversation went into the system instruction" in notes(messages=told)
    assert notes(messages=told[:2]) == ""


def test_system_prompt_alone_goes_as_the_user_s() -> None:
    alone = (text_message(Role.SYSTEM, "Say hello."),)
    whole = body(messages=alone)
    assert whole["contents"] == [{"role": "user", "parts": [{"text": "Say hello."}]}]
    assert "systemInstruction" not in whole
    assert "the system prompt went as the user's" in notes(messages=alone)


def test_media_goes_inline_or_by_url() -> None:
    told = Message(
        role=Role.USER,
        parts=(
            ImagePart(data=b"\x89PNG"),
            ImagePart(url="https://x.example/a.jpg", media_type="image/jpeg"),
            DocumentPart(data=b"%PDF", name="plan.pdf"),
        ),
    )
    [turn] = turns(told)
    assert parts(turn) == [
        {"inlineData": {"mimeType": "image/png", "data": "iVBORw=="}},
        {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a.jpg"}},
        {"text": "File plan.pdf:"},
        {"inlineData": {"mimeType": "application/pdf", "data": "JVBERg=="}},
    ]


def test_results_are_one_turn_in_the_order_of_their_calls() -> None:
    called = said(ToolCallPart(call_id="a", name="look"), ToolCallPart(call_id="b", name="look"))
    told = turns(
        HELLO,
        called,
        results(ToolResultPart(call_id="b", text="second")),
        results(ToolResultPart(call_id="a", text="no such place", is_error=True)),
        text_message(Role.USER, "So?"),
    )
    assert [turn["role"] for turn in told] == ["user", "model", "user", "user"]
    answers = [object_of(part, "functionResponse") for part in parts(told[2])]
    assert [answer["response"] for answer in answers] == [{"error": "no such place"}, {"output": "second"}]
    assert {answer["name"] for answer in answers} == {"look"}, "the name is known from the call"


def test_results_of_one_message_follow_their_calls() -> None:
    called = said(ToolCallPart(call_id="a", name="look"), ToolCallPart(call_id="b", name="find"))
    told = results(ToolResultPart(call_id="b", text="2", data=[2]), ToolResultPart(call_id="a", text="", data={"n": 1}))
    [_, _, turn] = turns(HELLO, called, told)
    assert [object_of(part, "functionResponse") for part in parts(turn)] == [
        {"id": "a", "name": "look", "response": {"output": {"n": 1}}},
        {"id": "b", "name": "find", "response": {"output": "2\n[2]"}},
    ]


def test_image_of_a_result_goes_inside_it_or_after_it() -> None:
    called = said(ToolCallPart(call_id="a", name="look"))
    told = results(ToolResultPart(call_id="a", text="see", images=(ImagePart(data=b"x"),)))
    blob = {"inlineData": {"mimeType": "image/png", "data": "eA=="}}
    [*_, third] = turns(HELLO, called, told)
    assert object_of(parts(third)[0], "functionResponse")["parts"] == [blob]
    other = results(ToolResultPart(call_id="b", text="too"))
    [*_, result, shown] = turns(HELLO, called, told, other, model=OLDER)
    assert [object_of(part, "functionResponse").get("parts") for part in parts(result)] == [None, None]
    assert parts(shown) == [blob]
    assert [turn["role"] for turn in turns(HELLO, called, told, HELLO, model=OLDER)] == [
        "user",
        "model",
        "user",
        "user",
        "user",
    ]


def test_signatures_go_back_with_the_part_that_they_came_with() -> None:
    call = ToolCallPart(call_id="x1", name="look", provider_state=own(id="x1", thoughtSignature="c2ln"))
    told = said(
        ReasoningPart(text="A summary for people."),
        ReasoningPart(text="hm", provider_state=own(thoughtSignature="dGhv")),
        TextPart(text="I look."),
        TextPart(text="", provider_state=own(thoughtSignature="dGV4")),
        call,
    )
    [turn] = turns(told)
    assert parts(turn) == [
        {"text": "hm", "thought": True, "thoughtSignature": "dGhv"},
        {"text": "I look."},
        {"text": "", "thoughtSignature": "dGV4"},
        {"functionCall": {"id": "x1", "name": "look", "args": {}}, "thoughtSignature": "c2ln"},
    ]


def test_calls_of_other_models_get_the_signature_that_stands_for_them() -> None:
    foreign = ProviderState(provider="anthropic", data={"id": "toolu_1"})
    calls = [ToolCallPart(call_id=f"c/{number}", name="look", provider_state=foreign) for number in range(2)]
    [_, turn] = turns(HELLO, said(*calls))
    assert [part.get("thoughtSignature") for part in parts(turn)] == [FOREIGN_SIGNATURE, None]
    [_, turn] = turns(HELLO, said(*calls), model=OLDER)
    assert [part.get("thoughtSignature") for part in parts(turn)] == [None, None]


def test_ids_of_calls_stay_paired_and_acceptable() -> None:
    called = said(
        ToolCallPart(call_id="elsewhere/call:1", name="look"),
        ToolCallPart(call_id="made-here", name="look", provider_state=own()),
    )
    told = results(ToolResultPart(call_id="elsewhere/call:1", text="1"), ToolResultPart(call_id="made-here", text="2"))
    [_, call, result] = turns(HELLO, called, told)
    asked = [object_of(part, "functionCall").get("id") for part in parts(call)]
    answered = [object_of(part, "functionResponse").get("id") for part in parts(result)]
    assert asked == answered
    assert len(str(asked[0])) == 32
    assert asked[1] is None, "a call that the provider gave no id goes back without one"


def test_arguments_that_cannot_be_read_are_shown_to_the_model() -> None:
    broken = ToolCallPart(call_id="c", name="look", raw_arguments='{"at": ', invalid="no JSON")
    readable = ToolCallPart(call_id="d", name="look", raw_arguments='{"at": "x"}')
    [_, turn] = turns(HELLO, said(broken, readable))
    told = [object_of(part, "functionCall")["args"] for part in parts(turn)]
    assert told == [{"unreadable": '{"at": '}, {"at": "x"}]


def test_consecutive_messages_of_the_model_are_one_turn() -> None:
    told = turns(HELLO, text_message(Role.ASSISTANT, "a"), said(ToolCallPart(call_id="c", name="look")))
    assert [turn["role"] for turn in told] == ["user", "model"]


def test_equal_requests_have_equal_bodies() -> None:
    asked = {"tools": (LOOK,), "metadata": {"b": "1", "a": "2"}}
    assert json.dumps(body(**asked)) == json.dumps(body(**asked))
