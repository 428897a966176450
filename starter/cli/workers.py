"""Temporal for commands that leave their work to a worker: where none polls, they say at once that it waits."""

from collections.abc import Callable

from temporalio.client import Client

from pointsman.config import Settings
from starter.cli.context import temporal
from starter.cli.probes_worker import pollers


async def served(settings: Settings, say: Callable[[str], None], leaving: str = "") -> Client:
    """A client of Temporal. Asks it once more than `temporal`, for who polls; `leaving` says what becomes of what is
    asked when its caller does not wait for a worker."""
    client = await temporal(settings)
    if (found := await pollers(settings, client)).fix:
        say(f"{found.what}: it waits for a worker; start one: {found.fix}{leaving}")
    return client
