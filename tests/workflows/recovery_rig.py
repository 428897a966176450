"""The stand-in, our receiver, our books and a worker that recovers, all real: what one loses the other brings back."""

import asyncio
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from uuid import uuid4

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.hooks import HookWatch
from activities.recovery import Recovery
from pointsman.clients.azure_devops.event_source import EventSource
from pointsman.clients.azure_devops.service_hooks import Draft
from pointsman.contracts.recovery import RecoverRequest, RecoverResult, UpdateTold
from pointsman.domain.deliveries import KINDS
from pointsman.ports import HookKeeper
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.recoveries import Recoveries
from pointsman.temporal import activities_of
from starter import recovery
from starter.connection import Connection
from tests.sandbox.azure import Azure, azure_devops, eventually
from tests.starter.web_rig import HOOK, SECRET, services, serving
from tests.workflows.fakes_of_hooks import QuietKeeper
from workflows.recovery import RecoverEvents

PROJECT = "Fabrikam"


@cache
def migrated() -> Path:
    file = Path(mkdtemp(prefix="pointsman-recovery-")) / "pointsman.db"
    schema.upgrade(f"sqlite:///{file}")
    return file


@dataclass
class Recovering:
    """`receiver` is where subscriptions post to; it answers while `listening` is entered."""

    azure: Azure
    store: Store
    inbox: Inbox
    recoveries: Recoveries
    queue: str
    receiver: str = ""
    client: Client | None = None

    @asynccontextmanager
    async def listening(self, details: str = "all") -> AsyncGenerator[None]:
        """Our receiver is there, and subscribed to all that happens to items of the project, and to pushes."""
        async with serving(services(self.store)) as web:
            self.receiver = f"{web.http.base_url}".rstrip("/") + HOOK
            project = await self.azure.service.project(PROJECT)
            for event in (*KINDS, "git.push"):
                await self.azure.service.hooks.make(
                    Draft(
                        event,
                        self.receiver,
                        filters={"projectId": project.id},
                        username="pointsman",
                        password=SecretStr(SECRET),
                        inputs={"resourceDetailsToSend": details},
                    )
                )
            yield

    async def settled(self) -> None:
        """Wait until all deliveries are out, or given up."""

        async def out() -> bool:
            told = await self.azure.control("GET", "deliveries")
            hooks = told["subscriptions"]
            assert isinstance(hooks, list)
            states = [one["status"] for one in hooks if isinstance(one, dict)]
            return told["pending"] == 0 and "onProbation" not in states

        await eventually(out)

    async def there(self, name: str) -> None:
        """Wait until Temporal knows a workflow of this id."""
        assert self.client is not None
        handle = self.client.get_workflow_handle(name)

        async def known() -> bool:
            try:
                await handle.describe()
            except RPCError:
                return False
            return True

        await eventually(known)

    def source(self) -> EventSource:
        return EventSource({"fabrikam": self.azure.service}, self.receiver)

    def worker(self, keeper: HookKeeper | None = None, source: EventSource | None = None) -> Worker:
        assert self.client is not None
        rooms = (
            Recovery(source or self.source(), self.inbox, self.recoveries),
            HookWatch(keeper or QuietKeeper(), self.recoveries),
        )
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[RecoverEvents],
            activities=[one for room in rooms for one in activities_of(room)],
            max_heartbeat_throttle_interval=timedelta(milliseconds=200),
            # One or two tasks at a time: further polls would only be opened and given up again.
            max_concurrent_workflow_task_polls=2,
            max_concurrent_activity_task_polls=2,
        )

    async def recover(
        self, *, since: datetime | None = None, dry_run: bool = False, watch: bool = False
    ) -> RecoverResult:
        return await (await self.start(since=since, dry_run=dry_run, watch=watch)).result()

    async def start(
        self, *, since: datetime | None = None, dry_run: bool = False, watch: bool = False
    ) -> recovery.Running:
        assert self.client is not None
        ask = RecoverRequest(
            organisation="fabrikam", project=PROJECT, since=since, dry_run=dry_run, watch=watch, by="ada", reason="test"
        )
        return await recovery.start(self.client, ask, self.queue)


class Halting(EventSource):
    """Stands still for ever at the item after so many: where a process was killed."""

    def __init__(self, inner: EventSource, after: int) -> None:
        self.__dict__.update(vars(inner))
        self.halted = asyncio.Event()
        self._left = after

    async def updates(self, organisation: str, item_id: int, skip: int = 0) -> Sequence[UpdateTold]:
        self._left -= 1
        if self._left < 0:
            self.halted.set()
            await asyncio.Event().wait()
        return await super().updates(organisation, item_id, skip)


class Here(Connection):
    """A connection that is there."""

    def __init__(self, client: Client) -> None:
        super().__init__("", "")
        self._here = client

    async def client(self) -> Client:
        return self._here


@asynccontextmanager
async def recovering(client: Client | None, folder: Path) -> AsyncGenerator[Recovering]:
    file = folder / "pointsman.db"
    shutil.copy(migrated(), file)
    async with AsyncExitStack() as stack:
        azure = await stack.enter_async_context(azure_devops())
        store = await stack.enter_async_context(Store.open(f"sqlite:///{file}"))
        yield Recovering(azure, store, Inbox(store), Recoveries(store), f"test-{uuid4()}", client=client)
