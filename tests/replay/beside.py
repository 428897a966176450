"""Paths of workflows that are about no single item: each plays itself, and says under which id."""

import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from pointsman.contracts.recovery import HookProblem, HookState
from pointsman.domain.loose import moment
from tests.workflows.fakes_of_hooks import QuietKeeper, RefusedKeeper
from tests.workflows.recovery_rig import PROJECT, recovering

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
