"""Items of the stand-in with writes of ours, our books, and a worker that takes writes back, all real."""

import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.worker import Worker

from activities.rollback import Rollbacks, WhyNot
from pointsman.clients.azure_devops.comments import Comments
from pointsman.clients.azure_devops.patches import set_field
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.clients.azure_devops.type_graphs import TypeGraphs
from pointsman.contracts.base import Json
from pointsman.contracts.records import Caller, Chain, WriteIntent
from pointsman.contracts.rollback import RollbackRequest, RollbackResult, RollbackScope
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import WorkItemKey
from pointsman.ports import Rejected, Unavailable, WorkTracker
from pointsman.sandbox.azure_devops.config import SandboxConfig
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from pointsman.store.conflicts import Quarantines
from pointsman.store.engine import Store
from pointsman.store.ledger import Ledger
from pointsman.temporal import activities_of
from starter import rollback
from tests.sandbox.azure import Azure, azure_devops
from tests.workflows.recovery_rig import migrated
from workflows.rollback import RollBackItem

CALLER = Caller(workflow_id="ado/fabrikam/Fabrikam/1", run_id="run-1")
PRIORITY, TITLE, STATE = "Microsoft.VSTS.Common.Priority", "System.Title", "System.State"


@dataclass
class RollingBack:
    azure: Azure
    store: Store
    queue: str
    client: Client | None = None

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store)
        self.tracker: WorkTracker = Tracker({"fabrikam": self.azure.service})

    def rollbacks(self, tracker: WorkTracker | None = None, why_not: WhyNot | None = None) -> Rollbacks:
        return Rollbacks(
            tracker or self.tracker,
            TypeGraphs({"fabrikam": self.azure.service}),
            self.ledger,
            Agreements(self.store),
            Quarantines(self.store),
            Audit(self.store),
            why_not,
            comments=Comments({"fabrikam": self.azure.service}),
        )

    async def write(self, item_id: int, operation: str, fields: Mapping[str, Json], comment: str = "") -> int:
        """A write of ours, as the ledger knows it; returns the revision it made."""
        item = await self.tracker.get(key(item_id))
        said: dict[str, Json] = {"System.History": comment} if comment else {}
        values = {**fields, **said}
        chain = Chain(tenant="default", correlation_id="c-1", key=key(item_id))
        await self.ledger.intend(
            WriteIntent(operation=operation, chain=chain, base_rev=item.rev, values=values), CALLER
        )
        written = await self.tracker.write(key(item_id), item.rev, ItemWrite(fields=dict(fields), comment=comment))
        await self.ledger.settle(operation, "written", written.rev, CALLER)
        return written.rev

    async def fields(self, item_id: int) -> Mapping[str, Json]:
        return (await self.azure.service.work_items.get(item_id)).fields

    def worker(self, *activities: Callable[..., object]) -> Worker:
        assert self.client is not None
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[RollBackItem],
            activities=[*activities] or activities_of(self.rollbacks()),
            # One or two tasks at a time: further polls would only be opened and given up again.
            max_concurrent_workflow_task_polls=2,
            max_concurrent_activity_task_polls=2,
        )

    async def roll_back(self, ask: RollbackRequest) -> RollbackResult:
        assert self.client is not None
        return await rollback.roll_back(self.client, ask, self.queue)


def key(item_id: int) -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project="Fabrikam", id=item_id)


def request(item_id: int, *, force: bool = False, dry_run: bool = False, **scope: object) -> RollbackRequest:
    return rollback.request(
        key(item_id),
        "default",
        "c-1",
        RollbackScope.model_validate(scope),
        by="ada",
        reason="wrong customer",
        force=force,
        dry_run=dry_run,
    )


class Unlucky:
    """Loses the first answer of a write, or is overtaken before it."""

    def __init__(self, rig: RollingBack, trouble: str, theirs: Mapping[str, Json] | None = None) -> None:
        self.__dict__.update(vars(rig.tracker))
        self.get, self.updates, self.identity = rig.tracker.get, rig.tracker.updates, rig.tracker.identity
        self.heard = rig.tracker.heard
        self._rig = rig
        self._trouble, self._theirs = trouble, theirs or {PRIORITY: 4}

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        trouble, self._trouble = self._trouble, ""
        if trouble == "overtaken":
            theirs = [set_field(name, value) for name, value in self._theirs.items()]
            await self._rig.azure.person.work_items.patch(key.id, theirs)
        if trouble == "refused":
            raise Rejected("TF401320: Rule Error", code="TF401320")
        written = await self._rig.tracker.write(key, rev, change)
        if trouble == "lost":
            raise Unavailable("the answer was lost")
        return written


@asynccontextmanager
async def rolling_back(
    folder: Path, client: Client | None = None, of: SandboxConfig | None = None
) -> AsyncGenerator[RollingBack]:
    file = folder / "pointsman.db"
    shutil.copy(migrated(), file)
    async with AsyncExitStack() as stack:
        azure = await stack.enter_async_context(azure_devops(of=of))
        store = await stack.enter_async_context(Store.open(f"sqlite:///{file}"))
        yield RollingBack(azure, store, f"test-{uuid4()}", client)
