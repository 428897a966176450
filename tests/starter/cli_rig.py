"""A data folder with a real store in it, filled through the store's own doors, and a way to run command lines on it."""

import asyncio
import json
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pointsman.contracts.escalations import Decision, Escalation, EscalationKind, Resolution, Verb
from pointsman.contracts.policy import Ladder, Rung, Severity
from pointsman.contracts.records import AttemptKind, Caller, Chain, DeliveryState, NewDelivery, WriteIntent
from pointsman.contracts.work_items import Facts, ProposalRef, Transition, Usage, WorkItemKey, WorkItemState
from pointsman.store.attempts import Attempts
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from starter.cli.app import run

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)
SUBJECT = "ab" * 32
START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
WORKFLOW = "ado/fabrikam/Web/42"
CALLER = Caller(workflow_id=WORKFLOW, run_id="0199-run", activity="turns.think")
LADDER = Ladder(severity=Severity.HIGH, rungs=(Rung(notify=("team",), wait=timedelta(hours=2)),))


@dataclass(frozen=True)
class Answer:
    """What a command line came to."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, object]:
        read = json.loads(self.out)
        assert isinstance(read, dict)
        return read

    def error(self) -> dict[str, object]:
        read = json.loads(self.err)["error"]
        assert isinstance(read, dict)
        return read


class Rig:
    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.database = folder / "pointsman.db"
        self._capsys = capsys

    @property
    def url(self) -> str:
        return f"sqlite:///{self.database}"

    def run(self, *words: str) -> Answer:
        self._capsys.readouterr()
        code = run(list(words))
        printed = self._capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    def fill(self, work: Callable[[Store], Coroutine[object, object, None]]) -> None:
        async def filled() -> None:
            async with Store.open(self.url) as store:
                await work(store)

        asyncio.run(filled())


def made(folder: Path, migrated: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Rig:
    """A rig whose settings are all its own."""
    folder.mkdir()
    shutil.copy(migrated, folder / "pointsman.db")
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(folder))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    for name in ("POINTSMAN_DATABASE_URL", "POINTSMAN_CONFIG_FILE", "TEMPORAL_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return Rig(folder, capsys)


def chain(key: WorkItemKey = KEY) -> Chain:
    return Chain(tenant="default", correlation_id="c-1", key=key)


def delivery(
    name: str, key: WorkItemKey = KEY, body: bytes = b'{"eventType": "workitem.created"}', minutes: int = 0
) -> NewDelivery:
    return NewDelivery(
        id=name,
        received_at=START + timedelta(minutes=minutes),
        tenant="default",
        organisation=key.organisation,
        project=key.project,
        event_type="workitem.created",
        idempotency_key=f"key-{name}",
        item_id=key.id,
        body=body,
    )


async def item(store: Store, key: WorkItemKey = KEY, state: WorkItemState = WorkItemState.WORKING) -> None:
    """An item that was taken in, routed, and stands in `state`."""
    items = Items(store)
    caller = CALLER.model_copy(update={"workflow_id": f"ado/{key}"})
    facts = Facts(key=key, type="Bug", title="Login fails", state="New", rev=3, url="https://ado.example/42")
    await items.take_in(facts, chain(key), caller)
    steps = (
        (None, WorkItemState.RECEIVED),
        (WorkItemState.RECEIVED, WorkItemState.ROUTED),
        (WorkItemState.ROUTED, state),
    )
    for number, (before, after) in enumerate(steps, start=1):
        step = Transition(
            number=number,
            before=before,
            after=after,
            reason=f"because of {after}",
            at=START + timedelta(minutes=number),
            agent="triage" if after is not WorkItemState.RECEIVED else "",
        )
        usage = Usage(model_calls=1, input_tokens=1_000, output_tokens=200, cost_usd="0.0125")
        await items.record(step, chain(key), caller, usage, waited_seconds=4.5)


async def story(store: Store) -> None:
    """Item 42 from delivery to write."""
    inbox = Inbox(store)
    await inbox.accept(delivery("d-1"))
    await inbox.settle("d-1", DeliveryState.DISPATCHED, workflow_id=WORKFLOW)
    await item(store)
    attempts = Attempts(store)
    attempt = await attempts.begin(AttemptKind.MODEL, chain(), CALLER, "gpt-6-sol", "t/1")
    await attempts.end(attempt, "ok", Usage(input_tokens=1_000, output_tokens=200, cost_usd="0.0125"))
    ledger = Ledger(store)
    intent = WriteIntent(operation="op-1", chain=chain(), base_rev=3, values={"Microsoft.VSTS.Common.Priority": 2})
    await ledger.intend(intent, CALLER)
    await ledger.settle("op-1", "written", 4, CALLER)


async def question(
    store: Store, workflow_id: str = f"{WORKFLOW}/escalation/1", allowed: tuple[Verb, ...] = tuple(Verb)
) -> None:
    """The next escalation: an approval of the item's state."""
    asked = Escalation(
        key=KEY,
        tenant="default",
        correlation_id="c-1",
        number=1,
        kind=EscalationKind.APPROVAL,
        severity=Severity.HIGH,
        summary="Move it to Resolved?",
        allowed=allowed,
        subject=SUBJECT,
        proposal=ProposalRef(hash=SUBJECT, fields=("System.State",), summary="System.State = Resolved"),
        ladder=LADDER,
        agent="closer",
        title="Bug 42: Login fails",
        url="https://ado.example/42",
    )
    escalations = Escalations(store)
    row = await escalations.open(asked, Caller(workflow_id=workflow_id, run_id="0199-esc"))
    await escalations.notified(row.id, 1, "2026-01-05T09:00:00+00:00 rung 1: team told in the log", CALLER)


async def decided(store: Store) -> None:
    """ESC-1 as Ada approved it."""
    decision = Decision(verb=Verb.APPROVE, by="ada", comment="looks right", subject=SUBJECT, channel="cli")
    resolution = Resolution(escalation_id="ESC-1", verb=Verb.APPROVE, by="ada", comment="looks right")
    await Escalations(store).settle("ESC-1", decision, resolution, CALLER)
