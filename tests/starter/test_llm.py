"""The service of our processes, as policy puts it together: whose key pays, who may spend, own servers, Azure."""

import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from pointsman.contracts.actions import Action
from pointsman.contracts.models import (
    BudgetScope,
    HostedQuota,
    ModelBudget,
    ModelPolicy,
    ModelRate,
    ModelServer,
    OwnKey,
    ServedModel,
)
from pointsman.llm.errors import (
    AuthenticationError,
    BudgetExceededError,
    LLMError,
    ModelNotAllowedError,
    RateLimitedError,
)
from pointsman.llm.settings import LLMSettings
from pointsman.llm.types import LLMRequest, LLMResponse, ModelTier, Role, text_message
from pointsman.sandbox.models.app import create_app
from pointsman.sandbox.models.config import ModelsConfig
from pointsman.sandbox.models.control import Control, Fault, FaultKind
from pointsman.sandbox.serving import hosting
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.schema import upgrade
from starter import models
from starter.llm import governed

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPERATORS, ALPHAS, ADAS = "sk-operator-5b1f", "sk-alpha-93d2", "sk-ada-70ce"
HELLO = (text_message(Role.USER, "hello"),)
HOUSE = ServedModel(name="openai/gpt-oss-120b", window=131_072, output_max=4_096, can=("tools",), tier="fast")


@dataclass
class Outside:
    url: str
    control: Control

    def settings(self, **more: object) -> LLMSettings:
        given: dict[str, object] = {"openai_api_key": OPERATORS, "openai_base_url": f"{self.url}/v1", **more}
        return LLMSettings.model_validate({**given, "allowed_models": ["gpt-*", "azure/*", "openai/*"]})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncGenerator[Outside]:
    """A provider that knows the keys of alpha and ada, and not the operator's."""
    keys = (SecretStr(ALPHAS), SecretStr(ADAS))
    app = create_app(ModelsConfig(api_keys=keys, first_token=timedelta(0), chunk=timedelta(0)))
    async with hosting(app) as url:
        yield Outside(url, app.state.control)


@pytest.fixture
def outside(server: Outside, monkeypatch: pytest.MonkeyPatch) -> Outside:
    server.control.reset()
    monkeypatch.setenv("KEY_OF_ALPHA", ALPHAS)
    monkeypatch.setenv("KEY_OF_ADA", ADAS)
    return server


def own(*keys: tuple[str, str, str], **more: object) -> ModelPolicy:
    named = [OwnKey(provider="openai", tenant=tenant, user=user, key=key) for tenant, user, key in keys]
    return ModelPolicy.model_validate({"keys": named, **more})


async def ask(llm: LLMSettings, policy: ModelPolicy, **whose: object) -> LLMResponse:
    asked: dict[str, object] = {"tier": ModelTier.FAST, "messages": HELLO, "max_tokens": 50, **whose}
    async with governed(llm, policy) as service:
        return await service.attempt(LLMRequest.model_validate(asked))


async def test_own_keys_come_before_the_operators_and_a_users_before_the_tenants(outside: Outside) -> None:
    policy = own(("alpha", "", "KEY_OF_ALPHA"), ("beta", "ada", "KEY_OF_ADA"))
    for whose in ({"tenant": "alpha"}, {"tenant": "alpha", "user": "bob"}, {"tenant": "beta", "user": "ada"}):
        assert (await ask(outside.settings(), policy, **whose)).provider == "openai"
    for whose in ({"tenant": "beta"}, {"tenant": "beta", "user": "bob"}, {}):
        with pytest.raises(AuthenticationError):  # the provider does not know the operator's
            await ask(outside.settings(), policy, **whose)


