"""The activities that keep both sides the same over time, put together from clients and books."""

from collections.abc import Awaitable, Callable, Mapping

from temporalio.client import Client

from activities.agents import RemoteTurns
from activities.ended_runs import EndedRuns
from activities.left_behind import LeftBehind
from activities.reconciliation import Books, Reconciling
from activities.rollback import Rollbacks, WhyNot
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.comments import Comments
from pointsman.clients.azure_devops.event_source import EventSource
from pointsman.clients.azure_devops.item_pages import ItemPages
from pointsman.ports import Audit, Inbox, Ledger, Recoveries, WorkTracker
from pointsman.ports_sync import SyncBooks
from pointsman.store.engine import Store
from pointsman.store.open_items import OpenItems
from pointsman.store.reconciliations import Reconciliations
from pointsman.store.tombstones import Tombstones
from starter.item_runs import TemporalRuns


def rollbacks(
    organisations: Mapping[str, AzureDevOps],
    tracker: WorkTracker,
    sync: SyncBooks,
    ledger: Ledger,
    audit: Audit,
    why_not: WhyNot,
) -> Rollbacks:
    comments = Comments(organisations)
    return Rollbacks(tracker, sync.graphs, ledger, sync.agreements, sync.quarantines, audit, why_not, comments=comments)


def reconciling(
    organisations: Mapping[str, AzureDevOps],
    tracker: WorkTracker,
    store: Store,
    recoveries: Recoveries,
    inbox: Inbox,
    ledger: Ledger,
) -> Reconciling:
    books = Books(Reconciliations(store), Tombstones(store), recoveries, inbox, ledger)
    return Reconciling(ItemPages(organisations), EventSource(organisations), tracker, books)


def ended_runs(
    connect: Callable[[], Awaitable[Client]], store: Store, remote: RemoteTurns
) -> tuple[EndedRuns, LeftBehind]:
    runs = TemporalRuns(connect)
    return EndedRuns(runs, OpenItems(store)), LeftBehind(runs, remote)
