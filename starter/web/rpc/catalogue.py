"""What `llm.models` tells: the models that are known, with what they can do and cost, and how their providers are.

No provider is asked: keys are looked for here, circuits tell what calls found out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from pointsman.contracts.base import Json
from pointsman.llm.breakers import BreakerState
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.governance import Governance
from pointsman.llm.keys import Keys
from pointsman.llm.prices import price
from pointsman.llm.registry import Model, Registry
from pointsman.llm.types import TokenUsage
from starter.web.rpc.callers import Caller

MILLION = 1_000_000


def _today() -> date:
    return datetime.now(UTC).date()


@dataclass(frozen=True)
class Catalogue:
    """`circuit` tells the state of one, by provider and name of the key."""

    registry: Registry
    governance: Governance
    keys: Keys
    circuit: Callable[[str], BreakerState]
    today: Callable[[], date] = _today

    async def tell(self, caller: Caller, usable_only: bool) -> Json:
        """As it is for this caller: whose key is used decides whether a provider is there."""
        providers = {name: await self._provider(name, caller) for name in self._providers()}
        models: list[Json] = []
        for model in self.registry.models.values():
            entry = await self._model(model, providers[model.provider])
            if entry["usable"] or not usable_only:
                models.append(entry)
        return {"version": self.registry.version, "providers": list(providers.values()), "models": models}

    def _providers(self) -> list[str]:
        """In the order in which they are preferred."""
        known = {model.provider for model in self.registry.models.values()}
        return [*(name for name in self.registry.prefer if name in known), *sorted(known - {*self.registry.prefer})]

    async def _provider(self, name: str, caller: Caller) -> dict[str, Json]:
        try:
            key = await self.keys.find(name, caller.tenant, caller.user)
        except AuthenticationError:
            return {"name": name, "has_key": False, "key": "", "circuit": BreakerState.CLOSED.value}
        circuit = self.circuit(f"{name}/{key.name}")
        return {"name": name, "has_key": True, "key": key.name, "circuit": circuit.value}

    async def _model(self, model: Model, provider: Mapping[str, Json]) -> dict[str, Json]:
        tiers = [tier.value for tier, named in self.registry.tiers.items() if model.name in named.values()]
        is_retired = model.retired(self.today())
        return {
            "name": model.name,
            "also": list(model.also),
            "provider": model.provider,
            "tiers": list(tiers),
            "can": [*sorted(ability.value for ability in model.can)],
            "window": model.window,
            "output_max": model.output_max,
            "allowed": self.governance.permits(model.name),
            "usable": bool(self.governance.usable(model) and provider["has_key"]),
            "lifecycle": {
                "state": "retired" if is_retired else "ending" if model.shutdown_on else "active",
                "shutdown_on": model.shutdown_on.isoformat() if model.shutdown_on else None,
                "replacement": model.replacement,
                "warning": "" if is_retired else model.warning(self.today()),
            },
            "prices": await _prices(model),
        }


async def _prices(model: Model) -> Json:
    """USD for a million tokens of a short prompt; None where no price is known."""
    counts = {
        "prompt": TokenUsage(prompt_tokens=1, total_tokens=1),
        "cached": TokenUsage(prompt_tokens=1, cached_tokens=1, total_tokens=1),
        "completion": TokenUsage(completion_tokens=1, total_tokens=1),
    }
    told = {name: await price(model.provider, model.sent, usage) for name, usage in counts.items()}
    if any(one.note for one in told.values()):
        return None
    prices: dict[str, Json] = {name: _plain(one.cost_usd * MILLION) for name, one in told.items()}
    return {**prices, "unit": "USD per million tokens", "version": told["prompt"].version}


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
