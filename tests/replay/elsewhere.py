"""Paths of turns that an agent elsewhere takes."""

from contextlib import suppress
from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError

from pointsman.contracts.policy import Limits
from pointsman.contracts.work_items import EventKind
from starter import work_items
from tests.replay.beside import beside
from tests.replay.ruled import BESIDE
from tests.workflows.remote_rig import remote_rig

__all__ = ["BESIDE"]
TITLE = "Login fails on Sundays, script: hears"


async def _delegated(
    client: Client, name: str, script: str, turn: str = "/turn-1", limits: Limits | None = None
) -> str:
    """Played until it ends; a question of it is given up."""
    async with remote_rig(client, script, pace_seconds=0.05, name=name, limits=limits) as item:
        await item.deliver()
        if script in ("works", "answers-in-text"):
            await item.result()
        else:
            await item.given_up(await item.asked())
        return f"{item.handle.id}{turn}"


@beside("DelegateTurn")
async def delegated(client: Client) -> str:
    return await _delegated(client, "delegated", "works")


@beside("DeliverWorkItem")
async def delegated_item(client: Client) -> str:
    return await _delegated(client, "delegated-item", "works", turn="")


@beside("DeliverWorkItem")
async def delegated_and_given_up(client: Client) -> str:
    return await _delegated(client, "delegated-and-given-up", "asks", turn="")


@beside("DelegateTurn")
async def delegated_and_failed(client: Client) -> str:
    return await _delegated(client, "delegated-and-failed", "fails")


@beside("DelegateTurn")
async def delegated_and_asked_again(client: Client) -> str:
    return await _delegated(client, "delegated-and-asked-again", "answers-badly")


@beside("DelegateTurn")
async def delegated_for_too_long(client: Client) -> str:
    return await _delegated(
        client, "delegated-for-too-long", "goes-silent", limits=Limits(wall_time=timedelta(seconds=1))
    )


@beside("DelegateTurn")
async def delegated_and_told(client: Client) -> str:
    async with remote_rig(client, "hears", name="delegated-and-told") as item:
        await item.deliver()
        await item.until(lambda: any("reads the item" in text for text in item.said))
        item.tracker.edit(1, System__Title=TITLE)
        await item.deliver(EventKind.UPDATED, changed={"System.Title": TITLE})
        await item.result()
        return f"{item.handle.id}/turn-1"


@beside("DelegateTurn")
async def delegated_and_answered(client: Client) -> str:
    async with remote_rig(client, "asks", name="delegated-and-answered") as item:
        await item.deliver()
        await item.decide(await item.asked(), "respond", comment="For 2.1.")
        await item.result()
        return f"{item.handle.id}/turn-2"


@beside("ResolveEscalation")
async def left_by_a_terminated_run(client: Client) -> str:
    async with remote_rig(client, "asks", name="left-by-a-terminated-run") as item:
        await item.deliver()
        row = await item.asked()
        await item.handle.terminate("by hand")
        with suppress(WorkflowFailureError):
            await client.get_workflow_handle(row.workflow_id).result()
        return row.workflow_id


@beside("DelegateTurn")
async def delegated_and_cancelled(client: Client) -> str:
    async with remote_rig(client, "goes-silent", name="delegated-and-cancelled") as item:
        await item.deliver()
        await item.until(lambda: "GetTask" in item.service.calls)
        await work_items.cancel(item.client, work_items.workflow_id(item.key), "not needed")
        with suppress(WorkflowFailureError):
            await item.result()
        return f"{item.handle.id}/turn-1"