async def test_a_key_is_looked_up_when_the_call_is_made(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_ALPHA", "sk-old")
    async with governed(outside.settings(), own(("alpha", "", "KEY_OF_ALPHA"))) as service:
        request = LLMRequest(tier=ModelTier.FAST, messages=HELLO, tenant="alpha")
        with pytest.raises(AuthenticationError):
            await service.attempt(request)
        monkeypatch.setenv("KEY_OF_ALPHA", ALPHAS)
        assert (await service.attempt(request)).provider == "openai"


async def test_a_name_that_leads_to_no_key_lets_nobody_else_pay(outside: Outside) -> None:
    with pytest.raises(AuthenticationError, match="the key KEY_OF_BETA of tenant 'beta'") as caught:
        await ask(outside.settings(), own(("beta", "", "KEY_OF_BETA")), tenant="beta")
    assert "Nothing was sent" in str(caught.value)
    assert outside.control.seen == []


async def test_no_key_is_in_a_log_or_an_error(outside: Outside, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    policy = own(("alpha", "", "KEY_OF_ALPHA"))
    told: list[LLMResponse | LLMError] = [await ask(outside.settings(), policy, tenant="alpha")]
    with pytest.raises(AuthenticationError) as caught:
        await ask(outside.settings(), policy)
    told.append(caught.value)
    shown = f"{told!r} {told} {caplog.text} {caplog.records} {policy!r} {models.keys_of(outside.settings(), policy)!r}"
    assert [key for key in (OPERATORS, ALPHAS) if key in shown] == []
    assert "KEY_OF_ALPHA" in shown


async def test_those_without_a_key_use_the_operators_within_their_quota(outside: Outside) -> None:
    hosted = (HostedQuota(tokens=0), HostedQuota(tenant="gamma", tokens=10_000))
    policy = own(("alpha", "", "KEY_OF_ALPHA"), hosted=hosted)
    assert (await ask(outside.settings(), policy, tenant="alpha")).provider == "openai"
    with pytest.raises(BudgetExceededError, match="hosted_tenant 'beta'"):
        await ask(outside.settings(), policy, tenant="beta")
    outside.control.reset()
    known = outside.settings(openai_api_key=ADAS)
    assert (await ask(known, policy, tenant="gamma")).provider == "openai"
    with pytest.raises(BudgetExceededError, match="hosted_tenant 'gamma'"):
        await ask(known, policy, tenant="gamma", max_tokens=10_000)
    assert len(outside.control.seen) == 1


async def test_budgets_and_rates_of_policy_hold(outside: Outside) -> None:
    llm = outside.settings(openai_api_key=ADAS)
    budget = ModelBudget(scope=BudgetScope.WORK_ITEM, cost_usd=Decimal("0.0000001"))
    with pytest.raises(BudgetExceededError, match="work_item 'f/w/1'"):
        await ask(llm, ModelPolicy(budgets=(budget,)), work_item="f/w/1")
    trial = ModelBudget(scope=BudgetScope.BUDGET, account="trial", tenant="beta", tokens=10)
    with pytest.raises(BudgetExceededError, match="budget 'beta/trial' is 10"):
        await ask(llm, ModelPolicy(budgets=(trial,)), budget="trial", tenant="beta")
    (note,) = (await ask(llm, ModelPolicy(budgets=(trial,)), budget="trial", tenant="gamma")).notes
    assert note.startswith("budget 'trial' has no limit")
    async with governed(llm, ModelPolicy(rates=(ModelRate(provider="openai", requests_per_minute=1),))) as service:
        request = LLMRequest(tier=ModelTier.FAST, messages=HELLO)
        assert (await service.attempt(request)).attempts == 1
        with pytest.raises(RateLimitedError, match="Nothing was sent"):
            await service.attempt(request)


async def test_who_uses_up_an_own_key_makes_nobody_else_wait(outside: Outside) -> None:
    policy = own(("alpha", "", "KEY_OF_ALPHA"), rates=(ModelRate(provider="openai", requests_per_minute=1),))
    alphas = LLMRequest(tier=ModelTier.FAST, messages=HELLO, tenant="alpha")
    others = alphas.model_copy(update={"tenant": "beta"})
    async with governed(outside.settings(openai_api_key=ADAS), policy) as service:
        outside.control.faults.append(Fault(kind=FaultKind.STATUS, status=429, retry_after="600"))
        with pytest.raises(RateLimitedError):
            await service.attempt(alphas)
        with pytest.raises(RateLimitedError, match="Nothing was sent"):
            await service.attempt(alphas)
        assert (await service.attempt(others)).attempts == 1
        with pytest.raises(RateLimitedError, match="Nothing was sent"):  # the policy's rate is of the operator's key
            await service.attempt(others)
        assert service.waiting("openai") == 0


async def test_a_server_of_ones_own_is_a_provider_like_any_other(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = ModelServer(name="house", base_url=f"{outside.url}/vllm/v1", key="KEY_OF_HOUSE", models=(HOUSE,))
    policy = ModelPolicy(prefer=("house",), servers=(house,))
    monkeypatch.setenv("KEY_OF_HOUSE", ALPHAS)
    answered = await ask(outside.settings(), policy)
    assert (answered.provider, outside.control.seen[-1].format) == ("house", "vllm-chat")
    free = policy.model_copy(update={"servers": (house.model_copy(update={"key": ""}),)})
    with pytest.raises(AuthenticationError):  # it wants one, and gets none of the operator's
        await ask(outside.settings(), free)


async def test_azure_is_called_by_the_names_of_its_deployments(outside: Outside) -> None:
    llm = outside.settings(azure_openai_endpoint=f"{outside.url}/azure", azure_openai_api_key=ALPHAS)
    policy = ModelPolicy(prefer=("azure_openai",), deployments={"gpt-6-luna": "gpt-6-astra"})
    answered = await ask(llm, policy)
    assert (answered.provider, outside.control.seen[-1].format) == ("azure_openai", "azure-openai-responses")
    assert outside.control.seen[-1].model == "gpt-6-astra"
    assert answered.rationale.startswith("azure/gpt-6-luna")


@pytest.mark.parametrize("has_store", [False, True])
async def test_an_answer_is_given_again_where_that_is_wanted(outside: Outside, tmp_path: Path, has_store: bool) -> None:
    llm, policy = outside.settings(openai_api_key=ADAS, llm_response_cache_seconds=60), ModelPolicy()
    request = LLMRequest(tier=ModelTier.FAST, messages=HELLO, tenant="beta")
    url = f"sqlite:///{tmp_path}/books.db"
    upgrade(url)
    async with Store.open(url) as store:
        async with governed(llm, policy, store if has_store else None, metrics=CollectorRegistry()) as service:
            said = await service.complete(request)
            again = await service.complete(request)
            other = await service.complete(request.model_copy(update={"tenant": "gamma"}))
        # Another process remembers what is in the store.
        async with governed(llm, policy, store if has_store else None) as service:
            later = await service.complete(request)
    assert said.cost_usd > 0
    assert (again.message, again.cost_usd, again.attempts) == (said.message, Decimal(0), 0)
    assert again.notes == (f"from the cache: {said.cost_usd} USD saved",)
    assert other.attempts == 1
    assert later.attempts == (0 if has_store else 1)
    assert len(outside.control.seen) == (2 if has_store else 3)


async def test_with_a_store_spending_and_violations_are_in_its_books(outside: Outside, tmp_path: Path) -> None:
    metrics = CollectorRegistry()
    llm, budget = outside.settings(openai_api_key=ADAS), ModelBudget(scope=BudgetScope.TENANT, tokens=200)
    policy = ModelPolicy(budgets=(budget,))
    request = LLMRequest(tier=ModelTier.FAST, messages=HELLO, tenant="beta", max_tokens=120, source_agent="triage")
    url = f"sqlite:///{tmp_path}/books.db"
    upgrade(url)
    async with Store.open(url) as store:
        async with governed(llm, policy, store, metrics=metrics) as service:
            await service.attempt(request)
        # Another process over the same books.
        async with governed(llm, policy, store) as service:
            with pytest.raises(BudgetExceededError):
                await service.attempt(request.model_copy(update={"max_tokens": 190}))
            with pytest.raises(ModelNotAllowedError):
                await service.attempt(request.model_copy(update={"tier": None, "model": "claude-opus-5-5"}))
        (violation,) = await Audit(store).find()
    assert (violation.action, violation.data["attempted_model"]) == (Action.MODEL_REFUSED, "claude-opus-5-5")
    labels = {"provider": "openai", "model": "gpt-6-luna", "status": "success"}
    assert metrics.get_sample_value("llm_requests_total", labels) == 1
