"""Google's embeddings through the Gemini API: `batchEmbedContents`, through the official SDK."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from google.genai import types as sdk
from pydantic import SecretStr

from pointsman.llm.embedder import Asked, Embedded, Embedder, InputKind, Limits
from pointsman.llm.errors import AuthenticationError, InvalidResponseError
from pointsman.llm.providers.gemini.faults import FAILURES, GeminiFaults, headers_of, request_id_of
from pointsman.llm.providers.gemini.sdk import CONNECT_TIMEOUT, GeminiSdk

# Gemini API, "batchEmbedContents": at most 100 requests in one.
LIMITS = Limits(texts_max=100, tokens_max=200_000)
_TASKS = {InputKind.QUERY: "RETRIEVAL_QUERY", InputKind.DOCUMENT: "RETRIEVAL_DOCUMENT"}
# From Gemini Embedding 2 on the task is said in the text itself ("Embeddings", task types).
_PREFIXES = {InputKind.QUERY: "task: search result | query: ", InputKind.DOCUMENT: "title: none | text: "}


class GeminiEmbedder(Embedder):
    """Google's Gemini API under one key. `timeout` is the longest silence."""

    provider = "gemini"
    default_model = "gemini-embedding-2"

    def __init__(
        self, api_key: SecretStr, base_url: str | None = None, timeout: timedelta = timedelta(seconds=60)
    ) -> None:
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=self.provider)
        self._key = api_key
        self._base_url = base_url
        self._timeout = timeout
        self._sdk = GeminiSdk(api_key, base_url, CONNECT_TIMEOUT)

    def __repr__(self) -> str:
        return f"GeminiEmbedder(base_url={self._base_url!r}, timeout={self._timeout!r})"

    async def aclose(self) -> None:
        await self._sdk.aclose()

    def limits(self, model: str) -> Limits:
        return LIMITS

    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        is_first = "embedding-001" in asked.model
        prefix = "" if is_first else _PREFIXES[asked.kind]
        # Texts as they are would be taken for parts of one content.
        contents: list[sdk.ContentUnionDict] = [{"role": "user", "parts": [{"text": prefix + text}]} for text in batch]
        config: sdk.EmbedContentConfigDict = {"task_type": _TASKS[asked.kind]} if is_first else {}
        if asked.dimensions is not None:
            config["output_dimensionality"] = asked.dimensions
        faults = GeminiFaults(self.provider, asked.model, self._key.get_secret_value())
        try:
            async with asyncio.timeout(self._timeout.total_seconds()):
                found = await self._sdk.models().embed_content(model=asked.model, contents=contents, config=config)
        except FAILURES as error:
            raise faults.of_exception(error) from None
        request_id = request_id_of(headers_of(found.sdk_http_response))
        if not found.embeddings:
            raise faults.make(InvalidResponseError, "an answer without vectors in it", request_id=request_id)
        tokens = found.usage_metadata.prompt_token_count if found.usage_metadata else None
        return Embedded([vector.values or () for vector in found.embeddings], tokens, request_id)
