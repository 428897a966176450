"""Requests as the Responses API takes them: every body is checked against the types of the official SDK."""

import json
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.easy_input_message_param import EasyInputMessageParam
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from openai.types.responses.response_function_tool_call_param import ResponseFunctionToolCallParam
from openai.types.responses.response_input_item_param import FunctionCallOutput
from openai.types.responses.response_output_message_param import ResponseOutputMessageParam
from openai.types.responses.response_reasoning_item_param import ResponseReasoningItemParam
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from pointsman.llm.lenient import objects
from pointsman.llm.providers.openai.responses_request import body_of, reasons
from pointsman.llm.structured import read_arguments
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

PARAMETERS = set(get_type_hints(ResponseCreateParamsNonStreaming)) - {"stream"}
SHAPES: dict[str, TypeAdapter[object]] = {
    "told": TypeAdapter(EasyInputMessageParam),
    "said": TypeAdapter(ResponseOutputMessageParam),
    "reasoning": TypeAdapter(ResponseReasoningItemParam),
    "function_call": TypeAdapter(ResponseFunctionToolCallParam),
    "function_call_output": TypeAdapter(FunctionCallOutput),
}
HELLO = text_message(Role.USER, "hello")


def body(**fields: object) -> dict[str, Json]:
    return body_of(request(**fields), "openai").content


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "gpt-6-luna", "messages": (HELLO,), **fields})


def notes(**fields: object) -> str:
    return "; ".join(body_of(request(**fields), "openai").notes)


def said(*parts: object) -> list[Json]:
    found = body(messages=(Message.model_validate({"role": "assistant", "parts": parts}),))["input"]
    assert isinstance(found, list)
    return found


def shape(item: Json) -> TypeAdapter[object]:
    assert isinstance(item, dict)
    kind = str(item["type"])
    return SHAPES[("said" if "id" in item else "told") if kind == "message" else kind]


@FEW
@given(st.lists(messages, min_size=1, max_size=4))
def test_any_conversation_is_of_the_published_shape(conversation: list[Message]) -> None:
    items = body(messages=tuple(conversation))["input"]
    assert isinstance(items, list)
    for item in items:
        shape(item).validate_python(item)


@FEW
@given(messages)
def test_no_text_is_lost_on_the_way(message: Message) -> None:
    items = json.dumps(body(messages=(message,))["input"], ensure_ascii=False)
    carried = TextPart if message.role is Role.ASSISTANT else TextPart | ToolResultPart
    for part in message.parts:
        if isinstance(part, carried):
            assert json.dumps(part.text, ensure_ascii=False)[1:-1] in items


def test_whole_request_uses_parameters_that_exist() -> None:
    whole = body(
        max_tokens=500,
        temperature=1.0,
        reasoning_effort=ReasoningEffort.NONE,
        tools=(ToolSpec(name="look"),),
        response_schema={"type": "object"},
        metadata={"a": "b"},
        session_id="s",
    )
    assert set(whole) <= PARAMETERS
    assert whole["store"] is False
    assert whole["max_output_tokens"] == 500
    assert whole["prompt_cache_key"] == "s"


def test_reasoning_comes_back_encrypted_and_nothing_is_kept() -> None:
    assert body()["include"] == ["reasoning.encrypted_content"]
    assert "include" not in body(model="gpt-4.1-mini")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-6-luna", True),
        ("gpt-5-mini-2025-08-07", True),
        ("openai/gpt-6.1-sol", True),
        ("o4-mini", True),
        ("gpt-5-chat-latest", False),
        ("gpt-4.1-mini", False),
        ("llama-4-scout", False),
    ],
)
def test_models_that_reason_are_told_by_name(model: str, expected: bool) -> None:
    assert reasons(model) is expected


def test_sampling_is_left_out_where_it_would_be_refused() -> None:
    assert "temperature" not in body(temperature=0.2)
    assert "temperature left out: gpt-6-luna refuses it while it reasons" in notes(temperature=0.2)
    assert body(temperature=0.2, reasoning_effort="none")["temperature"] == 0.2
    assert body(temperature=0.2, model="gpt-4.1-mini")["temperature"] == 0.2


def test_effort_is_left_out_of_models_that_do_not_reason() -> None:
    assert body(reasoning_effort="high")["reasoning"] == {"effort": "high"}
    assert "reasoning" not in body(reasoning_effort="high", model="gpt-4.1-mini")
    assert "does not reason" in notes(reasoning_effort="high", model="gpt-4.1-mini")


def test_stop_and_seed_are_left_out_with_a_note() -> None:
    assert notes(stop=("END",), seed=7).count("the Responses API does not take it") == 2


def test_metadata_stays_within_the_limits_of_the_api() -> None:
    pairs = {f"key-{number:02}" + "x" * 70: "v" * 600 for number in range(20)}
    metadata = body(metadata=pairs)["metadata"]
    assert isinstance(metadata, dict)
    assert len(metadata) == 16
    assert all(len(name) <= 64 and len(str(value)) <= 512 for name, value in metadata.items())
    assert "4 of 20 metadata pairs left out" in notes(metadata=pairs)


