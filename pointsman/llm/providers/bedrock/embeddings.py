"""Embeddings behind Bedrock's InvokeModel: Amazon's Titan, and Cohere's Embed."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pointsman.contracts.base import Json
from pointsman.llm.embedder import Asked, Embedded, Embedder, InputKind, Limits
from pointsman.llm.errors import InvalidResponseError
from pointsman.llm.lenient import count_of, object_of, text_of
from pointsman.llm.providers.bedrock.calls import PROVIDER, Answer, Calls
from pointsman.llm.providers.bedrock.credentials import AwsCredentials
from pointsman.llm.providers.bedrock.models import base_model
from pointsman.llm.vectors import vector_in

# Amazon Bedrock user guide: "Cohere Embed models" takes 96 texts, "Amazon Titan Text Embeddings" takes one.
_COHERE, _TITAN = Limits(texts_max=96, tokens_max=128_000), Limits(texts_max=1, tokens_max=8_192)
_TYPES = {InputKind.QUERY: "search_query", InputKind.DOCUMENT: "search_document"}
_TOKENS = "x-amzn-bedrock-input-token-count"

Body = dict[str, Json]


class BedrockEmbedder(Embedder):
    """Bedrock in one region, under one set of credentials; None takes those of the AWS chain.

    Titan makes no difference of kinds and takes one text a call. `timeout` is the longest silence.
    """

    provider = PROVIDER
    default_model = "amazon.titan-embed-text-v2:0"

    def __init__(
        self,
        credentials: AwsCredentials | None,
        region: str,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
    ) -> None:
        self._calls = Calls(credentials, region, base_url, timeout)

    def __repr__(self) -> str:
        return f"BedrockEmbedder({self._calls.where})"

    async def aclose(self) -> None:
        self._calls.close()

    def limits(self, model: str) -> Limits:
        return _COHERE if _is_cohere(model) else _TITAN

    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        make, read = (_cohere_body, _cohere_vectors) if _is_cohere(asked.model) else (_titan_body, _titan_vectors)
        told = {
            "modelId": asked.model,
            "contentType": "application/json",
            "accept": "application/json",
            "body": json.dumps(make(batch, asked)).encode(),
        }
        answer = await self._calls.ask("bedrock-runtime", "invoke_model", told, asked.model, _read)
        meta, body = object_of(answer, "ResponseMetadata"), object_of(answer, "body")
        vectors, request_id = read(body), text_of(meta, "RequestId")
        if vectors is None:
            faults = self._calls.faults(asked.model)
            raise faults.make(InvalidResponseError, "an answer without vectors in it", request_id=request_id)
        counted = object_of(meta, "HTTPHeaders").get(_TOKENS)
        tokens = int(counted) if isinstance(counted, str) and counted.isdecimal() else None
        return Embedded(vectors, count_of(body, "inputTextTokenCount") or tokens, request_id)


def _is_cohere(model: str) -> bool:
    return base_model(model).startswith("cohere.")


def _read(answer: Answer) -> object:
    """In the thread, because reading the body waits for it."""
    try:
        body = json.loads(answer["body"].read())
    except ValueError:
        body = {}
    return {"ResponseMetadata": answer["ResponseMetadata"], "body": body}


def _titan_body(batch: Sequence[str], asked: Asked) -> Body:
    body: Body = {"inputText": batch[0]}
    if asked.dimensions is not None:
        body["dimensions"] = asked.dimensions
    return body


def _titan_vectors(body: Mapping[str, Json]) -> Sequence[Sequence[float]] | None:
    vector = vector_in(body.get("embedding"))
    return None if vector is None else [vector]


def _cohere_body(batch: Sequence[str], asked: Asked) -> Body:
    """Long texts are an error rather than cut in silence, as with every other provider."""
    body: Body = {"texts": [*batch], "input_type": _TYPES[asked.kind], "embedding_types": ["float"], "truncate": "NONE"}
    if asked.dimensions is not None:
        body["output_dimension"] = asked.dimensions
    return body


def _cohere_vectors(body: Mapping[str, Json]) -> Sequence[Sequence[float]] | None:
    """By type, or as a plain list where the model knows one type only."""
    told = body.get("embeddings")
    listed = told.get("float") if isinstance(told, dict) else told
    if not isinstance(listed, list):
        return None
    vectors = [vector for entry in listed if (vector := vector_in(entry)) is not None]
    return vectors if len(vectors) == len(listed) else None
