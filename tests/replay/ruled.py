"""Paths of items whose project has rules, and of questions about violations; with them all that play themselves."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress

from temporalio.client import Client, WorkflowFailureError

from pointsman.contracts.process import CheckSeverity
from pointsman.contracts.process_control import CheckedProject, ProcessControl
from pointsman.contracts.work_items import EventKind
from pointsman.llm.types import LLMResponse
from tests.replay.beside import BESIDE, beside
from tests.replay.paths import Recording
from tests.workflows.rig import policy
from tests.workflows.rules_rig import PRIORITY, RESOLVED, TOLD, Rules
from tests.worlds import answer
from workflows.violations import question_id

__all__ = ["BESIDE"]

GUARDED = ProcessControl(enforce_from=CheckSeverity.MAJOR, rewrites=1)
WATCHED = ProcessControl(on_events=True, on_open=(TOLD.model_copy(update={"comment": False}),))


@asynccontextmanager
async def _ruled(
    client: Client, path: str, control: ProcessControl, script: Sequence[LLMResponse]
) -> AsyncGenerator[tuple[Recording, Rules]]:
    wanted = policy(needs_approval=()).model_copy(update={"process": control})
    item = Recording(client, path, tuple(script), wanted)
    rules = Rules(item)
    async with (await item.prompt()).worker():
        yield item, rules


@beside("DeliverWorkItem")
async def held_back(client: Client) -> str:
    async with _ruled(client, "held-back", GUARDED, (RESOLVED, RESOLVED)) as (item, _):
        await item.deliver()
        await item.decide(await item.asked(), "approve")
        await item.result()
    return item.handle.id


async def _out_of_scope(client: Client, path: str, control: ProcessControl) -> str:
    async with _ruled(client, path, control, ()) as (item, _):
        item.tracker.edit(1, System__WorkItemType="Epic")
        await item.deliver()
        await item.result()
    return item.handle.id


@beside("DeliverWorkItem")
async def out_of_scope_and_checked(client: Client) -> str:
    project = CheckedProject(organisation="fabrikam", project="Web", process="ours")
    named = WATCHED.model_copy(update={"projects": (project,)})
    return await _out_of_scope(client, "out-of-scope-and-checked", named)


@beside("DeliverWorkItem")
async def out_of_scope_and_none_of_ours(client: Client) -> str:
    return await _out_of_scope(client, "out-of-scope-and-none-of-ours", WATCHED)


@beside("DeliverWorkItem")
async def linked_nowhere(client: Client) -> str:
    """The agent hears that a link cannot be made, wants it again, and people let the rest be written."""
    wanted = policy(needs_approval=(), may_link=("Related",))
    wanted = wanted.model_copy(update={"process": ProcessControl(rewrites=1)})
    item = Recording(client, "linked-nowhere", (answer(links=[("Related", "9")]),), wanted)
    async with (await item.prompt()).worker():
        await item.deliver()
        await item.decide(await item.asked(), "approve")
        await item.result()
    return item.handle.id


@beside("DeliverWorkItem")
async def woken_by_the_other_end(client: Client) -> str:
    """All that is heard of the item is that we linked another one to it."""
    item = Recording(client, "woken-by-the-other-end", (answer(),), policy())
    async with (await item.prompt()).worker():
        await item.hears_of_our_link()
        await item.result()
    return item.handle.id


@beside("DeliverWorkItem")
async def heard_while_it_ends(client: Client) -> str:
    """A run ends for a card that moved, and an edit before that is heard of meanwhile."""
    item = Recording(client, "heard-while-it-ends", (answer(), answer()), policy())
    async with (await item.prompt()).worker():
        await item.deliver()
        await item.result()
        item.tracker.edit(1, System__Title="Basket is empty")
        late = item.hint()
        item.tracker.edit(1, System__BoardLane="Fast")
        item.overtaken(late)
        await item.hand_over(item.hint())
        await item.result()
    return item.handle.id


async def _violating(client: Client, path: str) -> Recording:
    """A violation opens, somebody is asked about it, and the next event resolves it."""
    async with _ruled(client, path, WATCHED, (answer(question="Who?"),)) as (item, _):
        await item.deliver()
        mine = await item.asked(1)
        item.tracker.edit(1, System__State="Resolved")
        await item.deliver(EventKind.UPDATED, changed={"System.State": "Resolved"})
        theirs = await item.asked(2)
        item.tracker.edit(1, Microsoft__VSTS__Common__Priority=1)
        await item.deliver(EventKind.UPDATED, changed={PRIORITY: 1})
        await item.until(lambda: item.escalations.kept[theirs.id].resolution is not None)
        await item.decide(mine, "reject", comment="nobody")
        await item.result()
        with suppress(WorkflowFailureError):
            await client.get_workflow_handle(question_id("VIO-1")).result()
    return item


@beside("DeliverWorkItem")
async def violating(client: Client) -> str:
    return (await _violating(client, "violating")).handle.id


@beside("AskAboutViolation")
async def called_off(client: Client) -> str:
    await _violating(client, "called-off")
    return question_id("VIO-1")


@beside("AskAboutViolation")
async def taken_on(client: Client) -> str:
    async with _ruled(client, "taken-on", WATCHED, (answer(),)) as (item, _):
        item.tracker.edit(1, System__State="Resolved")
        await item.deliver()
        await item.decide(await item.asked(), "approve")
        await item.result()
        await client.get_workflow_handle(question_id("VIO-1")).result()
    return question_id("VIO-1")
