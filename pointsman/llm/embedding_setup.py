"""A service of vectors put together from settings. An SDK is imported when its provider is first used."""

from collections.abc import Callable, Mapping

from pydantic import SecretStr

from pointsman.llm.embedder import Embedder
from pointsman.llm.embeddings import EmbeddingService
from pointsman.llm.keys import Key, Keys
from pointsman.llm.pool import Pool
from pointsman.llm.rules import Rules
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import keys_of, rules_of

LOCAL = "local"


class KeysAndNone:
    """Keys of somebody else, and none for the model that runs here: it wants no key."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    async def find(self, provider: str, tenant: str, user: str) -> Key:
        if provider == LOCAL:
            return Key(LOCAL, SecretStr(""))
        return await self._keys.find(provider, tenant, user)


def embedding_factories(settings: LLMSettings) -> Mapping[str, Callable[[SecretStr], Embedder]]:
    """How to make an embedder of each provider from a key."""

    def openai(key: SecretStr) -> Embedder:
        from pointsman.llm.providers.openai.embeddings import OpenAIEmbedder  # 0.4 s that only its users should pay

        return OpenAIEmbedder(key, settings.openai_base_url, settings.timeout)

    def gemini(key: SecretStr) -> Embedder:
        from pointsman.llm.providers.gemini.embeddings import GeminiEmbedder  # as above

        return GeminiEmbedder(key, settings.google_base_url, settings.timeout)

    def mistral(key: SecretStr) -> Embedder:
        from pointsman.llm.providers.mistral.embeddings import MistralEmbedder  # as above

        return MistralEmbedder(key, settings.mistral_base_url, settings.timeout)

    def bedrock(key: SecretStr) -> Embedder:
        from pointsman.llm.providers.bedrock.credentials import credentials_of  # as above
        from pointsman.llm.providers.bedrock.embeddings import BedrockEmbedder  # as above

        region = settings.bedrock_region or ""
        return BedrockEmbedder(credentials_of(key), region, settings.bedrock_base_url, settings.timeout)

    def local(key: SecretStr) -> Embedder:
        from pointsman.llm.local_embeddings import LocalEmbedder  # as above

        return LocalEmbedder()

    made = {"openai": openai, "gemini": gemini, "mistral": mistral, LOCAL: local}
    return {**made, "bedrock": bedrock} if settings.bedrock_region else made


def make_embeddings(settings: LLMSettings, rules: Rules | None = None, keys: Keys | None = None) -> EmbeddingService:
    """A service of its own; whoever makes it closes it."""
    pool: Pool[Embedder] = Pool(KeysAndNone(keys or keys_of(settings)), embedding_factories(settings))
    return EmbeddingService(
        pool, rules or rules_of(settings), settings.allowed_embedding_models, settings.llm_embedding_model
    )
