"""What checks of a process need from the world beyond `pointsman.ports`."""

from collections.abc import Sequence
from typing import Protocol

from pointsman.contracts.process import ProjectFacts
from pointsman.contracts.violations import Checked, Inspection, ProcessViolation, Settlement
from pointsman.ports import ItemReader, ProcessSource, ProcessViolations


class ForesightedReader(ItemReader, Protocol):
    async def ahead(self, item_ids: Sequence[int]) -> None:
        """Read items that will be asked for soon, many at a time. One that has moved on by then is read again."""


class RuledProjects(ProcessSource, Protocol):
    """Projects with the process that each has."""

    def reader(self, organisation: str, asked: frozenset[str]) -> ForesightedReader: ...

    async def process(self, organisation: str, project: str) -> str:
        """Name of the project's process as the service tells it. Raises `Missing`."""

    async def parent(self, organisation: str, process: str) -> str:
        """Name of the process that this one inherits from; empty where it inherits from none, or nobody tells us."""

    def at_once(self, organisation: str, asked: frozenset[str], *, linked_now: bool = False) -> ItemReader:
        """As `reader`, for an item that somebody waits for: not behind what goes in bulk. With `linked_now` its links
        were read within the last second, and what they lead to is asked for."""

    async def in_bin(self, organisation: str, item_id: int) -> bool:
        """Whether the item is in the recycle bin: one that cannot be read need not be."""


class WholeProjects(Protocol):
    async def whole(self, organisation: str, project: str, days: int, merged_days: int = 0) -> ProjectFacts:
        """Policies of its branches, who went past them within so many days, and which pull requests were completed
        without a work item within so many (0: not asked). What may not be seen is None. What is counted of items is
        not in it."""


class SettledViolations(Protocol):
    """All that a check of a project asks of the books."""

    async def settle(self, inspection: Inspection) -> Settlement:
        """Open, resolve and bring back what an inspection says. Idempotent."""

    async def broken_items(self, organisation: str, project: str, after: int, until: int | None) -> Sequence[int]:
        """Items above `after`, up to `until`, of which violations stand."""

    async def retire(self, inspection: Inspection) -> Settlement:
        """Resolve what items of the project, or it as a whole, break of checks of the process that `checks` does not
        name: there are none such any more. Idempotent."""

    async def checked(self, check: Checked) -> None:
        """Keep that all of a project was checked. At least once."""


class KeptViolations(ProcessViolations, SettledViolations, Protocol):
    async def untold(self, organisation: str, items: Sequence[int], project: str = "") -> Sequence[ProcessViolation]:
        """Open violations of these items that nobody was told of yet, oldest first; 0 is the project as a whole."""

    async def told(self, ids: Sequence[str], asked: Sequence[str] = ()) -> None:
        """What policy wants when they open was done; of `asked` people are asked who takes them on. Idempotent."""
