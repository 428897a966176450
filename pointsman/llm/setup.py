"""A service put together from settings: registry, keys, a factory for each provider, rules."""

from collections.abc import Mapping
from functools import lru_cache

from pydantic import SecretStr

from pointsman.llm.client import LLMClient
from pointsman.llm.governance import Governance, Violations
from pointsman.llm.keys import AWS_CHAIN, Keys, OperatorKeys
from pointsman.llm.pool import ClientPool, Factory
from pointsman.llm.registry import Registry
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings, load_settings


def factories(settings: LLMSettings) -> Mapping[str, Factory]:
    """How to make a client of each provider. An SDK is imported when its provider is first used."""

    def openai(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.openai.responses import OpenAIResponses  # 0.4 s that only its users should pay

        return OpenAIResponses(key, settings.openai_base_url, settings.timeout)

    def anthropic(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.anthropic.messages import AnthropicMessages  # as above

        return AnthropicMessages(key, settings.anthropic_base_url, settings.timeout)

    def gemini(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.gemini.generate_content import GeminiGenerateContent  # as above

        return GeminiGenerateContent(key, settings.google_base_url, settings.timeout)

    def mistral(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.mistral.chat import MistralChat  # as above

        return MistralChat(key, settings.mistral_base_url, settings.timeout)

    def bedrock(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.bedrock.converse import BedrockConverse  # as above
        from pointsman.llm.providers.bedrock.credentials import credentials_of  # as above

        region = settings.aws_region or ""
        return BedrockConverse(credentials_of(key), region, settings.bedrock_base_url, settings.timeout)

    made: dict[str, Factory] = {"openai": openai, "anthropic": anthropic, "gemini": gemini, "mistral": mistral}
    return {**made, "bedrock": bedrock} if settings.aws_region else made


def keys_of(settings: LLMSettings) -> OperatorKeys:
    return OperatorKeys(
        {
            "openai": settings.openai_api_key,
            "anthropic": settings.anthropic_api_key,
            "gemini": settings.google_api_key,
            "mistral": settings.mistral_api_key,
            "bedrock": AWS_CHAIN if settings.aws_region else None,
        }
    )


def rules_of(settings: LLMSettings, violations: Violations | None = None) -> Rules:
    """The rules of the settings, in memory."""
    registry = Registry.load(settings.pointsman_models)
    governance = Governance(registry, settings.allowed_models, violations)
    retries = RetryPolicy(
        retries_max=settings.llm_max_retries,
        rate_limit_retries_max=settings.llm_rate_limit_max_retries,
        base=settings.llm_retry_exponential_base,
    )
    return Rules(governance, Selector(registry, governance, settings.llm_default_model), retries=retries)


def make_service(settings: LLMSettings, rules: Rules | None = None, keys: Keys | None = None) -> LLMService:
    """A service of its own; whoever makes it closes it."""
    return LLMService(ClientPool(keys or keys_of(settings), factories(settings)), rules or rules_of(settings))


@lru_cache(maxsize=1)
def llm_service() -> LLMService:
    """The one service of a script, from its environment. Lives as long as the process."""
    return make_service(load_settings())
