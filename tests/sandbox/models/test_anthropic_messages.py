"""The stand-in's Messages API, driven by Anthropic's own SDK: it answers, streams and refuses as the real one."""

import json
from collections.abc import AsyncGenerator, Mapping
from types import MappingProxyType

import anthropic
import httpx2
import pytest
import pytest_asyncio
from anthropic import AsyncAnthropic
from anthropic.types import Message, MessageParam, ModelInfo, RawMessageStreamEvent, ToolParam, ToolUseBlock
from pydantic import TypeAdapter

from tests.sandbox.models.scene import ITEM, KEY, OUTCOME

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)
HAIKU = "claude-haiku-5-5"
HELLO: MessageParam = {"role": "user", "content": "hello"}
GET: ToolParam = {
    "name": "work_items__get_work_item",
    "input_schema": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
}
CALLED = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "dark"}
BETA = {"anthropic-beta": "thinking-binding-controls-2026-08-01"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def claude(url: str) -> AsyncGenerator[AsyncAnthropic]:
    async with AsyncAnthropic(api_key=KEY, base_url=f"{url}/anthropic", max_retries=0, open_telemetry=False) as client:
        yield client


async def says(sandbox: httpx2.AsyncClient, *replies: Mapping[str, object]) -> None:
    await sandbox.post("/scripts", json={"replies": list(replies)})


async def post(
    claude: AsyncAnthropic, headers: Mapping[str, str] = MappingProxyType({}), /, **fields: object
) -> Message:
    """A request with whatever in it, past the SDK's own types."""
    body = {"model": HAIKU, "max_tokens": 1_000, "messages": [HELLO], **fields}
    return await claude.post("/v1/messages", cast_to=Message, body=body, options={"headers": headers})


async def test_events_are_those_of_the_service(claude: AsyncAnthropic, sandbox: httpx2.AsyncClient) -> None:
    call = {"name": "f", "arguments": {"a": 1}}
    await says(sandbox, {"text": "one two three", "reasoning": "I think.", "calls": [call]})
    told: list[RawMessageStreamEvent] = []
    stream = await claude.messages.create(
        model=HAIKU,
        max_tokens=1_000,
        messages=[HELLO],
        stream=True,
        thinking={"type": "adaptive", "display": "summarized"},
    )
    async for event in stream:
        EVENT.validate_python(event.to_dict())
        told.append(event)
    deltas = [event.delta.type for event in told if event.type == "content_block_delta"]
    assert list(dict.fromkeys(deltas)) == ["thinking_delta", "signature_delta", "text_delta", "input_json_delta"]
    assert [event.type for event in told if event.type != "content_block_delta"] == [
        "message_start",
        *["content_block_start", "content_block_stop"] * 3,
        "message_delta",
        "message_stop",
    ]
    last = told[-2]
    assert last.type == "message_delta"
    assert last.delta.stop_reason == "tool_use"
    assert last.usage.output_tokens > 1


async def test_sdk_accumulates_the_stream_into_the_message(claude: AsyncAnthropic, sandbox: httpx2.AsyncClient) -> None:
    reply = {"text": "Grüße 😀", "reasoning": "Which?", "calls": [{"name": "f", "arguments": {"at": "é"}}]}
    await says(sandbox, reply, reply)
    thinking: anthropic.types.ThinkingConfigAdaptiveParam = {"type": "adaptive", "display": "summarized"}
    async with claude.messages.stream(model=HAIKU, max_tokens=1_000, messages=[HELLO], thinking=thinking) as stream:
        streamed = (await stream.get_final_message()).to_dict()
    whole = (await claude.messages.create(model=HAIKU, max_tokens=1_000, messages=[HELLO], thinking=thinking)).to_dict()
    Message.model_validate(whole)
    assert [shape(block) for block in blocks(streamed)] == [shape(block) for block in blocks(whole)]
    assert streamed["stop_reason"] == whole["stop_reason"] == "tool_use"


def blocks(message: dict[str, object]) -> list[dict[str, object]]:
    found = message["content"]
    assert isinstance(found, list)
    return found


def shape(block: dict[str, object]) -> object:
    """A block without what is different each time."""
    return {key: value for key, value in block.items() if key not in ("id", "signature") and value is not None}


async def test_pings_come_between(url: str, sandbox: httpx2.AsyncClient) -> None:
    headers = {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}
    body = {"model": HAIKU, "max_tokens": 100, "messages": [HELLO], "stream": True}
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        told = await http.post("/anthropic/v1/messages", json=body, headers=headers)
    assert 'event: ping\ndata: {"type":"ping"}\n\n' in told.text
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.headers["request-id"].startswith("req_")


async def test_tools_are_called_and_their_results_read(claude: AsyncAnthropic) -> None:
    told = "Handle the work item below.\n\nWork item:\n" + json.dumps(ITEM)
    messages: list[MessageParam] = [{"role": "user", "content": told}]
    first = await claude.messages.create(
        model=HAIKU, max_tokens=1_000, system="Triage the item.", messages=messages, tools=[GET]
    )
    [call] = [block for block in first.content if isinstance(block, ToolUseBlock)]
    assert (first.stop_reason, call.input) == ("tool_use", {"id": 42})
    messages += [
        {"role": "assistant", "content": first.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": json.dumps(ITEM)}]},
    ]
    second = await claude.messages.create(
        model=HAIKU,
        max_tokens=1_000,
        system="Triage the item.",
        messages=messages,
        tools=[GET],
        output_config={"format": {"type": "json_schema", "schema": OUTCOME}},
    )
    assert second.stop_reason == "end_turn"
    assert second.content[-1].type == "text"
    assert set(json.loads(second.content[-1].text)) == {"comment", "fields", "tags", "links", "question"}
    assert second.usage.input_tokens > first.usage.input_tokens


async def thought(claude: AsyncAnthropic, sandbox: httpx2.AsyncClient, **fields: object) -> list[object]:
    """A conversation with reasoning in it, that goes on."""
    await says(sandbox, {"text": "Hm.", "reasoning": "Is it?"})
    answer = (await post(claude, **fields)).to_dict()
    assert blocks(answer)[0]["type"] == "thinking"
    return [HELLO, {"role": "assistant", "content": answer["content"]}, {"role": "user", "content": "And?"}]


async def test_reasoning_comes_back_as_it_was_or_is_refused(
    claude: AsyncAnthropic, sandbox: httpx2.AsyncClient
) -> None:
    messages = await thought(claude, sandbox, thinking={"type": "adaptive", "display": "summarized"})
    assert (await post(claude, messages=messages)).stop_reason == "end_turn"
    forged = json.loads(json.dumps(messages).replace("Is it?", "It is."))
    with pytest.raises(anthropic.BadRequestError, match=r"messages\.1\.content\.0: Invalid `signature`"):
        await post(claude, messages=forged)


async def test_reasoning_is_bound_to_what_stood_before_it(claude: AsyncAnthropic, sandbox: httpx2.AsyncClient) -> None:
    messages = await thought(claude, sandbox)
    with pytest.raises(anthropic.BadRequestError, match="bound to a different conversation"):
        await post(claude, messages=messages, system="Be brief.")
    drop = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
    with pytest.raises(anthropic.BadRequestError, match="Extra inputs are not permitted"):
        await post(claude, messages=messages, system="Be brief.", thinking=drop)
    answer = await post(claude, BETA, messages=messages, system="Be brief.", thinking=drop)
    dropped = {"type": "thinking_dropped", "path": "messages.1.content.0", "reason": "prefix_binding_mismatch"}
    assert answer.to_dict()["input_transformations"] == [dropped]


async def test_reasoning_of_another_model_is_passed_over(claude: AsyncAnthropic, sandbox: httpx2.AsyncClient) -> None:
    messages = await thought(claude, sandbox, model="claude-opus-5")
    answer = await post(claude, BETA, messages=messages)
    assert "model_binding_mismatch" in json.dumps(answer.to_dict()["input_transformations"])


async def test_reasoning_is_not_shown_unless_asked_for(claude: AsyncAnthropic, sandbox: httpx2.AsyncClient) -> None:
    messages = await thought(claude, sandbox)
    assert '"thinking": ""' in json.dumps(messages)


@pytest.mark.parametrize("thinking", [{"type": "disabled"}, None])
async def test_no_reasoning_where_it_is_off_or_a_tool_is_forced(
    claude: AsyncAnthropic, sandbox: httpx2.AsyncClient, thinking: object
) -> None:
    await says(sandbox, {"reasoning": "Is it?", "calls": [{"name": GET["name"], "arguments": {"id": 1}}]})
    fields: dict[str, object] = {"thinking": thinking} if thinking else {"tool_choice": {"type": "any"}}
    answer = await post(claude, tools=[GET], **fields)
    assert [block.type for block in answer.content] == ["tool_use"]
    assert answer.usage.output_tokens_details is not None
    assert answer.usage.output_tokens_details.thinking_tokens == 0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"text": "a long story", "finish": "length"}, "max_tokens"),
        ({"text": "a rude story", "finish": "content_filter"}, "refusal"),
        ({"refusal": "Not that."}, "refusal"),
    ],
)
async def test_why_an_answer_ends(
    claude: AsyncAnthropic, sandbox: httpx2.AsyncClient, reply: dict[str, object], reason: str
) -> None:
    await says(sandbox, reply)
    answer = await post(claude)
    assert answer.stop_reason == reason
    assert (answer.stop_details is not None) is (reason == "refusal")


