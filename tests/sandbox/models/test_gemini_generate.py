"""The stand-in's GenerateContent, driven by Google's own SDK: it answers, streams and refuses as the real one."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping

import aiohttp
import httpx2
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors, types

from pointsman.sandbox.models.gemini_generate.lineup import MODELS
from tests.sandbox.models.scene import COMMENTS, GET, ITEM, KEY, OUTCOME, SEARCH

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning"),  # the SDK's own
]

FLASH, OLDER = "gemini-3.8-flash", "gemini-2.5-flash"
HELLO: dict[str, object] = {"role": "user", "parts": [{"text": "hello"}]}
CALL: dict[str, object] = {
    "functionCall": {"name": "f", "args": {}, "id": "c1"},
    "thoughtSignature": "skip_thought_signature_validator",
}
CALLED: dict[str, object] = {"role": "model", "parts": [CALL]}
RESULT: dict[str, object] = {"functionResponse": {"name": "f", "id": "c1", "response": {"output": "dark"}}}
ANSWERED: dict[str, object] = {"role": "user", "parts": [RESULT]}
SCHEMA: dict[str, object] = {"type": "object", "properties": {"colour": {"type": "string"}}}
F: dict[str, object] = {"name": "f", "parametersJsonSchema": {"type": "object"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def google(url: str) -> AsyncGenerator[genai.Client]:
    options = types.HttpOptions(base_url=f"{url}/gemini", retry_options=types.HttpRetryOptions(attempts=1))
    client = genai.Client(api_key=KEY, vertexai=False, http_options=options)
    yield client
    await client.aio.aclose()
    client.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def http(url: str) -> AsyncGenerator[httpx2.AsyncClient]:
    headers = {"x-goog-api-key": KEY}
    async with httpx2.AsyncClient(base_url=f"{url}/gemini/v1", headers=headers, timeout=60) as client:
        yield client


async def says(sandbox: httpx2.AsyncClient, *replies: dict[str, object]) -> None:
    await sandbox.post("/scripts", json={"replies": list(replies)})


async def post(http: httpx2.AsyncClient, fields: Mapping[str, object], model: str = FLASH) -> httpx2.Response:
    """A request with whatever in it, past the SDK's own types."""
    return await http.post(f"/models/{model}:generateContent", json={"contents": [HELLO], **fields})


def declared(*tools: object) -> list[types.Tool]:
    functions = [
        types.FunctionDeclaration(name=str(tool["name"]), description="", parameters_json_schema=tool["parameters"])
        for tool in tools
        if isinstance(tool, dict)
    ]
    return [types.Tool(function_declarations=functions)]


