"""The rig on a server whose clock runs as ours does: what is cancelled or terminated in the middle needs a real one."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from pointsman.contracts.lifecycle import DeliverResult
from pointsman.contracts.policy import Policy
from pointsman.llm.types import LLMResponse
from tests.workflows.rig import Rig, policy


class PlainRig(Rig):
    """Nothing skips time here."""

    def __init__(self, client: Client, *script: LLMResponse | Exception, wanted: Policy | None = None) -> None:
        super().__init__(WorkflowEnvironment.from_client(client), script, wanted or policy())

    async def result(self) -> DeliverResult:
        """How it ended, over all runs that it continued as."""
        return await self.handle.result()


@asynccontextmanager
async def plain_rig(client: Client, *script: LLMResponse | Exception) -> AsyncGenerator[PlainRig]:
    """One whose worker runs."""
    made = await PlainRig(client, *script).prompt()
    async with made.worker():
        yield made
