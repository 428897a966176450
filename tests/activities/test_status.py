"""One comment that is kept up to date, over client, stand-in and store: found again, and never taken for news."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.outside import chain
from activities.status import ENTRIES_MAX, StatusComments
from activities.sync import Writer
from pointsman.clients.azure_devops.comments import Comments
from pointsman.contracts.lifecycle import Classify, TakeIn, TellStatus
from pointsman.contracts.records import Caller, DeliveryState
from pointsman.contracts.sync import LoopBreaker
from pointsman.contracts.tracker import CommentTold, ItemWrite
from pointsman.contracts.work_items import Verdict, WorkItemKey
from pointsman.domain.deliveries import read
from pointsman.domain.echoes import write_told
from pointsman.domain.sync.recognising import write_of
from pointsman.ports import Rejected, Unavailable
from pointsman.store.conflicts import Quarantines
from tests.activities.sync_rig import Both, both


class LosingComments(Comments):
    """The answer to the first comment is lost."""

    async def add(self, key: WorkItemKey, html: str) -> CommentTold:
        told = await super().add(key, html)
        if told.id == min(one.id for one in await self.all(key)):
            raise Unavailable("connection reset")
        return told


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Both]:
    async with both(tmp_path) as made:
        yield made


async def taken_in(world: Both) -> WorkItemKey:
    key = await world.item()
    await ActivityEnvironment().run(world.room.take_in, TakeIn(key=key, tenant="default", correlation_id="c"))
    return key


async def tell(world: Both, key: WorkItemKey, number: int, text: str, comments: Comments | None = None) -> int:
    quarantines = Quarantines(world.store)
    told = comments or Comments(world.clients)
    room = StatusComments(world.tracker, told, world.ledger, world.agreements, quarantines)
    ask = TellStatus(key=key, tenant="default", correlation_id="c", operation=f"{key.id}/status.{number}", text=text)
    return await ActivityEnvironment().run(room.tell, ask)


async def heard(world: Both, key: WorkItemKey) -> list[Verdict]:
    """What all events that are under way turn out to be."""
    events = [await world.arrive(body) for body in world.held.waiting]
    world.held.waiting.clear()
    told = tuple(event for event in events if event is not None and event.key == key)
    ask = Classify(key=key, tenant="default", correlation_id="c", known_rev=1, events=told)
    return [one.verdict for one in await ActivityEnvironment().run(world.room.classify, ask)]


async def causes(world: Both, key: WorkItemKey) -> set[str]:
    """Operations that the echoes of the item are said to be of."""
    rows = await world.inbox.find(item_id=key.id)
    return {write_told(row.reason) for row in rows if row.state is DeliveryState.ECHO}


async def test_what_is_said_is_edited_in_place_and_causes_nothing(world: Both) -> None:
    key = await taken_in(world)
    first = await tell(world, key, 1, "working & <looking>")
    assert await tell(world, key, 2, "done") == await tell(world, key, 2, "done") == first
    (comment,) = await world.person.work_items.comments(key.project, key.id)
    assert (comment.version, "done" in comment.text) == (2, True)
    for body in world.held.waiting:
        told = read(body)
        changed = told.changed | ({"System.History": (None, told.comment)} if told.comment else {})
        assert write_of(await world.ledger.writes(key), told.rev, changed, told) is not None, "the dispatcher knows it"
    assert set(await heard(world, key)) == {Verdict.ECHO}
    assert await causes(world, key) == {f"{key.id}/status.{number}" for number in (1, 2)}


async def test_what_was_said_before_becomes_a_work_log_under_it(world: Both) -> None:
    key = await taken_in(world)
    for number, text in enumerate(("Pointsman: working. <turn> 1", "Pointsman: waiting", "Pointsman: done"), start=1):
        await tell(world, key, number, text)
    (comment,) = await world.person.work_items.comments(key.project, key.id)
    now, _, log = comment.text.partition("Work log:")
    assert "Pointsman: done" in now
    assert re.findall(r"<li>[\d-]{10} [\d:]{5} UTC: (.*?)</li>", log) == ["working. &lt;turn&gt; 1", "waiting"]
    await tell(world, key, 3, "Pointsman: done")
    assert (await world.person.work_items.comments(key.project, key.id))[0].version == 3, "once"


async def test_a_work_log_keeps_what_was_said_last(world: Both) -> None:
    key = await taken_in(world)
    for number in range(ENTRIES_MAX + 3):
        await tell(world, key, number, f"Pointsman: note {number}")
    (comment,) = await world.person.work_items.comments(key.project, key.id)
    told = re.findall(r"UTC: note (\d+)</li>", comment.text)
    assert told == [str(number) for number in range(2, ENTRIES_MAX + 2)]


async def test_an_edit_of_our_comment_by_a_person_is_news(world: Both) -> None:
    key = await taken_in(world)
    first = await tell(world, key, 1, "working")
    await heard(world, key)
    await world.person.work_items.edit_comment(key.project, key.id, first, "<p>not any more</p>")
    assert await heard(world, key) == [Verdict.NEWS]


async def test_a_comment_that_people_took_away_is_written_anew(world: Both) -> None:
    key = await taken_in(world)
    first = await tell(world, key, 1, "working")
    await world.person.work_items.delete_comment(key.project, key.id, first)
    assert await tell(world, key, 2, "waiting") > first


async def test_a_comment_whose_answer_was_lost_is_found_by_its_mark(world: Both) -> None:
    key = await taken_in(world)
    with pytest.raises(ApplicationError, match="connection reset"):
        await tell(world, key, 1, "working", LosingComments(world.clients))
    await tell(world, key, 1, "working")
    assert len(await world.person.work_items.comments(key.project, key.id)) == 1
    assert set(await heard(world, key)) == {Verdict.ECHO}


async def test_what_the_service_refuses_to_have_said_is_in_no_doubt(world: Both) -> None:
    class Refusing(Comments):
        async def add(self, key: WorkItemKey, html: str) -> CommentTold:
            raise Rejected("no permission to comment")

    key = await taken_in(world)
    with pytest.raises(ApplicationError, match="no permission"):
        await tell(world, key, 1, "working", Refusing(world.clients))
    assert [row.status for row in await world.ledger.writes(key)] == ["abandoned"]


@pytest.mark.parametrize("settled", [False, True])
async def test_a_comment_whose_answer_was_lost_for_good_is_found_by_what_is_said_next(
    world: Both, *, settled: bool
) -> None:
    """Whether a comparison has found it before or not."""
    key = await taken_in(world)
    with pytest.raises(ApplicationError, match="connection reset"):
        await tell(world, key, 1, "working", LosingComments(world.clients))
    if settled:
        await world.ledger.settle(f"{key.id}/status.1", "written", 0, Caller(workflow_id="w", run_id="r"))
    await tell(world, key, 2, "waiting")
    assert len(await world.person.work_items.comments(key.project, key.id)) == 1
    assert {row.status for row in await world.ledger.writes(key)} == {"written"}


async def test_an_agent_that_often_tells_its_progress_is_no_loop(world: Both) -> None:
    key, breaker = await taken_in(world), LoopBreaker(writes=3)
    for number in range(breaker.writes):
        await tell(world, key, number, f"{number} of many done")
    writer, whose = Writer(world.tracker, world.ledger, world.sync), chain("default", "c", key)
    assert await ActivityEnvironment().run(writer.stopped, whose, breaker) == ""
    item = await world.tracker.get(key)
    for number in range(breaker.writes):
        said = ItemWrite(comment=f"<p>{number}</p>")
        item = await ActivityEnvironment().run(writer.write, whose, f"r/1.{number}", item, said)
    assert "it looks like a loop" in await ActivityEnvironment().run(writer.stopped, whose, breaker)
