"""The governed model service of our processes, put together in one place: settings, policy, books, and who counts."""

from dataclasses import replace
from datetime import timedelta

from prometheus_client import CollectorRegistry

from pointsman.contracts.models import ModelPolicy
from pointsman.llm import governance_log
from pointsman.llm.accounting import Observer, Together
from pointsman.llm.breakers import Breakers
from pointsman.llm.budgets import MemoryBudgets
from pointsman.llm.governance import Governance, LoggedViolations, Violations
from pointsman.llm.limits import MemoryRateLimits
from pointsman.llm.metrics import CountedViolations, LLMMetrics, watched
from pointsman.llm.pool import ClientPool
from pointsman.llm.response_cache import MemoryResponseCache, ResponseCache
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.settings import LLMSettings
from pointsman.llm.setup import cache_life_of, factories, load_adapter, retries_of
from pointsman.llm.tracing import Traced
from pointsman.observability import meters, traces
from pointsman.observability.logs import Redaction
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.llm_answers import StoreResponseCache
from pointsman.store.llm_budgets import StoreBudgets
from pointsman.store.llm_limits import StoreRateLimits
from pointsman.store.llm_violations import AuditedViolations
from starter.models import budgets_of, keys_of, rates_of, registry_of, secrets_named, servers_of


def governed(
    llm: LLMSettings,
    policy: ModelPolicy,
    store: Store | None = None,
    observer: Observer | None = None,
    metrics: CollectorRegistry | None = None,
) -> LLMService:
    """The one service of a process; whoever makes it closes it.

    Without a store, budgets and limits are those of this process alone, and violations are only logged. `metrics` is
    where it is counted; OpenTelemetry is told where the standard variables name a receiver.

    Raises:
        RegistryError: the file of models and the policy do not fit together; the text names what.
        GovernanceLogError: the folder of the governance log cannot be written.
    """
    if llm.llm_governance_log is not None:
        scrub = Redaction(secrets_named(llm, policy)).text
        governance_log.keep(llm.llm_governance_log, llm.llm_governance_log_days, scrub)
    registry = registry_of(llm, policy)
    keys = keys_of(llm, policy)
    counted = LLMMetrics(registry.models, metrics) if metrics is not None else None
    kept: Violations = AuditedViolations(Audit(store)) if store is not None else LoggedViolations()
    violations = CountedViolations(counted, kept) if counted is not None else kept
    governance = Governance(registry, llm.allowed_models, violations)
    breakers = Breakers()
    rules = Rules(
        governance,
        Selector(registry, governance, llm.llm_default_model, policy.fallbacks, breakers.healthy, available=keys.has),
        budgets=(
            StoreBudgets(store, budgets_of(policy), days=llm.llm_ledger_days)
            if store is not None
            else MemoryBudgets(budgets_of(policy))
        ),
        limits=StoreRateLimits(store, rates_of(policy)) if store is not None else MemoryRateLimits(rates_of(policy)),
        breakers=breakers,
        cache=_cache(cache_life_of(llm), store),
        retries=retries_of(llm),
    )
    told = [Traced()] if traces.wanted() or meters.wanted() else []
    if observer is not None or told:
        rules = replace(rules, observer=Together(*told, *([observer] if observer is not None else [])))
    if counted is not None:
        rules = watched(rules, counted)
    made = {**factories(llm, policy.deployments), **servers_of(llm, policy)}
    service = LLMService(ClientPool(keys, made, load=load_adapter), rules)
    if counted is not None:
        counted.watch(service)
    return service


def _cache(life: timedelta, store: Store | None) -> ResponseCache | None:
    if not life:
        return None
    return StoreResponseCache(store, life) if store is not None else MemoryResponseCache(life=life)
