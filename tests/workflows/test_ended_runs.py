"""A run that somebody ends in Temporal: the next comparison says so in our books, and leaves nothing open."""

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities import ended_runs
from pointsman.contracts.reconciliation import ReconcileTally
from pointsman.contracts.records import ItemRow
from pointsman.contracts.work_items import WorkItemState
from pointsman.temporal_server import DevServer
from starter import reconciliation
from tests.workflows.ended_rig import delegating, waits_elsewhere
from tests.workflows.reconciling_rig import Reconciled, reconciling

QUEUE = "nobody-polls-ended-runs"


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_runs, "REST", timedelta())


async def waiting(rig: Reconciled, client: Client, *, terminated: bool) -> tuple[int, str]:
    """An item that waits, and a run of it."""
    made, name = await rig.azure.make(), f"ado/{uuid4()}"
    await rig.take_in(made.id, WorkItemState.WAITING, workflow_id=name)
    run = await client.start_workflow("DeliverWorkItem", id=name, task_queue=QUEUE)
    if terminated:
        await run.terminate(reason="wrong customer")
    return made.id, name


async def compared(rig: Reconciled, client: Client, *, dry_run: bool = False) -> ReconcileTally:
    running = await reconciliation.start(client, rig.ask(dry_run=dry_run), rig.queue)
    (report,) = (await running.result()).reports
    return report.tally


async def row(rig: Reconciled, item_id: int) -> ItemRow:
    found = await rig.items.get("fabrikam", item_id)
    assert found is not None
    return found


@pytest.mark.usefixtures("at_once")
async def test_a_terminated_run_is_closed_in_the_books_once_and_one_that_runs_is_left_open(
    client: Client, tmp_path: Path
) -> None:
    async with reconciling(tmp_path, client) as rig, rig.worker():
        ended, _ = await waiting(rig, client, terminated=True)
        open_, running = await waiting(rig, client, terminated=False)
        dry = await compared(rig, client, dry_run=True)
        assert (dry.counts["ended_outside"], dry.trouble) == (1, 1)
        assert (await row(rig, ended)).state is WorkItemState.WAITING
        tally = await compared(rig, client)
        assert (tally.items, tally.counts["ended_outside"], tally.counts["pending"], tally.trouble) == (2, 1, 1, 0)
        (finding,) = tally.findings
        assert (finding.item_id, finding.standing, finding.repaired) == (ended, "ended_outside", True)
        stands = await row(rig, ended)
        assert (stands.state, stands.reason) == (WorkItemState.FAILED, finding.reason)
        assert stands.reason.startswith("terminated in Temporal by ")
        assert stands.reason.endswith(": wrong customer")
        assert (await row(rig, open_)).state is WorkItemState.WAITING
        assert "ended_outside" not in (await compared(rig, client)).counts
        await client.get_workflow_handle(running).terminate()


async def test_an_item_that_moved_within_the_last_minute_is_left_alone(client: Client, tmp_path: Path) -> None:
    async with reconciling(tmp_path, client) as rig, rig.worker():
        item, _ = await waiting(rig, client, terminated=True)
        assert "ended_outside" not in (await compared(rig, client)).counts
        assert (await row(rig, item)).state is WorkItemState.WAITING


@pytest.mark.usefixtures("at_once")
async def test_many_are_closed_a_few_at_a_time(client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ended_runs, "ENDED_MAX", 1)
    monkeypatch.setattr(ended_runs, "PAGE", 2)
    async with reconciling(tmp_path, client) as rig, rig.worker():
        for _ in range(3):
            made = await rig.azure.make()
            await rig.take_in(made.id, WorkItemState.WORKING, workflow_id=f"ado/{uuid4()}")
        tally = await compared(rig, client)
        assert tally.counts["ended_outside"] == 3
        assert {one.reason.partition(":")[0] for one in tally.findings} == {"Temporal has no run of it"}


@pytest.mark.usefixtures("at_once")
async def test_a_task_that_waits_elsewhere_for_an_ended_run_is_stopped_there(client: Client, tmp_path: Path) -> None:
    async with reconciling(tmp_path, client) as rig, delegating(rig) as service, rig.worker():
        made, name = await rig.azure.make(), f"ado/{uuid4()}"
        task = await waits_elsewhere(rig, made.id, name)
        assert list((await service.states()).values()) == ["TASK_STATE_INPUT_REQUIRED"]
        await compared(rig, client)
        assert list((await service.states()).values()) == ["TASK_STATE_CANCELED"]
        assert (await row(rig, made.id)).reason.endswith(f"; triage was told to stop: task {task}")
