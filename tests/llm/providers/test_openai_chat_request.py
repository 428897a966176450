"""Requests as Chat Completions takes them: every body is checked against the types of the official SDK."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionMessageParam
from openai.types.chat.completion_create_params import CompletionCreateParamsNonStreaming
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from pointsman.llm.lenient import objects
from pointsman.llm.providers.openai.chat_request import body_of
from pointsman.llm.types import LLMRequest, Message, Part, ReasoningEffort, Role, ToolResultPart, text_message
from tests.llm.test_types import FEW, messages
from tests.llm.wiring import COLOUR, HELLO, LOOK, PIXEL

PARAMETERS = set(get_type_hints(CompletionCreateParamsNonStreaming))
MESSAGE: TypeAdapter[object] = TypeAdapter(ChatCompletionMessageParam)
FOREIGN = {"provider": "elsewhere", "data": {"field": "reasoning"}}
OWN = {"provider": "own", "data": {"field": "reasoning"}}


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "gpt-5-mini", "messages": (HELLO,), **fields})


def body(provider: str = "openai", **fields: object) -> dict[str, Json]:
    return body_of(request(**fields), provider).content


def notes(**fields: object) -> str:
    return "; ".join(body_of(request(**fields), "openai").notes)


def told(*parts: object, role: str = "user", provider: str = "openai") -> list[dict[str, Json]]:
    message = Message.model_validate({"role": role, "parts": parts})
    found = body(provider, messages=(HELLO, message))["messages"]
    assert isinstance(found, list)
    return [dict(entry) for entry in objects(found[1:])]


@FEW
@given(st.lists(messages, min_size=1, max_size=4))
def test_any_conversation_is_of_the_published_shape(conversation: list[Message]) -> None:
    found = body(messages=tuple(conversation))["messages"]
    for message in objects(found):
        # The SDK's types know `content` of an assistant that calls as absent or null, and nothing of reasoning.
        MESSAGE.validate_python(message)


@FEW
@given(messages)
def test_no_part_is_lost_on_the_way(message: Message) -> None:
    sent = list(objects(body(messages=(message,))["messages"]))
    content = [piece for entry in sent for piece in pieces(entry)]
    calls = [call for entry in sent for call in objects(entry.get("tool_calls"))]
    for part in message.parts:
        assert is_sent(part, message.role, content, calls), part


def pieces(message: dict[str, Json] | object) -> Iterator[Json]:
    """What stands in a message: its text, or its parts."""
    assert isinstance(message, dict)
    content = message.get("content")
    yield from content if isinstance(content, list) else [{"type": "text", "text": content}]


def is_sent(part: Part, role: Role, content: list[Json], calls: Sequence[object]) -> bool:
    kinds = [piece["type"] for piece in content if isinstance(piece, dict)]
    texts = [piece.get("text", piece.get("refusal")) for piece in content if isinstance(piece, dict)]
    said = role is Role.ASSISTANT
    match part.kind:
        case "text":
            return part.text in texts or (said and not part.text)
        case "refusal":
            return part.text in texts or not said or not part.text
        case "image":
            return said or "image_url" in kinds
        case "document":
            return said or "file" in kinds
        case "tool_call":
            return not said or len(calls) > 0
        case "tool_result":
            return said or any(part.content in str(text) for text in texts)
        case "reasoning":
            return True  # belongs to one provider, and to a turn that goes on


def test_whole_request_uses_parameters_that_exist() -> None:
    content = body(
        tools=(LOOK,),
        tool_choice="look",
        parallel_tool_calls=False,
        response_schema=COLOUR,
        reasoning_effort="low",
        temperature=0.3,
        max_tokens=64,
        seed=3,
        stop=("x",),
        session_id="s",
    )
    assert set(content) <= PARAMETERS
    assert content["tool_choice"] == {"type": "function", "function": {"name": "look"}}
    assert content["parallel_tool_calls"] is False
    assert content["max_completion_tokens"] == 64
    assert content["store"] is False
    assert content["prompt_cache_key"] == "s"
    shape = content["response_format"]
    assert isinstance(shape, dict)
    assert shape["json_schema"] == {"name": "answer", "schema": COLOUR, "strict": True}


def test_schema_that_is_open_is_not_called_strict() -> None:
    content = body(
        response_schema={"type": "object"}, tools=(LOOK.model_copy(update={"parameters": {"type": "object"}}),)
    )
    assert "strict" not in str(content)


def test_nothing_is_assumed_of_a_model_that_is_not_openais() -> None:
    asked = {"temperature": 0.4, "stop": ("END",), "max_tokens": 9, "reasoning_effort": "low", "tools": (LOOK,)}
    found = body_of(request(model="Qwen/Qwen3-32B", **asked), "my-server")
    assert found.notes == ()
    wanted: dict[str, Json] = {"temperature": 0.4, "stop": ["END"], "max_tokens": 9, "reasoning_effort": "low"}
    assert found.content.items() >= wanted.items()
    assert not {"store", "prompt_cache_key"} & set(found.content)


@pytest.mark.parametrize(
    ("fields", "note"),
    [
        ({"temperature": 0.4}, "temperature left out: gpt-5-mini refuses it while it reasons"),
        ({"stop": ("END",)}, "stop left out: gpt-5-mini does not take it"),
        ({"model": "gpt-4.1", "reasoning_effort": "low"}, "reasoning_effort left out: gpt-4.1 does not reason"),
        ({"model": "gpt-4.1", "stop": tuple("abcdef")}, "2 of 6 stop left out: at most 4"),
        ({"metadata": {"a": "b"}}, "metadata left out"),
        ({"model": "gpt-6-luna", "tools": (LOOK,)}, "reasoning_effort set to none: gpt-6-luna takes tools"),
    ],
)
def test_what_the_model_refuses_is_left_out_with_a_note(fields: dict[str, object], note: str) -> None:
    assert note in notes(**fields)


def test_model_that_takes_tools_only_unreasoned_may_be_sampled() -> None:
    content = body(model="gpt-6-luna", tools=(LOOK,), temperature=0.2, reasoning_effort=ReasoningEffort.HIGH)
    assert (content["reasoning_effort"], content["temperature"]) == ("none", 0.2)
    assert "reasoning_effort" not in body(model="gpt-6-luna")


def test_result_carries_text_and_data_and_shows_its_images_after_all_results() -> None:
    image = {"kind": "image", "data": PIXEL}
    sent = told(
        {"kind": "tool_result", "call_id": "a", "text": "seen", "data": {"x": 1}, "images": [image]},
        {"kind": "tool_result", "call_id": "b", "text": "no", "is_error": True},
        role="tool",
    )
    assert sent[:2] == [
        {"role": "tool", "tool_call_id": "a", "content": 'seen\n{"x":1}'},
        {"role": "tool", "tool_call_id": "b", "content": "The tool failed: no"},
    ]
    assert sent[2]["role"] == "user"
    assert next(objects(sent[2]["content"]))["type"] == "image_url"


def test_documents_go_as_files_and_by_url_as_text() -> None:
    [sent] = told(
        {"kind": "document", "data": b"%PDF", "name": "a.pdf"},
        {"kind": "document", "url": "https://x.example/b.pdf", "name": "b"},
    )
    file, text = objects(sent["content"])
    assert file["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}
    assert text["text"] == "[Document b: https://x.example/b.pdf]"
    documents = Message.model_validate(
        {"role": "user", "parts": [{"kind": "document", "url": "u"}, {"kind": "document", "url": "v"}]}
    )
    assert notes(messages=(documents,)).count("documents by URL") == 1


def test_long_call_ids_of_other_providers_stay_paired() -> None:
    name = "elsewhere-" + "x" * 60
    call = {"kind": "tool_call", "call_id": name, "name": "look", "raw_arguments": '{"at" : 1}'}
    said = Message.model_validate({"role": "assistant", "parts": [call]})
    result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id=name, text="x"),))
    sent = list(objects(body(messages=(HELLO, said, result))["messages"]))
    [called] = objects(sent[1]["tool_calls"])
    assert called["id"] == sent[2]["tool_call_id"] == sha256(name.encode()).hexdigest()[:40]
    assert called["function"] == {"name": "look", "arguments": '{"at" : 1}'}
    assert sent[1]["content"] is None


def test_reasoning_goes_back_to_its_own_server_while_the_turn_goes_on() -> None:
    def asked(*later: Message, state: object = OWN) -> list[dict[str, Json]]:
        parts = [
            {"kind": "reasoning", "text": "hm", "provider_state": state},
            {"kind": "tool_call", "call_id": "c", "name": "look"},
        ]
        said = Message.model_validate({"role": "assistant", "parts": parts})
        result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id="c", text="x"),))
        return [dict(entry) for entry in objects(body("own", messages=(HELLO, said, result, *later))["messages"])]

    assert asked()[1]["reasoning"] == "hm"
    assert "reasoning" not in asked(text_message(Role.USER, "And?"))[1]
    assert "reasoning" not in asked(state=FOREIGN)[1]


def test_message_of_nothing_that_can_be_said_is_left_out() -> None:
    assert told({"kind": "reasoning", "text": "hm"}, role="assistant") == []
    assert told({"kind": "text", "text": "a"}, {"kind": "refusal", "text": "b"}, role="assistant") == [
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "b"}],
        }
    ]
