"""What passes through a metered port reaches the real one unchanged, and is counted."""

from collections.abc import Sequence
from datetime import UTC, datetime

from pointsman.contracts.records import Attempt, AttemptKind, Caller, Chain, Chosen, WriteIntent, WriteRecord
from pointsman.contracts.work_items import Usage, WorkItemKey
from pointsman.observability import names
from pointsman.observability.metered import NOTHING, TARGETS_MAX, MeteredAttempts, MeteredLedger
from pointsman.observability.metrics import Metrics

KEY = WorkItemKey(organisation="harbour", project="Quay", id=41)
CHAIN = Chain(tenant="north", correlation_id="c-1", key=KEY)
CALLER = Caller(workflow_id="w", run_id="r")
UNCHOSEN = Chosen()


class Book:
    """Attempts and ledger in memory."""

    def __init__(self) -> None:
        self.ended: list[tuple[str, str, Usage, str]] = []
        self.settled: list[tuple[str, str, int]] = []

    async def begin(
        self, kind: AttemptKind, chain: Chain, caller: Caller, target: str, subject: str, chosen: Chosen = UNCHOSEN
    ) -> Attempt:
        now = datetime.now(UTC)
        return Attempt(id="a", kind=kind, chain=chain, caller=caller, target=target, subject=subject, started_at=now)

    async def end(self, attempt: Attempt, outcome: str, usage: Usage = NOTHING, request_id: str = "") -> None:
        self.ended.append((attempt.id, outcome, usage, request_id))

    async def of_item(self, key: WorkItemKey) -> Sequence[Attempt]:
        return ()

    async def intend(self, intent: WriteIntent, caller: Caller) -> WriteRecord:
        return WriteRecord(operation=intent.operation, key=KEY, base_rev=1, values={}, intended_at=datetime.now(UTC))

    async def settle(self, operation: str, status: str, rev: int, caller: Caller, evidence: str = "") -> None:
        self.settled.append((operation, status, rev))

    async def writes(self, key: WorkItemKey) -> Sequence[WriteRecord]:
        return ()


async def test_a_model_call_counts_tokens_and_cost() -> None:
    metrics, book = Metrics(), Book()
    attempts = MeteredAttempts(book, metrics)
    usage = Usage(model_calls=1, input_tokens=900, output_tokens=40, cost_usd="0.0125")
    attempt = await attempts.begin(AttemptKind.MODEL, CHAIN, CALLER, "gpt", "1/2")
    await attempts.end(attempt, "ok", usage, "req-1")
    assert book.ended == [("a", "ok", usage, "req-1")]
    value = metrics.registry.get_sample_value
    model = {"tenant": "north", "model": "gpt"}
    assert value(f"{names.MODEL_CALLS}_total", {**model, "outcome": "ok"}) == 1
    assert value(f"{names.MODEL_TOKENS}_total", {**model, "direction": "input"}) == 900
    assert value(f"{names.MODEL_TOKENS}_total", {**model, "direction": "output"}) == 40
    assert value(f"{names.MODEL_COST_USD}_total", model) == 0.0125


async def test_names_of_tools_that_a_model_makes_up_do_not_grow_without_end() -> None:
    metrics = Metrics()
    attempts = MeteredAttempts(Book(), metrics)
    for number in range(TARGETS_MAX + 20):
        attempt = await attempts.begin(AttemptKind.TOOL, CHAIN, CALLER, f"tool-{number}", "1/2")
        await attempts.end(attempt, "tool_error")
    labels = {"tenant": "north", "target": "other", "outcome": "tool_error"}
    assert metrics.registry.get_sample_value(f"{names.TOOL_CALLS}_total", labels) == 20


async def test_a_message_to_an_agent_elsewhere_counts_by_agent_and_outcome() -> None:
    metrics = Metrics()
    attempts = MeteredAttempts(Book(), metrics)
    await attempts.end(await attempts.begin(AttemptKind.AGENT, CHAIN, CALLER, "contracts", "1/1/say"), "ok")
    labels = {"tenant": "north", "agent": "contracts", "outcome": "ok"}
    assert metrics.registry.get_sample_value(f"{names.AGENT_MESSAGES}_total", labels) == 1


async def test_a_write_counts_by_how_it_ended() -> None:
    metrics, book = Metrics(), Book()
    ledger = MeteredLedger(book, metrics)
    await ledger.intend(WriteIntent(operation="op", chain=CHAIN, base_rev=1, values={}), CALLER)
    await ledger.settle("op", "written", 2, CALLER)
    assert book.settled == [("op", "written", 2)]
    labels = {"tenant": "north", "outcome": "written"}
    assert metrics.registry.get_sample_value(f"{names.WRITES}_total", labels) == 1