def config(**fields: object) -> types.GenerateContentConfig:
    off = {"automatic_function_calling": {"disable": True}, "automatic_continuation": False}
    return types.GenerateContentConfig.model_validate({**off, **fields})


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "stream"])
async def test_every_field_is_one_of_the_published_ones(
    http: httpx2.AsyncClient, sandbox: httpx2.AsyncClient, streamed: bool
) -> None:
    calls = [{"name": "f", "arguments": {"a": 1}}, {"name": "f"}]
    await says(sandbox, {"text": "one two three", "reasoning": "I think of it.", "calls": calls})
    body = {"contents": [HELLO], "generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    if streamed:
        answer = await http.post(f"/models/{FLASH}:streamGenerateContent?alt=sse", json=body)
        told = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event]
    else:
        told = [(await http.post(f"/models/{FLASH}:generateContent", json=body)).json()]
    responses = [types.GenerateContentResponse.model_validate(response) for response in told]
    parts = [part for response in responses for part in parts_of(response)]
    assert "".join(part.text or "" for part in parts if part.thought) == "I think of it."
    assert "".join(part.text or "" for part in parts if not part.thought) == "one two three"
    called = [part for part in parts if part.function_call]
    assert [part.function_call.args for part in called if part.function_call] == [{"a": 1}, {}]
    assert [bool(part.thought_signature) for part in called] == [True, False], "the first of parallel calls is signed"
    reasons = [response.candidates[0].finish_reason for response in responses if response.candidates]
    assert reasons == [None] * (len(responses) - 1) + [types.FinishReason.STOP]
    assert len({response.response_id for response in responses}) == 1
    usage = responses[-1].usage_metadata
    assert usage is not None
    assert usage.total_token_count == sum(
        count or 0 for count in (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    )


def parts_of(response: types.GenerateContentResponse) -> list[types.Part]:
    [candidate] = response.candidates or []
    return list((candidate.content.parts if candidate.content else None) or [])


async def test_text_is_signed_at_its_end(google: genai.Client, sandbox: httpx2.AsyncClient) -> None:
    await says(sandbox, {"text": "one two three four five", "reasoning": "hm"})
    stream = await google.aio.models.generate_content_stream(model=FLASH, contents="hello", config=config())
    chunks = [parts_of(chunk) async for chunk in stream]
    assert len(chunks) > 2
    assert all(part.thought_signature is None for parts in chunks[:-1] for part in parts)
    assert [(part.text, bool(part.thought_signature)) for part in chunks[-1]] == [("", True)]


@pytest.mark.parametrize("model", [FLASH, OLDER])
async def test_agent_looks_things_up_and_answers_by_schema(google: genai.Client, model: str) -> None:
    """The round of tools as Google's guide has it: the whole content of the model goes back, and the results."""
    told = "Handle the work item below.\n\nWork item:\n" + json.dumps(ITEM)
    contents: list[types.ContentUnion] = [types.Content(role="user", parts=[types.Part(text=told)])]
    tools = declared(GET, SEARCH, COMMENTS)
    settings = config(system_instruction="Triage the item.", tools=tools)
    first = await google.aio.models.generate_content(model=model, contents=contents, config=settings)
    calls = first.function_calls or []
    assert {call.name for call in calls} == {"work_items__get_work_item", "work_items__search_work_items"}
    assert all(bool(call.id) is (model == FLASH) for call in calls)
    results = [
        types.Part(function_response=types.FunctionResponse(name=call.name, id=call.id, response={"output": "[]"}))
        for call in calls
    ]
    assert first.candidates
    assert first.candidates[0].content
    contents += [first.candidates[0].content, types.Content(role="user", parts=results)]
    asked = config(response_mime_type="application/json", response_json_schema=OUTCOME)
    second = await google.aio.models.generate_content(model=model, contents=contents, config=asked)
    assert set(json.loads(second.text or "")) == {"comment", "fields", "tags", "links", "question"}


REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("unknown", {"mood": "good"}, 'Unknown name "mood": Cannot find field'),
    ("unknown-inside", {"generationConfig": {"mood": 1}}, "Unknown name \"mood\" at 'generation_config'"),
    ("type", {"contents": 7}, "Invalid value at 'contents'"),
    ("temperature", {"generationConfig": {"temperature": 3}}, "Invalid value at 'generation_config.temperature'"),
    ("no-contents", {"contents": []}, "contents is not specified"),
    ("no-parts", {"contents": [{"role": "user"}]}, "contents.parts must not be empty"),
    ("role", {"contents": [{**HELLO, "role": "assistant"}]}, "Please use a valid role: user, model."),
    ("empty-text", {"contents": [{"parts": [{"text": ""}]}]}, "required oneof field 'data'"),
    ("two-in-one", {"contents": [{"parts": [{"text": "a", **RESULT}]}]}, "required oneof field 'data'"),
    ("no-base64", {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "a*"}}]}]}, "Base64"),
    ("call-first", {"contents": [CALLED, ANSWERED]}, "function call turn comes immediately after a user turn"),
    ("call-open", {"contents": [HELLO, CALLED]}, "number of function response parts is equal"),
    ("two-answers", {"contents": [HELLO, CALLED, {"parts": [RESULT, RESULT]}]}, "number of function response parts"),
    ("answer-alone", {"contents": [HELLO, ANSWERED]}, "comes immediately after a function call turn"),
    (
        "other-id",
        {"contents": [HELLO, CALLED, {"parts": [{"functionResponse": {"name": "f", "id": "x", "response": {}}}]}]},
        "functionResponse.id does not match functionCall.id",
    ),
    (
        "no-name",
        {"contents": [HELLO, CALLED, {"parts": [{"functionResponse": {"id": "c1", "response": {}}}]}]},
        "Name cannot be empty",
    ),
    (
        "unsigned",
        {
            "contents": [
                HELLO,
                {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "c1"}}]},
                ANSWERED,
            ]
        },
        "missing a thought_signature",
    ),
    (
        "forged",
        {"contents": [HELLO, {"role": "model", "parts": [{"text": "x", "thoughtSignature": "Zm9yZ2Vk"}]}, HELLO]},
        "Corrupted thought signature",
    ),
    ("name", {"tools": [{"functionDeclarations": [{**F, "name": "1f"}]}]}, "Invalid function name"),
    ("twice", {"tools": [{"functionDeclarations": [F, F]}]}, "Duplicate function declaration found: f"),
    (
        "two-schemas",
        {"tools": [{"functionDeclarations": [{**F, "parameters": {"type": "OBJECT"}}]}]},
        "only one of parameters",
    ),
    (
        "no-object",
        {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": {"type": "string"}}]}]},
        "should be of type OBJECT",
    ),
    (
        "allowed",
        {"toolConfig": {"functionCallingConfig": {"allowedFunctionNames": ["f"]}}},
        "Allowed function names should only be set",
    ),
    (
        "not-there",
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["g"]}}},
        "not among the function declarations",
    ),
    ("no-mime", {"generationConfig": {"responseJsonSchema": SCHEMA}}, "requires the response_mime_type"),
    (
        "schemas",
        {"generationConfig": {"responseJsonSchema": SCHEMA, "responseSchema": SCHEMA}},
        "Only one of response_schema",
    ),
    (
        "both-thoughts",
        {"generationConfig": {"thinkingConfig": {"thinkingBudget": 1, "thinkingLevel": "LOW"}}},
        "only set one of thinking_budget",
    ),
    (
        "minimal",
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "MINIMAL"}}},
        "Thinking level MINIMAL is not supported for this model",
    ),
    ("budget", {"generationConfig": {"thinkingConfig": {"thinkingBudget": 5}}}, "thinking budget 5 is invalid"),
    ("label", {"labels": {"Key": "v"}}, "Invalid label"),
    ("labels", {"labels": {f"k{number}": "v" for number in range(65)}}, "at most 64 labels"),
    ("window", {"contents": [{"parts": [{"text": "word " * 900_000}]}]}, "exceeds the maximum number of tokens"),
]


