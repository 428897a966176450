"""Mistral's embeddings, through the official SDK. Answers are read as JSON beside it, as those of its chat are."""

from collections.abc import Sequence
from datetime import timedelta

from mistralai.client.types import UNSET
from pydantic import SecretStr

from pointsman.llm.embedder import Asked, Embedded, Embedder, Limits
from pointsman.llm.errors import InvalidResponseError
from pointsman.llm.lenient import count_of, object_of, text_of
from pointsman.llm.providers.mistral.faults import request_id_of
from pointsman.llm.providers.mistral.sdk import MistralSdk, json_of
from pointsman.llm.vectors import vectors_in

# A request may hold 16,384 tokens ("Too many tokens overall, split into more batches").
LIMITS = Limits(texts_max=128, tokens_max=16_000)


class MistralEmbedder(Embedder):
    """Mistral under one key. It makes no difference of kinds. `timeout` is the longest silence."""

    provider = "mistral"
    default_model = "mistral-embed"

    def __init__(
        self, api_key: SecretStr, base_url: str | None = None, timeout: timedelta = timedelta(seconds=60)
    ) -> None:
        self._sdk = MistralSdk(api_key, base_url, timeout)

    def __repr__(self) -> str:
        return f"MistralEmbedder({self._sdk.where})"

    async def aclose(self) -> None:
        await self._sdk.aclose()

    def limits(self, model: str) -> Limits:
        return LIMITS

    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        response = await self._sdk.answer(
            lambda sdk: sdk.embeddings.create_async(
                model=asked.model, inputs=[*batch], output_dimension=asked.dimensions or UNSET
            ),
            asked.model,
        )
        found, request_id = json_of(response) or {}, request_id_of(response.headers)
        vectors = vectors_in(found.get("data"))
        if vectors is None:
            faults = self._sdk.faults(asked.model)
            raise faults.make(InvalidResponseError, "an answer without vectors in it", request_id=request_id)
        usage = object_of(found, "usage")
        return Embedded(vectors, count_of(usage, "prompt_tokens") or None, request_id, text_of(found, "model"))
