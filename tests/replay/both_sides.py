"""Paths of what keeps both sides the same: comparisons, rollbacks, and items that move or are deleted."""

import tempfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch

from temporalio.client import Client, WorkflowFailureError

from activities import ended_runs
from activities import reconciliation as room
from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.policy import Policy
from pointsman.contracts.sync import LoopBreaker, SyncPolicy
from pointsman.contracts.work_items import EventKind
from starter import reconciliation
from tests.replay.beside import beside
from tests.replay.elsewhere import BESIDE
from tests.replay.paths import CLOSING, ESCALATION, PATHS, Recording, ended, path
from tests.workflows.ended_rig import delegating, waits_elsewhere
from tests.workflows.obstacles import HeldTracker
from tests.workflows.reconciling_rig import Reconciled, reconciling
from tests.workflows.rig import policy
from tests.workflows.rollback_rig import PRIORITY, RollingBack, request, rolling_back
from tests.workflows.test_events import Pause
from tests.workflows.test_moves import by_area, moved
from tests.worlds import answer
from workflows.rollback import RollBackItem

__all__ = ["BESIDE", "PATHS"]
ITEM = ""


@path(CLOSING, DeliverWorkItem=ITEM)
async def withdrawn_with_its_question(item: Recording) -> None:
    """As `deleted_while_waiting`, by a run that stops its question by its id."""
    await item.deliver()
    await item.asked()
    item.tracker.remove(1)
    await item.deliver(EventKind.DELETED)
    await ended(item)


@asynccontextmanager
async def _comparing(client: Client) -> AsyncGenerator[Reconciled]:
    """Two projects; of one, three bugs of which nothing came, looked at two at a time."""
    with tempfile.TemporaryDirectory(prefix="pointsman-record-") as folder:
        async with reconciling(Path(folder), client) as rig:
            rig.queue = "recorded-comparisons"
            await rig.listen()
            for title in ("Basket", "Till", "Door"):
                await rig.azure.make("Bug", title)
            with patch.object(room, "PAGE", 2):
                async with rig.worker():
                    yield rig


async def _compared(client: Client, project: str = "") -> str:
    async with _comparing(client) as rig:
        running = await reconciliation.start(client, rig.ask(project=project), rig.queue)
        with suppress(WorkflowFailureError):
            await running.result()
    return running.id


@beside("ReconcileProject")
async def compared(client: Client) -> str:
    return await _compared(client)


@beside("ReconcileProject")
async def comparison_of_no_project(client: Client) -> str:
    return await _compared(client, "Nowhere")


@beside("ReconcileProject", impatient=True)
async def compared_in_several_runs(client: Client) -> str:
    return await _compared(client)


@beside("ReconcileProject")
async def compared_and_closed(client: Client) -> str:
    """The books have an item open that Temporal has no run of, and an agent elsewhere a task."""
    with tempfile.TemporaryDirectory(prefix="pointsman-record-") as folder:
        async with reconciling(Path(folder), client) as rig, delegating(rig):
            rig.queue = "recorded-closing-comparisons"
            made = await rig.azure.make()
            await waits_elsewhere(rig, made.id, "recorded-and-ended-in-temporal")
            with patch.object(ended_runs, "REST", timedelta()):
                async with rig.worker():
                    running = await reconciliation.start(client, rig.ask(), rig.queue)
                    await running.result()
    return running.id


async def _rolled_back(client: Client, *, dry_run: bool = False, human: bool = False) -> str:
    with tempfile.TemporaryDirectory(prefix="pointsman-record-") as folder:
        async with rolling_back(Path(folder), client) as rig:
            rig.queue = "recorded-rollbacks"
            item = await _written(rig)
            if human:
                await rig.azure.person.work_items.patch(item, [set_field(PRIORITY, 4)])
            ask = request(item, turn="run-1", dry_run=dry_run)
            async with rig.worker():
                await client.execute_workflow(RollBackItem.run, ask, id=ask.operation, task_queue=rig.queue)
    return ask.operation


async def _written(rig: RollingBack) -> int:
    made = await rig.azure.make(Common_Priority=3)
    await rig.write(made.id, "run-1/1.1", {PRIORITY: 1})
    return made.id


