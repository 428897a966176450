"""Mistral's chat API of the stand-in, driven by Mistral's own SDK: it speaks as the real one."""

import json
from collections.abc import AsyncGenerator
from typing import cast

import httpx2
import pytest
import pytest_asyncio
from mistralai.client import Mistral
from mistralai.client import models as sdk_models
from mistralai.client.errors import HTTPValidationError, MistralError, SDKError

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object
from tests.sandbox.models.scene import ITEM, KEY, OUTCOME

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOLD = "Handle the work item below.\n\nWork item:\n" + json.dumps(ITEM)
GET: dict[str, Json] = {
    "type": "function",
    "function": {
        "name": "work_items__get_work_item",
        "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
    },
}
CALLED: dict[str, Json] = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "abcdefgh1", "function": {"name": "f", "arguments": "{}"}}],
}
USER: dict[str, Json] = {"role": "user", "content": "go"}
ANSWERED: dict[str, Json] = {"role": "tool", "tool_call_id": "abcdefgh1", "content": "x"}


@pytest_asyncio.fixture(loop_scope="module")
async def mistral(url: str, sandbox: httpx2.AsyncClient) -> AsyncGenerator[Mistral]:
    async with Mistral(api_key=KEY, server_url=f"{url}/mistral") as client:
        yield client


async def ask(url: str, **fields: object) -> httpx2.Response:
    """Past the SDK, which would not send what the service refuses."""
    body = {"model": "mistral-medium-3-5", "messages": [USER], **fields}
    async with httpx2.AsyncClient(headers={"authorization": f"Bearer {KEY}"}, timeout=60) as http:
        return await http.post(f"{url}/mistral/v1/chat/completions", json=body)


async def test_chunks_are_those_of_the_service(mistral: Mistral, sandbox: httpx2.AsyncClient) -> None:
    reply = {"text": "one two three", "reasoning": "I think so.", "calls": [{"name": "f", "arguments": {"a": 1}}]}
    await sandbox.post("/scripts", json={"replies": [reply]})
    stream = await mistral.chat.stream_async(
        model="mistral-medium-3-5",
        messages=[sdk_models.UserMessage(content="go")],
        reasoning_effort="high",
    )
    text, thought, signed, last = "", "", False, None
    async for event in stream:
        last = event.data
        content = last.choices[0].delta.content
        if isinstance(content, str):
            text += content
        for chunk in content if isinstance(content, list) else ():
            assert isinstance(chunk, sdk_models.ThinkChunk)
            thought += "".join(part.text for part in chunk.thinking if isinstance(part, sdk_models.TextChunk))
            signed = signed or bool(chunk.signature)
    assert (text, thought, signed) == ("one two three", "I think so.", True)
    assert last is not None
    assert last.usage is not None
    assert last.choices[0].finish_reason == "tool_calls"
    [call] = last.choices[0].delta.tool_calls or []
    assert len(call.id or "") == 9
    assert call.function.arguments == '{"a":1}'


async def test_tool_is_called_and_its_result_is_read(mistral: Mistral) -> None:
    shape: sdk_models.ResponseFormatTypedDict = {
        "type": "json_schema",
        "json_schema": cast(sdk_models.JSONSchemaTypedDict, {"name": "outcome", "schema": OUTCOME, "strict": True}),
    }
    tools = [cast(sdk_models.ToolTypedDict, GET)]
    messages: list[sdk_models.ChatCompletionRequestMessage] = [sdk_models.UserMessage(content=TOLD)]
    first = await mistral.chat.complete_async(
        model="mistral-medium-3-5", messages=messages, tools=tools, tool_choice="any", response_format=shape
    )
    said = first.choices[0].message
    assert said is not None
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = said.tool_calls or []
    result = sdk_models.ToolMessage(content=json.dumps(ITEM), tool_call_id=call.id, name=call.function.name)
    second = await mistral.chat.complete_async(
        model="mistral-medium-3-5", messages=[*messages, said, result], tools=tools, response_format=shape
    )
    assert second.choices[0].message is not None
    assert set(json.loads(str(second.choices[0].message.content))) == {"comment", "fields", "tags", "links", "question"}


