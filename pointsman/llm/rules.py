"""What governs the calls of a service, put together in one place."""

from dataclasses import dataclass, field

from pointsman.llm.accounting import Observer, Unobserved
from pointsman.llm.breakers import Breakers
from pointsman.llm.budgets import Budgets, MemoryBudgets
from pointsman.llm.governance import Governance
from pointsman.llm.limits import MemoryRateLimits, RateLimits
from pointsman.llm.response_cache import ResponseCache
from pointsman.llm.retries import RetryPolicy
from pointsman.llm.selector import Selector


@dataclass(frozen=True)
class Rules:
    """All of it lives in this process's memory unless something else is handed in."""

    governance: Governance
    selector: Selector
    budgets: Budgets = field(default_factory=MemoryBudgets)
    limits: RateLimits = field(default_factory=MemoryRateLimits)
    breakers: Breakers = field(default_factory=Breakers)
    cache: ResponseCache | None = None
    retries: RetryPolicy = field(default_factory=RetryPolicy)
    observer: Observer = field(default_factory=Unobserved)
