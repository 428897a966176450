"""`ports_sync.TypeGraphs` over Azure DevOps: the live transitions of types, for a customised process has its own."""

from collections.abc import Mapping

from pointsman.clients.azure_devops.caching import TYPES_AGE
from pointsman.clients.azure_devops.client import AzureDevOps
from pointsman.contracts.process import Graph
from pointsman.ports import Missing


class TypeGraphs:
    """Finds the client of an organisation by its lower-case slug. What was read of a type is used again for a while."""

    def __init__(self, organisations: Mapping[str, AzureDevOps]) -> None:
        self._clients = {slug.lower(): client for slug, client in organisations.items()}

    async def graph(self, organisation: str, project: str, kind: str) -> Graph | None:
        """The service tells no reasons. One request, or none."""
        client = self._clients.get(organisation.lower())
        if client is None:
            return None
        try:
            found = await client.types.get(project, kind, TYPES_AGE)
        except Missing:
            return None
        steps: dict[str, dict[str, tuple[str, ...]]] = {
            state: {step.to: () for step in ways} for state, ways in found.transitions.items()
        }
        return Graph(steps=steps) if steps else None
