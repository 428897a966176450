"""Violations in memory, and items of a fake tracker as rules look at them, for workflow tests."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count

from pointsman.contracts.process import Change, Graph, ItemFacts
from pointsman.contracts.records import AuditEvent
from pointsman.contracts.violations import Checked, Inspection, ProcessViolation, Settlement, ViolationState
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.violations import opened_by, retired, retirement, settle, settlement
from pointsman.ports import Missing
from tests.worlds import ACCOUNT, FakeTracker


class MemoryViolations:
    """`ports_process.KeptViolations`; the audit log is the store's affair."""

    def __init__(self) -> None:
        self.kept: dict[str, ProcessViolation] = {}
        self.checks: list[Checked] = []
        self._numbers = count(1)

    async def settle(self, inspection: Inspection) -> Settlement:
        standing = [one for one in self.kept.values() if _same(one.key, inspection.key) and one.resolved_at is None]
        steps = settle(standing, inspection)
        opened = [opened_by(inspection, one, f"VIO-{next(self._numbers)}") for one in steps.opened]
        for one in (*opened, *steps.returned, *steps.kept, *steps.resolved):
            self.kept[one.id] = one
        return settlement(opened, steps)

    async def broken_items(self, organisation: str, project: str, after: int, until: int | None) -> Sequence[int]:
        keys = {one.key for one in self.kept.values() if one.resolved_at is None}
        found = {one.id for one in keys if (one.organisation, one.project) == (organisation, project)}
        return sorted(one for one in found if after < one and (until is None or one <= until))

    async def acknowledge(self, violation_id: str, by: str, reason: str = "") -> ProcessViolation:
        return self._change(violation_id, state=ViolationState.ACKNOWLEDGED, by=by, reason=reason)

    async def waive(self, violation_id: str, by: str, reason: str, until: datetime) -> ProcessViolation:
        return self._change(violation_id, state=ViolationState.WAIVED, by=by, reason=reason, until=until)

    async def find(
        self, *, organisation: str = "", project: str = "", item_id: int = 0, every: bool = False, limit: int = 200
    ) -> Sequence[ProcessViolation]:
        return [one for one in self.kept.values() if every or one.resolved_at is None][:limit]

    async def retire(self, inspection: Inspection) -> Settlement:
        standing = [one for one in self.kept.values() if one.resolved_at is None]
        there = [one for one in standing if one.key.project == inspection.key.project]
        resolved = retired(there, inspection)
        self.kept |= {one.id: one for one in resolved}
        return retirement(resolved)

    async def checked(self, check: Checked) -> None:
        self.checks.append(check)

    async def untold(self, organisation: str, items: Sequence[int], project: str = "") -> Sequence[ProcessViolation]:
        fitting = [one for one in self.kept.values() if one.key.id in items and one.key.organisation == organisation]
        fitting = [one for one in fitting if one.key.id or one.key.project == project]
        return [one for one in fitting if one.state is ViolationState.OPEN and not one.told]

    async def told(self, ids: Sequence[str], asked: Sequence[str] = ()) -> None:
        for name in ids:
            self._change(name, told=True, asked=name in asked)

    def _change(self, violation_id: str, **told: object) -> ProcessViolation:
        self.kept[violation_id] = self.kept[violation_id].model_copy(update=told)
        return self.kept[violation_id]


def _same(one: WorkItemKey, other: WorkItemKey) -> bool:
    """An item is the same in whichever project it is."""
    return one == other or (one.id > 0 and (one.organisation, one.id) == (other.organisation, other.id))


class RulesOfTracker:
    """`ports_process.RuledProjects` over a fake tracker: all of its projects follow the process of this name."""

    def __init__(self, tracker: FakeTracker, process: str, graph: Graph) -> None:
        self._tracker = tracker
        self._process = process
        self._graph = graph

    async def process(self, organisation: str, project: str) -> str:
        return self._process

    async def parent(self, organisation: str, process: str) -> str:
        return ""

    async def identity(self, organisation: str = "") -> str:
        return ACCOUNT

    async def ids(self, organisation: str, project: str, where: str, after: int, limit: int) -> Sequence[int]:
        return sorted(one for one in self._tracker.items if one > after)[:limit]

    def reader(self, organisation: str, asked: frozenset[str]) -> "RulesOfTracker":
        return self

    def at_once(self, organisation: str, asked: frozenset[str], *, linked_now: bool = False) -> "RulesOfTracker":
        return self

    async def ahead(self, item_ids: Sequence[int]) -> None:
        """Nothing costs less in memory."""

    async def in_bin(self, organisation: str, item_id: int) -> bool:
        item = self._tracker.items.get(item_id)
        return item is not None and item.deleted

    async def item(self, item_id: int) -> ItemFacts:
        item = self._tracker.items.get(item_id)
        if item is None or item.deleted:
            raise Missing(f"no item {item_id}", code="TF401232")
        changes = [
            Change(
                update=one.id,
                at=one.revised_at or datetime.now(UTC),
                by=one.revised_by,
                authorised_as=one.revised_by,
                before={name: old for name, (old, _) in one.changed.items()},
                after={name: new for name, (_, new) in one.changed.items()},
            )
            for one in self._tracker.history[item_id]
        ]
        return ItemFacts(
            id=item_id,
            type=str(item.fields["System.WorkItemType"]),
            state=str(item.fields["System.State"]),
            rev=item.rev,
            title=str(item.fields["System.Title"]),
            fields=item.fields,
            links=(),
            changes=tuple(changes),
            graph=self._graph,
        )


class MemoryAudit:
    def __init__(self) -> None:
        self.kept: dict[str, AuditEvent] = {}

    async def append(self, event: AuditEvent) -> None:
        self.kept.setdefault(event.id, event)

    async def find(
        self, correlation_id: str = "", key: WorkItemKey | None = None, action: str = "", limit: int = 200
    ) -> Sequence[AuditEvent]:
        return [one for one in self.kept.values() if action in ("", one.action)][:limit]
