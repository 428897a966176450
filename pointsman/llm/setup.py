"""A service put together from settings: registry, keys, a factory for each provider, rules."""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from importlib import import_module
from types import MappingProxyType

from pydantic import SecretStr

from pointsman.llm import governance_log
from pointsman.llm.breakers import Breakers
from pointsman.llm.client import LLMClient
from pointsman.llm.governance import Governance, Violations
from pointsman.llm.imports import importing_alone
from pointsman.llm.keys import AWS_CHAIN, ENTRA, Keys, OperatorKeys
from pointsman.llm.pool import ClientPool, Factory
from pointsman.llm.registry import Registry
from pointsman.llm.response_cache import MemoryResponseCache
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings, SettingsError, load_settings

_NONE: Mapping[str, str] = MappingProxyType({})
HINT = "Nothing was started; the file of models has them all."


CHAT = "pointsman.llm.providers.openai.chat"
ADAPTERS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "pointsman.llm.providers.openai.responses",
        "azure_openai": "pointsman.llm.providers.openai.azure",
        "anthropic": "pointsman.llm.providers.anthropic.messages",
        "gemini": "pointsman.llm.providers.gemini.generate_content",
        "mistral": "pointsman.llm.providers.mistral.chat",
        "bedrock": "pointsman.llm.providers.bedrock.converse",
    }
)


def load_adapter(provider: str) -> None:
    """Import a provider's SDK ahead of its first call: seconds on a busy machine, in which a loop does nothing else.

    A provider that is not known here is taken for a server of one's own, which is spoken to by OpenAI's.
    """
    with importing_alone():
        import_module(ADAPTERS.get(provider, CHAT))


def factories(settings: LLMSettings, deployments: Mapping[str, str] = _NONE) -> Mapping[str, Factory]:
    """How to make a client of each provider. An SDK is imported when its provider is first used.

    `deployments` gives a model's deployment at Azure its name, where it has another than the model.
    """

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

    made: dict[str, Factory] = {"openai": openai, "anthropic": anthropic, "gemini": gemini, "mistral": mistral}
    if settings.bedrock_region:
        made["bedrock"] = _bedrock(settings, settings.bedrock_region)
    if settings.azure_openai_endpoint:
        made["azure_openai"] = _azure(settings, settings.azure_openai_endpoint, deployments)
    return made


def _bedrock(settings: LLMSettings, region: str) -> Factory:
    def bedrock(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.bedrock.converse import BedrockConverse  # as above
        from pointsman.llm.providers.bedrock.credentials import credentials_of  # as above

        return BedrockConverse(credentials_of(key), region, settings.bedrock_base_url, settings.timeout)

    return bedrock


def _azure(settings: LLMSettings, endpoint: str, deployments: Mapping[str, str]) -> Factory:
    def azure_openai(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.openai.azure import AzureOpenAI, AzureOpenAIByEntra  # as above

        if key is ENTRA:
            return AzureOpenAIByEntra(endpoint, settings.timeout, deployments)
        return AzureOpenAI(endpoint, key, None, settings.timeout, deployments)

    return azure_openai


def server(name: str, base_url: str, timeout: timedelta) -> Factory:
    """How to make a client of an operator's own server, which speaks Chat Completions. `name` is its provider's."""

    def make(key: SecretStr) -> LLMClient:
        from pointsman.llm.providers.openai.chat import OpenAIChat  # as above

        return OpenAIChat(key, base_url, timeout, provider=name)

    return make


def operator_secrets(settings: LLMSettings) -> Mapping[str, SecretStr | None]:
    """By provider. What stands for credentials that are found elsewhere counts as one."""
    azure = settings.azure_openai_api_key or ENTRA
    return {
        "openai": settings.openai_api_key,
        "anthropic": settings.anthropic_api_key,
        "gemini": settings.google_api_key,
        "mistral": settings.mistral_api_key,
        "bedrock": AWS_CHAIN if settings.bedrock_region else None,
        "azure_openai": azure if settings.azure_openai_endpoint else None,
    }


def keys_of(settings: LLMSettings) -> OperatorKeys:
    """The operator's keys, for everybody."""
    return OperatorKeys(operator_secrets(settings))


def retries_of(settings: LLMSettings) -> RetryPolicy:
    return RetryPolicy(
        retries_max=settings.llm_max_retries,
        rate_limit_retries_max=settings.llm_rate_limit_max_retries,
        base=settings.llm_retry_exponential_base,
    )


def cache_life_of(settings: LLMSettings) -> timedelta:
    """How long an answer is kept; nothing where none is."""
    return timedelta(seconds=settings.llm_response_cache_seconds)


def check_models(settings: LLMSettings, registry: Registry) -> None:
    """Look whether the settings name models that there are: a name that is misspelt is told at the start.

    Raises:
        SettingsError: none of ALLOWED_MODELS is known, or LLM_DEFAULT_MODEL is not, or may not be used.
    """
    governance, default = Governance(registry, settings.allowed_models), settings.llm_default_model
    if not any(governance.permits(name) for name in registry.models):
        listed = ", ".join(settings.allowed_models)
        raise SettingsError(f"setting ALLOWED_MODELS is {listed!r}: it names no model that is known. {HINT}")
    if not default:
        return
    model = registry.find(default)
    if model is None or not governance.permits(model.name):
        why = "it is not among the known models" if model is None else "ALLOWED_MODELS does not have it"
        raise SettingsError(f"setting LLM_DEFAULT_MODEL is {default!r}: {why}. {HINT}")


def rules_of(settings: LLMSettings, violations: Violations | None = None) -> Rules:
    """The rules of the settings, in memory."""
    if settings.llm_governance_log is not None:
        governance_log.keep(settings.llm_governance_log, settings.llm_governance_log_days)
    registry = Registry.load(settings.pointsman_models)
    check_models(settings, registry)
    governance = Governance(registry, settings.allowed_models, violations)
    breakers = Breakers()
    selector = Selector(
        registry,
        governance,
        settings.llm_default_model,
        healthy=breakers.healthy,
        available=keys_of(settings).has,
    )
    life = cache_life_of(settings)
    cache = MemoryResponseCache(life=life) if life else None
    return Rules(governance, selector, breakers=breakers, cache=cache, retries=retries_of(settings))


def make_service(settings: LLMSettings, rules: Rules | None = None, keys: Keys | None = None) -> LLMService:
    """A service of its own; whoever makes it closes it."""
    pool = ClientPool(keys or keys_of(settings), factories(settings), load=load_adapter)
    return LLMService(pool, rules or rules_of(settings))


@lru_cache(maxsize=1)
def llm_service() -> LLMService:
    """The one service of a script, from its environment. Lives as long as the process.

    Connections are closed with the event loop that opened them, at the end of `asyncio.run`. Where a loop lives
    longer, `async with llm_service() as service` closes them sooner; it may be used again after that.
    """
    return make_service(load_settings())