async def test_prompt_is_cached_where_it_is_marked(claude: AsyncAnthropic) -> None:
    marked = [{"type": "text", "text": "All rules of the house. " * 300, "cache_control": {"type": "ephemeral"}}]
    first, second = await post(claude, system=marked), await post(claude, system=marked, messages=[HELLO, HELLO])
    unmarked = await post(claude, system=[{"type": "text", "text": "All rules of the house. " * 300}])
    assert first.usage.cache_creation_input_tokens
    assert not first.usage.cache_read_input_tokens
    assert second.usage.cache_read_input_tokens
    assert second.usage.input_tokens < unmarked.usage.input_tokens
    assert not unmarked.usage.cache_creation_input_tokens


async def test_models_are_listed_page_by_page(claude: AsyncAnthropic) -> None:
    models = [model async for model in claude.models.list(limit=3)]
    assert len(models) > 3
    haiku = await claude.models.retrieve(HAIKU)
    assert (haiku.max_input_tokens, haiku.max_tokens, haiku.lifecycle) == (1_000_000, 128_000, "active")
    assert haiku.id in [model.id for model in models]
    for model in models:
        ModelInfo.model_validate(model.to_dict())
    assert haiku.capabilities is not None
    assert haiku.capabilities.thinking.types.disabled.supported
    assert not haiku.capabilities.thinking.types.enabled.supported
    with pytest.raises(anthropic.NotFoundError, match="model: claude-9"):
        await claude.models.retrieve("claude-9")
    with pytest.raises(anthropic.BadRequestError, match="limit"):
        await claude.models.list(limit=0)


