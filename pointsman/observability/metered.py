"""Ports of the store that also count and tell: the composition root puts them around the real ones.

Each step that is kept leaves a line in the log, and says the same of the span that runs; never what the step was about.
A counter counts calls, so a repeated attempt of an idempotent method counts again; exact numbers come from the store.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import structlog

from pointsman.contracts.escalations import Decision, Escalation, Refusal, Resolution
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    Caller,
    Chain,
    Chosen,
    EscalationRow,
    ItemRow,
    ItemTransition,
    WriteIntent,
    WriteRecord,
)
from pointsman.contracts.work_items import Facts, Transition, Usage, WorkItemKey
from pointsman.observability import names, traces
from pointsman.observability.metrics import Metrics
from pointsman.ports import Attempts, Escalations, Items, Ledger

LOG = structlog.get_logger(__name__)
TARGETS_MAX = 200
OTHER = "other"
NOTHING = Usage()
UNCHOSEN = Chosen()


class MeteredAttempts:
    """Counts calls of models, tools and remote agents, tokens and cost."""

    def __init__(self, inner: Attempts, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics
        self._targets: set[str] = set()

    async def begin(
        self, kind: AttemptKind, chain: Chain, caller: Caller, target: str, subject: str, chosen: Chosen = UNCHOSEN
    ) -> Attempt:
        return await self._inner.begin(kind, chain, caller, target, subject, chosen)

    async def end(self, attempt: Attempt, outcome: str, usage: Usage = NOTHING, request_id: str = "") -> None:
        await self._inner.end(attempt, outcome, usage, request_id)
        if attempt.kind is AttemptKind.MODEL:
            self._count_model(attempt, outcome, usage)
        elif attempt.kind is AttemptKind.TOOL:
            self._metrics.tool_calls.labels(attempt.chain.tenant, self._label(attempt.target), outcome).inc()
            _tell("tool called", {names.TOOL: attempt.target, names.OUTCOME: outcome, names.SECONDS: _since(attempt)})

        elif attempt.kind is AttemptKind.AGENT:
            self._metrics.agent_messages.labels(attempt.chain.tenant, attempt.target, outcome).inc()
            _tell(
                "agent service told",
                {names.AGENT: attempt.target, names.OUTCOME: outcome, names.SECONDS: _since(attempt)},
            )

    async def of_item(self, key: WorkItemKey) -> Sequence[Attempt]:
        return await self._inner.of_item(key)

    def _count_model(self, attempt: Attempt, outcome: str, usage: Usage) -> None:
        labels = (attempt.chain.tenant, attempt.target)
        self._metrics.model_calls.labels(*labels, outcome).inc()
        self._metrics.model_tokens.labels(*labels, "input").inc(usage.input_tokens)
        self._metrics.model_tokens.labels(*labels, "output").inc(usage.output_tokens)
        self._metrics.model_cost_usd.labels(*labels).inc(float(usage.cost_usd))
        self._metrics.model_seconds.labels(*labels).observe(_since(attempt))
        _tell(
            "model called",
            {
                names.MODEL: attempt.target,
                names.OUTCOME: outcome,
                names.SECONDS: _since(attempt),
                names.INPUT_TOKENS: usage.input_tokens,
                names.OUTPUT_TOKENS: usage.output_tokens,
                names.COST_USD: float(usage.cost_usd),
            },
        )

    def _label(self, target: str) -> str:
        # A model can make names of tools up; each would be a time series for ever.
        if target not in self._targets and len(self._targets) >= TARGETS_MAX:
            return OTHER
        self._targets.add(target)
        return target


class MeteredLedger:
    """Counts writes by how they ended."""

    def __init__(self, inner: Ledger, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics
        self._tenants: dict[str, str] = {}

    async def intend(self, intent: WriteIntent, caller: Caller) -> WriteRecord:
        self._tenants[intent.operation] = intent.chain.tenant
        return await self._inner.intend(intent, caller)

    async def settle(self, operation: str, status: str, rev: int, caller: Caller, evidence: str = "") -> None:
        await self._inner.settle(operation, status, rev, caller, evidence)
        # A write that an earlier process intended is settled without its tenant being told again.
        self._metrics.writes.labels(self._tenants.pop(operation, ""), status).inc()
        _tell("write settled", {names.OPERATION: operation, names.OUTCOME: status, names.REVISION: rev})

    async def writes(self, key: WorkItemKey) -> Sequence[WriteRecord]:
        return await self._inner.writes(key)


class MeteredItems:
    """Counts transitions."""

    def __init__(self, inner: Items, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def take_in(self, facts: Facts, chain: Chain, caller: Caller) -> ItemRow:
        return await self._inner.take_in(facts, chain, caller)

    async def record(
        self, transition: Transition, chain: Chain, caller: Caller, usage: Usage, waited_seconds: float
    ) -> None:
        await self._inner.record(transition, chain, caller, usage, waited_seconds)
        self._metrics.transitions.labels(chain.tenant, transition.after, transition.agent).inc()
        _tell("item moved", {names.STATE: str(transition.after), names.AGENT: transition.agent})

    async def get(self, organisation: str, item_id: int) -> ItemRow | None:
        return await self._inner.get(organisation, item_id)

    async def find(self, state: str = "", limit: int = 200) -> Sequence[ItemRow]:
        return await self._inner.find(state, limit)

    async def transitions(self, key: WorkItemKey) -> Sequence[ItemTransition]:
        return await self._inner.transitions(key)

    async def counts(self, key: WorkItemKey) -> tuple[int, int]:
        return await self._inner.counts(key)


class MeteredEscalations:
    """Counts questions to humans, and how they ended."""

    def __init__(self, inner: Escalations, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
        row = await self._inner.open(escalation, caller)
        self._metrics.escalations_opened.labels(escalation.tenant, escalation.kind, escalation.severity).inc()
        _tell("escalation opened", {**_named(row), names.SEVERITY: str(escalation.severity)})
        return row

    async def notified(self, escalation_id: str, rung: int, line: str, caller: Caller) -> None:
        await self._inner.notified(escalation_id, rung, line, caller)

    async def settle(
        self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
    ) -> EscalationRow:
        row = await self._inner.settle(escalation_id, decision, resolution, caller)
        verb = resolution.verb or resolution.outcome
        self._metrics.decisions.labels(row.escalation.tenant, row.escalation.kind, verb).inc()
        _tell("escalation settled", {**_named(row), names.VERB: str(verb)})
        return row

    async def refuse(self, escalation_id: str, refusal: Refusal, caller: Caller) -> None:
        await self._inner.refuse(escalation_id, refusal, caller)
        _tell("decision not taken", {names.ESCALATION: escalation_id})

    async def get(self, escalation_id: str) -> EscalationRow | None:
        return await self._inner.get(escalation_id)

    async def find(self, pending_only: bool = True, limit: int = 200) -> Sequence[EscalationRow]:
        return await self._inner.find(pending_only, limit)


def _tell(step: str, values: Mapping[str, str | float]) -> None:
    told = {name: value for name, value in values.items() if value != ""}
    LOG.info(step, **told)
    traces.tell(**told)


def _since(attempt: Attempt) -> float:
    return round((datetime.now(UTC) - attempt.started_at).total_seconds(), 3)


def _named(row: EscalationRow) -> dict[str, str]:
    return {names.ESCALATION: row.id, names.KIND: str(row.escalation.kind)}
