"""Every path that a work item, a turn and a question can take, played on the rig of the workflow tests."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio.client import Client, WorkflowFailureError

from pointsman.contracts.policy import Ladder, Limits, Policy, Rung, Severity
from pointsman.contracts.work_items import EventKind, WorkItemKey
from pointsman.llm.errors import AuthenticationError
from pointsman.llm.types import LLMRequest, LLMResponse
from pointsman.ports import Rejected
from starter import work_items
from tests.workflows.obstacles import DeafPeople, HeldEscalations, HeldTracker, Hold, RefusingBodies
from tests.workflows.plain_rig import PlainRig
from tests.workflows.rig import policy
from tests.workflows.test_events import Pause, instructed
from tests.worlds import FakeModel, answer, calls, says

CLOSING = answer(System__State="Resolved")
LOOKS = calls(("known__look", {"id": 7}), ("known__look", {"id": 8}))
ITEM, TURN, ESCALATION = "", "/turn-1", "/escalation-1"


class Recording(PlainRig):
    """A rig whose names are the same in each recording."""

    def __init__(self, client: Client, path: str, script: tuple[LLMResponse | Exception, ...], wanted: Policy) -> None:
        super().__init__(client, *script, wanted=wanted)
        self.queue = f"recorded-{path}"
        self.key = WorkItemKey(organisation="fabrikam", project=self.queue, id=1)
        self.hold = Hold()


Play = Callable[[Recording], Awaitable[None]]


@dataclass(frozen=True)
class Path:
    """`keeps`: which workflows' histories are kept, by what follows the item's workflow id."""

    play: Play
    keeps: Mapping[str, str]
    script: tuple[LLMResponse | Exception, ...] = ()
    set_up: Callable[[Recording], None] = lambda item: None
    wanted: Policy = field(default_factory=policy)
    impatient: bool = False
    """Played on a server that suggests to continue as new at once."""


PATHS: dict[str, Path] = {}


def path(
    *script: LLMResponse | Exception,
    set_up: Callable[[Recording], None] = lambda item: None,
    wanted: Policy | None = None,
    impatient: bool = False,
    **keeps: str,
) -> Callable[[Play], Play]:
    """Make a path of a function. Keywords name what is kept: `TakeTurn=TURN`."""

    def register(play: Play) -> Play:
        PATHS[play.__name__.replace("_", "-")] = Path(play, keeps, script, set_up, wanted or policy(), impatient)
        return play

    return register


def quick() -> Policy:
    """As the rig's, with rungs that a recording can wait for."""
    rungs = (Rung(notify=("team",), wait=timedelta(seconds=1)), Rung(notify=("lead",), wait=timedelta(seconds=1)))
    return policy().model_copy(
        update={"ladders": tuple(Ladder(severity=severity, rungs=rungs) for severity in Severity)}
    )


async def ended(item: Recording) -> None:
    with suppress(WorkflowFailureError):
        await item.result()


