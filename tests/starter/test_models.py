"""Policy of models as the service takes it, and what is looked at before anything starts."""

import pytest
from pydantic import SecretStr

from pointsman.config import Misconfigured
from pointsman.contracts.models import PROVIDERS, HostedQuota, ModelPolicy, ModelServer, OwnKey, ServedModel
from pointsman.contracts.policy import AgentPolicy, Policy
from pointsman.llm.budgets import Scope
from pointsman.llm.registry import RegistryError
from pointsman.llm.settings import LLMSettings
from starter import models
from starter.llm import governed
from starter.needs import known_models, model_keys

KEY = "sk-test-70ce"


def test_a_quota_for_each_leaves_out_those_that_have_one() -> None:
    hosted = (HostedQuota(user="*", tokens=1), HostedQuota(tenant="beta", user="ada", tokens=9), HostedQuota(tokens=5))
    each, adas, tenants = models.budgets_of(ModelPolicy(hosted=hosted))
    assert each.applies(Scope.HOSTED_USER, "beta/bob")
    assert not each.applies(Scope.HOSTED_USER, "beta/ada")
    assert adas.applies(Scope.HOSTED_USER, "beta/ada")
    assert tenants.applies(Scope.HOSTED_TENANT, "beta")


def test_what_does_not_fit_together_is_named() -> None:
    with pytest.raises(RegistryError, match="provider 'house' cannot be preferred: there are anthropic"):
        governed(LLMSettings(_env_file=None), ModelPolicy(prefer=("house",)))
    taken = ModelServer(
        name="house", base_url="http://127.0.0.1", models=(ServedModel(name="gpt-6-luna", window=9, output_max=9),)
    )
    with pytest.raises(RegistryError, match="'gpt-6-luna' of house: the file of models has that name"):
        governed(LLMSettings(_env_file=None), ModelPolicy(servers=(taken,)))


def test_an_agent_without_a_provider_that_has_a_key_is_named_before_anything_starts() -> None:
    def policy(model: str, **rest: object) -> Policy:
        agent = AgentPolicy(name="triage", model=model, prompt="")
        return Policy(version="1", agents=(agent,), models=ModelPolicy.model_validate(rest))

    bare = LLMSettings(_env_file=None, openai_api_key=None, aws_region=None, mistral_api_key=SecretStr(KEY))
    model_keys(bare, policy("balanced"))
    model_keys(bare, policy("mistral-large-4"))
    model_keys(bare, policy("gpt-6.1-sol", keys=[OwnKey(provider="openai", tenant="alpha", key="K")]))
    with pytest.raises(Misconfigured, match="POINTSMAN_OPENAI_API_KEY is not set: agent 'triage'") as caught:
        model_keys(bare, policy("gpt-6.1-sol"))
    assert KEY not in str(caught.value)
    none = bare.model_copy(update={"mistral_api_key": None})
    with pytest.raises(Misconfigured, match="nor ANTHROPIC_API_KEY, GOOGLE_API_KEY, MISTRAL_API_KEY, AWS_REGION"):
        model_keys(none, policy("balanced"))


def test_a_default_that_is_no_model_ends_a_process_before_anything_is_opened() -> None:
    settings = LLMSettings(_env_file=None, llm_default_model="gpt-7")
    with pytest.raises(Misconfigured, match=r"LLM_DEFAULT_MODEL is 'gpt-7'.*Nothing was started"):
        known_models(settings, Policy(version="1"))


def test_policy_knows_the_providers_that_there_are_adapters_for() -> None:
    tiers = models.registry_of(LLMSettings(_env_file=None), ModelPolicy()).tiers
    assert set(PROVIDERS) == {provider for named in tiers.values() for provider in named}
