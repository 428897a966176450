"""Our books in memory, for workflow tests: the same promises as the store, which has tests of its own."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4

from pointsman.contracts.escalations import Decision, Escalation, Refusal, Resolution
from pointsman.contracts.records import (
    Attempt,
    AttemptKind,
    Caller,
    Chain,
    Chosen,
    Delivery,
    DeliveryState,
    EscalationRow,
    ItemRow,
    ItemTransition,
    StoredMessage,
    WriteIntent,
    WriteRecord,
)
from pointsman.contracts.work_items import Facts, Transition, Usage, WorkItemKey, WorkItemState

NOTHING = Usage()
UNCHOSEN = Chosen()


def now() -> datetime:
    return datetime.now(UTC)


class MemoryContents:
    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        digest = sha256(data).hexdigest()
        self.kept[digest] = data
        return digest

    async def get(self, digest: str) -> bytes:
        return self.kept[digest]


class MemoryTranscripts:
    def __init__(self) -> None:
        self.kept: dict[str, dict[str, StoredMessage]] = {}

    async def append(self, transcript: str, chain: Chain, slot: str, role: str, body: bytes) -> StoredMessage:
        slots = self.kept.setdefault(transcript, {})
        message = StoredMessage(
            slot=slot, position=len(slots), role=role, hash=sha256(body).hexdigest(), body=body, at=now()
        )
        return slots.setdefault(slot, message)

    async def messages(self, transcript: str) -> Sequence[StoredMessage]:
        return list(self.kept.get(transcript, {}).values())

    async def find(self, transcript: str, slot: str) -> StoredMessage | None:
        return self.kept.get(transcript, {}).get(slot)


class MemoryAttempts:
    def __init__(self) -> None:
        self.kept: dict[str, Attempt] = {}

    async def begin(
        self, kind: AttemptKind, chain: Chain, caller: Caller, target: str, subject: str, chosen: Chosen = UNCHOSEN
    ) -> Attempt:
        attempt = Attempt(
            id=str(uuid4()),
            kind=kind,
            chain=chain,
            caller=caller,
            target=target,
            subject=subject,
            started_at=now(),
            chosen=chosen,
        )
        self.kept[attempt.id] = attempt
        return attempt

    async def end(self, attempt: Attempt, outcome: str, usage: Usage = NOTHING, request_id: str = "") -> None:
        done = {"ended_at": now(), "outcome": outcome, "usage": usage, "request_id": request_id}
        self.kept[attempt.id] = attempt.model_copy(update=done)

    async def of_item(self, key: WorkItemKey) -> Sequence[Attempt]:
        return [attempt for attempt in self.kept.values() if attempt.chain.key == key]


class MemoryLedger:
    def __init__(self) -> None:
        self.kept: dict[str, WriteRecord] = {}

    async def intend(self, intent: WriteIntent, caller: Caller) -> WriteRecord:
        assert intent.chain.key is not None
        row = WriteRecord(
            operation=intent.operation,
            key=intent.chain.key,
            base_rev=intent.base_rev,
            values=intent.values,
            intended_at=now(),
        )
        return self.kept.setdefault(intent.operation, row)

    async def settle(self, operation: str, status: str, rev: int, caller: Caller, evidence: str = "") -> None:
        self.kept[operation] = self.kept[operation].model_copy(update={"status": status, "rev": rev})

    async def writes(self, key: WorkItemKey) -> Sequence[WriteRecord]:
        return [row for row in self.kept.values() if row.key == key]


class MemoryItems:
    def __init__(self) -> None:
        self.recorded: dict[tuple[str, str, int], Transition] = {}
        self.rows: dict[int, ItemRow] = {}

    async def take_in(self, facts: Facts, chain: Chain, caller: Caller) -> ItemRow:
        row = ItemRow(
            key=facts.key,
            tenant=chain.tenant,
            correlation_id=chain.correlation_id,
            workflow_id=caller.workflow_id,
            run_id=caller.run_id,
            state=WorkItemState.RECEIVED,
            facts=facts,
            first_at=now(),
            changed_at=now(),
        )
        return self.rows.setdefault(facts.key.id, row)

    async def record(
        self, transition: Transition, chain: Chain, caller: Caller, usage: Usage, waited_seconds: float
    ) -> None:
        self.recorded.setdefault((caller.workflow_id, caller.run_id, transition.number), transition)

    async def get(self, organisation: str, item_id: int) -> ItemRow | None:
        return self.rows.get(item_id)

    async def find(self, state: str = "", limit: int = 200) -> Sequence[ItemRow]:
        return list(self.rows.values())[:limit]

    async def transitions(self, key: WorkItemKey) -> Sequence[ItemTransition]:
        return [
            ItemTransition(run_id=run, transition=one)
            for (workflow_id, run, _), one in self.recorded.items()
            if workflow_id == self.rows[key.id].workflow_id
        ]

    async def counts(self, key: WorkItemKey) -> tuple[int, int]:
        entered = [one.transition.after for one in await self.transitions(key)]
        return entered.count(WorkItemState.WAITING), entered.count(WorkItemState.WORKING)

    @property
    def states(self) -> list[str]:
        """What the item went through, in order."""
        return [str(transition.after) for transition in self.recorded.values()]


class MemoryEscalations:
    def __init__(self) -> None:
        self.kept: dict[str, EscalationRow] = {}
        self._names: dict[tuple[str, str], str] = {}
        self.refused: list[Refusal] = []

    async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
        name = self._names.setdefault((caller.workflow_id, caller.run_id), f"ESC-{len(self._names) + 1}")
        row = EscalationRow(id=name, workflow_id=caller.workflow_id, escalation=escalation, opened_at=now())
        return self.kept.setdefault(name, row)

    async def notified(self, escalation_id: str, rung: int, line: str, caller: Caller) -> None:
        row = self.kept[escalation_id]
        self.kept[escalation_id] = row.model_copy(update={"rungs": (*row.rungs, line)})

    async def settle(
        self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
    ) -> EscalationRow:
        row = self.kept[escalation_id]
        if row.resolution is None:
            done = {"decision": decision, "resolution": resolution, "closed_at": now()}
            self.kept[escalation_id] = row.model_copy(update=done)
        return self.kept[escalation_id]

    async def refuse(self, escalation_id: str, refusal: Refusal, caller: Caller) -> None:
        self.refused.append(refusal)

    async def get(self, escalation_id: str) -> EscalationRow | None:
        return self.kept.get(escalation_id)

    async def find(self, pending_only: bool = True, limit: int = 200) -> Sequence[EscalationRow]:
        return [row for row in self.kept.values() if not (pending_only and row.closed_at)][:limit]


class MemoryBodies:
    """As much of the inbox as judging an event needs."""

    def __init__(self) -> None:
        self.kept: dict[str, Delivery] = {}

    async def get(self, delivery_id: str) -> Delivery | None:
        return self.kept.get(delivery_id)

    async def several(self, ids: Collection[str]) -> Mapping[str, Delivery]:
        found = [await self.get(one) for one in ids]
        return {one.id: one for one in found if one}

    async def settle(self, delivery_id: str, state: DeliveryState, reason: str = "", workflow_id: str = "") -> None:
        if delivery_id in self.kept:
            self.kept[delivery_id] = self.kept[delivery_id].model_copy(update={"state": state, "reason": reason})
