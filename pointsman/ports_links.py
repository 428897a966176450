"""Where links lead, as a protocol; `pointsman.ports` has the errors."""

from dataclasses import dataclass
from typing import Protocol

from pointsman.contracts.tracker import LinkWrite, TrackedItem
from pointsman.contracts.work_items import ProposedLink, WorkItemKey


@dataclass(frozen=True)
class LinkTarget:
    """What a link leads to, as the service spells it; `item` is the other end, where that is a work item."""

    write: LinkWrite
    item: TrackedItem | None = None


class LinkTargets(Protocol):
    async def target(self, key: WorkItemKey, link: ProposedLink) -> LinkTarget:
        """Look up what the link of this item leads to. Raises `Missing` if there is no such thing, or none that we see.

        A read; nothing is kept.
        """
