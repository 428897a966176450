"""The stand-in, our books and the activities of a comparison, all real: events come in as a recovery brings them."""

import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from activities.ended_runs import EndedRuns
from activities.reconciliation import Books, Reconciling
from activities.recovery import recovered_delivery
from activities.rollback import Rollbacks
from pointsman.clients.azure_devops.comments import Comments
from pointsman.clients.azure_devops.event_source import EventSource
from pointsman.clients.azure_devops.item_pages import ItemPages
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.clients.azure_devops.type_graphs import TypeGraphs
from pointsman.contracts.base import Json
from pointsman.contracts.policy import Match, Policy, ScopeRule
from pointsman.contracts.reconciliation import ReconcileCarry, ReconcileRequest, ReconcileTally
from pointsman.contracts.records import Caller, Chain, DeliveryState, NewDelivery, WriteIntent
from pointsman.contracts.recovery import RecoveredFrom
from pointsman.contracts.work_items import Transition, Usage, WorkItemKey, WorkItemState
from pointsman.domain.briefing import facts_of
from pointsman.domain.recovery import Listened, body_of, missing
from pointsman.domain.sync.recognising import COMMENT, HISTORY, marked
from pointsman.ports_reconciliation import ItemPages as Pages
from pointsman.sandbox.azure_devops.config import Organisation, Project, SandboxConfig
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from pointsman.store.conflicts import Quarantines
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.open_items import OpenItems
from pointsman.store.reconciliations import Reconciliations
from pointsman.store.recoveries import Recoveries
from pointsman.store.tombstones import Tombstones
from pointsman.temporal import activities_of
from starter import reconciliation
from starter.item_runs import TemporalRuns
from tests.sandbox.azure import Azure, azure_devops, config
from tests.workflows.recovery_rig import migrated
from workflows.reconciliation import ReconcileProject
from workflows.rollback import RollBackItem

PROJECT = "Fabrikam"
BUGS = Policy(version="1", scope=(ScopeRule(name="bugs", match=Match(types=("Bug",))),))
AT_ONCE = timedelta()
"""Nothing is taken for being on its way."""


