"""Requests as Mistral takes them: every message is checked against the types of its SDK, and by its rules of order."""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mistralai.client.models import ChatCompletionRequest

from pointsman.contracts.base import Json
from pointsman.llm.lenient import objects
from pointsman.llm.providers.mistral.request import BRIDGE, body_of, call_id_of
from pointsman.llm.types import LLMRequest, Message, Part, ReasoningEffort, Role, ToolResultPart, text_message
from pointsman.sandbox.models.mistral_chat.checks import FOLLOWERS
from tests.llm.test_types import FEW, messages
from tests.llm.wiring import COLOUR, HELLO, LOOK, PIXEL

OWN = {"provider": "mistral", "data": {"type": "thinking", "signature": "sealed"}}
FOREIGN = {"provider": "openai", "data": {"type": "thinking", "signature": "sealed"}}


def request(**fields: object) -> LLMRequest:
    return LLMRequest.model_validate({"model": "mistral-medium-3-5", "messages": (HELLO,), **fields})


def body(**fields: object) -> dict[str, Json]:
    return body_of(request(**fields), "mistral").content


def notes(**fields: object) -> tuple[str, ...]:
    return body_of(request(**fields), "mistral").notes


def sent(*conversation: Message) -> list[dict[str, Json]]:
    return [dict(entry) for entry in objects(body(messages=conversation)["messages"])]


def message(role: str, *parts: object) -> Message:
    return Message.model_validate({"role": role, "parts": parts})


CALL = message("assistant", {"kind": "tool_call", "call_id": "abcdefgh1", "name": "look", "raw_arguments": "{}"})
RESULT = Message(role=Role.TOOL, parts=(ToolResultPart(call_id="abcdefgh1", name="look", text="dark"),))


@FEW
@given(st.lists(messages, min_size=1, max_size=5))
def test_any_conversation_is_of_the_published_shape_and_order(conversation: list[Message]) -> None:
    told = sent(*conversation)
    parsed = ChatCompletionRequest.model_validate({"model": "m", "messages": told})
    # What the SDK makes of it is what it sends: nothing of a message may get lost on that way.
    assert [plain(entry.model_dump(mode="json", by_alias=True, exclude_none=True)) for entry in parsed.messages] == told
    for before, after in pairwise(told):
        # A result without its call is the caller's fault, and the service's to refuse.
        assert after["role"] == "tool" or after["role"] in FOLLOWERS[str(before["role"])]


def plain(entry: dict[str, Json]) -> dict[str, Json]:
    """Without the values that the SDK puts where none is given."""
    calls: list[Json] = [
        {key: call[key] for key in call if key != "index"} for call in objects(entry.get("tool_calls"))
    ]
    kept = {key: value for key, value in entry.items() if (key, value) != ("prefix", False)}
    return {**kept, "tool_calls": calls} if calls else kept


@FEW
@given(messages)
def test_no_part_is_lost_on_the_way(told: Message) -> None:
    wire = sent(told)
    content = [piece for entry in wire for piece in pieces(entry["content"])]
    calls = sum(len(list(objects(entry.get("tool_calls")))) for entry in wire)
    for part in told.parts:
        assert is_sent(part, told.role, content, calls), part


def pieces(content: Json) -> list[dict[str, Json]]:
    return [dict(piece) for piece in objects(content)] or [{"type": "text", "text": content}]


def is_sent(part: Part, role: Role, content: list[dict[str, Json]], calls: int) -> bool:
    kinds, texts = [piece["type"] for piece in content], [piece.get("text") for piece in content]
    said, instructed = role is Role.ASSISTANT, role is Role.SYSTEM
    match part.kind:
        case "text":
            return part.text in texts or (said and not part.text)
        case "refusal":
            return part.text in texts or not said or not part.text
        case "image" | "document":
            return said or instructed or f"{part.kind}_url" in kinds
        case "tool_call":
            return not said or calls > 0
        case "tool_result":
            return said or any(part.content in str(text) for text in texts)
        case "reasoning":
            return True  # goes back to Mistral alone


def test_whole_request_is_what_was_asked_for() -> None:
    content = body(
        tools=(LOOK,),
        tool_choice="required",
        parallel_tool_calls=False,
        response_schema=COLOUR,
        reasoning_effort="high",
        temperature=0.3,
        max_tokens=64,
        seed=3,
        stop=("x", "y"),
        session_id="s",
        metadata={"a": "b"},
        trace_id="t",
    )
    parsed = ChatCompletionRequest.model_validate(content)
    assert parsed.tool_choice == "any"
    assert (parsed.random_seed, parsed.stop, parsed.temperature) == (3, ["x", "y"], 0.3)
    assert (parsed.max_tokens, parsed.parallel_tool_calls, parsed.reasoning_effort) == (64, False, "high")
    assert (parsed.metadata, parsed.prompt_cache_key) == ({"a": "b", "trace_id": "t", "session_id": "s"}, "s")
    assert "safe_prompt" not in content
    assert content["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": COLOUR, "strict": True},
    }
    assert notes() == ()


