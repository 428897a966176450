"""Links that we write come back as events without a revision, and are known by what they connect and by who did it."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from activities.sync import Writer
from pointsman.clients.azure_devops.patches import add_relation, remove_relation
from pointsman.contracts.lifecycle import Classify, TakeIn
from pointsman.contracts.records import Chain
from pointsman.contracts.tracker import ItemWrite, LinkWrite, TrackedItem
from pointsman.contracts.work_items import Judgement, Verdict, WorkItemKey
from tests.activities.sync_rig import PLACE, Both, both

RELATED = "System.LinkTypes.Related"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Both]:
    async with both(tmp_path) as made:
        yield made


async def taken_in(world: Both) -> tuple[WorkItemKey, str]:
    """An item, and the address of another."""
    key, other = await world.item(), await world.item()
    await ActivityEnvironment().run(world.room.take_in, TakeIn(key=key, tenant="default", correlation_id="c"))
    return key, f"{PLACE}/fabrikam/_apis/wit/workItems/{other.id}"


async def link(world: Both, key: WorkItemKey, url: str) -> TrackedItem:
    writer = Writer(world.tracker, world.ledger, world.sync)
    whose = Chain(tenant="default", correlation_id="c", key=key)
    change = ItemWrite(links=(LinkWrite(rel=RELATED, url=url),))
    item = await world.tracker.get(key)
    return await ActivityEnvironment().run(writer.write, whose, f"{key.id}/1.1", item, change)


async def judged(world: Both, key: WorkItemKey) -> list[Judgement]:
    events = [await world.arrive(body) for body in world.held.waiting]
    world.held.waiting.clear()
    told = tuple(event for event in events if event is not None and event.key == key)
    ask = Classify(key=key, tenant="default", correlation_id="c", known_rev=1, events=told)
    return list(await ActivityEnvironment().run(world.room.classify, ask))


async def test_a_link_of_ours_is_an_echo_and_agreed_on(world: Both) -> None:
    key, url = await taken_in(world)
    written = await link(world, key, url)
    assert written.rev == 1, "a link moves no revision"
    agreed = await world.agreements.get(key)
    assert agreed is not None
    assert agreed.links == (f"{RELATED} {url.rpartition('/')[2]}",)
    assert [one.verdict for one in await judged(world, key)] == [Verdict.ECHO]


async def test_a_person_who_takes_our_link_away_and_sets_it_again_is_heard_both_times(world: Both) -> None:
    key, url = await taken_in(world)
    await link(world, key, url)
    await judged(world, key)
    await world.person.work_items.patch(key.id, [remove_relation(0)])
    (removed,) = await judged(world, key)
    await world.person.work_items.patch(key.id, [add_relation(RELATED, url)])
    (added,) = await judged(world, key)
    assert (removed.verdict, added.verdict) == (Verdict.NEWS, Verdict.NEWS)
    told = [(await world.contents.get(one.instruction)).decode() for one in (removed, added)]
    assert "no longer linked" in told[0]
    assert f"- linked: {RELATED}" in told[1]
