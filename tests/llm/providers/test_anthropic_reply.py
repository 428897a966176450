"""Answers of tomorrow and of compatible servers: whatever is missing, new or odd never breaks a call."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.attempt import Attempt
from pointsman.llm.errors import (
    AuthenticationError,
    InvalidResponseError,
    ProviderError,
    ProviderOverloadedError,
    TruncatedStreamError,
)
from pointsman.llm.events import StreamEvent, StreamFinished, ToolCallComplete
from pointsman.llm.providers.anthropic.faults import AnthropicFaults
from pointsman.llm.providers.anthropic.messages import AnthropicMessages
from pointsman.llm.providers.anthropic.reply import Reading, read_usage
from pointsman.llm.providers.anthropic.turns import Turns
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    ReasoningPart,
    RefusalPart,
    Role,
    TextPart,
    ToolCallPart,
    text_message,
)
from pointsman.sandbox.models.anthropic_messages.answers import message
from pointsman.sandbox.models.anthropic_messages.events import events
from pointsman.sandbox.models.anthropic_messages.request import CreateMessage
from pointsman.sandbox.models.formats import server_sent
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.raw_server import serving
from tests.llm.test_types import FEW, json_objects, json_values

HELLO = text_message(Role.USER, "hello")
REQUEST = LLMRequest(model="claude-haiku-5-5", messages=(HELLO,), max_tokens=900)
KINDS = st.sampled_from(
    [
        *("message_start", "message_delta", "message_stop", "ping", "x"),
        *("content_block_start", "content_block_delta", "content_block_stop"),
    ]
)
BLOCKS = st.sampled_from(
    [
        *("text", "thinking", "redacted_thinking", "tool_use", "x"),
        *("text_delta", "thinking_delta", "signature_delta", "input_json_delta"),
    ]
)
blocks = st.fixed_dictionaries(
    {"type": BLOCKS | json_values},
    optional=dict.fromkeys(
        ("text", "thinking", "signature", "data", "id", "name", "input", "partial_json"), json_values
    ),
)
wire = st.fixed_dictionaries(
    {"type": KINDS | json_values},
    optional={
        "index": st.integers(0, 2) | json_values,
        "content_block": blocks,
        "delta": blocks | json_objects,
        "message": json_objects,
        "usage": json_objects,
    },
)


def reading() -> Reading:
    faults = AnthropicFaults("anthropic", "claude-haiku-5-5", "sk-x")
    return Reading(Attempt("anthropic", REQUEST), faults, "anthropic")


async def whole(content: object, **more: Json) -> LLMResponse:
    read = reading()
    read.take_whole(json.loads(json.dumps({"content": content, **more})))
    return await read.finish(streamed=False)


@FEW
@given(st.lists(wire, max_size=6))
async def test_any_events_are_read(told: list[dict[str, Json]]) -> None:
    read = reading()
    for event in told:
        list(read.take(event))
    response = await read.finish(streamed=True)
    assert Message.from_bytes(response.message.to_bytes()) == response.message


@FEW
@given(st.lists(blocks | json_values, max_size=4), json_values)
async def test_any_content_is_read(content: list[Json], reason: Json) -> None:
    response = await whole(content, stop_reason=reason)
    assert Message.from_bytes(response.message.to_bytes()) == response.message


kept = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
sealed = st.builds(
    lambda told, seal: {"type": "thinking", "thinking": told, "signature": seal}, kept, kept.filter(bool)
)
opaque = st.builds(lambda data: {"type": "redacted_thinking", "data": data}, kept)
spoken = kept.filter(str.strip).map(lambda told: {"type": "text", "text": told})
calls = st.builds(
    lambda name, given: {"type": "tool_use", "id": f"toolu_{name}", "name": name, "input": given},
    st.from_regex(r"[a-z]{1,8}", fullmatch=True),
    json_objects,
)


@FEW
@given(st.lists(sealed | opaque | spoken, max_size=3), st.lists(spoken | calls, min_size=1, max_size=2))
async def test_answer_goes_back_exactly_as_it_came(
    thoughts: list[dict[str, Json]], rest: list[dict[str, Json]]
) -> None:
    ids = [block.get("id") for block in rest if block["type"] == "tool_use"]
    content = [*thoughts, *(rest if len(set(ids)) == len(ids) else rest[:1])]
    said = (await whole(content, stop_reason="end_turn")).message
    stored = Message.from_bytes(said.to_bytes())
    sent = Turns((HELLO, stored, HELLO), "anthropic", system_between=True).messages[1]
    assert sent == {"role": "assistant", "content": json.loads(json.dumps(content))}


async def test_reasoning_that_cannot_be_kept_as_it_came_does_not_go_back() -> None:
    read = reading()
    block: Json = {"type": "thinking", "thinking": "", "signature": ""}
    for delta in ({"type": "thinking_delta", "thinking": "a\0b"}, {"type": "signature_delta", "signature": "c2VhbA=="}):
        list(read.take({"type": "content_block_start", "index": 0, "content_block": block}))
        list(read.take({"type": "content_block_delta", "index": 0, "delta": dict(delta)}))
    [part] = (await read.finish(streamed=True)).message.parts
    assert part.provider_state is None
    assert (
        Turns((HELLO, Message(role=Role.ASSISTANT, parts=(part,))), "anthropic", system_between=True).thoughts is False
    )


@FEW
@given(json_objects)
def test_usage_is_never_negative_and_never_counted_twice(usage: dict[str, Json]) -> None:
    found = read_usage(usage)
    assert found.total_tokens == found.prompt_tokens + found.completion_tokens


def test_cached_tokens_are_part_of_the_prompt() -> None:
    usage = read_usage(
        {
            "input_tokens": 1_000,
            "cache_creation_input_tokens": 1_000,
            "cache_read_input_tokens": 8_000,
            "output_tokens": 40,
            "output_tokens_details": {"thinking_tokens": 90},
        }
    )
    assert (usage.prompt_tokens, usage.cached_tokens, usage.cache_write_tokens) == (10_000, 8_000, 1_000)
    assert (usage.completion_tokens, usage.reasoning_tokens, usage.total_tokens) == (40, 40, 10_040)


@pytest.mark.parametrize(
    ("reason", "finish", "note"),
    [
        ("end_turn", FinishReason.STOP, ""),
        ("stop_sequence", FinishReason.STOP, ""),
        ("max_tokens", FinishReason.LENGTH, ""),
        ("model_context_window_exceeded", FinishReason.LENGTH, "ends where the model's context window does"),
        ("tool_use", FinishReason.TOOL_CALLS, ""),
        ("pause_turn", FinishReason.PAUSED, ""),
        ("refusal", FinishReason.REFUSAL, ""),
        ("sunset", FinishReason.PAUSED, "for a reason unknown to us: sunset"),
        (None, FinishReason.STOP, "gave no reason"),
    ],
)
async def test_why_an_answer_ends(reason: Json, finish: FinishReason, note: str) -> None:
    response = await whole([{"type": "text", "text": "hi"}], stop_reason=reason, model="claude-haiku-5-5")
    assert response.finish_reason is finish
    assert note in "; ".join(response.notes)
    assert bool(note) is bool(response.notes)


async def test_refusal_tells_why_beside_what_was_said() -> None:
    details: Json = {"type": "refusal", "category": "cyber", "explanation": "Not that."}
    response = await whole([{"type": "text", "text": "Sure, f"}], stop_reason="refusal", stop_details=details)
    assert response.message.parts == (TextPart(text="Sure, f"), RefusalPart(text="Not that."))
    assert "refused as cyber" in response.notes


async def test_blocks_of_a_kind_unknown_to_us_are_noted() -> None:
    response = await whole([{"type": "server_tool_use", "id": "s"}, {"id": "x"}], stop_reason="end_turn")
    assert response.message.parts == ()
    assert response.notes[:2] == (
        "left out of the answer: server_tool_use",
        "left out of the answer: a block without type",
    )


async def test_dropped_reasoning_is_noted() -> None:
    dropped: Json = {"type": "thinking_dropped", "path": "messages.1.content.0", "reason": "prefix_binding_mismatch"}
    response = await whole([], stop_reason="end_turn", input_transformations=[dropped, dropped])
    assert "earlier reasoning dropped by the provider, 2 blocks: prefix_binding_mismatch" in response.notes


async def test_call_of_a_compatible_server_may_come_whole() -> None:
    read = reading()
    block: Json = {"type": "tool_use", "id": "c", "name": "look", "input": {"at": "é"}}
    told: list[StreamEvent] = []
    told += read.take({"type": "content_block_start", "index": 0, "content_block": block})
    told += read.take({"type": "message_stop"})
    [complete] = [event.call for event in told if isinstance(event, ToolCallComplete)]
    assert complete == ToolCallPart(call_id="c", name="look", arguments={"at": "é"}, raw_arguments='{"at": "é"}')


async def answered(body: bytes, chunk: int = 1_000_000, kind: str = "text/event-stream") -> LLMResponse:
    async with serving(body, kind, chunk) as url, AnthropicMessages(SecretStr("sk-x"), url) as client:
        if kind == "application/json":
            return await client.complete(REQUEST)
        told = [event async for event in client.stream(REQUEST)]
    assert isinstance(told[-1], StreamFinished)
    return told[-1].response


CALLS = (Call(name="look", arguments={"at": "é"}), Call(name="look", arguments={"at": "b"}))
WHOLE = message(
    CreateMessage.model_validate(
        {
            "model": "claude-haiku-5-5",
            "max_tokens": 900,
            "messages": [{"role": "user", "content": "hello"}],
            "thinking": {"type": "adaptive", "display": "summarized"},
        }
    ),
    Reply(text="Grüße 😀", reasoning="hm", calls=CALLS),
    0,
)
RECORDED = list(events(WHOLE, [call.text() for call in CALLS]))


def framed(told: list[dict[str, Json]]) -> bytes:
    return b"".join(server_sent(event, str(event["type"])) for event in told)


def timeless(response: LLMResponse) -> LLMResponse:
    return response.model_copy(update={"latency_ms": 0.0, "time_to_first_token_ms": None})


@pytest.mark.parametrize("chunk", [1, 7, 100])
async def test_any_split_of_the_bytes_gives_the_same_answer(chunk: int) -> None:
    body = framed(RECORDED)
    at_once = await answered(body)
    assert timeless(await answered(body, chunk)) == timeless(at_once)
    assert at_once.text == "Grüße 😀"


async def test_stream_and_whole_message_are_the_same_answer() -> None:
    streamed = timeless(await answered(framed(RECORDED)))
    plain = timeless(await answered(json.dumps(WHOLE).encode(), kind="application/json"))
    assert [
        part.model_copy(update={"raw_arguments": ""} if part.kind == "tool_call" else {})
        for part in streamed.message.parts
    ] == [
        part.model_copy(update={"raw_arguments": ""} if part.kind == "tool_call" else {})
        for part in plain.message.parts
    ]
    assert (streamed.usage, streamed.finish_reason, streamed.response_id) == (
        plain.usage,
        plain.finish_reason,
        plain.response_id,
    )
    assert isinstance(streamed.message.parts[0], ReasoningPart)
    assert streamed.message.parts[0].signature


async def test_events_and_comments_unknown_to_us_are_passed_over() -> None:
    odd = b': keep-alive\n\nevent: mood\ndata: {"type": "mood"}\n\nevent: list\ndata: [1]\n\nevent: nothing\n\n'
    body = b"".join(odd + framed([event]) for event in RECORDED)
    assert (await answered(body)).text == "Grüße 😀"


async def test_bare_answer_of_a_compatible_server_is_enough() -> None:
    response = await answered(b'{"content": [{"type": "text", "text": "hi"}]}', kind="application/json")
    assert response.message.parts == (TextPart(text="hi"),)
    assert (response.model, response.finish_reason, response.usage.total_tokens) == ("claude-haiku-5-5", "stop", 0)


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"content": "hi"}', b"\xff"])
async def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        await answered(body, kind="application/json")


async def test_stream_that_ends_before_its_end_tells_what_it_cost() -> None:
    with pytest.raises(TruncatedStreamError) as caught:
        await answered(framed(RECORDED[:-1]))
    assert caught.value.received == "Grüße 😀"
    assert caught.value.usage is not None
    assert caught.value.usage.completion_tokens > 1


ERROR = b'{"type": "error", "error": {"type": "%s", "message": "no"}}'


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (b"event: error\ndata: " + ERROR % b"overloaded_error", ProviderOverloadedError),
        (b"event: message\ndata: " + ERROR % b"authentication_error", AuthenticationError),
        (b"event: error\ndata: not json", InvalidResponseError),
        (b'event: error\ndata: {"type": "error"}', ProviderOverloadedError),
        (b"event: message\ndata: {", InvalidResponseError),
        (b"event: message\ndata: \xff", InvalidResponseError),
    ],
)
async def test_error_in_a_stream_is_an_error(told: bytes, kind: type[ProviderError]) -> None:
    with pytest.raises(kind) as caught:
        await answered(framed(RECORDED[:3]) + told + b"\n\n")
    if kind is ProviderOverloadedError:
        assert caught.value.usage is not None, "the prompt was billed"


async def test_error_in_place_of_a_message_is_an_error() -> None:
    with pytest.raises(ProviderOverloadedError, match="no"):
        await answered(ERROR % b"api_error", kind="application/json")
