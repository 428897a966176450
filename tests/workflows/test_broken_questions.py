"""A question that somebody ends in Temporal's UI leaves no row open: the item's own run closes it, and says why.

On a server whose clock runs as ours does: the test server's clock stands still after a run was terminated with an
activity under way.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import pytest
from temporalio.client import Client

from pointsman.contracts.base import Json
from pointsman.contracts.escalations import Decision, Escalation, Resolution
from pointsman.contracts.records import Caller, EscalationRow
from pointsman.contracts.work_items import EventKind, WorkItemState
from pointsman.ports import Rejected
from pointsman.temporal_server import DevServer
from starter import work_items
from tests.books import MemoryEscalations
from tests.workflows.obstacles import HeldEscalations, Hold
from tests.workflows.plain_rig import PlainRig
from tests.worlds import FakePeople, answer

pytestmark = pytest.mark.slow
CLOSING = answer(System__State="Resolved")
TERMINATED = "terminated in Temporal"


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


@asynccontextmanager
async def waiting(client: Client, set_up: Callable[[PlainRig], None] = lambda item: None) -> AsyncGenerator[PlainRig]:
    """An item whose proposal waits for approval."""
    item = await PlainRig(client, CLOSING).prompt()
    set_up(item)
    async with item.worker():
        await item.deliver()
        yield item


def question(item: PlainRig) -> str:
    return f"{item.handle.id}/escalation-1"


def only(item: PlainRig) -> EscalationRow:
    (row,) = item.escalations.kept.values()
    return row


async def test_a_terminated_question_is_closed_and_parks_the_item(client: Client) -> None:
    async with waiting(client) as item:
        row = await item.asked()
        await client.get_workflow_handle(row.workflow_id).terminate("nobody needs this")
        result = await item.result()
        row = only(item)
    assert (result.state, result.reason) == (WorkItemState.PARKED, f"the question was {TERMINATED}")
    assert row.closed_at is not None
    assert row.resolution is not None
    assert (row.resolution.outcome, row.resolution.reason, row.decision) == ("withdrawn", TERMINATED, None)
    assert (item.tracker.writes[1], await item.escalations.find(pending_only=True)) == (0, [])


async def test_the_question_of_an_item_that_is_terminated_is_closed(client: Client) -> None:
    async with waiting(client) as item:
        await item.asked()
        await item.handle.terminate("by hand")
        await item.until(lambda: only(item).closed_at is not None)
        resolution = only(item).resolution
    assert resolution is not None
    assert resolution.outcome == "withdrawn"


async def test_a_question_that_is_terminated_while_people_are_told_is_closed(client: Client) -> None:
    hold = Hold()

    class SlowPeople(FakePeople):
        async def notify(self, target: str, subject: str, text: str) -> str:
            await hold.wait()
            return await super().notify(target, subject, text)

    def slow(item: PlainRig) -> None:
        item.people = SlowPeople()

    async with waiting(client, slow) as item:
        await hold.reached.wait()
        await client.get_workflow_handle(question(item)).terminate()
        result = await item.result()
        hold.released.set()
    assert (result.state, len(item.escalations.kept)) == (WorkItemState.PARKED, 1)
    assert only(item).closed_at is not None


async def test_a_row_that_a_terminated_question_opens_late_is_closed_already(client: Client) -> None:
    """The attempt that opens it goes on after its run has ended: there is no order between the two."""
    hold = Hold()

    class Late(MemoryEscalations):
        async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
            if caller.activity == "escalations.open":
                await hold.wait()
            return await super().open(escalation, caller)

    def late(item: PlainRig) -> None:
        item.escalations = Late()

    async with waiting(client, late) as item:
        await hold.reached.wait()
        await client.get_workflow_handle(question(item)).terminate()
        await item.result()
        hold.released.set()
    # Leaving the block waits for the attempt.
    assert only(item).closed_at is not None


async def test_a_decision_that_is_in_the_books_already_stands(client: Client) -> None:
    """Terminated between the settlement and the end of its run."""
    hold = Hold()

    class SlowAnswer(MemoryEscalations):
        async def settle(
            self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
        ) -> EscalationRow:
            row = await super().settle(escalation_id, decision, resolution, caller)
            if row.decision is not None and not hold.released.is_set():
                await hold.wait()
            return row

    def slow(item: PlainRig) -> None:
        item.escalations = SlowAnswer()

    async with waiting(client, slow) as item:
        row = await item.asked()
        signed: Json = {"verb": "approve", "by": "grace", "subject": row.escalation.subject}
        await item.signal(row, signed)
        await hold.reached.wait()
        await client.get_workflow_handle(row.workflow_id).terminate()
        hold.released.set()
        result = await item.result()
        row = only(item)
    assert (result.state, item.tracker.writes[1]) == (WorkItemState.DONE, 1)
    assert row.resolution is not None
    assert (row.resolution.outcome, row.resolution.by) == ("decided", "grace")


async def test_a_question_that_fails_is_closed_with_the_reason(client: Client) -> None:
    class Damaged(MemoryEscalations):
        async def settle(
            self, escalation_id: str, decision: Decision | None, resolution: Resolution, caller: Caller
        ) -> EscalationRow:
            if caller.activity == "escalations.settle":
                raise Rejected("its row cannot be read")
            return await super().settle(escalation_id, decision, resolution, caller)

    def damaged(item: PlainRig) -> None:
        item.escalations = Damaged()

    async with waiting(client, damaged) as item:
        await item.decide(await item.asked(), "approve")
        result = await item.result()
        row = only(item)
    assert (result.state, item.tracker.writes[1]) == (WorkItemState.FAILED, 0)
    assert row.resolution is not None
    assert (row.resolution.outcome, row.resolution.reason) == ("withdrawn", "its own run failed")


async def test_a_question_that_can_neither_be_asked_nor_closed_fails_the_item(client: Client) -> None:
    class Closed(MemoryEscalations):
        async def open(self, escalation: Escalation, caller: Caller) -> EscalationRow:
            raise Rejected("no such table")

    def closed(item: PlainRig) -> None:
        item.escalations = Closed()

    async with waiting(client, closed) as item:
        result = await item.result()
    assert (result.state, item.escalations.kept) == (WorkItemState.FAILED, {})
    assert result.reason.startswith("the question could not be asked")


async def test_a_question_that_is_terminated_while_it_withdraws_is_closed(client: Client) -> None:
    """The item is deleted, its question begins to close its row, and somebody is quicker."""
    hold = Hold()

    def held(item: PlainRig) -> None:
        item.escalations = HeldEscalations(settling=hold)

    async with waiting(client, held) as item:
        row = await item.asked()
        item.tracker.remove(1)
        await item.deliver(EventKind.DELETED)
        await hold.reached.wait()
        await client.get_workflow_handle(row.workflow_id).terminate()
        hold.released.set()
        result = await item.result()
    assert (result.state, result.reason) == (WorkItemState.WITHDRAWN, "deleted in Azure DevOps")
    assert only(item).closed_at is not None


async def test_a_question_that_is_terminated_while_its_item_is_cancelled_is_closed(client: Client) -> None:
    hold = Hold()

    def held(item: PlainRig) -> None:
        item.escalations = HeldEscalations(settling=hold)

    async with waiting(client, held) as item:
        row = await item.asked()
        await work_items.cancel(client, item.handle.id, "not needed")
        await hold.reached.wait()
        await client.get_workflow_handle(row.workflow_id).terminate()
        hold.released.set()
        await item.until(lambda: only(item).closed_at)
        await item.until(lambda: item.items.states and item.items.states[-1] == WorkItemState.WITHDRAWN)
    assert only(item).closed_at is not None
