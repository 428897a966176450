"""Messages are kept for ever: they come back as they were, and what was stored once goes on loading."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pointsman.contracts.base import Json
from pointsman.llm.types import (
    DocumentPart,
    ImagePart,
    LLMRequest,
    LLMResponse,
    Message,
    Part,
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

SHAPES = Path(__file__).parent / "recorded"

# Each example is a conversation or an answer of many parts, and takes as long to make up as ten of a rule's values.
FEW = settings(max_examples=20)

texts = st.text(max_size=20)
kept: list[Json] = [
    *(None, True, False, "", 0, -1.5, [], {}),
    {"id": "rs_1", "seal": "c2VhbA=="},
    {"é😀\\": [None, [True, {"": {}}]], "type": "text", "text": ["x"]},
    [{"type": "tool_use", "input": {"at": [1, 2.5]}}, "x", [[]]],
]
json_values: st.SearchStrategy[Json] = (
    st.sampled_from(kept) | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
)
json_objects: st.SearchStrategy[dict[str, Json]] = st.dictionaries(texts, json_values, max_size=3)
states = st.none() | st.builds(
    ProviderState, provider=st.sampled_from(["openai", "anthropic"]), data=st.sampled_from(kept)
)
parts: st.SearchStrategy[Part] = st.one_of(
    st.builds(TextPart, text=texts, provider_state=states),
    st.builds(ImagePart, data=st.binary(min_size=1), media_type=texts, provider_state=states),
    st.builds(ImagePart, url=st.text(min_size=1), provider_state=states),
    st.builds(
        ToolCallPart,
        call_id=texts,
        name=texts,
        arguments=json_objects,
        raw_arguments=texts,
        invalid=texts,
        provider_state=states,
    ),
    st.builds(DocumentPart, data=st.binary(min_size=1), name=texts, provider_state=states),
    st.builds(
        ToolResultPart,
        call_id=texts,
        name=texts,
        text=texts,
        is_error=st.booleans(),
        data=json_values,
        images=st.none() | st.tuples(st.builds(ImagePart, data=st.binary(min_size=1))),
        provider_state=states,
    ),
    st.builds(ReasoningPart, text=texts, signature=texts, provider_state=states),
    st.builds(RefusalPart, text=texts, provider_state=states),
)
messages = st.builds(
    Message,
    role=st.sampled_from(Role),
    parts=st.lists(parts, max_size=4).map(tuple),
    provider_state=states,
    cache=st.sampled_from([None, True]),
)


@FEW
@given(messages)
def test_message_comes_back_from_its_bytes(message: Message) -> None:
    assert Message.from_bytes(message.to_bytes()) == message
    assert Message.from_bytes(message.to_bytes()).to_bytes() == message.to_bytes()


@FEW
@given(messages, st.sampled_from(["openai", "anthropic", "google"]))
def test_another_provider_sees_all_but_foreign_state(message: Message, provider: str) -> None:
    seen = message.for_provider(provider)
    assert [part.kind for part in seen.parts] == [part.kind for part in message.parts]
    assert seen.text == message.text
    for was, now in zip((message, *message.parts), (seen, *seen.parts), strict=True):
        own = was.provider_state is not None and was.provider_state.provider == provider
        assert now.provider_state == (was.provider_state if own else None)


def test_signature_goes_only_where_it_came_from() -> None:
    state = ProviderState(provider="anthropic", data={"type": "thinking"})
    part = ReasoningPart(text="hm", signature="c2ln", provider_state=state)
    assert part.for_provider("anthropic") == part
    assert part.for_provider("openai") == ReasoningPart(text="hm")
    assert ReasoningPart(text="hm", signature="c2ln").for_provider("openai").signature == ""


def test_equal_messages_have_equal_bytes() -> None:
    one = ToolCallPart(call_id="c", name="n", arguments={"a": 1, "b": 2})
    other = ToolCallPart(call_id="c", name="n", arguments={"b": 2, "a": 1})
    assert (
        Message(role=Role.ASSISTANT, parts=(one,)).to_bytes() == Message(role=Role.ASSISTANT, parts=(other,)).to_bytes()
    )


def test_fields_of_a_newer_version_are_ignored() -> None:
    data = b'{"role":"user","parts":[{"kind":"text","text":"hi","mood":"good"}],"sent_at":"2031-01-01"}'
    assert Message.from_bytes(data) == text_message(Role.USER, "hi")


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(ValidationError, match="kind"):
        Message.from_bytes(b'{"role":"user","parts":[{"text":"hi"}]}')


@pytest.mark.parametrize("fields", [{}, {"data": b"x", "url": "https://x.example/y.png"}])
def test_image_has_exactly_one_source(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="either data or url"):
        ImagePart.model_validate(fields)


@pytest.mark.parametrize("name", ["", "a b", "tool/x", "x" * 65])
def test_tool_names_are_those_that_every_provider_takes(name: str) -> None:
    with pytest.raises(ValidationError):
        ToolSpec(name=name)


@pytest.mark.parametrize("field", [{"temperature": 2.1}, {"max_tokens": 0}, {"messages": ()}, {"tier": "fast"}])
def test_request_out_of_bounds_is_refused(field: dict[str, object]) -> None:
    whole = {"model": "gpt-6-luna", "messages": (text_message(Role.USER, "hi"),), **field}
    with pytest.raises(ValidationError, match=next(iter(field))):
        LLMRequest.model_validate(whole)


@pytest.mark.parametrize("path", sorted(SHAPES.glob("message-*.json")), ids=lambda path: path.stem)
def test_messages_of_released_shapes_load(path: Path) -> None:
    recorded = path.read_bytes().strip()
    assert Message.from_bytes(recorded).to_bytes() == recorded


@pytest.mark.parametrize("path", sorted(SHAPES.glob("request-*.json")), ids=lambda path: path.stem)
def test_requests_of_released_shapes_load(path: Path) -> None:
    request = LLMRequest.model_validate_json(path.read_bytes())
    assert request.messages[0].text
    assert LLMRequest.model_validate_json(request.model_dump_json()) == request


@pytest.mark.parametrize("path", sorted(SHAPES.glob("response-*.json")), ids=lambda path: path.stem)
def test_responses_of_released_shapes_load(path: Path) -> None:
    response = LLMResponse.model_validate_json(path.read_bytes())
    assert response.usage.total_tokens == response.usage.prompt_tokens + response.usage.completion_tokens
    assert LLMResponse.model_validate_json(response.model_dump_json()) == response
