"""The outside world of workflow tests, with state: a tracker, a model, tools, people. The store is the real one."""

import json
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

from pydantic import SecretStr

from pointsman.contracts.base import Json
from pointsman.contracts.tracker import ItemUpdate, ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.llm.breakers import Breakers
from pointsman.llm.budgets import Budget, MemoryBudgets
from pointsman.llm.client import Health, ListedModel, LLMClient
from pointsman.llm.events import StreamEvent, StreamFinished
from pointsman.llm.governance import Governance
from pointsman.llm.keys import OperatorKeys
from pointsman.llm.limits import MemoryRateLimits
from pointsman.llm.pool import ClientPool, Factory
from pointsman.llm.registry import Ability, Registry
from pointsman.llm.rules import Rules
from pointsman.llm.selector import Selector
from pointsman.llm.service import LLMService
from pointsman.llm.types import (
    FinishReason,
    LLMRequest,
    LLMResponse,
    Message,
    ModelTier,
    Role,
    TextPart,
    TokenUsage,
    ToolCallPart,
)
from pointsman.ports import Conflict, Missing, ToolImage, Unavailable

ACCOUNT = "pointsman@fabrikam.example"
PERSON = "ada@fabrikam.example"


class FakeTracker:
    """Items with revisions. `before_write` and `after_write` let something happen around a PATCH."""

    def __init__(self) -> None:
        self.items: dict[int, TrackedItem] = {}
        self.history: dict[int, list[ItemUpdate]] = {}
        self.writes: Counter[int] = Counter()
        self.failures: list[Exception] = []
        self.before_write: Callable[[WorkItemKey], None] = lambda key: None
        self.after_write: Callable[[WorkItemKey], None] = lambda key: None
        self.when_heard: list[Callable[[], Awaitable[None]]] = []
        """What happens when events of an item are looked at, the first at the first look."""

    def add(self, item_id: int, **fields: Json) -> None:
        defaults: dict[str, Json] = {
            "System.TeamProject": "Web",
            "System.WorkItemType": "Bug",
            "System.Title": "Login fails",
            "System.State": "Active",
            "System.AreaPath": "Web",
        }
        given = {name.replace("__", "."): value for name, value in fields.items()}
        self.items[item_id] = TrackedItem(id=item_id, rev=1, fields={**defaults, **given}, url=f"https://ado/{item_id}")
        self.history[item_id] = [ItemUpdate(id=1, rev=1, revised_by=PERSON)]

    def link(self, item_id: int, rel: str, url: str) -> None:
        """It has been linked from its beginning."""
        item = self.items[item_id]
        self.items[item_id] = item.model_copy(update={"relations": (*item.relations, {"rel": rel, "url": url})})

    def edit(self, item_id: int, by: str = PERSON, **fields: Json) -> None:
        """Somebody changes fields: `System__Title="..."`."""
        self._apply(item_id, {name.replace("__", "."): value for name, value in fields.items()}, by)

    def remove(self, item_id: int, deleted: bool = True) -> None:
        self.items[item_id] = self.items[item_id].model_copy(update={"deleted": deleted})

    async def get(self, key: WorkItemKey) -> TrackedItem:
        if self.failures:
            raise self.failures.pop(0)
        if key.id not in self.items:
            raise Missing(f"no item {key.id}", code="TF401232")
        return self.items[key.id]

    async def updates(self, key: WorkItemKey, after_rev: int = 0) -> Sequence[ItemUpdate]:
        return [update for update in self.history[key.id] if update.rev > after_rev]

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        self.before_write(key)
        item = self.items[key.id]
        if item.rev != rev:
            raise Conflict(f"item is at revision {item.rev}, not {rev}", code="VS403351")
        values: dict[str, Json] = dict(change.fields)
        if change.tags:
            before = str(item.fields.get("System.Tags") or "")
            values["System.Tags"] = "; ".join([*filter(None, before.split("; ")), *change.tags])
        if change.comment:
            values["System.History"] = change.comment
        if values or not change.links:
            self._apply(key.id, values, ACCOUNT)
        self._link(key.id, change)
        self.writes[key.id] += 1
        written = self.items[key.id]
        self.after_write(key)
        return written

    def _link(self, item_id: int, change: ItemWrite) -> None:
        item = self.items[item_id]
        added: tuple[dict[str, Json], ...] = tuple({"rel": link.rel, "url": link.url} for link in change.links)
        self.items[item_id] = item.model_copy(update={"relations": (*item.relations, *added)})

    async def identity(self, organisation: str = "") -> str:
        return ACCOUNT

    async def heard(self, key: WorkItemKey) -> None:
        """Nothing is kept that could be out of date."""
        if self.when_heard:
            await self.when_heard.pop(0)()

    def _apply(self, item_id: int, values: Mapping[str, Json], by: str) -> None:
        item = self.items[item_id]
        changed = {name: (item.fields.get(name), value) for name, value in values.items()}
        kept = {name: value for name, value in values.items() if name != "System.History"}
        rev = item.rev + 1
        self.items[item_id] = item.model_copy(update={"rev": rev, "fields": {**item.fields, **kept}})
        at = datetime.now(UTC)
        self.history[item_id].append(ItemUpdate(id=rev, rev=rev, revised_by=by, revised_at=at, changed=changed))


