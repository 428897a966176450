"""A durable check of a project: items of the stand-in, rules of the policy, violations in our books."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker

from activities import process as room
from activities.process import ProcessChecks
from pointsman.clients.azure_devops.patches import add_relation, set_field
from pointsman.clients.azure_devops.process_facts import ProcessReader
from pointsman.contracts.violations import (
    CheckCarry,
    CheckResult,
    CheckScope,
    ViolationDecision,
    ViolationState,
    ViolationVerb,
)
from pointsman.policies.process_rules import load_processes
from pointsman.sandbox.azure_devops.config import Organisation, Project
from pointsman.store import schema
from pointsman.store.engine import Store
from pointsman.store.process_violations import ProcessViolations
from pointsman.temporal import activities_of
from pointsman.temporal_server import DevServer
from starter import process_checks
from tests.sandbox.azure import Azure, azure_devops, config
from workflows.process import CheckProcess, DecideViolation

FABRIKAM = Organisation(name="fabrikam", projects=(Project(name="Fabrikam", process="CMMI"),))
CHILD = "System.LinkTypes.Hierarchy-Forward"


@dataclass
class Checking:
    azure: Azure
    client: Client
    violations: ProcessViolations
    queue: str

    async def check(self, project: str = "Fabrikam") -> CheckResult:
        scope = CheckScope(
            tenant="default",
            organisation="fabrikam",
            project=project,
            policy=load_processes()["cmmi"],
            reason=self.queue,
        )
        handle = await process_checks.start(self.client, scope, self.queue)
        result = await handle.result()
        assert (await handle.query(CheckProcess.progress)).done
        return result

    async def decide(self, violation_id: str, verb: ViolationVerb, **told: object) -> ViolationState:
        decision = ViolationDecision.model_validate({"violation_id": violation_id, "verb": verb, "by": "ada", **told})
        return (await process_checks.decide(self.client, decision, self.queue)).state

    @asynccontextmanager
    async def worker(self) -> AsyncGenerator[None]:
        checks = ProcessChecks(ProcessReader({"fabrikam": self.azure.service}), self.violations)
        async with Worker(
            self.client,
            task_queue=self.queue,
            workflows=[CheckProcess, DecideViolation],
            activities=activities_of(checks),
        ):
            yield


@pytest.fixture
async def checking(dev_server: DevServer, tmp_path: Path) -> AsyncGenerator[Checking]:
    url = f"sqlite:///{tmp_path}/pointsman.db"
    await asyncio.to_thread(schema.upgrade, url)
    async with (
        azure_devops(of=config().model_copy(update={"organisations": (FABRIKAM,)})) as azure,
        Store.open(url) as store,
    ):
        made = Checking(azure, await dev_server.connect(), ProcessViolations(store), f"process-{uuid4()}")
        async with made.worker():
            yield made


async def test_a_violation_opens_is_taken_on_and_is_resolved_by_a_revision(checking: Checking) -> None:
    bug, task = await checking.azure.make("Bug"), await checking.azure.make("Task", "Alone")
    first = await checking.check()
    assert (first.scope, first.process, first.tally.items, first.tally.opened) == ("fabrikam/Fabrikam", "cmmi", 2, 1)
    (found,) = await checking.violations.find()
    assert (found.check, found.key.id, found.state) == ("RDM-1.task", task.id, ViolationState.OPEN)
    assert await checking.decide(found.id, ViolationVerb.ACKNOWLEDGE) is ViolationState.ACKNOWLEDGED
    await checking.azure.person.work_items.patch(bug.id, [add_relation(CHILD, task.url)])
    second = await checking.check()
    assert (second.tally.resolved, second.tally.standing) == (1, 0)
    assert await checking.violations.find() == []


async def test_a_waived_violation_stands_without_counting(checking: Checking) -> None:
    await checking.azure.make("Task")
    await checking.check()
    until = datetime.now(UTC) + timedelta(days=30)
    state = await checking.decide("VIO-1", ViolationVerb.WAIVE, reason="until the split", until=until)
    assert state is ViolationState.WAIVED
    assert (await checking.check()).tally.standing == 0


async def test_a_waiver_without_reason_or_for_nothing_is_refused(checking: Checking) -> None:
    for told in (
        {"violation_id": "VIO-1"},
        {"violation_id": "VIO-9", "reason": "why", "until": "2999-01-01T00:00:00Z"},
    ):
        with pytest.raises(WorkflowFailureError):
            await checking.decide(verb=ViolationVerb.WAIVE, **told)


async def test_a_project_is_checked_batch_by_batch(checking: Checking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "ITEMS_AT_ONCE", 2)
    for number in range(5):
        await checking.azure.make("Task", f"Task {number}")
    await checking.azure.person.work_items.patch(1, [set_field("System.Title", "First")])
    tally = (await checking.check()).tally
    assert (tally.items, tally.opened, tally.counts) == (5, 5, {"Task": 5})


async def test_a_project_that_we_may_not_see_ends_the_check(checking: Checking) -> None:
    with pytest.raises(WorkflowFailureError):
        await checking.check("Nowhere")


def test_where_a_check_goes_on_is_all_that_it_carries() -> None:
    assert len(CheckCarry().model_dump_json()) < 300
