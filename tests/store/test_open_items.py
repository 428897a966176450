"""Items that are open in our books: found, closed once, and left alone where they have moved on."""

from datetime import UTC, datetime, timedelta

from pointsman.contracts.reconciliation import Conversation, EndedRun, OpenItem, RunEnd, RunStatus
from pointsman.contracts.records import Caller
from pointsman.contracts.work_items import Transition, Usage, WorkItemState
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.escalations import Escalations
from pointsman.store.items import Items
from pointsman.store.open_items import OpenItems
from pointsman.store.transcripts import Transcripts
from tests.store.samples import CALLER, CHAIN, FACTS, KEY, NOW, escalation

SWEEP = Caller(workflow_id="reconcile/fabrikam/*", run_id="sweep-1")
USED = Usage(model_calls=2, cost_usd="0.5")
LATER = NOW + timedelta(hours=1)


async def step(store: Store, number: int, state: WorkItemState, caller: Caller = CALLER) -> None:
    at = NOW + timedelta(minutes=number)
    told = Transition(number=number, before=None, after=state, reason="test", at=at, agent="triage", history_length=9)
    await Items(store).record(told, CHAIN, caller, USED, 7.0)


async def waiting(store: Store) -> OpenItem:
    await Items(store).take_in(FACTS, CHAIN, CALLER)
    await step(store, 1, WorkItemState.WORKING)
    await step(store, 2, WorkItemState.WAITING)
    (found,) = await OpenItems(store).find("fabrikam", "Rail", 0, datetime.now(UTC), 10)
    return found


def terminated(item: OpenItem) -> EndedRun:
    end = RunEnd(status=RunStatus.TERMINATED, by="ada@desk", reason="stuck", history_length=40)
    return EndedRun(item=item, end=end, state=WorkItemState.FAILED, reason="terminated: stuck", at=LATER)


async def test_an_item_is_closed_once_with_the_use_of_its_run_and_an_event(store: Store) -> None:
    books, found = OpenItems(store), await waiting(store)
    assert [await books.close(terminated(found), SWEEP) for _ in range(2)] == [True, True]
    row = await Items(store).get("fabrikam", 42)
    assert row is not None
    assert (row.state, row.reason, row.changed_at) == (WorkItemState.FAILED, "terminated: stuck", LATER)
    assert (row.usage, row.waited_seconds, row.agent) == (USED, 7.0, "triage")
    *_, last = await Items(store).transitions(KEY)
    assert (last.run_id, last.transition.number, last.transition.before) == ("run-1", 3, WorkItemState.WAITING)
    (event,) = await Audit(store).find(action="item.ended_outside")
    assert (event.actor, event.data["status"], event.data["by"]) == (
        "reconcile/fabrikam/*/sweep-1",
        "terminated",
        "ada@desk",
    )
    assert await books.find("fabrikam", "rail", 0, datetime.now(UTC) + timedelta(days=999), 10) == []


async def test_an_item_that_has_moved_on_is_left_alone(store: Store) -> None:
    books, found = OpenItems(store), await waiting(store)
    await step(store, 1, WorkItemState.RECEIVED, CALLER.model_copy(update={"run_id": "run-2"}))
    assert not await books.close(terminated(found), SWEEP)
    row = await Items(store).get("fabrikam", 42)
    assert row is not None
    assert row.state is WorkItemState.RECEIVED
    assert await Audit(store).find(action="item.ended_outside") == []


async def test_a_run_that_goes_on_says_where_its_item_stands(store: Store) -> None:
    """Temporal was lost for a while, and the item closed; its history came back."""
    found = await waiting(store)
    await OpenItems(store).close(terminated(found), SWEEP)
    at = LATER + timedelta(minutes=1)
    told = Transition(number=3, before=None, after=WorkItemState.DONE, reason="written", at=at, history_length=60)
    await Items(store).record(told, CHAIN, CALLER, USED, 7.0)
    row = await Items(store).get("fabrikam", 42)
    assert row is not None
    assert row.state is WorkItemState.DONE


async def test_what_its_run_asked_people_is_withdrawn_and_no_other_question(store: Store) -> None:
    escalations = Escalations(store)
    found = await waiting(store)
    asked = CALLER.model_copy(update={"workflow_id": f"{CALLER.workflow_id}/escalation-1"})
    mine = await escalations.open(escalation(), asked)
    rule = await escalations.open(escalation(2), Caller(workflow_id="process/question/VIO-1/escalation", run_id="r"))
    await OpenItems(store).close(terminated(found), SWEEP)
    assert [row.id for row in await escalations.find()] == [rule.id]
    closed = await escalations.get(mine.id)
    assert closed is not None
    assert closed.resolution is not None
    assert closed.resolution.outcome == "withdrawn"


async def test_items_that_moved_just_now_or_are_elsewhere_are_not_found(store: Store) -> None:
    books, found = OpenItems(store), await waiting(store)
    assert await books.find("fabrikam", "rail", 0, found.changed_at, 10) == []
    assert await books.find("fabrikam", "other", 0, LATER, 10) == []
    assert await books.find("fabrikam", "rail", 42, LATER, 10) == []


async def test_conversations_with_agents_elsewhere_are_known_from_their_tasks(store: Store) -> None:
    transcripts, found = Transcripts(store), await waiting(store)
    runs = (f"{CALLER.workflow_id}@r-1/triage", f"{CALLER.workflow_id}@r-2/triage")
    for name, slot in ((runs[0], "1/1/task"), (runs[1], "2/1/task"), (runs[1], "3/1/task"), (runs[1], "4/1/say")):
        await transcripts.append(name, CHAIN, slot, "system", b"task-1")
    await transcripts.append(f"{CALLER.workflow_id}@r-2/turn-1", CHAIN, "open/item", "user", b"hello")
    told = await OpenItems(store).conversations(found, 10)
    assert told == [Conversation(transcript=runs[1], turn=3), Conversation(transcript=runs[0], turn=1)]
    assert len(await OpenItems(store).conversations(found, 1)) == 1
