"""Bedrock's `POST /model/{modelId}/invoke` for models of embeddings, under the path prefix `/bedrock`.

After the Amazon Bedrock user guide: "Amazon Titan Text Embeddings", "Cohere Embed v3" and "Cohere Embed v4".
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from pointsman.contracts.base import Json
from pointsman.sandbox.models.bedrock_converse.catalogue import base_id
from pointsman.sandbox.models.bedrock_converse.faults import invalid
from pointsman.sandbox.models.bedrock_converse.request import read_request
from pointsman.sandbox.models.documents import Object, tokens_in
from pointsman.sandbox.models.embeddings.endpoint import Answered, EmbeddingFormat
from pointsman.sandbox.models.embeddings.vectors import vector

TITAN_1, TITAN_2 = "amazon.titan-embed-text-v1", "amazon.titan-embed-text-v2:0"
TITAN_TOKENS_MAX, COHERE_TEXTS_MAX = 8_192, 96
COHERE_3 = ("cohere.embed-english-v3", "cohere.embed-multilingual-v3")
COHERE_4 = "cohere.embed-v4:0"
COHERE_3_CHARS_MAX = 2_048


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class TitanText(_Body):
    inputText: str
    dimensions: Literal[256, 512, 1024] = 1024
    normalize: bool = True
    embeddingTypes: list[Literal["float", "binary"]] | None = None


class TitanTextV1(_Body):
    inputText: str


class CohereEmbed(_Body):
    texts: list[str]
    input_type: Literal["search_document", "search_query", "classification", "clustering"]
    truncate: Literal["NONE", "START", "END", "LEFT", "RIGHT"] = "NONE"
    embedding_types: list[Literal["float"]] | None = None


class CohereEmbedV4(CohereEmbed):
    output_dimension: Literal[256, 512, 1024, 1536] = 1536
    max_tokens: int = 128_000


class BedrockEmbeddings(EmbeddingFormat):
    name = "bedrock-embeddings"
    paths: ClassVar = ("/bedrock/model/{model:path}/invoke",)

    def model_of(self, raw: bytes, parameters: Mapping[str, str]) -> str:
        model = base_id(parameters["model"])
        if model not in (TITAN_1, TITAN_2, *COHERE_3, COHERE_4):
            raise invalid("The provided model identifier is invalid.")
        return model

    def answer(self, raw: bytes, parameters: Mapping[str, str]) -> Answered:
        model = self.model_of(raw, parameters)
        if model == TITAN_1:
            return _titan(read_request(raw, TitanTextV1).inputText, 1_536)
        if model == TITAN_2:
            asked = read_request(raw, TitanText)
            return _titan(asked.inputText, asked.dimensions)
        if model == COHERE_4:
            fourth = read_request(raw, CohereEmbedV4)
            return _cohere(fourth, fourth.output_dimension)
        third = read_request(raw, CohereEmbed)
        _check_lengths(third.texts)
        return _cohere(third, 1_024)


def _titan(text: str, size: int) -> Answered:
    tokens = tokens_in(text)
    if not text:
        raise invalid("Malformed input request: expected minLength: 1, actual: 0, please reformat your input.")
    if tokens > TITAN_TOKENS_MAX:
        told = f"Too many input tokens. Max input tokens: {TITAN_TOKENS_MAX}, request input token count: {tokens}"
        raise invalid(f"400 Bad Request: {told}")
    numbers: Json = [*vector(text, size)]
    body: Object = {"embedding": numbers, "inputTextTokenCount": tokens}
    return Answered({**body, "embeddingsByType": {"float": numbers}}, _counted(tokens))


def _cohere(asked: CohereEmbed, size: int) -> Answered:
    if not 1 <= len(asked.texts) <= COHERE_TEXTS_MAX:
        raise invalid(f"Malformed input request: #/texts: expected maximum item count: {COHERE_TEXTS_MAX}")
    vectors: list[Json] = [[*vector(f"{asked.input_type} {text}", size)] for text in asked.texts]
    told: Json = {"float": vectors} if asked.embedding_types else vectors
    kind = "embeddings_by_type" if asked.embedding_types else "embeddings_floats"
    body: Object = {"id": str(uuid4()), "texts": [*asked.texts], "embeddings": told, "response_type": kind}
    return Answered(body, _counted(sum(map(tokens_in, asked.texts))))


def _check_lengths(texts: Sequence[str]) -> None:
    for index, text in enumerate(texts):
        if len(text) > COHERE_3_CHARS_MAX:
            told = f"#/texts/{index}: expected maxLength: {COHERE_3_CHARS_MAX}, actual: {len(text)}"
            raise invalid(f"Malformed input request: {told}, please reformat your input and try again.")


def _counted(tokens: int) -> Mapping[str, str]:
    return {"x-amzn-bedrock-input-token-count": str(tokens), "x-amzn-bedrock-output-token-count": "0"}
