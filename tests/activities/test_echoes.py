"""What becomes of a write in each state of the ledger, whether its event arrives or not, and whose event it is."""

import json
from datetime import UTC, datetime

import pytest
from temporalio.testing import ActivityEnvironment

from activities.work_items import WorkItems
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Classify, Publish, Published
from pointsman.contracts.records import Caller, Chain, Delivery, WriteIntent
from pointsman.contracts.work_items import EventKind, Judgement, Proposal, Verdict, WorkItemEvent, WorkItemKey
from pointsman.domain.proposals import canonical
from tests.books import MemoryBodies, MemoryContents, MemoryItems, MemoryLedger
from tests.books_sync import memory_sync
from tests.worlds import ACCOUNT, PERSON, FakeTracker

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=1)
PRIORITY = "Microsoft.VSTS.Common.Priority"
OPERATION = "run/1.1"
US = Caller(workflow_id="w", run_id="r")
STATES = ("none", "intended", "abandoned", "written")
DOUBTFUL = ("intended", "abandoned")


class Desk:
    """One write of priority 1 on revision 1, in some state of the ledger. `carried_out`: the service has made it."""

    def __init__(self) -> None:
        self.tracker, self.ledger = FakeTracker(), MemoryLedger()
        self.contents, self.bodies = MemoryContents(), MemoryBodies()
        self.tracker.add(1)
        self.before = dict(self.tracker.items[1].fields)
        self.room = WorkItems(self.tracker, self.contents, MemoryItems(), self.ledger, self.bodies, sync=memory_sync())

    async def ledger_says(self, state: str, *, carried_out: bool) -> None:
        if state != "none":
            chain = Chain(tenant="default", correlation_id="chain", key=KEY)
            values: dict[str, Json] = {PRIORITY: 1}
            await self.ledger.intend(WriteIntent(operation=OPERATION, chain=chain, base_rev=1, values=values), US)
        if carried_out:
            self.tracker.edit(1, by=ACCOUNT, Microsoft__VSTS__Common__Priority=1)
        if state == "written":
            await self.ledger.settle(OPERATION, "written", 2, US)
        if state == "abandoned":
            await self.ledger.settle(OPERATION, "abandoned", 0, US)

    async def hear(self, actor: str, rev: int = 2, value: int = 1) -> Judgement:
        change: Json = {PRIORITY: {"oldValue": None, "newValue": value}}
        resource: Json = {"id": 2, "workItemId": 1, "rev": rev, "fields": change}
        body: Json = {
            "id": "d",
            "eventType": "workitem.updated",
            "resource": resource,
            "resourceContainers": {"collection": {"baseUrl": "https://dev.azure.com/fabrikam/"}},
        }
        self.bodies.kept["d"] = Delivery(
            id="d",
            sequence=1,
            correlation_id="d",
            chain_id="d",
            received_at=datetime.now(UTC),
            tenant="default",
            idempotency_key="d",
            body=json.dumps(body).encode(),
        )
        event = WorkItemEvent(
            delivery_id="d",
            idempotency_key="d",
            correlation_id="d",
            kind=EventKind.UPDATED,
            key=KEY,
            rev=rev,
            actor=actor,
        )
        ask = Classify(key=KEY, tenant="default", correlation_id="chain", known_rev=1, events=(event,))
        (judgement,) = await ActivityEnvironment().run(self.room.classify, ask)
        return judgement

    async def publish(self) -> Published:
        ask = Publish(
            key=KEY,
            tenant="default",
            correlation_id="chain",
            operation=OPERATION,
            proposal=await self.contents.put(canonical(Proposal(fields={PRIORITY: 1}))),
            base=await self.contents.put(json.dumps(self.before).encode()),
            base_rev=1,
        )
        return await ActivityEnvironment().run(self.room.publish, ask)

    @property
    def row(self) -> tuple[str, int]:
        kept = self.ledger.kept.get(OPERATION)
        return (kept.status, kept.rev) if kept else ("none", 0)


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.mark.parametrize("state", STATES)
async def test_our_event_is_an_echo_wherever_the_ledger_knows_of_the_write(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=True)
    told = await desk.hear(ACCOUNT)
    assert told.verdict is (Verdict.NEWS if state == "none" else Verdict.ECHO)
    assert desk.row == (("none", 0) if state == "none" else ("written", 2))


@pytest.mark.parametrize("state", DOUBTFUL)
async def test_after_the_echo_the_write_is_not_made_again(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=True)
    await desk.hear(ACCOUNT)
    assert await desk.publish() == Published(status="written", rev=2, recovered=True)
    assert desk.tracker.writes[1] == 0


@pytest.mark.parametrize("state", STATES)
async def test_without_an_event_the_history_of_the_item_tells_the_next_attempt(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=state != "none")
    published = await desk.publish()
    assert (published.status, published.rev, published.recovered) == ("written", 2, state != "none")
    assert (desk.row, desk.tracker.writes[1]) == (("written", 2), 1 if state == "none" else 0)


@pytest.mark.parametrize("state", DOUBTFUL)
async def test_what_was_not_carried_out_is_written_by_the_next_attempt(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=False)
    assert await desk.publish() == Published(status="written", rev=2)
    assert (desk.row, desk.tracker.writes[1]) == (("written", 2), 1)


@pytest.mark.parametrize("state", DOUBTFUL)
async def test_somebody_elses_equal_change_is_news_and_settles_nothing(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=False)
    assert (await desk.hear(PERSON)).verdict is Verdict.NEWS
    assert desk.row == (state, 0)


@pytest.mark.parametrize("state", STATES)
async def test_another_value_is_news_in_every_state(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=state == "written")
    before = desk.row
    assert (await desk.hear(ACCOUNT, rev=3, value=4)).verdict is Verdict.NEWS
    assert desk.row == before


@pytest.mark.parametrize("state", DOUBTFUL)
async def test_an_event_that_names_nobody_is_judged_by_what_it_changes(desk: Desk, state: str) -> None:
    await desk.ledger_says(state, carried_out=True)
    assert (await desk.hear("")).verdict is Verdict.ECHO
    assert desk.row == ("written", 2)
