"""Checks of a process applied to items and projects of Azure DevOps: reading facts, applying rules, nothing written."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import UTC, datetime

from activities.rule_books import Completing
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.clients.azure_devops.process_facts import LINKED_AGE_IN_BULK, FactsReader
from pointsman.contracts.process import Finding, ItemFacts, ProcessPolicy
from pointsman.domain.process.evaluation import Around, fields_asked, of_item, types_asked
from pointsman.domain.process.rulebooks import rules_for
from pointsman.policies.process_graphs import load_graphs
from pointsman.ports import Missing

AHEAD = 100


class NoProcess(Exception):
    """Nobody has said how items of this project are checked. The text names it, its process and what there is."""


async def process_of(
    client: AzureDevOps, project: str, known: Mapping[str, ProcessPolicy], named: str = ""
) -> ProcessPolicy:
    """The checks for a project: those that are named, else those for the process that it has or this inherits from.

    Raises:
        NoProcess: there are none of this name, or none for its process.
    """
    there = ", ".join(sorted(known))
    if named:
        if named not in known:
            raise NoProcess(f"there is no process {named!r} in policy; there are: {there}")
        return known[named]
    has = await client.projects.process_name(project)
    if (policy := rules_for(known, has)) is not None:
        return policy
    if (parent := await client.processes.parent_name(has)) and (policy := rules_for(known, parent)) is not None:
        return policy
    raise NoProcess(f"project {project!r} has the process {has!r}, for which policy has no checks; there are: {there}")


async def check_items(
    client: AzureDevOps, policy: ProcessPolicy, ids: Sequence[int]
) -> AsyncGenerator[tuple[ItemFacts, list[Finding]]]:
    """Each item with what was found. A request an item, and more for what it is linked to. One that is gone meanwhile
    is passed over."""
    source = FactsReader(client, fields_asked(policy), linked_age=LINKED_AGE_IN_BULK)
    reader = Completing(source, load_graphs().get(policy.base, {}))
    around = Around(datetime.now(UTC), frozenset({await _own_name(client)}))
    for place, item_id in enumerate(ids):
        if place % AHEAD == 0:
            await source.ahead(ids[place : place + AHEAD])
        try:
            item = await reader.item(item_id)
        except Missing:
            continue
        yield item, of_item(policy, item, around)


async def _own_name(client: AzureDevOps) -> str:
    """Agents write as the account that we come as."""
    return (await client.connection_data()).authenticated_user.unique_name.casefold()


async def items_of(client: AzureDevOps, project: str, policy: ProcessPolicy) -> Sequence[int]:
    """Ids of the items that any check may concern, ascending."""
    return await client.queries.ids(types_asked(policy), project)
