"""Two writers of one item: a person, and the product's own activities over client, stand-in and store, all in process.

What the service tells of it is held back until somebody lets it arrive: late, twice, in any order. Attempts can lose
their request, their answer or their process on the way.
"""

import json
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2
from pydantic import SecretStr

from activities.work_items import WorkItems
from pointsman.clients.azure_devops import AzureDevOps
from pointsman.clients.azure_devops.link_targets import LinkTargets
from pointsman.clients.azure_devops.patches import set_field
from pointsman.clients.azure_devops.tracker import Tracker
from pointsman.clients.azure_devops.type_graphs import TypeGraphs
from pointsman.contracts.base import Json
from pointsman.contracts.records import Caller, NewDelivery, WriteIntent, WriteRecord
from pointsman.contracts.tracker import ItemWrite, TrackedItem
from pointsman.contracts.work_items import EventKind, WorkItemEvent, WorkItemKey
from pointsman.domain.deliveries import read
from pointsman.ports import Unavailable
from pointsman.ports_sync import SyncBooks
from pointsman.sandbox.azure_devops.app import create_app
from pointsman.sandbox.azure_devops.delivery import Deliverer
from pointsman.sandbox.azure_devops.notifications import Notification
from pointsman.sandbox.azure_devops.state import World
from pointsman.store.agreements import Agreements
from pointsman.store.conflicts import Conflicts, Quarantines
from pointsman.store.contents import Contents
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.tombstones import Tombstones
from tests.sandbox.azure import PERSON_TOKEN, SERVICE_TOKEN, config
from tests.workflows.recovery_rig import migrated

PLACE = "http://127.0.0.1:1"
"""Nothing listens there: calls go to the stand-in in this process."""
EVENTS = ("workitem.updated", "workitem.commented")


class Killed(BaseException):
    """The process ends here: nothing behind it is done."""


class Held(Deliverer):
    """Keeps what it would deliver."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.world = world
        self.waiting: list[dict[str, Json]] = []

    def _order(self, notification: Notification) -> None:
        self.waiting.append(notification.event)


@dataclass
class Trouble:
    """What happens to the next write, by its name; then nothing any more."""

    name: str = ""
    overtake: Callable[[], Awaitable[None]] | None = None
    """What somebody faster does."""

    def take(self, *names: str) -> bool:
        if self.name not in names:
            return False
        self.name = ""
        return True


class TroubledTracker(Tracker):
    """The product's client on a bad line."""

    def __init__(self, organisations: Mapping[str, AzureDevOps], trouble: Trouble) -> None:
        super().__init__(organisations)
        self._trouble = trouble

    async def write(self, key: WorkItemKey, rev: int, change: ItemWrite) -> TrackedItem:
        if self._trouble.take("request lost"):
            raise Unavailable("connection reset")
        if self._trouble.take("overtaken") and self._trouble.overtake is not None:
            await self._trouble.overtake()
        written = await super().write(key, rev, change)
        if self._trouble.take("answer lost"):
            raise Unavailable("connection reset")
        return written


class TroubledLedger(Ledger):
    """The store of a process that is killed."""

    def __init__(self, store: Store, trouble: Trouble) -> None:
        super().__init__(store)
        self._trouble = trouble

    async def intend(self, intent: WriteIntent, caller: Caller) -> WriteRecord:
        row = await super().intend(intent, caller)
        if self._trouble.take("killed before the request"):
            raise Killed
        return row

    async def settle(self, operation: str, status: str, rev: int, caller: Caller, evidence: str = "") -> None:
        if status == "written" and self._trouble.take("killed before the result"):
            raise Killed
        await super().settle(operation, status, rev, caller, evidence)
        if status == "written" and self._trouble.take("killed behind the result"):
            raise Killed


@dataclass
class Both:
    """One world for many items, one after another."""

    person: AzureDevOps
    service: AzureDevOps
    held: Held
    store: Store
    trouble: Trouble = field(default_factory=Trouble)
    deliveries: int = 0

    def __post_init__(self) -> None:
        self.clients = {"fabrikam": self.service}
        self.contents, self.inbox = Contents(self.store), Inbox(self.store)
        self.ledger = TroubledLedger(self.store, self.trouble)
        self.agreements, self.conflicts = Agreements(self.store), Conflicts(self.store)
        self.tracker = TroubledTracker(self.clients, self.trouble)
        self.sync = SyncBooks(
            self.agreements,
            self.conflicts,
            Quarantines(self.store),
            TypeGraphs(self.clients),
            Tombstones(self.store),
            LinkTargets(self.clients),
        )
        items = Items(self.store)
        self.room = WorkItems(self.tracker, self.contents, items, self.ledger, self.inbox, sync=self.sync)

    async def item(self, **fields: Json) -> WorkItemKey:
        """A new one, of which all events are still to come."""
        named = {"System.Title": "Basket is empty", **{f"System.{name}": value for name, value in fields.items()}}
        operations = [set_field(name, value) for name, value in named.items()]
        made = await self.person.work_items.create("Fabrikam", "Bug", operations)
        self.held.waiting.clear()
        return WorkItemKey(organisation="fabrikam", project="Fabrikam", id=made.id)

    async def arrive(self, body: dict[str, Json]) -> WorkItemEvent | None:
        """As receiver and dispatcher take it; None for what came before."""
        heard = read(body)
        key, self.deliveries = heard.key(), self.deliveries + 1
        assert key is not None
        assert heard.kind is not None
        delivery = NewDelivery(
            id=f"delivery-{self.deliveries}",
            received_at=datetime.now(UTC),
            tenant="default",
            organisation=key.organisation,
            event_type=heard.event_type,
            idempotency_key=heard.idempotency_key,
            item_id=key.id,
            project=key.project,
            body=json.dumps(body).encode(),
        )
        if (await self.inbox.accept(delivery)).duplicate_of:
            return None
        return WorkItemEvent(
            delivery_id=delivery.id,
            idempotency_key=heard.idempotency_key,
            correlation_id=delivery.id,
            kind=EventKind(heard.kind),
            key=key,
            rev=heard.rev,
            update_id=heard.update_id,
            actor=heard.actor,
            changed_fields=tuple(sorted(heard.changed)),
            links_changed=heard.links_changed,
        )


@asynccontextmanager
async def both(folder: Path, events: Sequence[str] = EVENTS) -> AsyncGenerator[Both]:
    app = create_app(config())
    held = Held(app.state.sandbox.world)
    app.state.sandbox.deliverer = held
    url = f"sqlite:///{folder / 'store.db'}"
    shutil.copy(migrated(), folder / "store.db")
    async with (
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), timeout=60) as http,
        AzureDevOps(f"{PLACE}/fabrikam", SecretStr(PERSON_TOKEN), http=http) as person,
        AzureDevOps(f"{PLACE}/fabrikam", SecretStr(SERVICE_TOKEN), http=http) as service,
        Store.open(url) as store,
    ):
        for event in events:
            await person.hooks.create(event, "https://receiver.example/hooks")
        yield Both(person, service, held, store)
        await held.close()
