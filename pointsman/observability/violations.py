"""Violations of process rules as metrics: what opened, what was resolved."""

from collections.abc import Sequence
from datetime import datetime

from pointsman.contracts.process import Standing
from pointsman.contracts.violations import Checked, Inspection, ProcessViolation, Settlement
from pointsman.observability.metrics import Metrics
from pointsman.ports_process import KeptViolations


class MeteredViolations:
    """Counts how violations come and go."""

    def __init__(self, inner: KeptViolations, metrics: Metrics) -> None:
        self._inner = inner
        self._metrics = metrics

    async def settle(self, inspection: Inspection) -> Settlement:
        settlement = self._counted(inspection, await self._inner.settle(inspection))
        place = (inspection.key.organisation, inspection.key.project)
        for standing in Standing:
            found = sum(one.standing is standing for one in inspection.findings)
            self._metrics.process_findings.labels(*place, standing).inc(found)
        return settlement

    def _counted(self, inspection: Inspection, settlement: Settlement) -> Settlement:
        place = (inspection.key.organisation, inspection.key.project)
        for one in settlement.changed:
            resolved = one.resolved_at is not None
            counter = self._metrics.violations_resolved if resolved else self._metrics.violations_opened
            counter.labels(*place, one.severity, one.practice).inc()
        return settlement

    async def acknowledge(self, violation_id: str, by: str, reason: str = "") -> ProcessViolation:
        return await self._inner.acknowledge(violation_id, by, reason)

    async def waive(self, violation_id: str, by: str, reason: str, until: datetime) -> ProcessViolation:
        return await self._inner.waive(violation_id, by, reason, until)

    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[ProcessViolation]:
        return await self._inner.find(
            organisation=organisation, project=project, item_id=item_id, every=every, limit=limit
        )

    async def broken_items(self, organisation: str, project: str, after: int, until: int | None) -> Sequence[int]:
        return await self._inner.broken_items(organisation, project, after, until)

    async def retire(self, inspection: Inspection) -> Settlement:
        return self._counted(inspection, await self._inner.retire(inspection))

    async def checked(self, check: Checked) -> None:
        await self._inner.checked(check)

    async def untold(self, organisation: str, items: Sequence[int], project: str = "") -> Sequence[ProcessViolation]:
        return await self._inner.untold(organisation, items, project)

    async def told(self, ids: Sequence[str], asked: Sequence[str] = ()) -> None:
        await self._inner.told(ids, asked)
