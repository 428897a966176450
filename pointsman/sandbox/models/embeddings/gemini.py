"""Google's `POST /gemini/v1/models/{model}:batchEmbedContents` (Gemini API, "Embeddings")."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from pointsman.contracts.base import Json
from pointsman.sandbox.models.documents import tokens_in
from pointsman.sandbox.models.embeddings.endpoint import Answered, EmbeddingFormat
from pointsman.sandbox.models.embeddings.vectors import vector
from pointsman.sandbox.models.gemini_generate.request import fault, read_body

REQUESTS_MAX, DIMENSIONS = 100, 3_072
# Tokens of one content at most.
MODELS: Mapping[str, int] = {"gemini-embedding-2": 8_192, "gemini-embedding-001": 2_048}
# Norm of a vector of the older model that was shortened: the service leaves that to the caller.
SHORTENED_LENGTH = 0.7


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, alias_generator=to_camel)


class Part(_Body):
    text: str


class Content(_Body):
    parts: list[Part]
    role: str = "user"


class EmbedContent(_Body):
    model: str
    content: Content
    task_type: (
        Literal[
            "RETRIEVAL_QUERY",
            "RETRIEVAL_DOCUMENT",
            "SEMANTIC_SIMILARITY",
            "CLASSIFICATION",
            "CLUSTERING",
            "QUESTION_ANSWERING",
            "FACT_VERIFICATION",
            "CODE_RETRIEVAL_QUERY",
        ]
        | None
    ) = None
    title: str | None = None
    output_dimensionality: int | None = None

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.content.parts)


class BatchEmbedContents(_Body):
    requests: list[EmbedContent]


class GeminiEmbeddings(EmbeddingFormat):
    name = "gemini-embeddings"
    paths: ClassVar = ("/gemini/v1/models/{model}:batchEmbedContents",)

    def model_of(self, raw: bytes, parameters: Mapping[str, str]) -> str:
        model = parameters["model"]
        if model not in MODELS:
            text = f"models/{model} is not found for API version v1, or is not supported for embedContent."
            raise fault(404, f"{text} Call ListModels to see the list of available models and their supported methods.")
        return model

    def answer(self, raw: bytes, parameters: Mapping[str, str]) -> Answered:
        model = self.model_of(raw, parameters)
        requests = read_body(BatchEmbedContents, raw).requests
        if not 1 <= len(requests) <= REQUESTS_MAX:
            text = f"* BatchEmbedContentsRequest.requests: at most {REQUESTS_MAX} requests can be in one batch\n"
            raise fault(400, text)
        tokens = sum(_checked(request, model) for request in requests)
        embeddings: list[Json] = [{"values": [*_values(request, model)]} for request in requests]
        return Answered({"embeddings": embeddings, "usageMetadata": {"promptTokenCount": tokens}}, {})


def _checked(request: EmbedContent, model: str) -> int:
    """Tokens of the content."""
    if request.model != f"models/{model}":
        raise fault(400, f"* EmbedContentRequest.model: must be models/{model}\n")
    if not request.text:
        raise fault(400, "* EmbedContentRequest.content: contents is not specified\n")
    if request.task_type and model != "gemini-embedding-001":
        raise fault(400, f"* EmbedContentRequest.task_type: is not supported for models/{model}\n")
    size = request.output_dimensionality
    if size is not None and not 1 <= size <= DIMENSIONS:
        raise fault(400, f"* EmbedContentRequest.output_dimensionality: must be in the range [1, {DIMENSIONS}]\n")
    tokens = tokens_in(request.text)
    if tokens > MODELS[model]:
        text = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({MODELS[model]})."
        raise fault(400, text)
    return tokens


def _values(request: EmbedContent, model: str) -> list[float]:
    size = request.output_dimensionality or DIMENSIONS
    numbers = vector(f"{request.task_type or ''} {request.text}".strip(), size)
    if model == "gemini-embedding-001" and size != DIMENSIONS:
        return [number * SHORTENED_LENGTH for number in numbers]
    return numbers
