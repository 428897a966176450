"""What checks of a process need from the world beyond `pointsman.ports`."""

from typing import Protocol

from pointsman.ports import ItemReader, ProcessSource


class RuledProjects(ProcessSource, Protocol):
    """Projects with the process that each has."""

    async def process(self, organisation: str, project: str) -> str:
        """Name of the project's process as the service tells it. Raises `Missing`."""

    def at_once(self, organisation: str, asked: frozenset[str]) -> ItemReader:
        """As `reader`, for an item that somebody waits for: not behind what goes in bulk."""
