"""Paths of workflows that are about no single item: each plays itself, and says under which id."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from temporalio.client import Client, WorkflowFailureError

from activities import checking
from pointsman.contracts.process import Ratio
from pointsman.contracts.recovery import HookProblem, HookState
from pointsman.contracts.violations import CheckScope, ViolationDecision, ViolationVerb
from pointsman.contracts.work_items import WorkItemKey
from pointsman.domain.loose import moment
from pointsman.store.engine import Store
from starter import process_checks
from tests.sandbox.azure import azure_devops, config
from tests.workflows.fakes_of_hooks import QuietKeeper, RefusedKeeper
from tests.workflows.recovery_rig import PROJECT, migrated, recovering
from tests.workflows.test_process import CMMI, FABRIKAM, TOLD, Checking
from workflows.process import DecideViolation
from workflows.violations import question_id

Play = Callable[[Client], Awaitable[str]]


@dataclass(frozen=True)
class Beside:
    """`kind` is the workflow's type."""

    kind: str
    play: Play
    impatient: bool = False


BESIDE: dict[str, Beside] = {}


def beside(kind: str, *, impatient: bool = False) -> Callable[[Play], Play]:
    """Make a path of a function that plays it and returns the workflow's id."""

    def register(play: Play) -> Play:
        BESIDE[play.__name__.replace("_", "-")] = Beside(kind, play, impatient)
        return play

    return register


async def _recovered(client: Client, keeper: QuietKeeper | None) -> str:
    with tempfile.TemporaryDirectory(prefix="pointsman-record-") as folder:
        async with recovering(client, Path(folder)) as rig:
            rig.queue = "recorded-recovery"
            made = await rig.azure.make()
            await rig.azure.person.work_items.add_comment(PROJECT, made.id, "<p>Seen</p>")
            async with rig.worker(keeper):
                running = await rig.start(since=moment(made.fields["System.CreatedDate"]), watch=keeper is not None)
                await running.result()
    return running.id


@beside("RecoverEvents")
async def recovered(client: Client) -> str:
    return await _recovered(client, None)


@beside("RecoverEvents")
async def recovered_and_repaired(client: Client) -> str:
    down = HookState(
        organisation="fabrikam", subscription_id="s1", event_type="workitem.updated", problem=HookProblem.DISABLED
    )
    return await _recovered(client, QuietKeeper(down))


@beside("RecoverEvents")
async def recovered_unwatched(client: Client) -> str:
    return await _recovered(client, RefusedKeeper())


@beside("RecoverEvents", impatient=True)
async def recovered_in_several_runs(client: Client) -> str:
    return await _recovered(client, None)


@asynccontextmanager
async def _checking(client: Client) -> AsyncGenerator[Checking]:
    """A project of three tasks without a requirement, looked at two at a time."""
    with tempfile.TemporaryDirectory(prefix="pointsman-record-") as folder:
        file = Path(folder) / "pointsman.db"
        shutil.copy(migrated(), file)
        async with (
            azure_devops(of=config().model_copy(update={"organisations": (FABRIKAM,)})) as azure,
            Store.open(f"sqlite:///{file}") as store,
        ):
            for title in ("Basket", "Till", "Door"):
                await azure.make("Task", title)
            rig = Checking(azure, client, store, Path(folder), "recorded-checks")
            with patch.object(checking, "ITEMS_AT_ONCE", 2):
                async with rig.worker():
                    yield rig


async def _checked(client: Client, project: str = PROJECT) -> str:
    async with _checking(client) as rig:
        few = CMMI.model_copy(update={"checks": tuple(one for one in CMMI.checks if one.id == "RDM-1.task")})
        scope = CheckScope(tenant="default", organisation="fabrikam", project=project, policy=few)
        running = await process_checks.start(client, scope, rig.queue)
        with suppress(WorkflowFailureError):
            await running.result()
    return running.id


@beside("CheckProcess")
async def checked(client: Client) -> str:
    return await _checked(client)


@beside("CheckProcess")
async def check_of_no_project(client: Client) -> str:
    return await _checked(client, "Nowhere")


@beside("CheckProcess", impatient=True)
async def checked_in_several_runs(client: Client) -> str:
    return await _checked(client)


@beside("CheckProcess")
async def checked_and_told_of_the_whole(client: Client) -> str:
    """People are asked who takes on what the project breaks as a whole."""
    async with _checking(client) as rig:
        reviews = next(one for one in CMMI.checks if one.id == "PQA-1.share")
        share = reviews.model_copy(update={"rule": Ratio(types=("Review",), of=("Task",), per=10)})
        await rig.check(on_open=(TOLD,), rules=CMMI.model_copy(update={"checks": (share,)}))
        await rig.asked(*await rig.violations.find())
        await rig.close_questions()
    return process_checks.workflow_id("fabrikam", PROJECT)


@beside("CheckWorkItem")
async def item_checked(client: Client) -> str:
    """It breaks a rule, of which people are told."""
    async with _checking(client) as rig:
        await rig.happened(1, (TOLD,))
        await rig.looked_at(1)
        await rig.close_questions()
    return process_checks.item_workflow_id(WorkItemKey(organisation="fabrikam", project=PROJECT, id=1))


@beside("CheckWorkItem", impatient=True)
async def item_checked_in_several_runs(client: Client) -> str:
    """Something happens to it while a check of it takes long."""
    async with _checking(client) as rig:
        await rig.azure.fail(path="/updates", delay_seconds=6)
        await rig.azure.fail(path="/updates", delay_seconds=2)
        await rig.happened(1)
        await asyncio.sleep(4)
        await rig.happened(1)
        await rig.looked_at(1)
    return process_checks.item_workflow_id(WorkItemKey(organisation="fabrikam", project=PROJECT, id=1))


async def _decided(client: Client, reason: str) -> str:
    async with _checking(client) as rig:
        await rig.check()
        decision = ViolationDecision(
            violation_id="VIO-1",
            verb=ViolationVerb.WAIVE,
            by="ada",
            reason=reason,
            until=datetime(2999, 1, 1, tzinfo=UTC),
        )
        name = f"process/decide/recorded/{reason or 'nothing'}"
        running = await client.start_workflow(DecideViolation.run, decision, id=name, task_queue=rig.queue)
        with suppress(WorkflowFailureError):
            await running.result()
    return name


@beside("DecideViolation")
async def waived(client: Client) -> str:
    return await _decided(client, "until the split")


@beside("DecideViolation")
async def acknowledged_while_people_are_asked(client: Client) -> str:
    name = "process/decide/recorded/asked"
    async with _checking(client) as rig:
        await rig.happened(1, (TOLD,))
        await rig.looked_at(1)
        await rig.asked(*await rig.violations.find())
        decision = ViolationDecision(violation_id="VIO-1", verb=ViolationVerb.ACKNOWLEDGE, by="ada")
        await client.execute_workflow(DecideViolation.run, decision, id=name, task_queue=rig.queue)
        with suppress(WorkflowFailureError):
            await client.get_workflow_handle(question_id("VIO-1")).result()
    return name


@beside("DecideViolation")
async def waiver_refused(client: Client) -> str:
    return await _decided(client, "")
