"""Changes of the workflows that must not pass unnoticed: each makes other commands, or the same in another order."""

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PATCHED = "the run of an item asks for a patch"
LATE_SHOW = "attributes are shown after the transition is kept"
# Core looks ahead for the marker of a local activity, so it may change places with commands of the same task.
HARMLESS = (PATCHED, LATE_SHOW)


@dataclass(frozen=True)
class Mutant:
    """`cuts` is replaced by `plants` in order, each found once. `seen_by` names histories that catch it."""

    file: str
    seen_by: str
    cuts: tuple[str, ...]
    plants: tuple[str, ...]


SHOW = "        attributes.show(self._carry)\n"
ENTERED = '            summary=story.summary(f"{state}: {reason}"),\n        )\n'
OPEN, CLIMB = "            await self._open()\n", "            await self._climb()\n"
WORKING = '        await self._enter(WorkItemState.WORKING, f"turn {number} of agent {agent.name}")\n'
ATTEND = "        if await self._attend(child, lambda"
TELL = """            for target in rung.notify:
                await self._notify(target)
"""
DEADLINE = "            deadline = workflow.now() + rung.wait\n"
TOOLS = "await asyncio.gather(*(self._call_tool(call) for call in calls), return_exceptions=True)"
PUBLISHING = "        published = await workflow.execute_activity_method("
CLOSE = "                resolution = await self._close(question, escalation, error)\n"
STEP = "                move = await self._step()\n"
READ = "        await self._read(ask)  # what"
FIRST_WATCH = "        if ask.watch:\n            await self._watch(ask)\n"
SUGGESTED = "            if workflow.info().is_continue_as_new_suggested() and not self._"
NEVER = "            if False and not self._"
EVERY, ONCE = "        while not self._carry.done:\n", "        for _ in range(1):\n"
DECIDED = "        found = await workflow.execute_activity_method(\n            ProcessChecks.decide"
RECEIVED = '                await self._enter(WorkItemState.RECEIVED, "first event")\n'
IN_VAIN = "                if await self._hear() or self._is_in_vain():\n"
PAGES, COMPARED = "        while self._carry.project:\n", "            if self._carry.is_compared:\n"
NEXT_PAGE = "            if workflow.info().is_continue_as_new_suggested() and self._carry.project:\n"
CALLED_OFF = '        task, self._task, self._sending = self._task, "", False\n'
GONE = "        gone = tuple(one for one in self._carry.open_elsewhere if one != stay)\n"
LEFT = "        for turn in self._open_elsewhere:\n"
NOT_TOLD = '        return ""\n'
WITHDRAWN = "DeliverWorkItem.withdrawn-with-its-question"
BY_ID = "    if workflow.patched(STOPS_BY_ID):\n"
SWEEPS = " or not workflow.patched(SWEEPS)"
STOPPED = "        said = await asyncio.gather(*(self._stop_elsewhere(one) for one in ended))\n"
TRIED = '        if ask.dry_run or found.status != "would":\n'
QUICKLY = "            return await workflow.execute_local_activity_method(\n"
SLOWLY = "            return await workflow.execute_activity_method(\n"

