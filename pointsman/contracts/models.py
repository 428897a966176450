"""Policy of models: whose are preferred, who may spend what, whose key pays, and which servers of one's own there are.

Keys are never here: a key is spoken of by its name, and the name is looked up when a call is made.
"""

from collections.abc import Mapping
from decimal import Decimal
from enum import StrEnum

from pydantic import Field

from pointsman.contracts.base import Contract

PROVIDERS = ("openai", "anthropic", "gemini", "mistral", "bedrock", "azure_openai")
"""Those that there are adapters for. Servers of one's own have names beside them."""


class BudgetScope(StrEnum):
    TENANT = "tenant"
    USER = "user"
    SESSION = "session"
    WORK_ITEM = "work_item"
    BUDGET = "budget"
    """A budget that calls are charged to by its name."""


class BudgetPeriod(StrEnum):
    """Months and days of the calendar, in UTC."""

    EVER = "ever"
    MONTH = "month"
    DAY = "day"


class ModelBudget(Contract):
    """What may be spent by one account, or by each account of the scope where none is named. None is no limit."""

    scope: BudgetScope
    account: str = ""
    tokens: int | None = Field(default=None, ge=0)
    cost_usd: Decimal | None = Field(default=None, ge=0)
    hard: bool = True
    """A hard budget refuses the call that might pass it, a soft one is noted in the answer."""
    period: BudgetPeriod = BudgetPeriod.EVER
    tenant: str = ""
    """Whose user, session, work item or budget it is; empty: the one of each tenant."""


class ModelRate(Contract):
    """What one provider is asked for at most, by all of our processes together. None is no limit of ours."""

    provider: str
    requests_per_minute: int | None = Field(default=None, gt=0)
    tokens_per_minute: int | None = Field(default=None, gt=0)


class OwnKey(Contract):
    """A key of a tenant's, or of one user of it, in place of the operator's. `key` is its name, not itself."""

    provider: str
    tenant: str
    user: str = ""
    """Empty: for all of the tenant."""
    key: str


class HostedQuota(Contract):
    """What those without a key of their own may spend with the operator's. 0 lets nobody; None is no limit."""

    tenant: str = ""
    """Empty: each tenant for which none is named."""
    user: str = ""
    """Of that tenant; empty: the tenant as a whole; `*` without a tenant: each user for whom none is named."""
    tokens: int | None = Field(default=None, ge=0)
    cost_usd: Decimal | None = Field(default=None, ge=0)
    period: BudgetPeriod = BudgetPeriod.EVER


class ServedModel(Contract):
    """A model on a server of one's own. Sizes in tokens."""

    name: str
    window: int = Field(gt=0)
    output_max: int = Field(gt=0)
    can: tuple[str, ...] = ()
    """tools | images | documents | reasoning | schema | cache"""
    tier: str = ""
    """fast | balanced | premium: what it stands in for where this provider is preferred."""


class ModelServer(Contract):
    """A server that speaks Chat Completions: vLLM, Ollama, a gateway. Its name is that of a provider."""

    name: str
    base_url: str
    key: str = ""
    """Name of the key that it wants; empty where it wants none."""
    models: tuple[ServedModel, ...] = Field(min_length=1)


class ModelPolicy(Contract):
    """How agents and callers get to models."""

    prefer: tuple[str, ...] = ()
    """Providers in the order in which they are asked; those that are not named come after them."""
    fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    """For a model that is named: which ones to ask where it does not answer. A tier falls back by itself."""
    budgets: tuple[ModelBudget, ...] = ()
    rates: tuple[ModelRate, ...] = ()
    keys: tuple[OwnKey, ...] = ()
    hosted: tuple[HostedQuota, ...] = ()
    servers: tuple[ModelServer, ...] = ()
    deployments: Mapping[str, str] = Field(default_factory=dict)
    """At Azure OpenAI: the deployment of a model, where it has another name than the model."""
