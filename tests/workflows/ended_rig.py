"""Items that our books have open and Temporal does not, some with a task that waits at an agent elsewhere."""

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.testing import ActivityEnvironment

from activities.agents import RemoteTurns
from pointsman.clients.agents import RemoteAgents
from pointsman.contracts.agents import FollowService, RemoteState, SendToService
from pointsman.contracts.policy import AgentPolicy, AgentService
from pointsman.contracts.turns import TurnRequest
from pointsman.contracts.work_items import Facts, WorkItemState
from pointsman.sandbox.agents.server import AgentsConfig, AgentsStandIn
from pointsman.store.attempts import Attempts
from pointsman.store.contents import Contents
from pointsman.store.transcripts import Transcripts
from tests.workflows.reconciling_rig import Reconciled, chain_of, key
from tests.workflows.remote_rig import TOKEN

FOREVER = timedelta(minutes=1)


@asynccontextmanager
async def delegating(rig: Reconciled) -> AsyncGenerator[AgentsStandIn]:
    """The service of an agent of the rig's policy."""
    service, remote = AgentsStandIn(AgentsConfig(token=TOKEN)), RemoteAgents({"AGENT_KEY": TOKEN}.get)
    store = rig.store
    async with service.running() as url:
        agent = AgentPolicy(name="triage", service=AgentService(url=url, key="AGENT_KEY"))
        rig.policy = rig.policy.model_copy(update={"agents": (agent,)})
        rig.rooms = (RemoteTurns(remote, Transcripts(store), Contents(store), Attempts(store)),)
        try:
            yield service
        finally:
            await remote.aclose()


async def waits_elsewhere(rig: Reconciled, item_id: int, workflow_id: str) -> str:
    """The item waits for a human, and at the service its task for the answer. Returns the task's id."""
    (agent,), (room,) = rig.policy.agents, rig.rooms
    assert isinstance(room, RemoteTurns)
    title = "Login fails, script: asks"
    snapshot = await Contents(rig.store).put(json.dumps({"System.Title": title}).encode())
    turn = TurnRequest(
        key=key(item_id),
        tenant="default",
        correlation_id="c-1",
        number=1,
        transcript=f"{workflow_id}@r-1",
        agent=agent,
        facts=Facts(key=key(item_id), type="Bug", title=title, snapshot=snapshot),
    )
    environment = ActivityEnvironment()
    sent = await environment.run(room.send, SendToService(request=turn, step=1))
    look = FollowService(request=turn, step=1, task=sent.task, pause=FOREVER, patience=FOREVER)
    found = await environment.run(room.follow, look)
    assert found.state is RemoteState.INPUT_REQUIRED
    await rig.take_in(item_id, WorkItemState.WAITING, workflow_id=workflow_id)
    assert chain_of(item_id).key == turn.key
    return sent.task
