"""Mistral's `POST /v1/embeddings`, under the path prefix `/mistral` (Mistral API, "Embeddings")."""

from collections.abc import Mapping
from typing import ClassVar, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import Object, tokens_in
from pointsman.sandbox.models.embeddings.endpoint import Answered, EmbeddingFormat
from pointsman.sandbox.models.embeddings.vectors import packed, vector
from pointsman.sandbox.models.mistral_chat.request import fault, read_body

TEXTS_MAX, TEXT_TOKENS_MAX, TOKENS_MAX = 512, 8_192, 16_384
# Numbers of a vector, and how many there may be at most; one number where that is all.
MODELS: Mapping[str, tuple[int, int]] = {"mistral-embed": (1_024, 1_024), "codestral-embed-2505": (1_536, 3_072)}
_TOO_MUCH = "invalid_request_prompt"


class EmbeddingRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: str | list[str]
    metadata: Object | None = None
    output_dimension: int | None = None
    output_dtype: Literal["float"] = "float"
    encoding_format: Literal["float", "base64"] = "float"


class MistralEmbeddings(EmbeddingFormat):
    name = "mistral-embeddings"
    paths: ClassVar = ("/mistral/v1/embeddings",)

    def model_of(self, raw: bytes, parameters: Mapping[str, str]) -> str:
        return read_body(EmbeddingRequest, raw).model

    def answer(self, raw: bytes, parameters: Mapping[str, str]) -> Answered:
        asked = read_body(EmbeddingRequest, raw)
        texts = [asked.input] if isinstance(asked.input, str) else asked.input
        size = _size(asked)
        tokens = _checked(texts)
        data: list[Json] = []
        for index, text in enumerate(texts):
            numbers = vector(text, size)
            told: Json = packed(numbers) if asked.encoding_format == "base64" else [*numbers]
            data.append({"object": "embedding", "embedding": told, "index": index})
        usage: Json = {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens}
        head: Object = {"id": uuid4().hex, "object": "list", "model": asked.model}
        return Answered({**head, "data": data, "usage": usage}, {})


def _size(asked: EmbeddingRequest) -> int:
    if asked.model not in MODELS:
        raise fault(400, f"Invalid model: {asked.model}", "invalid_model")
    usual, most = MODELS[asked.model]
    if asked.output_dimension is None:
        return usual
    if usual == most or not 1 <= asked.output_dimension <= most:
        raise fault(400, f"output_dimension {asked.output_dimension} is not supported for {asked.model}")
    return asked.output_dimension


def _checked(texts: list[str]) -> int:
    """Tokens of all texts."""
    if len(texts) > TEXTS_MAX:
        raise fault(400, "Too many inputs in request, split into more batches.", _TOO_MUCH)
    counts = [tokens_in(text) for text in texts]
    for index, count in enumerate(counts):
        if count > TEXT_TOKENS_MAX:
            text = f"Input id {index} has {count} tokens, too large for model with {TEXT_TOKENS_MAX}"
            raise fault(400, f"{text} maximum context length", _TOO_MUCH)
    if sum(counts) > TOKENS_MAX:
        raise fault(400, "Too many tokens overall, split into more batches.", _TOO_MUCH)
    return sum(counts)
