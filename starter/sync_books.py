"""What writes to items work with, put together: agreements, conflicts, quarantines, live transitions."""

from collections.abc import Mapping

from activities.status import StatusComments
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.comments import Comments
from pointsman.clients.azure_devops.link_targets import LinkTargets
from pointsman.clients.azure_devops.type_graphs import TypeGraphs
from pointsman.observability.metrics import Metrics
from pointsman.observability.sync import MeteredConflicts, MeteredQuarantines
from pointsman.ports import Ledger, WorkTracker
from pointsman.ports_sync import SyncBooks
from pointsman.store.agreements import Agreements
from pointsman.store.conflicts import Conflicts, Quarantines
from pointsman.store.engine import Store
from pointsman.store.tombstones import Tombstones


def status_room(
    store: Store, organisations: Mapping[str, AzureDevOps], tracker: WorkTracker, ledger: Ledger
) -> StatusComments:
    """What says on items where the work on them stands."""
    return StatusComments(tracker, Comments(organisations), ledger, Agreements(store), Quarantines(store))


def sync_books(store: Store, organisations: Mapping[str, AzureDevOps], metrics: Metrics) -> SyncBooks:
    return SyncBooks(
        agreements=Agreements(store),
        conflicts=MeteredConflicts(Conflicts(store), metrics),
        quarantines=MeteredQuarantines(Quarantines(store), metrics),
        graphs=TypeGraphs(organisations),
        tombstones=Tombstones(store),
        targets=LinkTargets(organisations),
    )