@pytest.mark.parametrize(
    ("choice", "wire"),
    [("auto", "auto"), ("none", "none"), ("look", {"type": "function", "function": {"name": "look"}})],
)
def test_choice_of_a_tool(choice: str, wire: Json) -> None:
    assert body(tools=(LOOK,), tool_choice=choice)["tool_choice"] == wire


@pytest.mark.parametrize(
    ("fields", "name", "value", "note"),
    [
        ({"temperature": 1.9}, "temperature", 1.5, "temperature lowered from 1.9 to 1.5"),
        ({"seed": -1}, "random_seed", None, "seed -1 left out"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "high", "reasoning_effort low sent as high"),
        ({"reasoning_effort": "none"}, "reasoning_effort", "none", ""),
        ({"model": "mistral-large-4", "reasoning_effort": "minimal"}, "reasoning_effort", "low", "minimal sent as low"),
        ({"model": "mistral-large-4-0", "reasoning_effort": "medium"}, "reasoning_effort", "medium", ""),
        ({"model": "mistral-large-4", "reasoning_effort": ReasoningEffort.MAX}, "reasoning_effort", "high", "max sent"),
    ],
)
def test_what_the_model_does_not_take_is_changed_with_a_note(
    fields: dict[str, object], name: str, value: Json, note: str
) -> None:
    assert body(**fields).get(name) == value
    assert note in "; ".join(notes(**fields))
    assert len(notes(**fields)) == bool(note)


def test_ids_of_other_providers_become_nine_letters_and_digits_and_stay_paired() -> None:
    assert call_id_of("abcdefgh1") == "abcdefgh1"
    name = "call_of_another/provider"
    said = message("assistant", {"kind": "tool_call", "call_id": name, "name": "look", "arguments": {"at": "é"}})
    result = Message(role=Role.TOOL, parts=(ToolResultPart(call_id=name, text="x"),))
    _, called, answered = sent(HELLO, said, result)
    [call] = objects(called["tool_calls"])
    assert call["id"] == answered["tool_call_id"] == sha256(name.encode()).hexdigest()[:9]
    assert call["function"] == {"name": "look", "arguments": '{"at": "é"}'}
    assert called["content"] == ""


def test_user_after_results_waits_for_a_word_of_the_model() -> None:
    told = sent(HELLO, CALL, RESULT, text_message(Role.USER, "So?"))
    assert [entry["role"] for entry in told] == ["user", "assistant", "tool", "assistant", "user"]
    assert told[3]["content"] == BRIDGE
    assert BRIDGE in notes(messages=(HELLO, CALL, RESULT, HELLO))[0]


def test_later_instructions_are_told_as_the_users() -> None:
    later = text_message(Role.SYSTEM, "Be brief.")
    told = sent(later, HELLO, later, text_message(Role.ASSISTANT, "Yes."), later)
    assert [entry["role"] for entry in told] == ["system", "user", "system", "assistant", "user"]
    assert "later system message" in notes(messages=(HELLO, text_message(Role.ASSISTANT, "Yes."), later))[0]


def test_thoughts_go_back_to_mistral_alone() -> None:
    def said(state: object) -> Json:
        thought = {"kind": "reasoning", "text": "hm", "provider_state": state}
        return sent(HELLO, message("assistant", thought, {"kind": "text", "text": "Yes."}), HELLO)[1]["content"]

    thinking: Json = {
        "type": "thinking",
        "thinking": [{"type": "text", "text": "hm"}],
        "signature": "sealed",
        "closed": True,
    }
    assert said(OWN) == [thinking, {"type": "text", "text": "Yes."}]
    assert said(FOREIGN) == "Yes."
    alone = message("assistant", {"kind": "reasoning", "text": "hm", "provider_state": OWN})
    assert len(sent(HELLO, alone)) == 1


def test_images_and_documents_are_shown_by_url_or_as_data() -> None:
    [told] = sent(
        message(
            "user",
            {"kind": "image", "url": "https://x.example/a.png"},
            {"kind": "document", "data": b"%PDF", "name": "a.pdf"},
            {"kind": "document", "url": "https://x.example/b.pdf"},
        )
    )
    assert told["content"] == [
        {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}},
        {
            "type": "document_url",
            "document_url": "data:application/pdf;base64,JVBERg==",
            "document_name": "a.pdf",
        },
        {"type": "document_url", "document_url": "https://x.example/b.pdf"},
    ]


def test_result_shows_its_images_and_says_that_it_failed() -> None:
    image = {"kind": "image", "data": PIXEL}
    shown = {"kind": "tool_result", "call_id": "abcdefgh1", "name": "look", "text": "no", "images": [image]}
    [result] = [entry for entry in sent(HELLO, CALL, message("tool", {**shown, "is_error": True})) if "name" in entry]
    text, picture = objects(result["content"])
    assert text["text"] == "The tool failed: no"
    assert picture["type"] == "image_url"
