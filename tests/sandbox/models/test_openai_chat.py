"""Chat Completions of the stand-in, driven by OpenAI's own SDK: as OpenAI speaks it, and as vLLM does."""

import json
from collections.abc import AsyncGenerator
from typing import cast

import httpx2
import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ChatCompletionMessageParam
from pydantic import TypeAdapter

from pointsman.contracts.base import Json
from tests.sandbox.models.scene import ITEM, KEY, OUTCOME

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHUNK: TypeAdapter[ChatCompletionChunk] = TypeAdapter(ChatCompletionChunk)
GET: dict[str, Json] = {
    "type": "function",
    "function": {
        "name": "work_items__get_work_item",
        "parameters": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
    },
}
TOLD = "Handle the work item below.\n\nWork item:\n" + json.dumps(ITEM)
OPEN: dict[str, Json] = {"type": "object"}
CALLED: dict[str, Json] = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


@pytest_asyncio.fixture(loop_scope="module")
async def vllm(url: str, sandbox: httpx2.AsyncClient) -> AsyncGenerator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=f"{url}/vllm/v1", max_retries=0) as client:
        yield client


async def create(sdk: AsyncOpenAI, **fields: object) -> ChatCompletion:
    whole = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": TOLD}], **fields}
    return cast(ChatCompletion, await sdk.post("/chat/completions", cast_to=ChatCompletion, body=whole))


async def test_chunks_are_those_of_the_service(sdk: AsyncOpenAI, sandbox: httpx2.AsyncClient) -> None:
    calls = [{"name": "f", "arguments": {"a": "one two three"}}, {"name": "g", "arguments": {}}]
    await sandbox.post("/scripts", json={"replies": [{"text": "one two three", "reasoning": "hm", "calls": calls}]})
    stream = await sdk.chat.completions.create(
        model="gpt-5-mini",
        messages=[{"role": "user", "content": "go"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    text, arguments, finish = "", {0: "", 1: ""}, []
    async for chunk in stream:
        CHUNK.validate_python(chunk.to_dict())
        usage = chunk.usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish += [choice.finish_reason] if choice.finish_reason else []
            for call in choice.delta.tool_calls or ():
                arguments[call.index] += (call.function and call.function.arguments) or ""
        assert (usage is not None) is (not chunk.choices), "usage comes last, alone"
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == 1
    assert (text, finish) == ("one two three", ["tool_calls"])
    assert arguments == {0: '{"a":"one two three"}', 1: "{}"}


async def test_usage_comes_only_where_it_is_asked_for(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="gpt-5-mini", messages=[{"role": "user", "content": "go"}], stream=True
    )
    assert [chunk.usage async for chunk in stream if chunk.usage or not chunk.choices] == []


async def test_tool_is_called_and_its_result_is_read(sdk: AsyncOpenAI) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "outcome", "schema": OUTCOME, "strict": True}}
    first = await create(sdk, tools=[GET], response_format=shape)
    said = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert said.tool_calls is not None
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": TOLD},
        cast(ChatCompletionMessageParam, said.to_dict()),
        {"role": "tool", "tool_call_id": said.tool_calls[0].id, "content": json.dumps(ITEM)},
    ]
    second = await create(sdk, messages=messages, tools=[GET], response_format=shape)
    assert second.choices[0].finish_reason == "stop"
    assert set(json.loads(second.choices[0].message.content or "")) == {
        "comment",
        "fields",
        "tags",
        "links",
        "question",
    }


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"model": "gpt-99"}, "does not exist"),
    ({"mood": "good"}, "Unrecognized request argument supplied: mood"),
    ({"messages": 7}, "Invalid value for 'messages'"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "Supported values are"),
    ({"messages": [{"role": "user", "content": None}]}, "expected a string, got null"),
    ({"messages": [{"role": "user", "content": "x", "mood": "good"}]}, "Unknown parameter: 'messages"),
    ({"messages": [{"role": "tool", "tool_call_id": "c", "content": "x"}]}, "must be a response to a preceeding"),
    ({"messages": [CALLED, {"role": "user", "content": "x"}]}, "did not have response messages: c"),
    ({"messages": [CALLED]}, "did not have response messages: c"),
    ({"messages": [{"role": "tool", "content": [{"type": "image_url"}], "tool_call_id": "c"}]}, "Supported values"),
    (
        {"messages": [{"role": "assistant", "content": "x", "tool_calls": [{"id": "c" * 41, "type": "function"}]}]},
        "string too long",
    ),
    ({"temperature": 0.5}, "'temperature' does not support"),
    ({"max_tokens": 5}, "Use 'max_completion_tokens'"),
    ({"stop": "x"}, "'stop' is not supported"),
    ({"model": "gpt-4.1-mini", "stop": ["a"] * 5}, "array too long"),
    ({"model": "gpt-4.1-mini", "reasoning_effort": "low"}, "reasoning_effort"),
    ({"model": "gpt-6-luna", "tools": [GET]}, "Function tools with reasoning_effort are not supported"),
    ({"metadata": {"a": "b"}}, "only allowed when 'store' is enabled"),
    ({"stream_options": {"include_usage": True}}, "only allowed when 'stream' is enabled"),
    ({"tool_choice": "required"}, "only allowed when 'tools' is enabled"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object"}}}]},
        "",
    ),
    ({"response_format": {"json_schema": {"strict": True, "schema": {"type": "object"}}}}, "every object must be"),
    ({"messages": [{"role": "user", "content": "word " * 900_000}]}, "maximum context length"),
]