@path(LOOKS, answer("Like #7.", tags=["triaged"]), DeliverWorkItem=ITEM, TakeTurn=TURN)
async def done(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(set_up=lambda item: item.tracker.add(1, System__WorkItemType="Epic"), DeliverWorkItem=ITEM)
async def out_of_scope(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(set_up=lambda item: item.tracker.add(1, System__WorkItemType="Task"), DeliverWorkItem=ITEM)
async def routed_by_human(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "respond", comment="triage")
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def approved(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "approve")
    await ended(item)


@path(CLOSING, ResolveEscalation=ESCALATION)
async def approved_by_signal(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    await item.signal(row, {"verb": "approve", "by": "grace", "subject": row.escalation.subject[:12]})
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def edited(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "edit", edits={"System.State": "Closed"})
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def rejected(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "reject", comment="not before Monday")
    await ended(item)


@path(CLOSING, answer("Left as it is."), DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def responded(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "respond", comment="leave the state alone")
    await ended(item)


@path(CLOSING, wanted=quick(), DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def expired(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(answer(question="Which customer?"), answer(), DeliverWorkItem=ITEM, TakeTurn=TURN)
async def question(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "respond", comment="Contoso")
    await ended(item)


@path(LOOKS, answer(), wanted=policy(limits=Limits(tool_calls=1)), DeliverWorkItem=ITEM, TakeTurn=TURN)
async def limit(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "approve")
    await ended(item)


@path(says("I think it is fine."), answer(), TakeTurn=TURN)
async def repaired(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(says("no"), says("still no"), answer(), DeliverWorkItem=ITEM, TakeTurn=TURN)
async def invalid(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "approve")
    await ended(item)


@path(AuthenticationError("key refused", provider="fake"), DeliverWorkItem=ITEM, TakeTurn=TURN)
async def failed(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "reject", comment="no key this year")
    await ended(item)


def _another_model(item: Recording) -> None:
    item.other_models = [FakeModel(LOOKS, answer("The other one answers."), provider="other")]


@path(AuthenticationError("key refused", provider="fake"), set_up=_another_model, DeliverWorkItem=ITEM, TakeTurn=TURN)
async def fallen_back(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(answer(Microsoft__VSTS__Common__Priority=1), DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def conflict(item: Recording) -> None:
    item.model.on_request = lambda request: item.tracker.edit(1, Microsoft__VSTS__Common__Priority=4)
    await item.deliver()
    await item.decide(await item.asked(), "approve")
    await ended(item)


@path(LOOKS, answer(), DeliverWorkItem=ITEM, TakeTurn=TURN)
async def comment_while_working(item: Recording) -> None:
    pause = Pause(item)
    await item.deliver()
    await pause.reached.wait()
    await item.deliver(EventKind.COMMENTED, comment="Only on Safari")
    await instructed(item)
    pause.released.set()
    await ended(item)


@path(CLOSING, answer("Noted."), DeliverWorkItem=ITEM)
async def comment_while_waiting(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    await item.deliver(EventKind.COMMENTED, rev=2, comment="One more thing")
    await item.decide(row, "approve")
    await ended(item)


@path(CLOSING, answer("Noted."), DeliverWorkItem=ITEM)
async def several_at_once_while_waiting(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    said = [item.event(EventKind.COMMENTED, rev=rev, comment=text) for rev, text in ((2, "One more"), (3, "Another"))]
    await item.hand_over(*said)
    await item.decide(row, "approve")
    await ended(item)


@path(DeliverWorkItem=ITEM, TakeTurn=TURN)
async def deleted_while_working(item: Recording) -> None:
    pause = Pause(item)
    await item.deliver()
    await pause.reached.wait()
    item.tracker.remove(1)
    await item.deliver(EventKind.DELETED)
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def deleted_while_waiting(item: Recording) -> None:
    await item.deliver()
    await item.asked()
    item.tracker.remove(1)
    await item.deliver(EventKind.DELETED)
    await ended(item)


@path(answer("Seen.", tags=["triaged"]), DeliverWorkItem=ITEM)
async def woken_by_own_echo(item: Recording) -> None:
    """A run that the echo of an earlier run's write starts. Of the two runs the later one is kept."""
    item.tracker.after_write = lambda key: None
    await item.deliver()
    await ended(item)
    (row,) = item.ledger.kept.values()
    await item.deliver(EventKind.UPDATED, rev=row.rev, changed=dict(row.values))
    await ended(item)


@path(DeliverWorkItem=ITEM)
async def restored_while_withdrawn(item: Recording) -> None:
    """The restoration comes in while the cancelled turn still closes its connection."""

    async def linger(request: LLMRequest) -> None:
        try:
            await item.hold.wait()
        except asyncio.CancelledError:
            item.tracker.remove(1, deleted=False)
            await item.deliver(EventKind.RESTORED)
            item.model.on_request = lambda request: None
            raise

    item.model.on_request = linger
    await item.deliver()
    await item.hold.reached.wait()
    item.tracker.remove(1)
    await item.deliver(EventKind.DELETED)
    await ended(item)


def _slow_to_write(item: Recording) -> None:
    item.tracker = HeldTracker(item.hold)
    item.tracker.add(1)


@path(answer(), answer("Noted."), set_up=_slow_to_write, DeliverWorkItem=ITEM)
async def comment_while_publishing(item: Recording) -> None:
    await item.deliver()
    await item.hold.reached.wait()
    await item.deliver(EventKind.COMMENTED, rev=2, comment="One more thing")
    item.hold.released.set()
    await ended(item)


def _unreadable(item: Recording) -> None:
    _slow_to_write(item)
    item.bodies = RefusingBodies()


@path(answer(), set_up=_unreadable, DeliverWorkItem=ITEM)
async def event_unjudged(item: Recording) -> None:
    await item.deliver()
    await item.hold.reached.wait()
    await item.deliver(EventKind.COMMENTED, comment="Unreadable")
    item.hold.released.set()
    await item.decide(await item.asked(), "reject", comment="leave it")
    await ended(item)


def _not_ours(item: Recording) -> None:
    item.tracker.failures += [Rejected("organisation 'nowhere' is not among ours")] * 20
    item.bodies = RefusingBodies()


@path(set_up=_not_ours, DeliverWorkItem=ITEM)
async def unreadable_and_given_up(item: Recording) -> None:
    await item.deliver(EventKind.COMMENTED, comment="Of an organisation that nobody named")
    await item.decide(await item.asked(), "reject", comment="not one of ours")
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM, ResolveEscalation=ESCALATION)
async def cancelled_while_waiting(item: Recording) -> None:
    await item.deliver()
    await item.asked()
    await work_items.cancel(item.client, item.handle.id, "not needed")
    await ended(item)


@path(LOOKS, DeliverWorkItem=ITEM, TakeTurn=TURN)
async def cancelled_while_working(item: Recording) -> None:
    pause = Pause(item)
    await item.deliver()
    await pause.reached.wait()
    await work_items.cancel(item.client, item.handle.id, "not needed")
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM)
async def question_cancelled(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    await item.client.get_workflow_handle(row.workflow_id).cancel()
    await ended(item)


@path(CLOSING, DeliverWorkItem=ITEM)
async def question_terminated(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    await item.client.get_workflow_handle(row.workflow_id).terminate("not needed")
    await ended(item)


@path(CLOSING, ResolveEscalation=ESCALATION)
async def signals_refused(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    await item.signal(row, {"verb": "aprove", "by": "ada"})
    await item.signal(row, ["approve"])
    await item.until(lambda: len(item.escalations.refused) == 2)
    await item.signal(row, {"verb": "approve", "by": "ada", "subject": "00000000"})
    await item.until(lambda: len(item.escalations.refused) == 3)
    signed = {"by": "ada", "subject": row.escalation.subject}
    await item.signal(row, {"verb": "approve", **signed})
    with suppress(Exception):  # it may have ended by now, and then there is no second one to be late
        await item.signal(row, {"verb": "reject", "comment": "no", **signed})
    await ended(item)


def _slow_to_settle(item: Recording) -> None:
    item.escalations = HeldEscalations(settling=item.hold)


@path(CLOSING, set_up=_slow_to_settle, wanted=quick(), ResolveEscalation=ESCALATION)
async def decided_too_late(item: Recording) -> None:
    await item.deliver()
    row = await item.asked()
    await item.hold.reached.wait()
    await item.signal(row, {"verb": "approve", "by": "grace", "subject": row.escalation.subject})
    item.hold.released.set()
    await ended(item)


def _nobody_there(item: Recording) -> None:
    item.people = DeafPeople()


@path(CLOSING, set_up=_nobody_there, wanted=quick(), ResolveEscalation=ESCALATION)
async def not_told(item: Recording) -> None:
    await item.deliver()
    await ended(item)


@path(LOOKS, CLOSING, impatient=True, DeliverWorkItem=ITEM)
async def continued(item: Recording) -> None:
    await item.deliver()
    await item.decide(await item.asked(), "approve")
    await ended(item)