async def test_thinking_comes_back_unchanged_or_not_at_all(mistral: Mistral, url: str) -> None:
    first = await mistral.chat.complete_async(
        model="mistral-large-4", messages=[sdk_models.UserMessage(content=TOLD)], reasoning_effort="low"
    )
    said = first.choices[0].message
    assert said is not None
    whole = cast(Object, said.model_dump(mode="json"))
    accepted = await ask(url, model="mistral-large-4", messages=[USER, whole, USER])
    assert accepted.status_code == 200
    forged = json.loads(json.dumps(whole))
    forged["content"][0]["thinking"][0]["text"] = "something else"
    refused = await ask(url, model="mistral-large-4", messages=[USER, forged, USER])
    assert "could not be verified" in refused.json()["message"]


REFUSED: list[tuple[dict[str, object], int, str]] = [
    ({"model": "gpt-99"}, 400, "Invalid model: gpt-99"),
    ({"mood": "good"}, 422, "Extra inputs are not permitted"),
    ({"temperature": 1.6}, 422, "less than or equal to 1.5"),
    ({"seed": 3}, 422, "Extra inputs are not permitted"),
    ({"messages": []}, 422, "at least 1 item"),
    ({"messages": [{"role": "robot", "content": "x"}]}, 422, "robot"),
    ({"reasoning_effort": "low"}, 400, "'low' is not supported"),
    ({"tool_choice": "any"}, 400, "there are no tools"),
    ({"response_format": {"type": "json_schema"}}, 400, "json_schema goes with"),
    ({"messages": [ANSWERED]}, 400, "Unexpected role 'tool' as the first message"),
    ({"messages": [USER, CALLED, ANSWERED, USER]}, 400, "Unexpected role 'user' after role 'tool'"),
    ({"messages": [USER, CALLED, USER]}, 400, "Not the same number of function calls and responses"),
    ({"messages": [USER, CALLED]}, 400, "Not the same number of function calls and responses"),
    ({"messages": [USER, CALLED, {**ANSWERED, "tool_call_id": "x"}]}, 400, "Unexpected tool call id x"),
    ({"messages": [USER, {"role": "assistant", "content": "x"}]}, 400, "Expected last role User or Tool"),
    ({"messages": [USER, {"role": "assistant", "content": ""}, USER]}, 400, "either content or tool_calls"),
    ({"messages": [{"role": "user", "content": "word " * 300_000}]}, 400, "too large for model with 262144 maximum"),
    (
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "tool_calls": [{"id": "long-call-id", "function": {"name": "f", "arguments": ""}}],
                },
                {**ANSWERED, "tool_call_id": "long-call-id"},
            ]
        },
        400,
        "must be a-z, A-Z, 0-9, with a length of 9",
    ),
]


@pytest.mark.parametrize(("fields", "status", "words"), REFUSED, ids=[words for _, _, words in REFUSED])
async def test_what_the_service_refuses_is_refused(
    url: str, fields: dict[str, object], status: int, words: str
) -> None:
    answer = await ask(url, **fields)
    assert answer.status_code == status
    assert words in answer.text
    assert answer.headers["mistral-correlation-id"]


async def test_errors_are_those_of_the_sdk(mistral: Mistral, url: str, sandbox: httpx2.AsyncClient) -> None:
    with pytest.raises(SDKError) as refused:
        await mistral.chat.complete_async(model="gpt-99", messages=[sdk_models.UserMessage(content="x")])
    assert refused.value.status_code == 400
    assert json.loads(refused.value.body)["code"] == "1500"
    with pytest.raises(HTTPValidationError):
        await mistral.chat.complete_async(
            model="mistral-large-4", messages=[sdk_models.UserMessage(content="x")], temperature=1.9
        )
    await sandbox.post("/faults", json={"kind": "status", "status": 429, "code": "rate_limited", "retry_after": "2"})
    with pytest.raises(SDKError) as limited:
        await mistral.chat.complete_async(model="mistral-large-4", messages=[sdk_models.UserMessage(content="x")])
    assert limited.value.headers["retry-after"] == "2"
    async with Mistral(api_key="wrong", server_url=f"{url}/mistral") as stranger:
        with pytest.raises(MistralError) as unknown:
            await stranger.models.list_async()
    assert (unknown.value.status_code, json.loads(unknown.value.body)) == (401, {"detail": "Unauthorized"})


async def test_models_are_listed_with_their_windows(mistral: Mistral) -> None:
    listed = await mistral.models.list_async()
    cards = [card for card in listed.data or () if isinstance(card, sdk_models.BaseModelCard)]
    windows = {card.id: card.max_context_length for card in cards}
    assert windows["mistral-medium-3-5"] == 262_144
