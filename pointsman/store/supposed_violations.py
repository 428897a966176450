"""What a check would do to the books: computed from them by the same rules, and not written."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pointsman.contracts.violations import Checked, Inspection, ProcessViolation, Settlement
from pointsman.domain.process.violations import opened_by, retired, retirement, settle, settlement
from pointsman.store.engine import Store
from pointsman.store.process_violations import broken_items, of_other_checks, standing


@dataclass
class Supposed:
    """What it came to so far."""

    opened: list[ProcessViolation] = field(default_factory=list)
    kept: list[ProcessViolation] = field(default_factory=list)
    """As they would be."""
    resolved: list[ProcessViolation] = field(default_factory=list)
    returned: list[ProcessViolation] = field(default_factory=list)


class SupposedViolations:
    """`ports_process.SettledViolations` over the store, of which it changes nothing.

    Those that would open have no number yet: they are named `new 1`, `new 2` in their order.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.told = Supposed()
        self._untold: list[ProcessViolation] = []

    async def settle(self, inspection: Inspection) -> Settlement:
        steps = settle(await self._store.read(lambda session: standing(session, inspection.key)), inspection)
        known = len(self.told.opened)
        opened = [opened_by(inspection, one, f"new {known + n}") for n, one in enumerate(steps.opened, start=1)]
        self.told.opened += opened
        self.told.kept += steps.kept
        self.told.resolved += steps.resolved
        self.told.returned += steps.returned
        made = settlement(opened, steps)
        self._untold += made.untold
        return made

    async def retire(self, inspection: Inspection) -> Settlement:
        known = await self._store.read(lambda session: of_other_checks(session, inspection))
        resolved = retired(known, inspection)
        self.told.resolved += resolved
        return retirement(resolved)

    async def checked(self, check: Checked) -> None:
        """Nothing is kept."""

    async def broken_items(self, organisation: str, project: str, after: int, until: int | None) -> Sequence[int]:
        return await self._store.read(lambda session: broken_items(session, organisation, project, after, until))

    def untold(self, items: Sequence[int]) -> list[ProcessViolation]:
        """Of these items, as `KeptViolations.untold`: in the order in which they opened. Told once."""
        told = [one for one in self._untold if one.key.id in items]
        self._untold = []
        return sorted(told, key=lambda one: one.opened_at)
