"""A dispatcher under test: a real store, and Temporal as the dispatcher sees it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pointsman.contracts.base import Json
from pointsman.contracts.policy import Match, Policy, ScopeRule
from pointsman.contracts.records import Caller, Chain, Delivery, DeliveryState, NewDelivery, Receipt, WriteIntent
from pointsman.contracts.work_items import (
    Facts,
    Transition,
    Usage,
    WorkItemKey,
    WorkItemState,
)
from pointsman.domain.admission import ALL, Admission
from pointsman.domain.deliveries import read_bytes
from pointsman.observability.metrics import Metrics
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from starter.dispatcher import Dispatcher
from starter.handing import Deliver
from starter.judging import HandOver
from tests.starter.web_rig import created

POLICY = Policy(version="7", scope=(ScopeRule(name="quay", match=Match(projects=("Quay",))),))
KEY = WorkItemKey(organisation="harbour", project="Quay", id=41)
CHAIN = Chain(tenant="north", correlation_id="c-1", key=KEY)
CALLER = Caller(workflow_id="first-workflow", run_id="r")
SOON = timedelta(milliseconds=1)


class World:
    """Temporal as the dispatcher sees it: what it was handed, and how it fails."""

    def __init__(self) -> None:
        self.taken: list[HandOver] = []
        """One for each event."""
        self.hand_overs: list[int] = []
        """How many events each was of."""
        self.fail: Callable[[HandOver], Exception | None] = lambda what: None
        self.hold = asyncio.Event()
        self.hold.set()
        self.at_once = 0
        self.most_at_once = 0

    async def deliver(self, what: HandOver) -> str:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.hold.wait()
            for event in what.events:
                if error := self.fail(replace(what, event=event)):
                    raise error
            self.taken += [replace(what, event=event, others=()) for event in what.events]
            self.hand_overs.append(len(what.events))
            return "" if what.only_checked else what.known_workflow_id or f"ado/{what.event.key}"
        finally:
            self.at_once -= 1

    @property
    def items(self) -> list[int]:
        return [what.event.key.id for what in self.taken]


class Rig:
    """A dispatcher over a store of its own."""

    def __init__(
        self,
        store: Store,
        inbox: Inbox | None = None,
        deliver: Deliver | None = None,
        policy: Policy = POLICY,
        admission: Admission = ALL,
    ) -> None:
        self.admission = admission
        self.inbox = inbox or Inbox(store)
        self.items, self.ledger, self.audit = Items(store), Ledger(store), Audit(store)
        self.world, self.metrics = World(), Metrics()
        self.dispatcher = Dispatcher(
            self.inbox,
            self.ledger,
            policy,
            deliver or self.world.deliver,
            self.metrics,
            attempts_max=3,
            at_once=4,
            backoff=SOON,
            admission=admission,
        )

    async def accept(self, body: bytes) -> Receipt:
        heard = read_bytes(body)
        given = NewDelivery(
            id=new_id(),
            received_at=datetime.now(UTC),
            tenant="north",
            organisation=heard.organisation,
            event_type=heard.event_type,
            idempotency_key=heard.idempotency_key or new_id(),
            item_id=heard.item_id,
            project=heard.project,
            body=body,
        )
        receipt = await self.inbox.accept(given)
        self.dispatcher.wake()
        return receipt

    async def settled(self, *receipts: Receipt) -> list[Delivery]:
        """The rows, once none of them is pending."""
        async with asyncio.timeout(60):
            while True:
                rows = [row for receipt in receipts if (row := await self.inbox.get(receipt.id))]
                if all(row.state is not DeliveryState.PENDING for row in rows):
                    return rows
                await asyncio.sleep(0.005)

    async def end(self, state: WorkItemState = WorkItemState.DONE) -> None:
        """The item has been worked on, and its run is over."""
        await self.items.take_in(Facts(key=KEY, type="Bug", title="Crane stops at noon"), CHAIN, CALLER)
        over = Transition(number=1, before=None, after=state, reason="done", at=datetime.now(UTC))
        await self.items.record(over, CHAIN, CALLER, Usage(), 0.0)

    async def counted(self, wanted: float, name: str, **labels: str) -> None:
        """Wait until it is: what became of a row is counted a moment after it is kept."""
        await until(lambda: self.count(name, **labels) == wanted)

    def count(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while True:
            if holds():
                return
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(rig: Rig) -> AsyncGenerator[Rig]:
    task = asyncio.create_task(rig.dispatcher.run())
    yield rig
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def updated(
    update: int, item_id: int = 41, changed: dict[str, Json] | None = None, project: str = "Quay", **more: Json
) -> bytes:
    resource: Json = {
        "id": update,
        "workItemId": item_id,
        "rev": update,
        "fields": {"System.Title": {"oldValue": "a", "newValue": f"b{update}"}} if changed is None else changed,
        **more,
        "revision": {
            "id": item_id,
            "fields": {
                "System.TeamProject": project,
                "System.AreaPath": project,
                "System.WorkItemType": "Bug",
                "System.Title": "t",
            },
        },
    }
    return created(item_id, id=f"{item_id}-{update}", eventType="workitem.updated", resource=resource)


async def write_title(rig: Rig) -> None:
    """Our own write of a title, which made revision 5."""
    values: dict[str, Json] = {"System.Title": "Crane stops at one"}
    await rig.ledger.intend(WriteIntent(operation="op-1", chain=CHAIN, base_rev=4, values=values), CALLER)
    await rig.ledger.settle("op-1", "written", 5, CALLER)