MUTANTS = {
    LATE_SHOW: Mutant("item_runs.py", "DeliverWorkItem.[do]*", (SHOW, ENTERED), ("", ENTERED + SHOW)),
    "attributes are not shown": Mutant("item_runs.py", "DeliverWorkItem.out-of-scope", (SHOW,), ("",)),
    "people are told before the question is open": Mutant(
        "escalations.py", "ResolveEscalation.approved", (OPEN + CLIMB,), (CLIMB + OPEN,)
    ),
    "the turn starts before its state is kept": Mutant(
        "work_items.py", "DeliverWorkItem.done", (WORKING, ATTEND), ("", WORKING + ATTEND)
    ),
    "the timer of a rung starts before people are told": Mutant(
        "escalations.py",
        "ResolveEscalation.expired",
        (TELL + DEADLINE,),
        (DEADLINE + "            await workflow.sleep(rung.wait)\n" + TELL,),
    ),
    "a rung starts a second timer": Mutant(
        "escalations.py",
        "ResolveEscalation.approved",
        (DEADLINE,),
        (DEADLINE + "            await workflow.sleep(1)\n",),
    ),
    "a decision is not settled in the books": Mutant(
        "escalations.py",
        "ResolveEscalation.approved",
        ("            resolution = await self._settle(self._resolution(waited))\n",),
        ("            resolution = self._resolution(waited)\n",),
    ),
    "a transition is kept by a regular activity": Mutant(
        "item_runs.py",
        "DeliverWorkItem.out-of-scope",
        ("workflow.execute_local_activity_method(",),
        ("workflow.execute_activity_method(",),
    ),
    "tools of one reply are called one after another": Mutant(
        "turns.py", "TakeTurn.done", (TOOLS,), ("[await self._call_tool(call) for call in calls]",)
    ),
    "an instruction is not handed to the turn": Mutant(
        "item_runs.py", "DeliverWorkItem.comment-while-working", ("                await tell(instruction)\n",), ("",)
    ),
    "a turn is not cancelled with its item": Mutant(
        "children.py", "DeliverWorkItem.deleted-while-working", ("        child.cancel()\n",), ("        pass\n",)
    ),
    "the patch that stops children by their ids is dropped": Mutant(
        "children.py",
        "DeliverWorkItem.withdrawn-with-its-question",
        ("    if workflow.patched(STOPS_BY_ID):\n",),
        ("    if True:\n",),
    ),
    "a question is stopped as if it was the run's own": Mutant(
        "children.py",
        "DeliverWorkItem.withdrawn-with-its-question",
        ("    if workflow.patched(STOPS_BY_ID):\n",),
        ("    if False:\n",),
    ),
    "an answer that is too late counts as an answer": Mutant(
        "escalations.py",
        "ResolveEscalation.decided-too-late",
        ("        if self._closed:\n",),
        ("        if False:\n",),
    ),
    "a question that was terminated is not closed": Mutant(
        "item_runs.py", "DeliverWorkItem.question-terminated", (CLOSE,), ("                raise error\n",)
    ),
    "the patch that closes broken questions is dropped": Mutant(
        "item_runs.py",
        "DeliverWorkItem.question-terminated",
        (" or not workflow.patched(CLOSES_QUESTIONS)",),
        ("",),
    ),
    "people are asked once more about an item that nobody can read": Mutant(
        "work_items.py",
        "DeliverWorkItem.unreadable-and-given-up",
        ("and self._carry.queue and workflow.patched(GIVES_UP):",),
        ("and False:",),
    ),
    "the patch that hears our own echo is dropped": Mutant(
        "work_items.py",
        "DeliverWorkItem.woken-by-own-echo",
        (" and workflow.patched(HEARS_ITSELF)",),
        ("",),
    ),
    "a run takes a turn for its own echo": Mutant(
        "work_items.py",
        "DeliverWorkItem.woken-by-own-echo",
        ("        if follows and self._only_echoes:\n",),
        ("        if False:\n",),
    ),
    "the patch that hears what was not worked on is dropped": Mutant(
        "work_items.py", "DeliverWorkItem.heard-while-it-ends", (" and workflow.patched(HEARS_UNUSED)",), ("",)
    ),
    "what was read and not worked on counts as known": Mutant(
        "work_items.py", "DeliverWorkItem.heard-while-it-ends", (" or (unused and not self._only_echoes):",), (":",)
    ),
    "the patch that asks another model is dropped": Mutant(
        "turns.py", "TakeTurn.fallen-back", (" or not workflow.patched(FALLS_BACK)",), ("",)
    ),
    "a turn ends where its model does not answer": Mutant(
        "turns.py", "TakeTurn.fallen-back", ("fallback is None or not workflow.patched(FALLS_BACK)",), ("True",)
    ),
    "a run does not continue as new": Mutant(
        "work_items.py",
        "DeliverWorkItem.continued-1",
        ("                await self._continue_as_new_if_due()\n",),
        ("",),
    ),
    "a run continues as new before a stage": Mutant(
        "work_items.py",
        "DeliverWorkItem.continued-*",
        (STEP,),
        ("                await self._continue_as_new_if_due()\n" + STEP,),
    ),
    "subscriptions are looked after before what the service kept of deliveries is read": Mutant(
        "recovery.py", "RecoverEvents.recovered-and-repaired", (FIRST_WATCH, READ), ("", FIRST_WATCH + READ)
    ),
    "subscriptions are not looked after once all is back": Mutant(
        "recovery.py",
        "RecoverEvents.recovered-and-repaired",
        ("        if ask.watch:\n            await self._watch(ask, self._carry.tally)\n",),
        ("",),
    ),
    "a recovery ends where subscriptions may not be read": Mutant(
        "recovery.py",
        "RecoverEvents.recovered-unwatched",
        ("            if is_cancelled_exception(error):\n                raise\n",),
        ("            raise\n",),
    ),
    "what a recovery came to is not kept": Mutant(
        "recovery.py",
        "RecoverEvents.recovered",
        ("        result = self._result(ask)\n        kept = await workflow",),
        ("        result = self._result(ask)\n        return result\n        kept = await workflow",),
    ),
    "a recovery does not continue as new": Mutant(
        "recovery.py",
        "RecoverEvents.recovered-in-several-runs-1",
        (SUGGESTED,),
        ("            if False and not self._",),
    ),
    "a check ends behind its first items": Mutant(
        "process.py",
        "CheckProcess.checked",
        ("        while not self._carry.done:\n",),
        ("        for _ in range(1):\n",),
    ),
    "a check does not continue as new": Mutant(
        "process.py", "CheckProcess.checked-in-several-runs-1", (SUGGESTED,), (NEVER,)
    ),
    "people are not told of what a check of one item opens": Mutant(
        "process.py", "CheckWorkItem.item-checked", ("        if found.act:\n",), ("        if False:\n",)
    ),
    "a check of one item does not continue as new": Mutant(
        "process.py",
        "CheckWorkItem.item-checked-in-several-runs-1",
        ("_suggested() and self._next is not None:\n",),
        ("_suggested() and False:\n",),
    ),
    "a decision on a violation is asked for once more": Mutant(
        "process.py",
        "DecideViolation.waived",
        (DECIDED,),
        ("        await workflow.sleep(1)\n" + DECIDED,),
    ),
    "items of projects that are none of policy's affair are checked": Mutant(
        "item_runs.py",
        "DeliverWorkItem.out-of-scope-and-none-of-ours",
        ("not workflow.patched(INSPECTS_RULED)",),
        ("True",),
    ),
    "people are asked on about what somebody has decided on": Mutant(
        "process.py",
        "DecideViolation.acknowledged-while-people-are-asked",
        ("        if found.asked and",),
        ("        if False and",),
    ),
    "an item that moved goes on with the same agent": Mutant(
        "item_runs.py",
        "DeliverWorkItem.moved-while-working",
        (IN_VAIN,),
        ("                if await self._hear():\n",),
    ),
    "a comparison ends behind its first page": Mutant(
        "reconciliation.py", "ReconcileProject.compared", (PAGES,), ("        for _ in range(1):\n",)
    ),
    "a comparison keeps no report": Mutant(
        "reconciliation.py",
        "ReconcileProject.compared",
        (COMPARED,),
        ("            if False:\n",),
    ),
    "a comparison does not continue as new": Mutant(
        "reconciliation.py", "ReconcileProject.compared-in-several-runs-1", (NEXT_PAGE,), ("            if False:\n",)
    ),
    "the patch that closes ended runs is dropped": Mutant(
        "reconciliation.py", "ReconcileProject.compared-and-closed", (SWEEPS,), ("",)
    ),
    "what is over in Temporal stays open in the books": Mutant(
        "reconciliation.py", "ReconcileProject.compared-and-closed", (SWEEPS,), (" or True",)
    ),
    "agents elsewhere are not told that a run was ended": Mutant(
        "reconciliation.py",
        "ReconcileProject.compared-and-closed",
        (STOPPED,),
        ('        said = [""] * len(ended)\n',),
    ),
    "a dry run of a rollback writes": Mutant(
        "rollback.py", "RollBackItem.rollback-tried", (TRIED,), ('        if found.status != "would":\n',)
    ),
    "an agent elsewhere is not told to stop": Mutant(
        "agent_services.py", "DelegateTurn.delegated-and-cancelled", (CALLED_OFF,), (CALLED_OFF + NOT_TOLD,)
    ),
    "what waits elsewhere for an answer that never comes is left waiting": Mutant(
        "work_items.py", "DeliverWorkItem.delegated-and-given-up", (GONE,), ("        gone: tuple[str, ...] = ()\n",)
    ),
    "what a terminated run left open elsewhere is left open by its question": Mutant(
        "escalations.py", "ResolveEscalation.left-by-a-terminated-run", (LEFT,), ("        for turn in ():\n",)
    ),
    "progress of an agent elsewhere is not said on the item": Mutant(
        "agent_services.py", "DelegateTurn.delegated", ("            await self._tell_status(found.note)\n",), ("",)
    ),
    "the patch that hears events at once is dropped": Mutant(
        "hearing.py",
        "DeliverWorkItem.several-at-once-while-waiting",
        ("    if workflow.patched(AT_ONCE):\n",),
        ("    if True:\n",),
    ),
    "events are judged by an activity of its own": Mutant(
        "hearing.py", "DeliverWorkItem.several-at-once-while-waiting", (QUICKLY,), (SLOWLY,)
    ),
    "events that come together are not heard": Mutant(
        "listening.py",
        "DeliverWorkItem.several-at-once-while-waiting",
        ("        for event in told.events:\n",),
        ("        for event in told.events[:0]:\n",),
    ),
    "the patch that leaves out what is so already is dropped": Mutant(
        "item_runs.py",
        "DeliverWorkItem.nothing-to-write",
        (" or not workflow.patched(patch)",),
        ("",),
    ),
    "links that are there are left out under the patch of fields": Mutant(
        "item_runs.py",
        "DeliverWorkItem.nothing-to-link",
        (" else NARROWS_LINKS\n",),
        (" else NARROWS\n",),
    ),
    "what is so already is asked about": Mutant(
        "work_items.py",
        "DeliverWorkItem.nothing-to-write",
        ("        result = await self._narrow(result)\n",),
        ("",),
    ),
    "what has left the scope is not checked": Mutant(
        "work_items.py",
        "DeliverWorkItem.out-of-scope-and-checked",
        ("and workflow.patched(INSPECTS_ALL)",),
        ("and False",),
    ),
    PATCHED: Mutant(
        "work_items.py",
        "*",
        (RECEIVED,),
        (
            RECEIVED
            + '                if workflow.patched("wait-first"):\n                    await workflow.sleep(0.01)\n',
        ),
    ),
}


def plant(folder: Path, mutant: Mutant | None = None) -> Path:
    """A copy of the workflows in `folder`, changed as asked."""
    copy = folder / "workflows"
    # With what is compiled of them, but not what another process writes just now.
    shutil.copytree(ROOT / "workflows", copy, ignore=shutil.ignore_patterns("*.pyc.*"))
    if mutant is not None:
        file = copy / mutant.file
        text = file.read_text(encoding="utf-8")
        for cut, planted in zip(mutant.cuts, mutant.plants, strict=True):
            assert text.count(cut) == 1, f"{mutant.file} holds {text.count(cut)} times: {cut}"
            text = text.replace(cut, planted)
        file.write_text(text, encoding="utf-8")
    return folder