def test_call_context_travels_as_metadata() -> None:
    context = {"trace_id": "t1", "source_agent": "triage", "session_id": "s1", "tenant": "acme"}
    assert body(metadata={"item": "7"}, **context)["metadata"] == {"item": "7", **context}


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice_by_mode(choice: str) -> None:
    assert body(tools=(ToolSpec(name="look"),), tool_choice=choice)["tool_choice"] == choice


def test_tool_choice_by_name() -> None:
    found = body(tools=(ToolSpec(name="look"),), tool_choice="look", parallel_tool_calls=False)
    assert found["tool_choice"] == {"type": "function", "name": "look"}
    assert found["parallel_tool_calls"] is False


def test_image_goes_as_url_or_as_data() -> None:
    parts = (ImagePart(data=b"\x89PNG", media_type="image/png"), ImagePart(url="https://x.example/a.jpg"))
    items = body(messages=(Message(role=Role.USER, parts=parts),))["input"]
    assert "data:image/png;base64,iVBORw==" in json.dumps(items)
    assert "https://x.example/a.jpg" in json.dumps(items)


def test_what_the_model_wrote_goes_back_unchanged() -> None:
    raw = '{"b" : 2,"a": 1}'
    state = ProviderState(provider="openai", data={"id": "fc_1"})
    call = ToolCallPart(
        call_id="c1", name="look", arguments=read_arguments(raw)[0], raw_arguments=raw, provider_state=state
    )
    assert said(call) == [{"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": raw}]


def test_call_without_raw_arguments_is_written_as_json() -> None:
    [item] = said(ToolCallPart(call_id="c1", name="look", arguments={"a": "é"}))
    assert isinstance(item, dict)
    assert item["arguments"] == '{"a": "é"}'


def test_long_call_ids_of_other_providers_stay_paired() -> None:
    long = "x" * 200
    call = Message(role=Role.ASSISTANT, parts=(ToolCallPart(call_id=long, name="look"),))
    result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id=long, text="seen"),))
    items = body(messages=(call, result))["input"]
    assert isinstance(items, list)
    ids = {item["call_id"] for item in items if isinstance(item, dict)}
    assert len(ids) == 1
    assert len(str(ids.pop())) == 64


def test_failed_tool_is_told_as_failed() -> None:
    result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id="c", text="no such item", is_error=True),))
    assert body(messages=(result,))["input"] == [
        {"type": "function_call_output", "call_id": "c", "output": "The tool failed: no such item"}
    ]


def test_result_carries_its_data_and_its_images() -> None:
    image = ImagePart(data=b"\x89PNG")
    result = ToolResultPart(call_id="c", text="seen", data={"x": 1}, images=(image,))
    [item] = objects(body(messages=(Message(role=Role.TOOL, parts=(result,)),))["input"])
    text, picture = objects(item["output"])
    assert text == {"type": "input_text", "text": 'seen\n{"x":1}'}
    assert picture["image_url"] == "data:image/png;base64,iVBORw=="


def test_documents_go_as_files() -> None:
    parts = (DocumentPart(data=b"%PDF", name="a.pdf"), DocumentPart(url="https://x.example/b.pdf"))
    [item] = objects(body(messages=(Message(role=Role.USER, parts=parts),))["input"])
    assert list(objects(item["content"])) == [
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        {"type": "input_file", "file_url": "https://x.example/b.pdf"},
    ]


def test_own_reasoning_goes_back_and_foreign_reasoning_does_not() -> None:
    item: dict[str, Json] = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    own = ReasoningPart(provider_state=ProviderState(provider="openai", data=item))
    foreign = ReasoningPart(text="hm", provider_state=ProviderState(provider="anthropic", data={"s": 1}))
    assert said(own, foreign, TextPart(text="yes")) == [
        item,
        {"type": "message", "role": "assistant", "content": "yes"},
    ]


def test_parts_of_one_message_stay_one_message() -> None:
    state = ProviderState(provider="openai", data={"id": "msg_1", "phase": "final_answer"})
    [item] = said(TextPart(text="a", provider_state=state), RefusalPart(text="b", provider_state=state))
    assert isinstance(item, dict)
    assert item["phase"] == "final_answer"
    assert item["content"] == [
        {"type": "output_text", "text": "a", "annotations": []},
        {"type": "refusal", "refusal": "b"},
    ]


def test_image_of_an_assistant_is_left_out() -> None:
    assert said(ImagePart(data=b"x"), RefusalPart(text="no")) == [
        {"type": "message", "role": "assistant", "content": "no"}
    ]


def test_equal_requests_have_equal_bodies() -> None:
    tools = (ToolSpec(name="look", parameters={"type": "object", "properties": {"b": {}, "a": {}}}),)
    assert json.dumps(body(tools=tools)) == json.dumps(body(tools=tools))
