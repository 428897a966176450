"""The page about synchronisation: what it tells to type resolves a conflict of an item at the stand-in."""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client
from temporalio.worker import Worker

from activities.escalations import Asking
from activities.status import StatusComments
from activities.turns import Turns
from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.policy import Policy
from pointsman.llm.types import LLMRequest
from pointsman.store.escalations import Escalations
from pointsman.temporal import activities_of
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.activities.sync_rig import Both, both
from tests.books import MemoryAttempts, MemoryTranscripts
from tests.books_sync import FakeComments
from tests.docs.blocks import ROOT, blocks
from tests.sandbox.azure import eventually
from tests.starter.cli_rig import Answer, Rig
from tests.workflows.rig import policy
from tests.worlds import FakeModel, FakePeople, FakeToolbox, answer, served
from workflows.escalations import ResolveEscalation
from workflows.turns import TakeTurn
from workflows.work_items import DeliverWorkItem

PAGE, MARK = ROOT / "docs" / "synchronisation.md", "tests/docs/test_conflict_page.py"
TITLE, PRIORITY = "System.Title", "Microsoft.VSTS.Common.Priority"
EVENTS = ("workitem.created", "workitem.updated")


def commands(item: int) -> list[list[str]]:
    """The command lines of the page that this file is named for, about our item."""
    told = [block.text for block in blocks(PAGE) if block.how == "tested by" and block.what.startswith(MARK)]
    lines = [line.partition("#")[0].strip() for text in told for line in text.splitlines()]
    words = [line.removeprefix("pointsman ").split() for line in lines]
    return [[str(item) if word == "42" else word for word in line] for line in words]


@dataclass
class Agent:
    """Wants another title and priority; as it thinks, a person sets both."""

    world: Both
    client: Client
    queue: str

    async def person_is_faster(self, request: LLMRequest) -> None:
        changes = [set_field(TITLE, "Basket is lost"), set_field(PRIORITY, 4)]
        await self.world.person.work_items.patch(1, changes)

    def worker(self) -> Worker:
        world = self.world
        model = FakeModel(answer("", System__Title="Basket loses items", Microsoft__VSTS__Common__Priority=1))
        model.on_request = self.person_is_faster
        sync = world.sync
        rooms = (
            world.room,
            Turns(served(model), FakeToolbox(), MemoryTranscripts(), world.contents, MemoryAttempts()),
            Asking(Escalations(world.store), world.contents, FakePeople()),
            StatusComments(world.tracker, FakeComments(), world.ledger, sync.agreements, sync.quarantines),
        )
        return Worker(
            self.client,
            task_queue=self.queue,
            workflows=[DeliverWorkItem, TakeTurn, ResolveEscalation],
            activities=[one for room in rooms for one in activities_of(room)],
            max_heartbeat_throttle_interval=timedelta(milliseconds=200),
            # One or two tasks at a time: further polls would only be opened and given up again.
            max_concurrent_workflow_task_polls=2,
            max_concurrent_activity_task_polls=2,
        )

    async def rules(self) -> Policy:
        found = policy(may_change=(TITLE, PRIORITY), needs_approval=())
        prompt = await self.world.contents.put(b"You triage bugs.")
        agents = tuple(agent.model_copy(update={"prompt": prompt}) for agent in found.agents)
        return found.model_copy(update={"agents": agents})

    @asynccontextmanager
    async def asking(self) -> AsyncGenerator[None]:
        """Until its question has reached people."""
        changes = [set_field(TITLE, "Basket is empty"), set_field(PRIORITY, 3)]
        await self.world.person.work_items.create("Fabrikam", "Bug", changes)
        event = await self.world.arrive(self.world.held.waiting.pop())
        assert event is not None
        name = f"{self.queue}/item"
        async with self.worker():
            rules = await self.rules()
            await work_items.hand_over(
                self.client,
                event,
                rules,
                "default",
                event.correlation_id,
                known_workflow_id=name,
                task_queue=self.queue,
            )
            await eventually(self.is_asked)
            yield
            await self.client.get_workflow_handle(name).result()

    async def is_asked(self) -> bool:
        return bool([row for row in await Escalations(self.world.store).find(pending_only=True) if row.rungs])


@pytest.fixture
async def agent(dev_server: DevServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Agent]:
    async with both(tmp_path, EVENTS) as world:
        settings = {
            "DATA_DIR": str(tmp_path),
            "DATABASE_URL": f"sqlite:///{tmp_path / 'store.db'}",
            "POLICY_DIR": "",
            "CONFIG_FILE": "",
            "TEMPORAL_ADDRESS": dev_server.address,
        }
        for name, value in settings.items():
            monkeypatch.setenv(f"POINTSMAN_{name}", value)
        monkeypatch.setenv("USER", "ada")
        yield Agent(world, await dev_server.connect(), f"test-{uuid4()}")


async def test_a_conflict_is_resolved_as_the_page_says(
    agent: Agent, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli = Rig(tmp_path, capsys)
    async with agent.asking():
        told = [await typed(cli, words) for words in commands(1)]
        assert "CON-1" in told[1].out
        await typed(cli, ["sync", "conflicts", "--all"])
    fields = (await agent.world.service.work_items.get(1)).fields
    assert (fields[TITLE], fields[PRIORITY], fields["System.Rev"]) == ("Basket loses items", 1, 3)
    settled = (await typed(cli, ["sync", "conflicts", "1", "--all", "--json"])).document()["conflicts"]
    assert isinstance(settled, list)
    ended = {(one["field"], one["state"], one["by"]) for one in settled}
    assert ended == {(PRIORITY, "ours", "ada"), (TITLE, "ours", "ada")}
    assert json.loads((await typed(cli, ["sync", "status", "--json"])).out)["projects"][0]["conflicts"] == 0


async def typed(cli: Rig, words: list[str]) -> Answer:
    """In a thread of its own: this one serves what it calls."""
    done = await asyncio.to_thread(cli.run, *words)
    assert done.code == 0, f"{words}: exit {done.code}\n{done.out}\n{done.err}"
    return done