async def test_tokens_are_counted(claude: AsyncAnthropic) -> None:
    short = await claude.messages.count_tokens(model=HAIKU, messages=[HELLO])
    longer = await claude.messages.count_tokens(model=HAIKU, messages=[HELLO], system="Be brief.", tools=[GET])
    assert 0 < short.input_tokens < longer.input_tokens
    with pytest.raises(anthropic.BadRequestError, match="max_tokens: Extra inputs"):
        await claude.post("/v1/messages/count_tokens", cast_to=object, body={**MINIMAL, "max_tokens": 5})


MINIMAL = {"model": HAIKU, "messages": [HELLO]}
OPEN = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
BOUNDED = {"type": "json_schema", "schema": {"type": "integer", "minimum": 1}}
REFUSED: list[tuple[dict[str, object], str]] = [
    ({"temperature": 1.0}, "temperature: Extra inputs are not permitted"),
    ({"top_k": 5}, "top_k: Extra inputs are not permitted"),
    ({"mood": "good"}, "mood: Extra inputs are not permitted"),
    ({"max_tokens": None}, "max_tokens"),
    ({"max_tokens": 128_001}, "maximum allowed number of output tokens"),
    ({"messages": []}, "messages"),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0"),
    ({"messages": [{"role": "user", "content": " "}]}, "non-whitespace"),
    ({"messages": [{"role": "user", "content": []}]}, "non-empty content"),
    ({"messages": [{"role": "assistant", "content": "x"}, HELLO]}, 'must use the "user" role'),
    ({"messages": [HELLO, {"role": "assistant", "content": "So"}]}, "prefill"),
    ({"messages": [HELLO, CALLED, HELLO]}, "without `tool_result` blocks immediately after: t1"),
    ({"messages": [HELLO, CALLED]}, "prefill"),
    ({"messages": [{"role": "user", "content": [RESULT]}]}, "unexpected `tool_use_id`"),
    (
        {"messages": [HELLO, CALLED, {"role": "user", "content": [{"type": "text", "text": "x"}, RESULT]}]},
        "must come first",
    ),
    (
        {"messages": [HELLO, CALLED, {"role": "user", "content": [RESULT]}, CALLED, {"role": "user", "content": "x"}]},
        "must be unique",
    ),
    ({"messages": [HELLO, {"role": "system", "content": "Hush."}, HELLO]}, "must follow a user turn"),
    (
        {"model": "claude-haiku-4-5", "messages": [HELLO, {"role": "system", "content": "Hush."}]},
        "role 'system' is not supported",
    ),
    ({"system": " "}, "non-whitespace"),
    (
        {
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5}
            ]
        },
        "A maximum of 4 blocks",
    ),
    ({"thinking": {"type": "enabled", "budget_tokens": 1_024}}, '"thinking.type.enabled" is not supported'),
    ({"thinking": {"type": "adaptive", "budget_tokens": 1_024}}, "budget_tokens: Extra inputs"),
    ({"thinking": {"type": "disabled", "display": "omitted"}}, "thinking.display"),
    ({"model": "claude-opus-5-5", "thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported'),
    ({"model": "claude-haiku-4-5", "thinking": {"type": "enabled"}}, "budget_tokens: Field required"),
    ({"model": "claude-haiku-4-5", "thinking": {"type": "enabled", "budget_tokens": 1_024}}, "must be greater than"),
    (
        {
            "model": "claude-haiku-4-5",
            "max_tokens": 2_000,
            "thinking": {"type": "enabled", "budget_tokens": 1_024},
            "messages": [HELLO, CALLED, {"role": "user", "content": [RESULT]}],
        },
        "Expected `thinking` or `redacted_thinking`, but found `tool_use`",
    ),
    ({"model": "claude-haiku-4-5", "output_config": {"effort": "low"}}, "output_config.effort"),
    ({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}, "not supported with"),
    ({"tool_choice": {"type": "any"}}, "may only be specified while providing tools"),
    ({"tools": [GET], "tool_choice": {"type": "tool", "name": "f"}}, "not found in provided tools"),
    ({"tools": [GET, GET]}, "Tool names must be unique"),
    ({"tools": [{"name": "f", "input_schema": {}}]}, "input_schema.type"),
    ({"tools": [{"name": "f", "input_schema": {"type": "object", "anyOf": []}}]}, "at the top level"),
    ({"model": "claude-opus-5-5", "tools": [GET], "tool_choice": {"type": "any"}}, "are not supported for this model"),
    ({"model": "claude-opus-5", "tools": [GET], "tool_choice": {"type": "any"}}, "Thinking may not be enabled"),
    ({"output_config": {"format": OPEN}}, "must be explicitly set to false"),
    ({"output_config": {"format": BOUNDED}}, "property 'minimum' is not supported"),
    ({"stop_sequences": [" "]}, "non-whitespace"),
    ({"messages": [{"role": "user", "content": "word " * 900_000}]}, "prompt is too long"),
]


@pytest.mark.parametrize(("fields", "told"), REFUSED, ids=[told[:30] for _, told in REFUSED])
async def test_what_the_service_refuses_is_refused(
    claude: AsyncAnthropic, fields: dict[str, object], told: str
) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        await post(claude, **fields)
    assert caught.value.type == "invalid_request_error"
    assert told in (caught.value.api_message or "")
    assert caught.value.request_id


async def test_unknown_model_is_not_found(claude: AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="model: claude-9"):
        await post(claude, model="claude-9")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (402, anthropic.APIStatusError),
        (403, anthropic.PermissionDeniedError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.InternalServerError),
    ],
)
async def test_ordered_error_is_of_the_sdk_s_class(
    claude: AsyncAnthropic, sandbox: httpx2.AsyncClient, status: int, kind: type[anthropic.APIStatusError]
) -> None:
    await sandbox.post("/faults", json={"kind": "status", "status": status, "retry_after": "2"})
    with pytest.raises(kind) as caught:
        await post(claude)
    assert caught.value.status_code == status
    assert caught.value.type is not None
    assert caught.value.response.headers["retry-after"] == "2"


