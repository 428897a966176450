"""Any conversation of ours is one that the service accepts, whichever model said what of it before."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman.llm.providers.gemini.request import body_of
from pointsman.llm.types import (
    ImagePart,
    LLMRequest,
    Message,
    ProviderState,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    ToolSpec,
    text_message,
)
from pointsman.sandbox.models.gemini_generate.checks import check_request, seal
from pointsman.sandbox.models.gemini_generate.lineup import MODELS
from pointsman.sandbox.models.gemini_generate.request import GenerateContent, read_body

HELLO = text_message(Role.USER, "hello")
said = st.text(min_size=1, max_size=8).map(lambda told: text_message(Role.USER, told))
# A call by a model that signs and gives ids, by one of an older family, by another provider's.
speakers = st.sampled_from(["strict", "older", "foreign"])


def call_of(speaker: str, call_id: str, is_first: bool) -> ToolCallPart:
    states = {
        "strict": ProviderState(provider="gemini", data={"id": call_id or "c", "thoughtSignature": seal("hm")}),
        "older": ProviderState(provider="gemini", data={}),
        "foreign": ProviderState(provider="anthropic", data={"id": call_id}),
    }
    state = states[speaker]
    if speaker == "strict" and not is_first:
        state = ProviderState(provider="gemini", data={"id": call_id or "c"})
    return ToolCallPart(call_id=call_id, name="look", arguments={"at": "x"}, provider_state=state)


@st.composite
def dialogues(draw: st.DrawFn) -> tuple[Message, ...]:
    """Each call has its result: in one message or in several, in any order, some with an image."""
    told: list[Message] = draw(st.lists(said | st.just(text_message(Role.SYSTEM, "Be brief.")), max_size=2))
    for ids in draw(st.lists(st.lists(st.text(max_size=6), min_size=1, max_size=3, unique=True), max_size=3)):
        speaker = draw(speakers)
        calls = [call_of(speaker, call_id, number == 0) for number, call_id in enumerate(ids)]
        told += [
            HELLO,
            Message(role=Role.ASSISTANT, parts=(ReasoningPart(text="hm"), TextPart(text="I look."), *calls)),
        ]
        images = draw(st.sampled_from([None, (ImagePart(data=b"x"),)]))
        results = [ToolResultPart(call_id=name, text="", images=images) for name in draw(st.permutations(ids))]
        if draw(st.booleans()):
            told.append(Message(role=Role.TOOL, parts=tuple(results)))
        else:
            told += [Message(role=Role.TOOL, parts=(result,)) for result in results]
        told += draw(st.lists(said | st.just(text_message(Role.SYSTEM, "Hush.")), max_size=2))
        if draw(st.booleans()):
            told.append(text_message(Role.ASSISTANT, "Seen."))
    return (*told, HELLO)


@pytest.mark.parametrize("model", MODELS)
@settings(max_examples=12)  # for each model
@given(messages=dialogues())
def test_any_conversation_is_accepted(model: str, messages: tuple[Message, ...]) -> None:
    asked = LLMRequest(model=model, messages=messages, tools=(ToolSpec(name="look"),))
    body = json.dumps(body_of(asked, "gemini").content).encode()
    check_request(read_body(GenerateContent, body), model)