@pytest.mark.parametrize(("fields", "words"), REFUSED, ids=[f"{next(iter(f))}-{w[:20]}" for f, w in REFUSED])
async def test_what_the_service_refuses_is_refused(sdk: AsyncOpenAI, fields: dict[str, object], words: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
        await create(sdk, **fields)
    assert words in caught.value.message
    assert caught.value.request_id


async def test_tools_are_taken_where_the_model_is_told_not_to_reason(sdk: AsyncOpenAI) -> None:
    done = await create(sdk, model="gpt-6-luna", tools=[GET], reasoning_effort="none", temperature=0.5)
    assert done.choices[0].finish_reason == "tool_calls"


async def test_wrong_key_is_refused(url: str) -> None:
    async with AsyncOpenAI(api_key="sk-wrong", base_url=f"{url}/v1", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            await create(sdk)
    async with AsyncOpenAI(api_key="sk-wrong", base_url=f"{url}/vllm/v1", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError):
            await create(sdk, model="openai/gpt-oss-120b")


async def test_vllm_shows_its_reasoning(vllm: AsyncOpenAI, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/scripts", json={"replies": [{"text": "Yes.", "reasoning": "I think so."}] * 2})
    asked: dict[str, object] = {"model": "openai/gpt-oss-120b", "messages": [{"role": "user", "content": "go"}]}
    whole = await create(vllm, **asked, guided_choice=["Yes."])
    assert whole.choices[0].message.to_dict()["reasoning"] == "I think so."
    stream = await vllm.post(
        "/chat/completions",
        cast_to=ChatCompletionChunk,
        body={**asked, "stream": True},
        stream=True,
        stream_cls=openai.AsyncStream[ChatCompletionChunk],
    )
    deltas = [chunk.choices[0].delta.to_dict() async for chunk in stream]
    assert "".join(str(delta.get("reasoning", "")) for delta in deltas) == "I think so."
    assert [model.id for model in (await vllm.models.list()).data] == ["openai/gpt-oss-120b"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"model": "other"}, 404),
        ({"messages": []}, 400),
        ({"messages": [{"role": "user", "content": "word " * 120_000}]}, 400),
    ],
)
async def test_vllm_refuses_with_the_status_as_code(vllm: AsyncOpenAI, fields: dict[str, object], status: int) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await create(vllm, **{"model": "openai/gpt-oss-120b", **fields})
    assert caught.value.status_code == status
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["code"] == status
