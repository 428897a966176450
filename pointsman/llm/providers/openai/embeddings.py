"""OpenAI's embeddings, and those of servers that speak the same API (`base_url`), through the official SDK."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import httpx2
import openai
from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.llm.embedder import Asked, Embedded, Embedder, Limits
from pointsman.llm.errors import AuthenticationError, InvalidResponseError
from pointsman.llm.lenient import count_of, object_of, text_of
from pointsman.llm.providers.openai.faults import OpenAIFaults
from pointsman.llm.providers.openai.sdk import open_sdk
from pointsman.llm.vectors import vectors_in

# OpenAI API reference, "Create embeddings". Of the tokens a part is left free: ours are an estimate.
LIMITS = Limits(texts_max=2_048, tokens_max=250_000)


class OpenAIEmbedder(Embedder):
    """OpenAI, or a compatible server with a `provider` name of its own. It makes no difference of kinds.

    `timeout` is the longest silence.
    """

    default_model = "text-embedding-3-small"

    def __init__(
        self,
        api_key: SecretStr,
        base_url: str | None = None,
        timeout: timedelta = timedelta(seconds=60),
        provider: str = "openai",
    ) -> None:
        self.provider = provider
        if not api_key.get_secret_value():
            raise AuthenticationError("no API key given", provider=provider)
        self._key = api_key
        self._sdk = open_sdk(api_key, base_url, timeout)

    def __repr__(self) -> str:
        return f"OpenAIEmbedder(provider={self.provider!r}, base_url={str(self._sdk.base_url)!r})"

    async def aclose(self) -> None:
        await self._sdk.close()

    def limits(self, model: str) -> Limits:
        return LIMITS

    async def ask(self, batch: Sequence[str], asked: Asked) -> Embedded:
        # As bytes a vector is a quarter as long as in digits; servers that know no such thing send digits.
        body: dict[str, Json] = {"model": asked.model, "input": [*batch], "encoding_format": "base64"}
        if asked.dimensions is not None:
            body["dimensions"] = asked.dimensions
        faults = OpenAIFaults(self.provider, asked.model, self._key.get_secret_value())
        try:
            http = await self._sdk.post("/embeddings", cast_to=httpx2.Response, body=body)
        except openai.OpenAIError as error:
            raise faults.of_exception(error) from None
        request_id = http.headers.get("x-request-id", "")
        found = _json_of(http)
        if found.get("error"):
            raise faults.of_body(found, request_id)
        vectors = vectors_in(found.get("data"))
        if vectors is None:
            raise faults.make(InvalidResponseError, "an answer without vectors in it", request_id=request_id)
        usage = object_of(found, "usage")
        return Embedded(vectors, count_of(usage, "prompt_tokens") or None, request_id, text_of(found, "model"))


def _json_of(http: httpx2.Response) -> Mapping[str, Json]:
    try:
        found = http.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
