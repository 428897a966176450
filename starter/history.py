"""An item's history from the books: what events, transitions and the ledger tell, and how it stood at a moment."""

from pointsman.contracts.records import Selection
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.history import Happening, history
from pointsman.ports import Inbox, Items, Ledger

DELIVERIES_MAX = 10_000  # of one item, which the service lets have so many revisions


async def read(inbox: Inbox, items: Items, ledger: Ledger, key: WorkItemKey) -> list[Happening]:
    """All that is kept of the item, oldest first."""
    wanted = Selection(organisation=key.organisation, item_id=key.id)
    deliveries = await inbox.select(wanted, limit=DELIVERIES_MAX)
    row = await items.get(key.organisation, key.id)
    workflow_id = row.workflow_id if row else ""
    return history(deliveries, await items.transitions(key), await ledger.writes(key), workflow_id)
