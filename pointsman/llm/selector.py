"""Which model answers a request: by name, by tier, or by how much the request asks for. Always says why."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from pointsman.llm.errors import InvalidRequestError, LLMError
from pointsman.llm.estimates import estimate_tokens
from pointsman.llm.governance import Governance
from pointsman.llm.prices import price
from pointsman.llm.registry import CHEAPEST, Model, Registry, abilities_needed
from pointsman.llm.types import Complexity, LLMRequest, ModelTier, ReasoningEffort, TokenUsage

OUTPUT_TOKENS_ASSUMED = 4_096
"""Room that an answer needs where a request sets no limit."""


TIER_OF: Mapping[Complexity, ModelTier] = {
    Complexity.LOW: ModelTier.FAST,
    Complexity.MEDIUM: ModelTier.BALANCED,
    Complexity.HIGH: ModelTier.PREMIUM,
}


Available = Callable[[str, str, str], bool]
"""Whether there is a key: by provider, tenant, user."""


class Selection(NamedTuple):
    """The model to ask, then those to ask if it cannot, and why that one."""

    model: Model
    fallbacks: Sequence[Model]
    rationale: str

    def without(self, avoid: Sequence[str]) -> "Selection":
        """The same choice among the others.

        Raises:
            NoModelError: there are none.
        """
        if not avoid:
            return self
        left = [model for model in (self.model, *self.fallbacks) if model.name not in avoid]
        if not left:
            raise NoModelError(f"{', '.join(avoid)} did not answer, and no other model can. Nothing was sent.")
        if left[0] is self.model:
            return self._replace(fallbacks=left[1:])
        return Selection(left[0], left[1:], f"{left[0].name}: {', '.join(avoid)} did not answer; {self.rationale}")


class NoModelError(LLMError):
    """No model can take this request; the text says why each was left out."""


class Selector:
    """`healthy` tells of a provider whether it is worth asking now, `available` whether a caller has a key for it."""

    def __init__(
        self,
        registry: Registry,
        governance: Governance,
        default_model: str = "",
        fallbacks: Mapping[str, Sequence[str]] | None = None,
        healthy: Callable[[str], bool] = lambda provider: True,
        available: Available = lambda provider, tenant, user: True,
    ) -> None:
        self._registry = registry
        self._governance = governance
        self._default = default_model
        self._fallbacks = fallbacks or {}
        self._healthy = healthy
        self._available = available

    async def select(self, request: LLMRequest, prefer: Sequence[str] = ()) -> Selection:
        """`prefer` names providers in the order in which this caller wants them.

        The word `price` among them puts those that are not named before it in the order of what this request may cost
        at each: its prompt, and an answer at its limit.

        Raises:
            ModelNotAllowedError, ModelRetiredError: the model that was named may not be used.
            InvalidRequestError: the model that was named cannot do what is asked.
            NoModelError: no model of the tier can.
        """
        if request.tier is not None:
            return await self._of_tier(request, request.tier, prefer, f"tier {request.tier.value} was asked for")
        if request.complexity is not None:
            why = f"complexity {request.complexity.value} was asked for"
            return await self._of_tier(request, TIER_OF[request.complexity], prefer, why)
        if name := request.model or self._default:
            return await self._named(request, name)
        complexity, features = measure(request)
        why = f"complexity {complexity.value} ({features})"
        return await self._of_tier(request, TIER_OF[complexity], prefer, why)

    async def _named(self, request: LLMRequest, name: str) -> Selection:
        model = await self._governance.admit(request, name)
        if lack := _lack(model, request):
            raise InvalidRequestError(f"{model.name} {lack}. Nothing was sent.", provider=model.provider, model=name)
        chain = [found for other in self._fallbacks.get(model.name, ()) if (found := self._registry.find(other))]
        usable = [other for other in chain if self._governance.usable(other) and not _lack(other, request)]
        named = "was named" if request.model else "is the default"
        return Selection(model, usable, f"{model.name}: it {named}")

    async def _of_tier(self, request: LLMRequest, tier: ModelTier, prefer: Sequence[str], why: str) -> Selection:
        offered, costs = await self._in_order(request, self._registry.of_tier(tier), prefer)
        left_out: list[str] = []
        able: list[Model] = []
        keyless: list[Model] = []
        for model in offered:
            lack = "is not allowed" if not self._governance.usable(model) else _lack(model, request)
            if lack:
                left_out.append(f"{model.name} {lack}")
            elif self._available(model.provider, request.tenant, request.user):
                able.append(model)
            else:
                keyless.append(model)
        if not able:  # let the call say which key is missing
            able, keyless = keyless[:1], []
        left_out += [f"no key for {model.provider}" for model in keyless]
        houses = {CHEAPEST, *(model.provider for model in offered)}
        left_out += [
            f"{name!r}, which is preferred, has no model of this tier" for name in prefer if name not in houses
        ]
        if not able:
            raise NoModelError(f"no model of tier {tier.value} can take this request: {'; '.join(left_out)}")
        first = next((model for model in able if self._healthy(model.provider)), able[0])
        ailing = [f"{model.provider} does not answer now" for model in able[: able.index(first)]]
        told = "; ".join([f"{first.name}: {why}", *costs, *left_out, *ailing])
        return Selection(first, [model for model in able if model is not first], told)

    async def _in_order(
        self, request: LLMRequest, offered: Sequence[Model], prefer: Sequence[str]
    ) -> tuple[Sequence[Model], Sequence[str]]:
        """The models in the order in which they are wanted, and what each may cost where that decides."""
        order = [*prefer, *self._registry.prefer, *(model.provider for model in offered)]
        before = order[: order.index(CHEAPEST)] if CHEAPEST in order else order
        named = sorted(
            (model for model in offered if model.provider in before), key=lambda one: before.index(one.provider)
        )
        rest = [model for model in offered if model.provider not in before]
        if not rest:
            return named, ()
        costs = {model.name: await _cost_max(request, model) for model in rest}
        # One whose price nobody knows is no bargain.
        rest.sort(key=lambda model: (costs[model.name] is None, costs[model.name] or Decimal(0)))
        told = [f"{model.name} may cost {_told_cost(costs[model.name])}" for model in rest]
        return [*named, *rest], told


async def _cost_max(request: LLMRequest, model: Model) -> Decimal | None:
    """USD of the request at this model with the longest answer that it allows; None where no price is known."""
    answer = min(request.max_tokens or OUTPUT_TOKENS_ASSUMED, model.output_max)
    usage = TokenUsage(prompt_tokens=estimate_tokens(request), completion_tokens=answer)
    found = await price(model.provider, model.sent, usage)
    return None if found.note else found.cost_usd


def _told_cost(cost: Decimal | None) -> str:
    return "what nobody knows" if cost is None else f"{cost:.6f} USD"


def measure(request: LLMRequest) -> tuple[Complexity, str]:
    """How much a request asks for, by what can be counted in it, and the features that decided.

    | Feature | 1 point | 2 points |
    | --- | --- | --- |
    | tokens of the prompt, estimated | more than 4,000 | more than 50,000 |
    | tools on offer | 1 or more | more than 10 |
    | messages | more than 12 | |
    | an answer by schema | yes | |
    | effort of reasoning | medium | high, xhigh, max |

    No point is low, one or two are medium, three or more are high.
    """
    tokens, turns = estimate_tokens(request), len(request.messages)
    effort = request.reasoning_effort
    points = {
        f"{tokens} tokens": 2 if tokens > 50_000 else int(tokens > 4_000),
        f"{len(request.tools)} tools": 2 if len(request.tools) > 10 else int(bool(request.tools)),
        f"{turns} messages": int(turns > 12),
        "an answer by schema": int(request.response_schema is not None),
        f"effort {effort.value if effort else ''}": 2 if effort in _HARD else int(effort is ReasoningEffort.MEDIUM),
    }
    total = sum(points.values())
    told = ", ".join(name for name, value in points.items() if value) or "short and plain"
    if total >= 3:
        return Complexity.HIGH, told
    return (Complexity.MEDIUM if total else Complexity.LOW), told


_HARD = (ReasoningEffort.HIGH, ReasoningEffort.XHIGH, ReasoningEffort.MAX)


def _lack(model: Model, request: LLMRequest) -> str:
    """Why the model cannot take the request; empty where it can."""
    missing = sorted(ability.value for ability in abilities_needed(request) - model.can)
    if missing:
        return f"has no {' and no '.join(missing)}"
    if request.max_tokens is not None and request.max_tokens > model.output_max:
        return f"writes at most {model.output_max} tokens, {request.max_tokens} are asked for"
    # An answer by schema needs no ability: where a model has none, its adapter emulates it and says so.
    room = model.window - min(request.max_tokens or OUTPUT_TOKENS_ASSUMED, model.output_max)
    if (tokens := estimate_tokens(request)) > room:
        return f"has room for {room} tokens of prompt, this one has about {tokens}"
    return ""