@dataclass
class Reconciled:
    azure: Azure
    store: Store
    queue: str
    client: Client | None = None
    policy: Policy = BUGS
    rooms: tuple[object, ...] = ()
    """Further activities of the worker."""

    def __post_init__(self) -> None:
        self.inbox, self.items, self.ledger = Inbox(self.store), Items(self.store), Ledger(self.store)
        self.tombstones = Tombstones(self.store)
        self.reconciliations = Reconciliations(self.store)
        self.clients = {"fabrikam": self.azure.service}

    def room(self, pages: Pages | None = None) -> Reconciling:
        books = Books(self.reconciliations, self.tombstones, Recoveries(self.store), self.inbox, self.ledger)
        return Reconciling(pages or ItemPages(self.clients), EventSource(self.clients), Tracker(self.clients), books)

    def ask(self, *, dry_run: bool = False, settle: timedelta = AT_ONCE, project: str = PROJECT) -> ReconcileRequest:
        told = {"settle": settle, "dry_run": dry_run, "by": "ada", "reason": "test"}
        return reconciliation.request(self.policy, "fabrikam", project, **told)

    async def compare(self, *, dry_run: bool = False, settle: timedelta = AT_ONCE) -> ReconcileTally:
        """All pages of the project, as the workflow asks for them."""
        ask, room = self.ask(dry_run=dry_run, settle=settle), self.room()
        carry: ReconcileCarry = await ActivityEnvironment().run(room.begin, ask)
        while not carry.is_compared:
            carry = await ActivityEnvironment().run(room.compare, ask.model_copy(update={"carry": carry}))
        return carry.tally

    async def heard(self) -> None:
        """All that waits in the inbox was handed over, and each item that it was about is taken in and done."""
        waiting = await self.inbox.find(state="pending", limit=1_000)
        for one in waiting:
            await self.inbox.settle(one.id, DeliveryState.DISPATCHED, workflow_id=f"ado/fabrikam/{one.item_id}")
        for item_id in sorted({one.item_id for one in waiting}):
            await self.take_in(item_id)

    async def take_in(self, item_id: int, state: WorkItemState = WorkItemState.DONE, *, workflow_id: str = "") -> None:
        """As a run that reads the item, and ends or stands in that state."""
        found = await Tracker(self.clients).get(key(item_id))
        facts = facts_of(key(item_id), found.fields, found.rev, found.url, deleted=found.deleted)
        run = Caller(workflow_id=workflow_id or f"ado/fabrikam/{item_id}", run_id=str(uuid4()))
        chain = chain_of(item_id)
        await self.items.take_in(facts, chain, run)
        step = Transition(number=1, before=None, after=state, reason="test", at=datetime.now(UTC))
        await self.items.record(step, chain, run, Usage(), 0.0)

    async def listen(self) -> None:
        """From now on we hear of the project: a push came in."""
        told = NewDelivery(
            id="first",
            received_at=datetime.now(UTC) - timedelta(days=1),
            tenant="default",
            organisation="fabrikam",
            event_type="git.push",
            idempotency_key="first",
            body=b"{}",
            state=DeliveryState.UNKNOWN,
        )
        await self.inbox.accept(told)

    async def hear_last(self, item_id: int) -> None:
        """Of what never came, only the last event does."""
        source = EventSource(self.clients)
        keys = await Recoveries(self.store).known("fabrikam", item_id, "default")
        listened = Listened("fabrikam", item_id, keys)
        last = missing(listened, await source.updates("fabrikam", item_id)).missed[-1]
        (snapshot,) = await source.snapshots("fabrikam", item_id, last.rev)
        body = body_of(last, listened, snapshot, await source.containers("fabrikam", PROJECT))
        await self.inbox.accept(recovered_delivery("fabrikam", "default", body, RecoveredFrom.HISTORY))

    async def intend(self, item_id: int, operation: str, base_rev: int, **values: int) -> None:
        named = {name.replace("__", "."): value for name, value in values.items()}
        intent = WriteIntent(operation=operation, chain=chain_of(item_id), base_rev=base_rev, values={**named})
        await self.ledger.intend(intent, Caller(workflow_id="w", run_id="r"))

    async def say(self, item_id: int, operation: str, html: str) -> None:
        values: dict[str, Json] = {HISTORY: marked(html, operation), COMMENT: 0}
        intent = WriteIntent(operation=operation, chain=chain_of(item_id), base_rev=1, values=values)
        await self.ledger.intend(intent, Caller(workflow_id="w", run_id="r"))

    def rollbacks(self) -> Rollbacks:
        books = (Agreements(self.store), Quarantines(self.store), Audit(self.store))
        comments = Comments(self.clients)
        return Rollbacks(Tracker(self.clients), TypeGraphs(self.clients), self.ledger, *books, comments=comments)

    async def connected(self) -> Client:
        assert self.client is not None
        return self.client

    def worker(self) -> Worker:
        assert self.client is not None
        ended = EndedRuns(TemporalRuns(self.connected), OpenItems(self.store))
        rooms = (self.room(), self.rollbacks(), ended, *self.rooms)
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[ReconcileProject, RollBackItem],
            activities=[one for room in rooms for one in activities_of(room)],
            # One or two tasks at a time: further polls would only be opened and given up again.
            max_concurrent_workflow_task_polls=2,
            max_concurrent_activity_task_polls=2,
        )


def key(item_id: int, project: str = PROJECT) -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project=project, id=item_id)


def chain_of(item_id: int) -> Chain:
    return Chain(tenant="default", correlation_id="c-1", key=key(item_id))


def _two_projects() -> SandboxConfig:
    both = Organisation(name="fabrikam", projects=(Project(name=PROJECT), Project(name="Contoso")))
    return config().model_copy(update={"organisations": (both,)})


@asynccontextmanager
async def reconciling(folder: Path, client: Client | None = None) -> AsyncGenerator[Reconciled]:
    file = folder / "pointsman.db"
    shutil.copy(migrated(), file)
    async with AsyncExitStack() as stack:
        azure = await stack.enter_async_context(azure_devops(of=_two_projects()))
        store = await stack.enter_async_context(Store.open(f"sqlite:///{file}"))
        yield Reconciled(azure, store, f"test-{uuid4()}", client)