async def test_error_in_a_stream_comes_under_its_status_of_success(
    claude: AsyncAnthropic, sandbox: httpx2.AsyncClient
) -> None:
    await sandbox.post("/faults", json={"kind": "error_event", "after": 2, "message": "Overloaded"})
    stream = await claude.messages.create(model=HAIKU, max_tokens=100, messages=[HELLO], stream=True)
    with pytest.raises(anthropic.APIStatusError) as caught:
        async for _ in stream:
            pass
    assert (caught.value.status_code, caught.value.type) == (200, "overloaded_error")


async def test_wrong_key_and_wrong_version_are_refused(url: str) -> None:
    async with AsyncAnthropic(api_key="sk-wrong", base_url=f"{url}/anthropic", max_retries=0) as wrong:
        with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
            await wrong.models.list()
    async with httpx2.AsyncClient(base_url=f"{url}/anthropic/v1", timeout=60) as http:
        assert (await http.get("/models")).status_code == 401
        key = {"x-api-key": KEY}
        assert "header is required" in (await http.get("/models", headers=key)).text
        assert "not a valid version" in (await http.get("/models", headers={**key, "anthropic-version": "1"})).text
        broken = await http.post("/messages", content=b"{", headers={**key, "anthropic-version": "2026-10-21"})
        assert broken.json()["error"] == {
            "type": "invalid_request_error",
            "message": "The request body is not valid JSON",
        }
