"""Answers of tomorrow and of compatible servers: whatever is missing, new or odd never breaks a call."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.errors import InvalidResponseError
from pointsman.llm.events import StreamFinished
from pointsman.llm.providers.openai.responses import OpenAIResponses
from pointsman.llm.providers.openai.responses_reply import read_reply, read_usage
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    ProviderState,
    ReasoningPart,
    Role,
    TextPart,
    text_message,
)
from pointsman.sandbox.models.formats import server_sent
from pointsman.sandbox.models.openai_responses.answers import answer
from pointsman.sandbox.models.openai_responses.events import events
from pointsman.sandbox.models.openai_responses.request import CreateResponse
from pointsman.sandbox.models.replies import Call, Reply
from tests.llm.raw_server import serving
from tests.llm.test_types import FEW, json_objects, json_values

REQUEST = LLMRequest(model="gpt-6-luna", messages=(text_message(Role.USER, "hello"),))
KINDS = st.sampled_from(["message", "function_call", "reasoning", "output_text", "refusal", "summary_text", "x"])
items = st.fixed_dictionaries(
    {},
    optional={
        "type": KINDS | json_values,
        "id": st.text(max_size=3) | json_values,
        "content": st.lists(st.fixed_dictionaries({"type": KINDS, "text": json_values}), max_size=2) | json_values,
        "arguments": json_values,
        "call_id": json_values,
        "summary": json_values,
    },
)


@FEW
@given(st.lists(items | json_values, max_size=4) | json_values, json_objects)
def test_any_output_is_read(output: Json, usage: dict[str, Json]) -> None:
    reply = read_reply({"output": output, "status": "completed"}, "openai")
    message = Message(role=Role.ASSISTANT, parts=reply.parts)
    assert Message.from_bytes(message.to_bytes()) == message
    assert read_usage({"usage": usage}).total_tokens == 0


def test_usage_is_never_negative_and_never_counted_twice() -> None:
    details: dict[str, Json] = {"cached_tokens": 90, "cache_write_tokens": math.inf}
    usage = read_usage({"usage": {"input_tokens": 50, "output_tokens": -3, "input_tokens_details": details}})
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens) == (50, 0, 50, 50)


def test_item_of_a_kind_unknown_to_us_is_noted() -> None:
    reply = read_reply({"output": [{"type": "hologram_call"}, {"id": "x"}], "status": "completed"}, "openai")
    assert reply.parts == ()
    assert reply.notes == ("left out of the answer: hologram_call", "left out of the answer: an item without type")


def test_reasoning_is_kept_whole_for_its_provider() -> None:
    item: dict[str, Json] = {
        "type": "reasoning",
        "id": "rs_1",
        "status": "completed",
        "summary": [{"type": "summary_text", "text": "first"}, {"type": "summary_text", "text": "then \ud800"}],
        "encrypted_content": "abc",
        "context": None,
    }
    [part] = read_reply({"output": [item]}, "openai").parts
    assert isinstance(part, ReasoningPart)
    assert part.text == "first\n\nthen \ufffd"
    assert part.provider_state is not None
    assert isinstance(part.provider_state.data, dict)
    assert part.provider_state.data["encrypted_content"] == "abc"
    assert "status" not in part.provider_state.data


@pytest.mark.parametrize(
    ("details", "finish"),
    [
        ({"reason": "max_output_tokens"}, FinishReason.LENGTH),
        ({"reason": "content_filter"}, FinishReason.CONTENT_FILTER),
        ({"reason": "steered"}, FinishReason.PAUSED),
        (None, FinishReason.PAUSED),
    ],
)
def test_why_an_answer_is_incomplete(details: Json, finish: FinishReason) -> None:
    assert read_reply({"status": "incomplete", "incomplete_details": details}, "openai").finish_reason is finish


async def answered(body: bytes, chunk: int = 1_000_000, kind: str = "text/event-stream") -> LLMResponse:
    async with serving(body, kind, chunk) as url, OpenAIResponses(SecretStr("sk-x"), f"{url}/v1") as client:
        if kind == "application/json":
            return await client.complete(REQUEST)
        told = [event async for event in client.stream(REQUEST)]
    assert isinstance(told[-1], StreamFinished)
    return told[-1].response


RECORDED = list(
    events(
        answer(
            CreateResponse(model="gpt-6-luna", input="hello", include=["reasoning.encrypted_content"]),
            Reply(text="Grüße 😀", reasoning="hm", calls=(Call(name="look", arguments={"at": "é"}),)),
            0,
        )
    )
)


@pytest.mark.parametrize("chunk", [1, 7, 100])
async def test_any_split_of_the_bytes_gives_the_same_answer(chunk: int) -> None:
    body = b"".join(server_sent(event, str(event["type"])) for event in RECORDED)
    times = {"latency_ms": 0.0, "time_to_first_token_ms": None}
    whole, split = await answered(body), await answered(body, chunk)
    assert split.model_copy(update=times) == whole.model_copy(update=times)
    assert whole.text == "Grüße 😀"


async def test_finished_items_stand_in_for_an_answer_without_output() -> None:
    last: dict[str, Json] = {"type": "response.completed", "response": {"status": "completed", "output": []}}
    body = b"".join(server_sent(event, str(event["type"])) for event in [*RECORDED[:-1], last])
    response = await answered(body)
    assert [part.kind for part in response.message.parts] == ["reasoning", "text", "tool_call"]


async def test_events_and_comments_unknown_to_us_are_passed_over() -> None:
    odd = b': keep-alive\n\nevent: response.mood\ndata: {"type": "response.mood"}\n\ndata: [1]\n\n'
    body = b"".join(odd + server_sent(event, str(event["type"])) for event in RECORDED)
    assert (await answered(body)).text == "Grüße 😀"


async def test_bare_answer_of_a_compatible_server_is_enough() -> None:
    said: dict[str, Json] = {"type": "message", "content": [{"type": "output_text", "text": "hi"}]}
    response = await answered(json.dumps({"output": [said]}).encode(), kind="application/json")
    assert response.message.parts == (TextPart(text="hi"),)
    assert (response.model, response.finish_reason, response.usage.total_tokens) == ("gpt-6-luna", "stop", 0)


async def test_ids_are_kept_for_their_provider() -> None:
    said: dict[str, Json] = {"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "hi"}]}
    response = await answered(json.dumps({"output": [said]}).encode(), kind="application/json")
    assert response.message.parts[0].provider_state == ProviderState(provider="openai", data={"id": "msg_1"})


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"status": "queued", "output": []}', b"\xff"])
async def test_what_is_no_answer_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidResponseError):
        await answered(body, kind="application/json")
