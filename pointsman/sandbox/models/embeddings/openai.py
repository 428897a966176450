"""OpenAI's `POST /v1/embeddings` (OpenAI API reference, "Create embeddings")."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import tokens_in
from pointsman.sandbox.models.embeddings.endpoint import Answered, EmbeddingFormat
from pointsman.sandbox.models.embeddings.vectors import packed, vector
from pointsman.sandbox.models.openai_responses.request import fault, read_body

TEXTS_MAX, TEXT_TOKENS_MAX, TOKENS_MAX = 2_048, 8_192, 300_000


class Served(NamedTuple):
    dimensions: int
    shortens: bool = True


MODELS: Mapping[str, Served] = {
    "text-embedding-3-small": Served(1_536),
    "text-embedding-3-large": Served(3_072),
    "text-embedding-ada-002": Served(1_536, shortens=False),
}


class CreateEmbedding(BaseModel):
    """The body; texts only, although the service takes tokens as well."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str
    input: str | list[str]
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None

    @property
    def texts(self) -> Sequence[str]:
        return [self.input] if isinstance(self.input, str) else self.input


class OpenAIEmbeddings(EmbeddingFormat):
    name = "openai-embeddings"
    paths: ClassVar = ("/v1/embeddings",)

    def model_of(self, raw: bytes, parameters: Mapping[str, str]) -> str:
        return read_body(CreateEmbedding, raw).model

    def answer(self, raw: bytes, parameters: Mapping[str, str]) -> Answered:
        asked = read_body(CreateEmbedding, raw)
        size = _size(asked)
        tokens = _checked(asked.texts)
        data: list[Json] = []
        for index, text in enumerate(asked.texts):
            numbers = vector(text, size)
            told: Json = packed(numbers) if asked.encoding_format == "base64" else [*numbers]
            data.append({"object": "embedding", "index": index, "embedding": told})
        usage: Json = {"prompt_tokens": tokens, "total_tokens": tokens}
        return Answered({"object": "list", "data": data, "model": asked.model, "usage": usage}, {})


def _size(asked: CreateEmbedding) -> int:
    served = MODELS.get(asked.model)
    if served is None:
        raise fault(404, f"The model `{asked.model}` does not exist.", "model_not_found")
    if asked.dimensions is None:
        return served.dimensions
    if not served.shortens:
        raise fault(400, "This model does not support specifying dimensions.", None, "dimensions")
    if not 1 <= asked.dimensions <= served.dimensions:
        text = f"Invalid value for 'dimensions' = {asked.dimensions}. Must be less than or equal to"
        raise fault(400, f"{text} {served.dimensions}.", None, "dimensions")
    return asked.dimensions


def _checked(texts: Sequence[str]) -> int:
    """Tokens of all texts."""
    if not texts or any(not text for text in texts):
        raise fault(400, "'$.input' is invalid. Please check the API reference.", None, "input")
    if len(texts) > TEXTS_MAX:
        text = f"Invalid 'input': array too long. Expected an array with maximum length {TEXTS_MAX}"
        raise fault(
            400, f"{text}, but got an array with length {len(texts)} instead.", "array_above_max_length", "input"
        )
    counts = [tokens_in(text) for text in texts]
    if max(counts) > TEXT_TOKENS_MAX:
        text = f"This model's maximum context length is {TEXT_TOKENS_MAX} tokens, however you requested {max(counts)}"
        raise fault(400, f"{text} tokens ({max(counts)} in your prompt; 0 for the completion).")
    if sum(counts) > TOKENS_MAX:
        text = f"Requested {sum(counts)} tokens, max {TOKENS_MAX} tokens per request"
        raise fault(400, text, None, kind="max_tokens_per_request")
    return sum(counts)
