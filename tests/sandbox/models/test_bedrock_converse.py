"""Bedrock's stand-in, driven by boto3: the service's own client signs, sends, reads frames and raises its errors."""

import asyncio
from collections.abc import Callable
from typing import Any

import boto3
import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EventStreamError

from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from tests.sandbox.models.scene import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "anthropic.claude-haiku-5-5"
PROFILE = f"global.{MODEL}"
HELLO = {"role": "user", "content": [{"text": "hello"}]}
SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}, "required": ["at"]}
TOOLS = {"tools": [{"toolSpec": {"name": "look", "inputSchema": {"json": SCHEMA}}}]}


def signing(url: str, secret: str = KEY, key_id: str = ACCESS_KEY_ID, service: str = "bedrock-runtime") -> Any:
    session = boto3.Session(aws_access_key_id=key_id, aws_secret_access_key=secret, region_name="eu-central-1")
    config = Config(retries={"total_max_attempts": 1}, signature_version="v4")
    return session.client(service, endpoint_url=f"{url}/bedrock", config=config)  # type: ignore[call-overload]  # any


@pytest.fixture(scope="module")
def client(url: str) -> Any:
    return signing(url)


async def said(operation: Callable[..., Any], *messages: object, **more: object) -> Any:
    return await asyncio.to_thread(operation, modelId=PROFILE, messages=messages or (HELLO,), **more)


async def code_of(operation: Callable[..., Any], *messages: object, **more: object) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        await said(operation, *messages, **more)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


async def events(client: Any, **more: object) -> list[dict[str, Any]]:
    answer = await said(client.converse_stream, **more)
    return await asyncio.to_thread(list, answer["stream"])


async def test_answer_is_of_the_published_shape(client: Any, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/scripts", json={"replies": [{"text": "Good day.", "reasoning": "hm"}]})
    answer = await said(client.converse, requestMetadata={"item": "fabrikam/7"})
    thought, told = answer["output"]["message"]["content"]
    assert told == {"text": "Good day."}
    assert thought["reasoningContent"]["reasoningText"]["signature"]
    assert answer["stopReason"] == "end_turn"
    usage = answer["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"] > 0
    seen = (await sandbox.get("/requests")).json()[-1]
    assert (seen["model"], seen["metadata"]) == (PROFILE, {"item": "fabrikam/7"})
    assert answer["ResponseMetadata"]["RequestId"] == seen["request_id"]


async def test_tools_are_called_and_answered(client: Any, sandbox: httpx2.AsyncClient) -> None:
    calls = [{"name": "look", "arguments": {"at": "é"}}]
    await sandbox.post("/scripts", json={"replies": [{"calls": calls}, {"text": "Dark."}]})
    answer = await said(client.converse, toolConfig=TOOLS)
    assert answer["stopReason"] == "tool_use"
    spoken = answer["output"]["message"]
    call = spoken["content"][-1]["toolUse"]
    assert call["input"] == {"at": "é"}
    result = {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"json": {"seen": []}}]}}
    more = await said(client.converse, HELLO, spoken, {"role": "user", "content": [result]}, toolConfig=TOOLS)
    assert more["output"]["message"]["content"][-1] == {"text": "Dark."}


async def test_stream_tells_events_in_order(client: Any, sandbox: httpx2.AsyncClient) -> None:
    calls = [{"name": "look", "arguments": {"at": "the first of both"}}]
    await sandbox.post("/scripts", json={"replies": [{"text": "I look at it.", "calls": calls}]})
    told = await events(client, toolConfig=TOOLS)
    assert [next(iter(event)) for event in told if "contentBlockDelta" not in event] == [
        "messageStart",
        "contentBlockStop",
        "contentBlockStart",
        "contentBlockStop",
        "messageStop",
        "metadata",
    ]
    deltas = [event["contentBlockDelta"]["delta"] for event in told if "contentBlockDelta" in event]
    assert "".join(delta.get("text", "") for delta in deltas) == "I look at it."
    assert "".join(delta.get("toolUse", {}).get("input", "") for delta in deltas) == '{"at":"the first of both"}'


async def test_exception_in_a_stream_is_raised_as_one(client: Any, sandbox: httpx2.AsyncClient) -> None:
    await sandbox.post("/faults", json={"kind": "error_event", "after": 2, "code": "throttlingException"})
    with pytest.raises(EventStreamError, match="throttlingException"):
        await events(client)


@pytest.mark.parametrize(
    ("status", "name"),
    [(429, "ThrottlingException"), (503, "ServiceUnavailableException"), (424, "ModelErrorException")],
)
async def test_errors_are_those_of_the_service(
    client: Any, sandbox: httpx2.AsyncClient, status: int, name: str
) -> None:
    await sandbox.post("/faults", json={"kind": "status", "status": status, "message": "no"})
    with pytest.raises(getattr(client.exceptions, name)):
        await said(client.converse)


@pytest.mark.parametrize(
    ("secret", "key_id", "code"),
    [
        ("wrong", ACCESS_KEY_ID, "InvalidSignatureException"),
        (KEY, "SANDBOX-STRANGER", "UnrecognizedClientException"),
    ],
)
async def test_wrong_credentials_are_refused(url: str, secret: str, key_id: str, code: str) -> None:
    found, _ = await code_of(signing(url, secret, key_id).converse)
    assert found == code