def answer(
    comment: str = "Looked at it.",
    question: str = "",
    tags: Sequence[str] = (),
    links: Sequence[tuple[str, str]] = (),
    **fields: Json,
) -> LLMResponse:
    """A final answer as our schema wants it: `answer(System__State="Resolved")`."""
    content: Json = {
        "comment": comment,
        "fields": [{"name": name.replace("__", "."), "value": value} for name, value in fields.items()],
        "tags": list(tags),
        "links": [{"relation": relation, "target": target, "comment": ""} for relation, target in links],
        "question": question,
    }
    return says(json.dumps(content))


def says(text: str, finish: FinishReason = FinishReason.STOP) -> LLMResponse:
    return _response((TextPart(text=text),), finish)


def calls(*wanted: tuple[str, dict[str, Json]]) -> LLMResponse:
    """A reply that asks for tools, all at once."""
    parts = tuple(
        ToolCallPart(call_id=f"call-{number}", name=name, arguments=arguments, raw_arguments=json.dumps(arguments))
        for number, (name, arguments) in enumerate(wanted, 1)
    )
    return _response(parts, FinishReason.TOOL_CALLS)


def _response(parts: tuple[TextPart | ToolCallPart, ...], finish: FinishReason) -> LLMResponse:
    return LLMResponse(
        message=Message(role=Role.ASSISTANT, parts=parts),
        finish_reason=finish,
        usage=TokenUsage(prompt_tokens=100, completion_tokens=20, total_tokens=120),
        model="fake",
        provider="fake",
        cost_usd=Decimal("0.001"),
    )


class FakeModel(LLMClient):
    """Gives the scripted replies in order, then the last one again. `on_request` may wait, raise or look."""

    def __init__(self, *script: LLMResponse | Exception, provider: str = "fake") -> None:
        self.provider = provider
        self.script = list(script) or [answer()]
        self.requests: list[LLMRequest] = []
        self.on_request: Callable[[LLMRequest], object] = lambda request: None

    async def complete(self, request: LLMRequest) -> LLMResponse:
        self.requests.append(request)
        waiting = self.on_request(request)
        if hasattr(waiting, "__await__"):
            await waiting
        reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def stream(self, request: LLMRequest) -> AsyncGenerator[StreamEvent]:
        yield StreamFinished(response=await self.complete(request))

    async def list_models(self) -> Sequence[ListedModel]:
        return [ListedModel(name="fake")]

    async def health(self) -> Health:
        return Health(ok=True)

    async def aclose(self) -> None:
        self.requests.clear()


def served(*models: FakeModel, budgets: Sequence[Budget] = (), allowed: Sequence[str] = ("*",)) -> LLMService:
    """The governed service over fakes. Each provider has one model, of its own name, in every tier."""
    named = {model.provider: model for model in models}
    registry = Registry.model_validate(
        {
            "version": "test",
            "prefer": list(named),
            "tiers": {tier: {provider: provider for provider in named} for tier in ModelTier},
            "models": {
                provider: {"provider": provider, "window": 1_000_000, "output_max": 100_000, "can": list(Ability)}
                for provider in named
            },
        }
    )
    governance = Governance(registry, allowed)
    chain = {provider: [other for other in named if other != provider] for provider in named}
    # The test server skips the waits between attempts, so they are over when the service looks again.
    hours = map(float, count(step=3_600))
    rules = Rules(
        governance,
        Selector(registry, governance, fallbacks=chain),
        budgets=MemoryBudgets(budgets),
        limits=MemoryRateLimits(now=lambda: next(hours)),
        breakers=Breakers(now=lambda: next(hours)),
    )
    factories: dict[str, Factory] = {provider: _handing_out(model) for provider, model in named.items()}
    return LLMService(ClientPool(OperatorKeys(dict.fromkeys(named, SecretStr("fake"))), factories), rules)


def _handing_out(model: FakeModel) -> Factory:
    return lambda key: model


@dataclass(frozen=True)
class FakeDefinition:
    name: str
    description: str = "a tool"
    parameters: Mapping[str, Json] = field(default_factory=lambda: {"type": "object"})


@dataclass(frozen=True)
class FakeResult:
    ok: bool
    text: str
    images: Sequence[ToolImage] = ()


class FakeToolbox:
    """One tool, `known__look`, that answers with its arguments; others are unknown."""

    def __init__(self) -> None:
        self.called: list[tuple[str, Json]] = []
        self.reachable = True

    async def definitions(self, allowed: Sequence[str]) -> Sequence[FakeDefinition]:
        return [FakeDefinition("known__look")]

    async def call(self, allowed: Sequence[str], name: str, arguments: Json) -> FakeResult:
        if not self.reachable:
            raise Unavailable("tool server known does not answer")
        self.called.append((name, arguments))
        if name != "known__look":
            return FakeResult(ok=False, text=f"There is no tool {name!r}; there is known__look.")
        return FakeResult(ok=True, text=json.dumps(arguments))


class FakePeople:
    """Remembers who was told what."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def notify(self, target: str, subject: str, text: str) -> str:
        self.told.append((target, text))
        return f"{target} told"
