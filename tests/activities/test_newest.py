"""Where the newest change is to stand, a field counts from when it was changed, and not from when the item was."""

import json
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.testing import ActivityEnvironment

from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.base import Json
from pointsman.contracts.lifecycle import Classify, Publish, TakeIn
from pointsman.contracts.sync import FieldStrategy, SyncPolicy
from pointsman.contracts.work_items import Proposal, WorkItemKey
from pointsman.domain.proposals import canonical
from tests.activities.sync_rig import Both, both

PRIORITY, TITLE = "Microsoft.VSTS.Common.Priority", "System.Title"
HOUR = timedelta(hours=1)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[Both]:
    async with both(tmp_path) as made:
        yield made


async def edited(world: Both, key: WorkItemKey, name: str, value: Json) -> datetime:
    """When a person did it; an hour passes after it."""
    await world.person.work_items.patch(key.id, [set_field(name, value)])
    at = (await world.tracker.updates(key))[-1].revised_at
    world.held.world.clock.move(HOUR)
    assert at is not None
    return at


async def written(world: Both, key: WorkItemKey, base: dict[str, Json], proposed_at: datetime) -> Json:
    """Priority after a proposal of 1 that was made from revision 1."""
    ask = Publish(
        key=key,
        tenant="default",
        correlation_id="c",
        operation=f"{key.id}/1.1",
        proposal=await world.contents.put(canonical(Proposal(fields={PRIORITY: 1}))),
        base=await world.contents.put(json.dumps(base).encode()),
        base_rev=1,
        proposed_at=proposed_at,
        sync=SyncPolicy(fields={PRIORITY: FieldStrategy.NEWEST}),
    )
    await ActivityEnvironment().run(world.room.publish, ask)
    return (await world.tracker.get(key)).fields.get(PRIORITY)


async def test_a_later_change_of_another_field_makes_theirs_no_newer(world: Both) -> None:
    key = await world.item()
    base = (await world.tracker.get(key)).fields
    theirs = await edited(world, key, PRIORITY, 4)
    title = await edited(world, key, TITLE, "Basket")
    assert theirs + HOUR / 2 < title, "the item was changed after our proposal"
    assert await written(world, key, base, theirs + HOUR / 2) == 1


async def test_what_was_changed_after_the_proposal_stands(world: Both) -> None:
    key = await world.item()
    base = (await world.tracker.get(key)).fields
    await edited(world, key, TITLE, "Basket")
    theirs = await edited(world, key, PRIORITY, 4)
    assert await written(world, key, base, theirs - HOUR / 2) == 4


async def test_a_value_that_is_back_is_no_base_for_an_agent_that_heard_of_another(world: Both) -> None:
    key = await world.item()
    ask = TakeIn(key=key, tenant="default", correlation_id="c")
    facts = (await ActivityEnvironment().run(world.room.take_in, ask)).facts
    for title in ("Basket is lost", "Basket is empty"):
        await edited(world, key, TITLE, title)
    events = [await world.arrive(body) for body in world.held.waiting]
    told = tuple(event for event in events if event is not None)
    hears = Classify(key=key, tenant="default", correlation_id="c", known_rev=facts.rev, events=told)
    await ActivityEnvironment().run(world.room.classify, hears)
    write = Publish(
        key=key,
        tenant="default",
        correlation_id="c",
        operation=f"{key.id}/1.1",
        proposal=await world.contents.put(canonical(Proposal(fields={TITLE: "Basket is lost"}))),
        base=facts.snapshot,
        base_rev=facts.rev,
        heard_rev=facts.rev + 1,
    )
    published = await ActivityEnvironment().run(world.room.publish, write)
    assert (published.status, (await world.tracker.get(key)).fields[TITLE]) == ("unchanged", "Basket is empty")