@beside("RollBackItem")
async def rolled_back(client: Client) -> str:
    return await _rolled_back(client)


@beside("RollBackItem")
async def rollback_tried(client: Client) -> str:
    return await _rolled_back(client, dry_run=True)


@beside("RollBackItem")
async def rollback_refused(client: Client) -> str:
    return await _rolled_back(client, human=True)


async def _ended(item: Recording) -> None:
    with suppress(WorkflowFailureError):
        await item.result()


@path(answer("Seen."), wanted=by_area(), DeliverWorkItem=ITEM)
async def moved_while_working(item: Recording) -> None:
    pause = Pause(item)
    await item.deliver()
    await pause.reached.wait()
    item.model.on_request = lambda request: None
    await moved(item, System__AreaPath="Shop")
    await _ended(item)


@path(answer(System__State="Resolved"), wanted=by_area(), DeliverWorkItem=ITEM)
async def moved_out_of_scope_while_waiting(item: Recording) -> None:
    await item.deliver()
    await item.asked()
    await moved(item, System__WorkItemType="Epic")
    await _ended(item)


def _slow_to_write(item: Recording) -> None:
    item.tracker = HeldTracker(item.hold)
    item.tracker.add(1)


@path(answer("Looked at it."), answer("At the clerk's."), set_up=_slow_to_write, wanted=by_area(), DeliverWorkItem=ITEM)
async def moved_while_publishing(item: Recording) -> None:
    await item.deliver()
    await item.hold.reached.wait()
    await moved(item, System__AreaPath="Shop")
    item.hold.released.set()
    await _ended(item)


@path(answer("Looked at it."), DeliverWorkItem=ITEM)
async def deleted_before_publishing(item: Recording) -> None:
    item.model.on_request = lambda request: item.tracker.remove(1)
    await item.deliver(EventKind.CREATED)
    await _ended(item)


def syncing(**told: object) -> Policy:
    """As the rig's, with another section `sync`."""
    return policy().model_copy(update={"sync": SyncPolicy.model_validate(told)})


@path(answer(Microsoft__VSTS__Common__Priority=1), DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def conflict_edited(item: Recording) -> None:
    item.model.on_request = lambda request: item.tracker.edit(1, Microsoft__VSTS__Common__Priority=4)
    await item.deliver()
    await item.decide(await item.asked(), "edit", edits={"Microsoft.VSTS.Common.Priority": 2})
    await ended(item)


@path(
    answer(System__Title="Ours", Microsoft__VSTS__Common__Priority=1),
    wanted=policy(may_change=("System.Title", "Microsoft.VSTS.Common.Priority")),
    DeliverWorkItem=ITEM,
)
async def conflict_behind_a_decision(item: Recording) -> None:
    item.model.on_request = lambda request: item.tracker.edit(1, Microsoft__VSTS__Common__Priority=4)
    await item.deliver()
    row = await item.asked()
    item.tracker.edit(1, System__Title="Theirs")
    await item.decide(row, "approve")
    await item.decide(await item.asked(2), "approve")
    await ended(item)


@path(answer("first"), answer("second"), wanted=syncing(breaker=LoopBreaker(writes=1)), DeliverWorkItem=ITEM)
async def quarantined(item: Recording) -> None:
    await item.deliver()
    await ended(item)
    item.tracker.edit(1, System__Title="Login fails on Monday")
    await item.deliver(rev=3, changed={"System.Title": "Login fails on Monday"})
    await item.decide(await item.asked(), "approve")
    await ended(item)


@path(CLOSING, wanted=syncing(status_comment=True), DeliverWorkItem=ITEM)
async def status_told(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "approve")
    await ended(item)


@path(answer("", System__State="Active"), DeliverWorkItem=ITEM)
async def nothing_to_write(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(
    answer("", links=[("Related", "8")]),
    set_up=lambda item: item.tracker.link(1, "System.LinkTypes.Related", "https://ado/_apis/wit/workItems/8"),
    wanted=policy(may_link=("Related",), approve_links=("Related",)),
    DeliverWorkItem=ITEM,
)
async def nothing_to_link(item: Recording) -> None:
    await item.deliver()
    await ended(item)
