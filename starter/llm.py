"""The governed model service of our processes, put together in one place: settings, policy, books, and who counts."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import SecretStr

from pointsman.config import Settings
from pointsman.contracts.models import HostedQuota, ModelPolicy
from pointsman.llm.accounting import Observer
from pointsman.llm.breakers import Breakers
from pointsman.llm.budgets import Budget, MemoryBudgets, Scope
from pointsman.llm.governance import Governance
from pointsman.llm.keys import KeyReference, OperatorKeys, ReferencedKeys
from pointsman.llm.limits import MemoryRateLimits, RateLimit
from pointsman.llm.pool import ClientPool, Factory
from pointsman.llm.registry import Ability, Model, Registry
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings, load_settings
from pointsman.llm.setup import factories, operator_secrets, retries_of, server
from pointsman.llm.types import ModelTier
from pointsman.store.engine import Store

# What a server of one's own gets that wants no key; its client must be given something.
NO_KEY = SecretStr("none")


def governed(
    llm: LLMSettings, policy: ModelPolicy, store: Store | None = None, observer: Observer | None = None
) -> LLMService:
    """The one service of a process; whoever makes it closes it.

    Without a store, budgets and limits are those of this process alone.

    Raises:
        RegistryError: the file of models and the policy do not fit together; the text names what.
    """
    registry = registry_of(llm, policy)
    keys = keys_of(llm, policy)
    governance = Governance(registry, llm.allowed_models)
    breakers = Breakers()
    selector = Selector(
        registry, governance, llm.llm_default_model, policy.fallbacks, breakers.healthy, available=keys.has
    )
    rules = Rules(
        governance,
        selector,
        budgets=MemoryBudgets(budgets_of(policy)),
        limits=MemoryRateLimits(rates_of(policy)),
        breakers=breakers,
        retries=retries_of(llm),
    )
    if observer is not None:
        rules = replace(rules, observer=observer)
    return LLMService(ClientPool(keys, {**factories(llm, policy.deployments), **servers_of(llm, policy)}), rules)


def llm_settings(settings: Settings) -> LLMSettings:
    """Settings of the model service by their own names, with what Pointsman's settings say about OpenAI before them.

    Raises:
        SettingsError: one of them cannot be used.
    """
    given: dict[str, object] = {}
    if settings.openai_api_key is not None:
        given["openai_api_key"] = settings.openai_api_key
    if settings.openai_base_url:
        given["openai_base_url"] = settings.openai_base_url
    return load_settings().model_copy(update=given)


def registry_of(llm: LLMSettings, policy: ModelPolicy) -> Registry:
    """The models of the file and of the policy's servers, in the order in which policy prefers their providers."""
    models = [
        Model(
            name=one.name,
            provider=house.name,
            window=one.window,
            output_max=one.output_max,
            can=frozenset(Ability(ability) for ability in one.can),
        )
        for house in policy.servers
        for one in house.models
    ]
    tiers: dict[ModelTier, dict[str, str]] = {}
    for house in policy.servers:
        for one in house.models:
            if one.tier:
                tiers.setdefault(ModelTier(one.tier), {})[house.name] = one.name
    return Registry.load(llm.pointsman_models).with_servers(policy.prefer, models, tiers)


def keys_of(llm: LLMSettings, policy: ModelPolicy) -> ReferencedKeys:
    """The operator's keys, and own keys of tenants and users by their names."""
    keyless = {house.name: NO_KEY for house in policy.servers if not house.key}
    references = [KeyReference(one.provider, one.key, one.tenant, one.user) for one in policy.keys]
    references += [KeyReference(house.name, house.key) for house in policy.servers if house.key]
    return ReferencedKeys(references, secret_of, OperatorKeys({**operator_secrets(llm), **keyless}))


def secret_of(name: str) -> SecretStr | None:
    """The secret in the environment variable of that name, or in the file that `NAME_FILE` names."""
    if value := os.environ.get(name, ""):
        return SecretStr(value)
    path = os.environ.get(f"{name}_FILE", "")
    try:
        return SecretStr(Path(path).read_text(encoding="utf-8").strip()) if path else None
    except (OSError, UnicodeDecodeError):
        return None  # the call says that the key is not set, with its name


def budgets_of(policy: ModelPolicy) -> Sequence[Budget]:
    """Budgets and quotas of the policy. A quota that names nobody is for all who have none of their own."""
    budgets = [
        Budget(scope=Scope(one.scope), account=one.account, tokens=one.tokens, cost_usd=one.cost_usd, hard=one.hard)
        for one in policy.budgets
    ]
    return [*budgets, *(_quota(one, policy) for one in policy.hosted)]


def _quota(quota: HostedQuota, policy: ModelPolicy) -> Budget:
    account = "/".join(filter(None, (quota.tenant, quota.user)))
    named = tuple(one.tenant for one in policy.hosted if one.tenant and not one.user)
    return Budget(
        scope=Scope.HOSTED_USER if quota.user else Scope.HOSTED_TENANT,
        account=account,
        tokens=quota.tokens,
        cost_usd=quota.cost_usd,
        but=() if account else named,
    )


def rates_of(policy: ModelPolicy) -> Mapping[str, RateLimit]:
    return {
        one.provider: RateLimit(requests_per_minute=one.requests_per_minute, tokens_per_minute=one.tokens_per_minute)
        for one in policy.rates
    }


def servers_of(llm: LLMSettings, policy: ModelPolicy) -> Mapping[str, Factory]:
    return {house.name: server(house.name, house.base_url, llm.timeout) for house in policy.servers}
