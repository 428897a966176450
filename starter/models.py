"""Policy of models, and settings, as the model service takes them: registry, keys, budgets, rates, own servers."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import SecretStr

from pointsman.contracts.models import HostedQuota, ModelPolicy
from pointsman.llm.budgets import Budget, Period, Scope
from pointsman.llm.keys import AWS_CHAIN, ENTRA, KeyReference, OperatorKeys, ReferencedKeys
from pointsman.llm.limits import RateLimit
from pointsman.llm.pool import Factory
from pointsman.llm.registry import Ability, Model, Registry
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import check_models, operator_secrets, server
from pointsman.llm.types import ModelTier

# What a server of one's own gets that wants no key; its client must be given something.
NO_KEY = SecretStr("none")
AWS_SECRETS = ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]


def registry_of(llm: LLMSettings, policy: ModelPolicy) -> Registry:
    """The models of the file and of the policy's servers, in the order in which policy prefers their providers.

    Raises:
        RegistryError: the file and the policy do not fit together.
        SettingsError: ALLOWED_MODELS or LLM_DEFAULT_MODEL names no model that there is.
    """
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
    registry = Registry.load(llm.pointsman_models).with_servers(policy.prefer, models, tiers)
    check_models(llm, registry)
    return registry


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
        Budget(
            scope=Scope(one.scope),
            account=one.account,
            tenant=one.tenant,
            tokens=one.tokens,
            cost_usd=one.cost_usd,
            hard=one.hard,
            period=Period(one.period),
        )
        for one in policy.budgets
    ]
    return [*budgets, *(_quota(one, policy) for one in policy.hosted)]


def _quota(quota: HostedQuota, policy: ModelPolicy) -> Budget:
    named = {one: f"{one.tenant}/{one.user}" if one.user else one.tenant for one in policy.hosted if one.tenant}
    alike = [account for one, account in named.items() if bool(one.user) is bool(quota.user)]
    return Budget(
        scope=Scope.HOSTED_USER if quota.user else Scope.HOSTED_TENANT,
        account=named.get(quota, ""),
        tokens=quota.tokens,
        cost_usd=quota.cost_usd,
        but=() if quota.tenant else tuple(alike),
        period=Period(quota.period),
    )


def rates_of(policy: ModelPolicy) -> Mapping[str, RateLimit]:
    return {
        one.provider: RateLimit(requests_per_minute=one.requests_per_minute, tokens_per_minute=one.tokens_per_minute)
        for one in policy.rates
    }


def servers_of(llm: LLMSettings, policy: ModelPolicy) -> Mapping[str, Factory]:
    return {house.name: server(house.name, house.base_url, llm.timeout) for house in policy.servers}


def secrets_named(llm: LLMSettings, policy: ModelPolicy) -> Sequence[SecretStr]:
    """Every key that this process may come to hold, for who must not let one through."""
    ours = [secret for secret in operator_secrets(llm).values() if secret not in (None, AWS_CHAIN, ENTRA)]
    names = [one.key for one in policy.keys] + [house.key for house in policy.servers if house.key] + AWS_SECRETS
    return [secret for secret in (*ours, *map(secret_of, names)) if secret is not None]
