"""A check of a project, a hundred items at a time: read items as rules look at them, and settle what each breaks.

What is kept of it is the affair of the books that are handed in: a dry run hands in some that keep nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import groupby

from activities.rule_books import Completing
from pointsman.contracts.process import Finding, Graph, ItemFacts, Standing
from pointsman.contracts.violations import (
    CheckCarry,
    Checked,
    CheckScope,
    CheckStep,
    CheckTally,
    Inspection,
    Settlement,
)
from pointsman.contracts.work_items import ProjectKey, WorkItemKey
from pointsman.domain.loose import string
from pointsman.domain.process.calls import concerns
from pointsman.domain.process.evaluation import (
    Around,
    days_asked,
    fields_asked,
    of_a_project,
    of_item,
    of_project,
    types_asked,
)
from pointsman.domain.process.graphs import Graphs
from pointsman.domain.process.tallies import counted, project_facts, settled
from pointsman.ports import ItemReader, Missing
from pointsman.ports_process import ForesightedReader, RuledProjects, SettledViolations, WholeProjects

ITEMS_AT_ONCE = 100
TOLD_MAX = 20  # findings of one check that travel with the run
NO_GRAPHS: Mapping[str, Mapping[str, Graph]] = {}
PROJECT = "System.TeamProject"


@dataclass
class _Batch:
    """What came of the items of one step."""

    scope: CheckScope
    around: Around
    source: ForesightedReader
    reader: ItemReader
    tally: CheckTally
    act_on: list[int] = field(default_factory=list)
    called_off: list[str] = field(default_factory=list)

    def take(self, item_id: int, settlement: Settlement) -> None:
        self.tally = settled(self.tally, settlement)
        self.called_off += settlement.called_off
        if any(concerns(self.scope.on_open, one) for one in settlement.untold):
            self.act_on.append(item_id)


class Checking:
    """Reads the outside, and writes nothing but what `violations` does."""

    def __init__(
        self,
        source: RuledProjects,
        violations: SettledViolations,
        graphs: Graphs = NO_GRAPHS,
        projects: WholeProjects | None = None,
    ) -> None:
        self._source = source
        self._violations = violations
        self._graphs = graphs
        self._projects = projects

    async def step(self, step: CheckStep) -> CheckCarry:
        """Inspect the next hundred items, and after the last of them the project as a whole. Safe to repeat.

        One request for the items, one for 200 that they are linked to, then one an item for its history, and one for
        each linked pull request. Items that are gone meanwhile are passed over.

        Raises:
            Rejected: or its kinds: we may not read the project.
        """
        scope, carry = step.scope, step.carry
        where = types_asked(scope.policy)
        ids = await self._source.ids(scope.organisation, scope.project, where, carry.after, ITEMS_AT_ONCE)
        agents = frozenset({(await self._source.identity(scope.organisation)).casefold()})
        source = self._source.reader(scope.organisation, fields_asked(scope.policy))
        reader = Completing(source, self._graphs.get(scope.policy.base, {}))
        batch = _Batch(scope, Around(datetime.now(UTC), agents), source, reader, carry.tally)
        if ids:
            await batch.source.ahead(ids)
        for item_id in ids:
            await self._inspect(batch, item_id)
        last, done = max([carry.after, *ids]), len(ids) < ITEMS_AT_ONCE
        for item_id in await self._violations.broken_items(
            scope.organisation, scope.project, carry.after, None if done else last
        ):
            if item_id not in ids:
                await self._look_after(batch, item_id)
        whole = await self._whole(batch) if done else ()
        return CheckCarry(
            after=last,
            done=done,
            whole=_few(whole),
            tally=batch.tally,
            act_on=tuple(batch.act_on),
            called_off=tuple(batch.called_off),
        )

    async def _inspect(self, batch: _Batch, item_id: int) -> None:
        batch.around = Around(datetime.now(UTC), batch.around.agents)
        try:
            item = await batch.reader.item(item_id)
        except Missing:
            return
        findings = of_item(batch.scope.policy, item, batch.around)
        batch.tally = counted(batch.scope.policy, batch.tally, item, findings)
        await self._settle(batch, item_id, item.rev, findings)

    async def _look_after(self, batch: _Batch, item_id: int) -> None:
        """An item that broke something when it was looked at last, and is none of those that the rules concern now: it
        was deleted, moved, or made another type. One that cannot be read may be there all the same."""
        scope = batch.scope
        try:
            item = await batch.reader.item(item_id)
        except Missing:
            if not await self._source.in_bin(scope.organisation, item_id):
                return
            item = ItemFacts(id=item_id, type="", state="")
        is_ours = string(item.fields.get(PROJECT)).casefold() == scope.project.casefold()
        findings = of_item(scope.policy, item, batch.around) if is_ours else []
        await self._settle(batch, item_id, item.rev, findings)

    async def _whole(self, batch: _Batch) -> Sequence[Finding]:
        """What only all items together can tell, and the rules of its branches."""
        scope = batch.scope
        days, seen = days_asked(scope.policy), None
        if self._projects is not None:
            seen = await self._projects.whole(scope.organisation, scope.project, *days)
        findings = of_project(scope.policy, project_facts(scope.policy, batch.tally, scope.project, seen))
        await self._settle(batch, 0, 0, findings)
        every = _inspection(batch, 0, 0, (), [one.id for one in scope.policy.checks])
        batch.take(0, await self._violations.retire(every))
        await self._violations.checked(
            Checked(
                tenant=scope.tenant,
                organisation=scope.organisation,
                project=scope.project,
                process=scope.policy.name,
                version=scope.policy.version,
                by=scope.by,
                at=batch.around.now,
                tally=batch.tally,
                unknown={one.check: one.evidence for one in findings if one.standing is Standing.NO_DATA},
            )
        )
        return findings

    async def _settle(self, batch: _Batch, item_id: int, rev: int, findings: Sequence[Finding]) -> None:
        checks = [one.id for one in batch.scope.policy.checks if of_a_project(one.rule) != bool(item_id)]
        inspection = _inspection(batch, item_id, rev, findings, checks)
        batch.take(item_id, await self._violations.settle(inspection))


def _inspection(
    batch: _Batch, item_id: int, rev: int, findings: Sequence[Finding], checks: Sequence[str]
) -> Inspection:
    scope = batch.scope
    whole = ProjectKey(organisation=scope.organisation, project=scope.project)
    return Inspection(
        tenant=scope.tenant,
        process=scope.policy.name,
        key=WorkItemKey(organisation=whole.organisation, project=whole.project, id=item_id) if item_id else whole,
        rev=rev,
        at=batch.around.now,
        checks=tuple(checks),
        findings=tuple(findings),
    )


def _few(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """The newest of each check: findings come in the order of their checks, and the books have all."""
    return tuple(one for _, found in groupby(findings, lambda one: one.check) for one in list(found)[-TOLD_MAX:])
