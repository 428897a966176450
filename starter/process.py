"""Checks of a process applied to items and projects of Azure DevOps: reading facts, applying rules, nothing written."""

from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.process_facts import FactsReader
from pointsman.contracts.process import Complete, Finding, ItemFacts, ProcessPolicy, ProjectFacts
from pointsman.domain.process.evaluation import Around, fields_asked, of_item, of_project
from pointsman.domain.process.values import is_filled


class NoProcess(Exception):
    """Nobody has said how items of this project are checked. The text names it, its process and what there is."""


@dataclass
class Tally:
    """What is counted of a project while its items go by: nothing that grows with their number."""

    policy: ProcessPolicy
    items: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    filled: Counter[str] = field(default_factory=Counter)

    def add(self, item: ItemFacts) -> None:
        self.items += 1
        self.counts[item.type] += 1
        for check in self.policy.checks:
            if isinstance(check.rule, Complete) and item.type in check.types:
                names = [name for name in check.rule.fields if is_filled(item.fields.get(name))]
                self.filled.update(f"{item.type}/{name}" for name in names)

    def facts(self, project: str) -> ProjectFacts:
        told = {
            f"{kind}/{name}": (self.filled[f"{kind}/{name}"], self.counts[kind])
            for check in self.policy.checks
            if isinstance(check.rule, Complete)
            for kind in check.types
            for name in check.rule.fields
        }
        return ProjectFacts(name=project, counts=dict(self.counts), filled=told)


async def process_of(
    client: AzureDevOps, project: str, known: Mapping[str, ProcessPolicy], named: str = ""
) -> ProcessPolicy:
    """The checks for a project: those that are named, else those for the process that it has.

    Raises:
        NoProcess: there are none of this name, or none for its process.
    """
    there = ", ".join(sorted(known))
    if named:
        if named not in known:
            raise NoProcess(f"there is no process {named!r} in policy; there are: {there}")
        return known[named]
    has = await client.projects.process_name(project)
    for policy in known.values():
        if has.casefold() in {one.casefold() for one in policy.processes}:
            return policy
    raise NoProcess(f"project {project!r} has the process {has!r}, for which policy has no checks; there are: {there}")


async def check_items(
    client: AzureDevOps, policy: ProcessPolicy, ids: Sequence[int], tally: Tally | None = None
) -> AsyncGenerator[tuple[ItemFacts, list[Finding]]]:
    """Each item with what was found. Three requests an item and more for what it is linked to."""
    reader = FactsReader(client, fields_asked(policy))
    around = Around(datetime.now(UTC), frozenset({await _own_name(client)}))
    for item_id in ids:
        item = await reader.item(item_id)
        if tally is not None:
            tally.add(item)
        yield item, of_item(policy, item, around)


async def _own_name(client: AzureDevOps) -> str:
    """Agents write as the account that we come as."""
    return (await client.connection_data()).authenticated_user.unique_name.casefold()


async def items_of(client: AzureDevOps, project: str, policy: ProcessPolicy) -> Sequence[int]:
    """Ids of the items that any check may concern."""
    lists = (*policy.levels, *(check.types for check in policy.checks))
    names = ", ".join(f"'{name}'" for name in sorted({name.replace("'", "''") for types in lists for name in types}))
    return await client.queries.ids(f"[System.WorkItemType] IN ({names})" if names else "", project)


def check_project(policy: ProcessPolicy, tally: Tally, project: str) -> list[Finding]:
    return of_project(policy, tally.facts(project))
