"""Which rules the items of a project follow, and items as those rules look at them: what checks and guard share."""

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta

from pointsman.contracts.process import Graph, ItemFacts, ProcessPolicy
from pointsman.contracts.process_control import CheckedProject
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.process.evaluation import fields_asked
from pointsman.domain.process.graphs import Graphs, completed
from pointsman.domain.process.rulebooks import rules_for
from pointsman.ports import ItemReader
from pointsman.ports_process import RuledProjects

NAMES_AGE = timedelta(minutes=10)  # a project gets another process once in years


class RuleBooks:
    """`processes` are the rules by their name, `graphs` the ways between states as the templates of processes have
    them, `projects` those of which policy names the rules."""

    def __init__(
        self,
        source: RuledProjects,
        processes: Mapping[str, ProcessPolicy],
        graphs: Graphs,
        projects: Sequence[CheckedProject] = (),
    ) -> None:
        self.source = source
        self._processes = processes
        self._graphs = graphs
        self._named = {(one.organisation.lower(), one.project.lower()): one.process for one in projects}
        self._names: dict[tuple[str, str], tuple[str, float]] = {}

    async def rules(self, organisation: str, project: str) -> ProcessPolicy | None:
        """Those that policy names for the project, else those for its process or for the one that this inherits from;
        None where there are none."""
        if named := self._named.get((organisation.lower(), project.lower())):
            return self._processes.get(named)
        return rules_for(self._processes, await self._process(organisation, project))

    def reader(self, organisation: str, policy: ProcessPolicy, *, waited_for: bool) -> ItemReader:
        """For a short while, as `ports.ProcessSource.reader`."""
        choose = self.source.at_once if waited_for else self.source.reader
        return Completing(choose(organisation, fields_asked(policy)), self._graphs.get(policy.base, {}))

    async def item(self, key: WorkItemKey, policy: ProcessPolicy, *, linked_now: bool = False) -> ItemFacts:
        """For whoever waits for it; `linked_now` as `ports_process.RuledProjects.at_once`. Raises `Missing`."""
        inner = self.source.at_once(key.organisation, fields_asked(policy), linked_now=linked_now)
        return await Completing(inner, self._graphs.get(policy.base, {})).item(key.id)

    async def agents(self, organisation: str) -> frozenset[str]:
        """Agents write as the account that we come as."""
        return frozenset({(await self.source.identity(organisation)).casefold()})

    async def _process(self, organisation: str, project: str) -> str:
        """Name of the process whose rules count."""
        place = (organisation.lower(), project.lower())
        name, until = self._names.get(place, ("", 0.0))
        if time.monotonic() >= until:
            name = await self.source.process(organisation, project)
            if rules_for(self._processes, name) is None:
                name = await self.source.parent(organisation, name) or name
            self._names[place] = (name, time.monotonic() + NAMES_AGE.total_seconds())
        return name


class Completing:
    """Items with all that is known of the ways between their states."""

    def __init__(self, inner: ItemReader, graphs: Mapping[str, Graph]) -> None:
        self._inner = inner
        self._graphs = graphs

    async def item(self, item_id: int) -> ItemFacts:
        item = await self._inner.item(item_id)
        return item.model_copy(update={"graph": completed(item.graph, self._graphs.get(item.type))})