@pytest.mark.parametrize(("fields", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_the_service_refuses_is_refused(
    http: httpx2.AsyncClient, fields: dict[str, object], message: str
) -> None:
    answer = await post(http, fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert message in error["message"]


async def test_older_models_answer_by_schema_or_call_functions(http: httpx2.AsyncClient) -> None:
    by_schema = {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    both = {"tools": [{"functionDeclarations": [F]}], "generationConfig": by_schema}
    answer = await post(http, both, OLDER)
    assert answer.json()["error"]["message"].startswith("Function calling with a response mime type")
    assert (await post(http, both)).status_code == 200


async def test_signatures_of_turns_before_are_not_asked_for(http: httpx2.AsyncClient) -> None:
    unsigned = {"role": "model", "parts": [{"functionCall": {"name": "f", "id": "c1"}}]}
    assert (await post(http, {"contents": [HELLO, unsigned, ANSWERED, HELLO]})).status_code == 200


async def test_both_spellings_of_a_field_are_read(http: httpx2.AsyncClient) -> None:
    answer = await post(http, {"generation_config": {"max_output_tokens": 5}, "system_instruction": HELLO})
    assert answer.json()["candidates"][0]["finishReason"] == "MAX_TOKENS"


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ({"text": "a b c d", "finish": "length"}, types.FinishReason.MAX_TOKENS),
        ({"text": "a b c d", "finish": "content_filter"}, types.FinishReason.SAFETY),
        ({"refusal": "no"}, types.FinishReason.SAFETY),
        ({"calls": [{"name": "f", "raw": '{"a": '}]}, types.FinishReason.MALFORMED_FUNCTION_CALL),
    ],
)
async def test_answers_end_as_the_service_ends_them(
    google: genai.Client, sandbox: httpx2.AsyncClient, reply: dict[str, object], reason: types.FinishReason
) -> None:
    await says(sandbox, reply)
    answer = await google.aio.models.generate_content(model=FLASH, contents="hello", config=config())
    [candidate] = answer.candidates or []
    assert candidate.finish_reason is reason
    assert bool(candidate.content) is ("text" in reply)


async def test_blocked_prompt_has_no_candidates(google: genai.Client, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/faults", json={"kind": "failed", "code": "BLOCKLIST"})
    answer = await google.aio.models.generate_content(model=FLASH, contents="hello", config=config())
    assert answer.candidates is None
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason is types.BlockedReason.BLOCKLIST


async def test_wait_is_told_in_the_body(google: genai.Client, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/faults", json={"kind": "status", "status": 429, "message": "quota", "retry_after": "37"})
    with pytest.raises(errors.ClientError) as caught:
        await google.aio.models.generate_content(model=FLASH, contents="hello", config=config())
    assert (caught.value.code, caught.value.status, caught.value.message) == (429, "RESOURCE_EXHAUSTED", "quota")
    [info] = caught.value.details["error"]["details"]
    assert info == {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}


async def test_error_within_a_stream_is_raised_by_the_sdk(google: genai.Client, sandbox: httpx2.AsyncClient) -> None:
    await says(sandbox, {"text": "one two three four"})
    await sandbox.post("/faults", json={"kind": "error_event", "after": 1, "message": "overloaded"})
    stream = await google.aio.models.generate_content_stream(model=FLASH, contents="hello", config=config())
    with pytest.raises(errors.ServerError) as caught:
        _ = [chunk async for chunk in stream]
    assert caught.value.status == "UNAVAILABLE"


@pytest.mark.parametrize("kind", ["cut", "drop"])
async def test_streams_break_as_on_the_wire(google: genai.Client, sandbox: httpx2.AsyncClient, kind: str) -> None:
    await says(sandbox, {"text": "one two three four"})
    await sandbox.post("/faults", json={"kind": kind, "after": 1})
    stream = await google.aio.models.generate_content_stream(model=FLASH, contents="hello", config=config())
    if kind == "drop":
        with pytest.raises(aiohttp.ClientPayloadError):
            _ = [chunk async for chunk in stream]
        return
    [chunk] = [chunk async for chunk in stream]
    assert chunk.candidates
    assert chunk.candidates[0].finish_reason is None


async def test_wrong_key_unknown_model_and_broken_body_are_refused(url: str, http: httpx2.AsyncClient) -> None:
    path = f"{url}/gemini/v1/models/{FLASH}:generateContent"
    async with httpx2.AsyncClient(timeout=60) as anybody:
        nobody = await anybody.post(path, json={"contents": [HELLO]})
        wrong = await anybody.post(path, json={"contents": [HELLO]}, headers={"x-goog-api-key": "AIzaWrong"})
    assert (nobody.status_code, nobody.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    assert (wrong.status_code, wrong.json()["error"]["details"][0]["reason"]) == (400, "API_KEY_INVALID")
    unknown = await post(http, {}, "gemini-99")
    assert unknown.status_code == 404
    assert "models/gemini-99 is not found for API version v1" in unknown.json()["error"]["message"]
    broken = await http.post(f"/models/{FLASH}:generateContent", content=b"{")
    assert "Invalid JSON payload received" in broken.json()["error"]["message"]
    whole = await http.post(f"/models/{FLASH}:streamGenerateContent", json={"contents": [HELLO]})
    assert whole.status_code == 400


async def test_models_are_listed_page_by_page(google: genai.Client, http: httpx2.AsyncClient) -> None:
    listed = [model async for model in await google.aio.models.list(config={"page_size": 2})]
    assert [model.name for model in listed] == [f"models/{name}" for name in MODELS]
    assert {model.input_token_limit for model in listed} == {1_048_576}
    one = await google.aio.models.get(model=FLASH)
    assert (one.name, one.thinking) == (f"models/{FLASH}", True)
    assert (await http.get("/models?pageToken=x")).status_code == 400
    assert (await http.get("/models/other")).status_code == 404


async def test_tokens_are_counted_of_contents_and_of_whole_requests(
    google: genai.Client, http: httpx2.AsyncClient
) -> None:
    alone = await google.aio.models.count_tokens(model=FLASH, contents="hello " * 20)
    assert alone.total_tokens == 30
    assert (await http.post(f"/models/{FLASH}:countTokens", json={"contents": [HELLO]})).json()["totalTokens"] == 2
    whole = {"model": f"models/{FLASH}", "contents": [HELLO], "tools": [{"functionDeclarations": [F]}]}
    counted = await http.post(f"/models/{FLASH}:countTokens", json={"generateContentRequest": whole})
    assert counted.json()["totalTokens"] > 2
    other = {"generateContentRequest": {**whole, "model": "models/gemini-4-argon"}}
    assert (await http.post(f"/models/{FLASH}:countTokens", json=other)).status_code == 400


async def test_equal_beginnings_are_cached_without_being_asked_for(google: genai.Client) -> None:
    long = "All rules of the house. " * 300
    settings = config(system_instruction=long)
    counts = []
    for asked in ("hello", "and now?"):
        answer = await google.aio.models.generate_content(model=FLASH, contents=asked, config=settings)
        assert answer.usage_metadata is not None
        counts.append(answer.usage_metadata.cached_content_token_count or 0)
    assert counts[0] == 0
    assert counts[1] >= 1_024


async def test_client_that_goes_away_is_noticed(google: genai.Client, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/holds", json={})
    asking = asyncio.create_task(google.aio.models.generate_content(model=FLASH, contents="hello", config=config()))
    async with asyncio.timeout(60):
        while (await sandbox.get("/counters")).json()["held"] != 1:  # noqa: ASYNC110 - it can only be asked
            await asyncio.sleep(0.01)
        asking.cancel()
        while (await sandbox.get("/counters")).json()["by_outcome"] != {"aborted": 1}:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.01)
