"""A work item whose agent is a service elsewhere: the real client, and a real server of A2A on loopback."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from activities.agents import RemoteTurns
from activities.left_behind import LeftBehind
from pointsman.clients.agents import RemoteAgents
from pointsman.contracts.lifecycle import DeliverResult
from pointsman.contracts.policy import AgentService, Limits, Policy
from pointsman.contracts.records import Attempt, AttemptKind, EscalationRow
from pointsman.contracts.sync import SyncPolicy
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
from starter.item_runs import TemporalRuns
from tests.workflows.rig import Rig, policy

OVER = {f"TASK_STATE_{state}" for state in ("COMPLETED", "FAILED", "CANCELED", "REJECTED")}
TOKEN = SecretStr("a-token-of-the-remote-agent")


class RemoteRig(Rig):
    """`service` is the other side."""

    service: AgentsStandIn
    remote: RemoteAgents
    skips_time = True

    async def result(self) -> DeliverResult:
        return await super().result() if self.skips_time else await self.handle.result()

    async def connected(self) -> Client:
        return self.client

    async def given_up(self, row: EscalationRow) -> DeliverResult:
        """How the item ends when people do not want it any more."""
        await self.decide(row, "reject", comment="not worth it")
        return await self.result()

    @property
    def sent(self) -> list[Attempt]:
        """Messages to the service, as our books have them."""
        return [one for one in self.attempts.kept.values() if one.kind is AttemptKind.AGENT]

    @property
    def said(self) -> list[str]:
        """What the status comment has said so far."""
        return [text for texts in self.comments.texts.values() for text in texts]


def served_by(url: str, says_status: bool, limits: Limits) -> Policy:
    """The rig's policy with a service for its agent."""
    service = AgentService(url=url, key="AGENT_KEY", progress_every=timedelta(milliseconds=1))
    made = policy(model="", service=service, limits=limits)
    return made.model_copy(update={"sync": SyncPolicy(status_comment=says_status)})


@asynccontextmanager
async def remote_rig(
    on: WorkflowEnvironment | Client,
    script: str,
    *,
    pace_seconds: float = 0.0,
    name: str = "",
    says_status: bool = True,
    room: type[RemoteTurns] = RemoteTurns,
    limits: Limits | None = None,
) -> AsyncGenerator[RemoteRig]:
    """A rig whose item names the script in its title. Its worker runs. `name` is for recordings."""
    config = AgentsConfig(token=TOKEN, pace_seconds=pace_seconds)
    env = WorkflowEnvironment.from_client(on) if isinstance(on, Client) else on
    service = AgentsStandIn(config)
    async with service.running() as url:
        item = RemoteRig(env, (), served_by(url, says_status, limits or Limits()))
        if name:
            item.queue = f"recorded-{name}"
            item.key = item.key.model_copy(update={"project": item.queue})
        item.skips_time = not isinstance(on, Client)
        item.service = service
        item.remote = RemoteAgents({"AGENT_KEY": TOKEN}.get)
        remote = room(item.remote, item.transcripts, item.contents, item.attempts)
        item.rooms = (remote, LeftBehind(TemporalRuns(item.connected), remote))
        item.tracker.add(1, System__Title=f"Login fails, script: {script}")
        try:
            async with item.worker():
                yield item
            assert not {state for state in (await service.states()).values() if state not in OVER}, "all are closed"
        finally:
            await item.remote.aclose()
