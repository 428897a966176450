"""What the dispatcher reads and writes of many deliveries at once. Plain tuples: they are made for every delivery."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from pointsman.contracts.records import Delivery, DeliveryState
from pointsman.contracts.work_items import WorkItemState

ItemName = tuple[str, int]
"""Organisation and number."""
ItemNames = Collection[ItemName]


class Known(NamedTuple):
    """What the books tell of an item before a delivery about it is judged."""

    workflow_id: str = ""
    """Where earlier events of the item went; empty where none went anywhere."""
    project: str = ""
    state: WorkItemState | None = None
    """Where the item stands; None until its workflow has read it."""


UNKNOWN = Known()


class Bodies(Protocol):
    async def several(self, ids: Collection[str]) -> Mapping[str, Delivery]:
        """Deliveries as they are kept, with their bodies, in one look; those that are not there are left out."""


class Ended(NamedTuple):
    """What became of a delivery."""

    delivery_id: str
    state: DeliveryState
    reason: str = ""
    workflow_id: str = ""
