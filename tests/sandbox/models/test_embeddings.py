"""The stand-in's embeddings, driven by the providers' own SDKs, before any adapter of ours speaks to them."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from math import isclose
from typing import Any

import boto3
import httpx2
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import ClientError
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google
from mistralai.client import Mistral
from mistralai.client.errors import SDKError
from openai import AsyncOpenAI, BadRequestError, NotFoundError

from pointsman.sandbox.models.bedrock_converse.signing import ACCESS_KEY_ID
from tests.sandbox.models.scene import KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["a train on the track", "the train left the track", "a chocolate cake"]


def likeness(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def check(vectors: list[list[float]], size: int) -> None:
    first, near, far = vectors
    assert {len(vector) for vector in vectors} == {size}
    assert all(isclose(likeness(vector, vector), 1, abs_tol=1e-6) for vector in vectors)
    assert likeness(first, near) > likeness(first, far)


@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_openai_sdk_gets_vectors(sdk: AsyncOpenAI, encoding: Any) -> None:
    kind: dict[str, Any] = {} if encoding == "base64" else {"encoding_format": "float"}
    found = await sdk.embeddings.create(model="text-embedding-3-small", input=TEXTS, **kind)
    check([entry.embedding for entry in found.data], 1_536)
    assert [entry.index for entry in found.data] == [0, 1, 2]
    assert found.usage.total_tokens == found.usage.prompt_tokens > 0


async def test_openai_sdk_gets_shorter_vectors_of_models_that_shorten(sdk: AsyncOpenAI) -> None:
    found = await sdk.embeddings.create(model="text-embedding-3-large", input="x", dimensions=64)
    assert len(found.data[0].embedding) == 64
    with pytest.raises(BadRequestError, match="does not support specifying dimensions"):
        await sdk.embeddings.create(model="text-embedding-ada-002", input="x", dimensions=64)


async def test_openai_refuses_what_its_service_refuses(sdk: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError, match="does not exist"):
        await sdk.embeddings.create(model="text-embedding-9", input="x")
    for given, why in (([""], "is invalid"), (["x"] * 2_049, "array too long"), ("x" * 40_000, "maximum context")):
        with pytest.raises(BadRequestError, match=why):
            await sdk.embeddings.create(model="text-embedding-3-small", input=given)
    with pytest.raises(BadRequestError, match="max 300000 tokens per request"):
        await sdk.embeddings.create(model="text-embedding-3-small", input=["x" * 30_000] * 41)


@pytest_asyncio.fixture(loop_scope="module")
async def mistral(url: str, sandbox: httpx2.AsyncClient) -> AsyncGenerator[Mistral]:
    async with Mistral(api_key=KEY, server_url=f"{url}/mistral") as client:
        yield client


async def test_mistral_sdk_gets_vectors(mistral: Mistral) -> None:
    found = await mistral.embeddings.create_async(model="mistral-embed", inputs=TEXTS)
    check([entry.embedding or [] for entry in found.data], 1_024)
    assert found.usage.prompt_tokens
    shorter = await mistral.embeddings.create_async(
        model="codestral-embed-2505", inputs="def f(): ...", output_dimension=256
    )
    assert len(shorter.data[0].embedding or []) == 256


async def test_mistral_refuses_what_its_service_refuses(mistral: Mistral) -> None:
    for model, given, why in (
        ("mistral-embed", ["x"] * 513, "Too many inputs"),
        ("mistral-embed", ["x" * 20_000] * 4, "Too many tokens"),
        ("mistral-embed", "x" * 40_000, "too large for model"),
        ("mistral-9", "x", "Invalid model"),
    ):
        with pytest.raises(SDKError, match=why):
            await mistral.embeddings.create_async(model=model, inputs=given)


@pytest_asyncio.fixture(loop_scope="module")
async def gemini(url: str, sandbox: httpx2.AsyncClient) -> AsyncGenerator[genai.Client]:
    client = genai.Client(api_key=KEY, http_options=google.HttpOptions(base_url=f"{url}/gemini", api_version="v1"))
    yield client
    await client.aio.aclose()
    client.close()


async def test_gemini_sdk_gets_vectors(gemini: genai.Client) -> None:
    contents: list[google.ContentUnionDict] = [{"parts": [{"text": text}]} for text in TEXTS]
    found = await gemini.aio.models.embed_content(model="gemini-embedding-2", contents=contents)
    check([entry.values or [] for entry in found.embeddings or []], 3_072)
    assert found.usage_metadata
    assert found.usage_metadata.prompt_token_count


async def test_gemini_leaves_shortened_vectors_of_its_older_model_as_long_as_they_come(gemini: genai.Client) -> None:
    found = await gemini.aio.models.embed_content(
        model="gemini-embedding-001",
        contents="x y",
        config={"task_type": "RETRIEVAL_QUERY", "output_dimensionality": 128},
    )
    values = (found.embeddings or [])[0].values or []
    assert len(values) == 128
    assert likeness(values, values) < 0.9


async def test_gemini_refuses_what_its_service_refuses(gemini: genai.Client) -> None:
    asked: list[google.ContentUnionDict] = [{"parts": [{"text": "x"}]}] * 101
    with pytest.raises(google_errors.ClientError, match="at most 100 requests"):
        await gemini.aio.models.embed_content(model="gemini-embedding-2", contents=asked)
    with pytest.raises(google_errors.ClientError, match="task_type"):
        await gemini.aio.models.embed_content(
            model="gemini-embedding-2", contents="x", config={"task_type": "CLUSTERING"}
        )
    with pytest.raises(google_errors.ClientError, match="is not found"):
        await gemini.aio.models.embed_content(model="gemini-embedding-9", contents="x")


@pytest.fixture
def bedrock(url: str, sandbox: httpx2.AsyncClient) -> Any:
    return boto3.client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=f"{url}/bedrock",
        aws_access_key_id=ACCESS_KEY_ID,
        aws_secret_access_key=KEY,
        config=Config(retries={"total_max_attempts": 1}, signature_version="v4"),
    )


def invoked(bedrock: Any, model: str, body: Mapping[str, object]) -> tuple[dict[str, Any], int]:
    answer = bedrock.invoke_model(modelId=model, contentType="application/json", body=json.dumps(body))
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return json.loads(answer["body"].read()), int(headers["x-amzn-bedrock-input-token-count"])


async def test_boto3_gets_vectors_of_titan_one_text_at_a_time(bedrock: Any) -> None:
    found = [
        await asyncio.to_thread(invoked, bedrock, "amazon.titan-embed-text-v2:0", {"inputText": text}) for text in TEXTS
    ]
    check([body["embedding"] for body, _ in found], 1_024)
    assert all(body["inputTextTokenCount"] == counted for body, counted in found)


@pytest.mark.parametrize(("model", "size"), [("cohere.embed-v4:0", 1_536), ("cohere.embed-multilingual-v3", 1_024)])
async def test_boto3_gets_vectors_of_cohere(bedrock: Any, model: str, size: int) -> None:
    asked = {"texts": TEXTS, "input_type": "search_document"}
    plain, counted = await asyncio.to_thread(invoked, bedrock, model, asked)
    check(plain["embeddings"], size)
    assert counted > 0
    typed, _ = await asyncio.to_thread(invoked, bedrock, model, {**asked, "embedding_types": ["float"]})
    assert typed["embeddings"]["float"] == plain["embeddings"]


async def test_bedrock_refuses_what_its_models_refuse(bedrock: Any) -> None:
    for model, body, why in (
        ("amazon.titan-embed-text-v2:0", {"inputText": ""}, "minLength"),
        ("amazon.titan-embed-text-v2:0", {"inputText": "x" * 40_000}, "Too many input tokens"),
        ("cohere.embed-v4:0", {"texts": ["x"] * 97, "input_type": "search_query"}, "maximum item count"),
        ("cohere.embed-english-v3", {"texts": ["x" * 3_000], "input_type": "search_query"}, "maxLength"),
        ("cohere.embed-v9:0", {"texts": ["x"], "input_type": "search_query"}, "identifier is invalid"),
    ):
        with pytest.raises(ClientError, match=why):
            await asyncio.to_thread(invoked, bedrock, model, body)
