"""The stand-in's wire format, driven by the official SDK, and its control from outside: it speaks as the real one."""

import asyncio
from collections.abc import AsyncGenerator

import httpx2
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.sandbox.models.scene import GET, ITEM, KEY, SEARCH, create, opening

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


async def test_events_are_those_of_the_service(sdk: AsyncOpenAI, sandbox: httpx2.AsyncClient) -> None:
    reply = {"text": "one two three", "reasoning": "I think.", "calls": [{"name": "f", "arguments": {"a": 1}}]}
    await sandbox.post("/scripts", json={"replies": [reply]})
    kinds: list[str] = []
    stream = await sdk.responses.create(
        model="gpt-6-luna", input="go", stream=True, reasoning={"effort": "low", "summary": "auto"}
    )
    async for number, event in numbered(stream):
        EVENT.validate_python(event.to_dict())
        assert event.sequence_number == number
        kinds.append(event.type)
    assert [kind for kind in dict.fromkeys(kinds) if "delta" not in kind] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.reasoning_summary_text.done",
        "response.reasoning_summary_part.done",
        "response.output_item.done",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.function_call_arguments.done",
        "response.completed",
    ]


async def numbered(
    stream: openai.AsyncStream[ResponseStreamEvent],
) -> AsyncGenerator[tuple[int, ResponseStreamEvent]]:
    number = 0
    async for event in stream:
        yield number, event
        number += 1


async def test_answers_are_of_the_published_shape(sdk: AsyncOpenAI) -> None:
    response = await create(sdk, opening(ITEM), GET, SEARCH)
    Response.model_validate(response.to_dict(), strict=False)
    models = await sdk.models.list()
    assert "gpt-6-luna" in [model.id for model in models.data]


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"model": "gpt-99"}, "model_not_found"),
    ({"temperature": 0.5}, "unsupported_parameter"),
    ({"mood": "good"}, "unknown_parameter"),
    ({"input": 7}, "invalid_type"),
    ({"metadata": {f"k{number}": "v" for number in range(17)}}, "object_above_max_properties"),
    ({"metadata": {"k": "v" * 513}}, "string_above_max_length"),
    ({"model": "gpt-4.1-mini", "include": ["reasoning.encrypted_content"]}, "None"),
    ({"model": "gpt-4.1-mini", "reasoning": {"effort": "low"}}, "unsupported_parameter"),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, "None"),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "None"),
    ({"input": [{"type": "reasoning", "id": "rs_1", "summary": []}]}, "None"),
    (
        {
            "input": [
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "forged"},
                {"role": "assistant", "content": "x"},
            ]
        },
        "invalid_encrypted_content",
    ),
    ({"text": {"format": {"type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}}}, ""),
    ({"tools": [{**GET, "strict": True}]}, "invalid_function_parameters"),
    ({"input": "word " * 900_000}, "context_length_exceeded"),
]


@pytest.mark.parametrize(("fields", "code"), REFUSED, ids=[f"{code}-{next(iter(f))}" for f, code in REFUSED])
async def test_what_the_service_refuses_is_refused(sdk: AsyncOpenAI, fields: dict[str, object], code: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await sdk.post("/responses", cast_to=object, body={"model": "gpt-6-luna", "input": "hi", **fields})
    assert str(caught.value.code) == (code or "invalid_json_schema")
    assert caught.value.request_id


@pytest.mark.parametrize("key", ["sk-wrong", "sk-wrong-and-long-enough-to-be-masked"])
async def test_wrong_key_is_refused(url: str, key: str) -> None:
    async with AsyncOpenAI(api_key=key, base_url=f"{url}/v1", max_retries=0) as sdk:
        with pytest.raises(openai.AuthenticationError, match="Incorrect API key"):
            await sdk.models.list()


async def test_missing_key_and_broken_body_are_refused(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=60) as http:
        assert (await http.get("/v1/models")).status_code == 401
        headers = {"authorization": f"Bearer {KEY}"}
        assert (await http.post("/v1/responses", content=b"{", headers=headers)).status_code == 400
        answer = await http.post("/v1/responses", json={"input": "x"}, headers=headers)
        assert answer.json()["error"]["code"] == "missing_required_parameter"


async def test_held_request_waits_and_its_repetition_is_recognised(
    sdk: AsyncOpenAI, sandbox: httpx2.AsyncClient
) -> None:
    hold = (await sandbox.post("/holds", json={"match": '"id": 42', "skip": 1})).json()["id"]
    await create(sdk, opening(ITEM), GET)
    waiting = asyncio.create_task(create(sdk, opening(ITEM), GET))
    await until(sandbox, "held", 1)
    waiting.cancel()
    await until(sandbox, "held", 0)
    repeated = await create(sdk, opening(ITEM), GET)
    log = (await sandbox.get("/requests")).json()
    assert [entry["outcome"] for entry in log] == ["answered", "aborted", "answered"]
    assert log[1]["body_sha256"] == log[2]["body_sha256"]
    assert log[2]["response_id"] == repeated.id
    assert (await sandbox.get("/counters")).json()["repeats"] == 2
    assert (await sandbox.post(f"/holds/{hold}/release")).status_code == 204
    assert (await sandbox.get("/holds")).json()[0]["held"] == 1
    assert (await sandbox.post("/holds/other/release")).status_code == 404


async def test_released_request_goes_on(sdk: AsyncOpenAI, sandbox: httpx2.AsyncClient) -> None:
    hold = (await sandbox.post("/holds", json={})).json()["id"]
    waiting = asyncio.create_task(sdk.responses.create(model="gpt-6-luna", input="go", metadata={"item": "7"}))
    await until(sandbox, "held", 1)
    await sandbox.post(f"/holds/{hold}/release")
    assert (await waiting).status == "completed"
    counters = (await sandbox.get("/counters")).json()
    assert counters["by_outcome"] == {"answered": 1}
    assert counters["by_metadata"] == {"item=7": 1}
    assert counters["by_model"] == {"gpt-6-luna": 1}


async def until(sandbox: httpx2.AsyncClient, counter: str, value: int) -> None:
    """Ask until the counter has the value: whoever is outside of the stand-in can only ask."""
    async with asyncio.timeout(60):
        while (await sandbox.get("/counters")).json()[counter] != value:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.01)


async def test_faults_come_as_often_as_ordered(sdk: AsyncOpenAI, sandbox: httpx2.AsyncClient) -> None:
    order = {"kind": "status", "status": 429, "code": "rate_limit_exceeded", "retry_after": "2", "count": 2}
    await sandbox.post("/faults", json=order)
    for _ in range(2):
        with pytest.raises(openai.RateLimitError) as caught:
            await sdk.responses.create(model="gpt-6-luna", input="go")
        assert caught.value.response.headers["retry-after"] == "2"
    assert (await sdk.responses.create(model="gpt-6-luna", input="go")).status == "completed"
    assert (await sandbox.get("/counters")).json()["by_outcome"] == {"faulted": 2, "answered": 1}


async def test_slow_answer_is_an_answer(sdk: AsyncOpenAI, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/faults", json={"kind": "slow", "seconds": 0.01})
    assert (await sdk.responses.create(model="gpt-6-luna", input="go")).status == "completed"


async def test_unknown_order_is_refused(sandbox: httpx2.AsyncClient) -> None:
    assert (await sandbox.post("/faults", json={"kind": "explode"})).status_code == 422
    assert (await sandbox.post("/scripts", json={"replies": []})).status_code == 422