async def test_signature_holds_for_this_body_and_this_moment_only(url: str) -> None:
    body, place = b'{"messages":[]}', f"{url}/bedrock/model/{PROFILE}/converse"
    signed = AWSRequest("POST", place, data=body, headers={"content-type": "application/json"})
    SigV4Auth(Credentials(ACCESS_KEY_ID, KEY), "bedrock", "us-east-1").add_auth(signed)
    headers = dict(signed.headers.items())
    async with httpx2.AsyncClient(timeout=60) as http:
        genuine = await http.post(place, content=body, headers=headers)
        forged = await http.post(place, content=body + b" ", headers=headers)
        late = await http.post(place, content=body, headers={**headers, "X-Amz-Date": "20200101T000000Z"})
        never = await http.post(place, content=body, headers={**headers, "X-Amz-Date": "yesterday"})
        bare = await http.post(place, content=body)
    assert genuine.headers["x-amzn-errortype"] == "ValidationException:"
    assert [answer.headers["x-amzn-errortype"].split("Exc")[0] for answer in (forged, late, never, bare)] == [
        "InvalidSignature",
        "InvalidSignature",
        "IncompleteSignature",
        "MissingAuthenticationToken",
    ]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"inferenceConfig": {"temperature": 0.5}}, "`temperature` is deprecated for this model."),
        ({"additionalModelRequestFields": {"hologram": 1}}, "hologram: Extra inputs are not permitted"),
        ({"outputConfig": {"effort": "huge"}}, "output_config.effort"),
        ({"requestMetadata": {"who": "Zoë"}}, "Value at 'requestMetadata"),
        (
            {
                "outputConfig": {
                    "textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "no JSON"}}}
                }
            },
            "not a valid JSON schema",
        ),
    ],
)
async def test_parameters_that_the_service_refuses(client: Any, more: dict[str, object], message: str) -> None:
    code, told = await code_of(client.converse, **more)
    assert code == "ValidationException"
    assert message in told


DOCUMENT = {"document": {"format": "txt", "name": "plan", "source": {"bytes": b"x"}}}
CALL = {"role": "assistant", "content": [{"toolUse": {"toolUseId": "a", "name": "look", "input": {}}}]}
RESULT = {"role": "user", "content": [{"toolResult": {"toolUseId": "b", "content": [{"text": "x"}]}}]}
LIST = {"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": [{"json": [1]}]}}]}
THOUGHT = {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "forged"}}}


@pytest.mark.parametrize(
    ("messages", "more", "message"),
    [
        ([HELLO, {"role": "assistant", "content": [{"text": "So."}]}], {}, "prefill"),
        ([HELLO, CALL, RESULT], {"toolConfig": TOOLS}, "unexpected `tool_use_id`"),
        ([HELLO, CALL, LIST], {"toolConfig": TOOLS}, "must be a JSON object"),
        ([HELLO, CALL, RESULT], {}, "toolConfig field must be defined"),
        ([{"role": "user", "content": [DOCUMENT]}], {}, "A text block must accompany"),
        ([{"role": "user", "content": [{"cachePoint": {"type": "default"}}]}], {}, "cachePoint"),
        ([HELLO, {"role": "assistant", "content": [THOUGHT, {"text": "So."}]}, HELLO], {}, "Invalid `signature`"),
        (
            [{"role": "user", "content": [{"text": "x"}, {"document": {**DOCUMENT["document"], "name": "a.pdf"}}]}],
            {},
            "document.name",
        ),
    ],
)
async def test_conversations_that_the_service_refuses(
    client: Any, messages: list[object], more: dict[str, object], message: str
) -> None:
    code, told = await code_of(client.converse, *messages, **more)
    assert code == "ValidationException"
    assert message in told


async def test_what_is_marked_is_kept_for_the_next_time(client: Any, sandbox: httpx2.AsyncClient) -> None:
    system = [{"text": "Rules. " * 2_000}, {"cachePoint": {"type": "default"}}]
    first, second = [(await said(client.converse, system=system))["usage"] for _ in range(2)]
    assert first["cacheWriteInputTokens"] > 1_024 > first["cacheReadInputTokens"] == 0
    assert second["cacheReadInputTokens"] > 1_024
    parts = ("inputTokens", "outputTokens", "cacheReadInputTokens", "cacheWriteInputTokens")
    assert second["totalTokens"] == sum(second[name] for name in parts)


async def test_models_profiles_and_tokens(url: str, client: Any) -> None:
    control = signing(url, service="bedrock")
    models = (await asyncio.to_thread(control.list_foundation_models))["modelSummaries"]
    assert MODEL in [model["modelId"] for model in models]
    assert any(model["modelLifecycle"]["status"] == "LEGACY" for model in models)
    page = await asyncio.to_thread(control.list_inference_profiles, maxResults=2)
    more = await asyncio.to_thread(control.list_inference_profiles, nextToken=page["nextToken"])
    found = [*page["inferenceProfileSummaries"], *more["inferenceProfileSummaries"]]
    assert PROFILE in [profile["inferenceProfileId"] for profile in found]
    told = {"converse": {"messages": [HELLO]}}
    counted = await asyncio.to_thread(client.count_tokens, modelId=MODEL, input=told)
    assert counted["inputTokens"] > 0
    with pytest.raises(ClientError, match="doesn't support counting tokens"):
        await asyncio.to_thread(client.count_tokens, modelId=PROFILE, input=told)
    with pytest.raises(ClientError, match="model identifier is invalid"):
        await asyncio.to_thread(client.converse, modelId="anthropic.claude-9", messages=[HELLO])
