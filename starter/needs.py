"""What a process needs before it starts. Unlike the rooms that serve, this loads at once: mistakes are told at once."""

from collections.abc import Collection, Sequence

from pointsman.config import Misconfigured, Settings, variable
from pointsman.contracts.policy import AgentPolicy, Policy
from pointsman.llm.keys import KEY_VARIABLES as KNOWN_VARIABLES
from pointsman.llm.registry import Registry, RegistryError
from pointsman.llm.settings import LLMSettings, SettingsError, load_settings
from pointsman.llm.types import ModelTier
from pointsman.policies.loading import load
from starter.accounts import tracker_accounts
from starter.agents import service_keys
from starter.models import keys_of, registry_of

# What to set for a provider; our own name of OpenAI's key comes before the one that people know.
KEY_VARIABLES = {**KNOWN_VARIABLES, "openai": variable("openai_api_key")}


def check(settings: Settings, parts: Collection[str]) -> None:
    """Look for what would end the process at once, before anything is made, opened or written.

    Raises:
        PolicyError, Misconfigured: the text says what to do.
    """
    policy = load(settings.policy_dir).policy
    llm = llm_settings(settings)
    known_models(llm, policy)
    if "worker" in parts:
        model_keys(llm, policy)
        service_keys(policy)
        tracker_accounts(settings)


def llm_settings(settings: Settings) -> LLMSettings:
    """Settings of the model service by their own names, with what Pointsman's settings say about OpenAI before them.

    Raises:
        Misconfigured: one of them cannot be used.
    """
    given: dict[str, object] = {}
    if settings.openai_api_key is not None:
        given["openai_api_key"] = settings.openai_api_key
    if settings.openai_base_url:
        given["openai_base_url"] = settings.openai_base_url
    try:
        return load_settings().model_copy(update=given)
    except SettingsError as error:
        raise Misconfigured(str(error)) from None


def known_models(llm: LLMSettings, policy: Policy) -> Registry:
    """The models that agents and callers may name.

    Raises:
        Misconfigured: the file of models cannot be used, or policy or settings do not fit to it.
    """
    try:
        return registry_of(llm, policy.models)
    except RegistryError as error:
        raise Misconfigured(f"{error}. Nothing was started.") from None
    except SettingsError as error:
        raise Misconfigured(str(error)) from None


def model_keys(llm: LLMSettings, policy: Policy) -> None:
    """Look whether each agent has a provider with a key, its own tenants' included.

    Raises:
        Misconfigured: one has none, or policy and models do not fit together.
    """
    registry = known_models(llm, policy)
    keys, own = keys_of(llm, policy.models), {one.provider for one in policy.models.keys}
    for agent in policy.agents:
        found = registry.find(agent.model)
        tier = ModelTier(agent.model) if agent.model in set(ModelTier) else None
        providers = [model.provider for model in registry.of_tier(tier)] if tier else [found.provider] if found else []
        if providers and not any(keys.has(provider) or provider in own for provider in providers):
            raise _keyless(agent, providers)


def likely_providers(llm: LLMSettings, policy: Policy) -> Sequence[str]:
    """Those that the agents ask first, as far as there are keys for them."""
    registry, keys = known_models(llm, policy), keys_of(llm, policy.models)
    asked: dict[str, None] = {}
    for agent in policy.agents:
        found = registry.find(agent.model)
        offered = (
            registry.of_tier(ModelTier(agent.model)) if agent.model in set(ModelTier) else [found] if found else []
        )
        first = next((model.provider for model in offered if keys.has(model.provider)), None)
        if first is not None:
            asked[first] = None
    return tuple(asked)


def _keyless(agent: AgentPolicy, providers: Collection[str]) -> Misconfigured:
    first, *others = [KEY_VARIABLES[provider] for provider in providers if provider in KEY_VARIABLES]
    nor = f", nor {', '.join(others)}" if others else ""
    return Misconfigured(
        f"{first} is not set{nor}: agent {agent.name!r} of the policy needs the key of a model provider for "
        f"{agent.model!r}. Nothing was started."
    )
