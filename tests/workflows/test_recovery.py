"""A day of outage leaves no gap: what happened to items comes back once, of the rest what the service kept."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path
from unittest.mock import patch
from uuid import uuid4

import pytest
from temporalio.client import Client

from activities import recovery as room
from pointsman.clients.azure_devops.event_source import EventSource
from pointsman.clients.azure_devops.patches import add_relation, remove_relation, set_field
from pointsman.contracts.hooks import HookPolicy, HookRule
from pointsman.contracts.policy import Policy
from pointsman.contracts.records import Delivery, NewDelivery
from pointsman.contracts.recovery import HookProblem, HookState, RecoveredFrom, RecoverRequest, RecoverResult
from pointsman.domain.deliveries import read_bytes
from pointsman.sandbox.azure_devops.state import Item
from pointsman.store.audit import Audit
from pointsman.temporal_server import DevServer
from starter import recovery
from tests.workflows.fakes_of_hooks import QuietKeeper, RefusedKeeper
from tests.workflows.recovery_rig import PROJECT, Halting, Here, Recovering, recovering

CHILD = "System.LinkTypes.Hierarchy-Forward"
FILES = {"/README.md": "Baskets."}
HEARD = 5
"""Deliveries before the outage: three items, a comment and its update."""


@pytest.fixture
async def client(dev_server: DevServer) -> Client:
    return await dev_server.connect()


@pytest.fixture
async def rig(client: Client, tmp_path: Path) -> AsyncGenerator[Recovering]:
    async with recovering(client, tmp_path) as made:
        yield made


async def before(rig: Recovering) -> None:
    """While all is well: three items, one with a comment; and the watermark is kept."""
    async with rig.listening():
        for title in ("Basket", "Till", "Door"):
            await rig.azure.make(title=title)
        await rig.azure.person.work_items.add_comment(PROJECT, 1, "<p>Seen</p>")
        await rig.settled()
        async with rig.worker():
            first = await rig.recover()
    assert first.tally.events == 0, first.tally


async def outage(rig: Recovering) -> None:
    """A day without us. Hours pass between what happens."""
    work, clock = rig.azure.person.work_items, rig.azure.world.clock
    await rig.azure.service.git.first_commit(PROJECT, PROJECT, "main", "Begin", FILES)
    await work.patch(1, [set_field("System.Title", "Basket is empty")])
    await rig.settled()
    clock.move(timedelta(hours=6))
    door = await work.get(3)
    await work.patch(1, [add_relation(CHILD, door.url)])
    await work.add_comment(PROJECT, 2, "<p>Broken</p>")
    comment = (await work.comments(PROJECT, 1))[0]
    await work.edit_comment(PROJECT, 1, comment.id, "<p>Seen twice</p>")
    clock.move(timedelta(hours=6))
    await work.delete_comment(PROJECT, 1, comment.id)
    await work.delete(2)
    await rig.azure.make(title="Lamp")
    clock.move(timedelta(hours=6))
    await work.restore(2)
    await work.patch(1, [remove_relation(0)])
    await work.patch(3, [set_field("System.Title", "Door squeaks")])
    clock.move(timedelta(hours=6))


def theirs(rig: Recovering) -> dict[int, list[str]]:
    """What the service holds of each item: updates by number, comments by version."""
    return {item.id: sorted(_held(item)) for item in rig.azure.world.items["fabrikam"].values()}


def _held(item: Item) -> set[str]:
    versions = {f"c{one.id}.{number}" for one in item.comments for number in range(1, len(one.versions) + 1)}
    return {f"u{update.id}" for update in item.updates} | versions


async def ours(rig: Recovering) -> dict[int, list[str]]:
    """The same as our inbox tells it, in the order of arrival."""
    by_rev = {
        (item.id, update.rev): update.id
        for item in rig.azure.world.items["fabrikam"].values()
        for update in reversed(item.updates)
    }
    told: dict[int, list[str]] = {}
    for row in reversed(await rig.inbox.find(limit=1_000)):
        if row.item_id and row.state != "duplicate":
            told.setdefault(row.item_id, []).extend(_told(row, by_rev))
    return told


def _told(row: Delivery, by_rev: dict[tuple[int, int], int]) -> list[str]:
    heard = read_bytes(row.body, row.organisation)
    comment = [f"c{heard.comment_id}.{heard.comment_version}"] if heard.comment_id else []
    if heard.kind == "commented":
        return comment
    carried = comment if heard.comment_version > 1 else []
    return [f"u{heard.update_id or by_rev[row.item_id, heard.rev]}", *carried]


@pytest.mark.slow(6)
async def test_a_day_of_outage_leaves_no_gap(rig: Recovering) -> None:
    await before(rig)
    await outage(rig)
    async with rig.worker():
        dry = await rig.recover(dry_run=True)
        assert len(await rig.inbox.find()) == HEARD
        result = await rig.recover()
        again = await rig.recover()
    told = await ours(rig)
    assert {item: sorted(found) for item, found in told.items()} == theirs(rig)
    assert (dry.tally.recovered, again.tally.recovered) == (result.tally.recovered, {})
    await origins_are_told(rig, result)
    await a_late_delivery_is_a_duplicate(rig)


async def origins_are_told(rig: Recovering, result: RecoverResult) -> None:
    rows = await rig.inbox.find(limit=1_000)
    pushed = [row for row in rows if row.event_type == "git.push"]
    assert [(row.recovered_from, row.state) for row in pushed] == [(RecoveredFrom.NOTIFICATIONS, "unknown")]
    recovered = [row for row in rows if row.recovered_from]
    assert len(recovered) == result.tally.events == len(rows) - HEARD
    assert {row.recovered_from for row in recovered} == {RecoveredFrom.HISTORY, RecoveredFrom.NOTIFICATIONS}
    (named,) = result.tally.unrecovered
    assert (named.what, named.until) == ("git.push", None)
    assert "is disabledBySystem: the service keeps no events meanwhile" in named.reason
    (event,) = (await Audit(rig.store).find(action="events.recovered"))[-2:-1]
    assert (event.actor, event.data["recovered"]) == ("ada", result.tally.recovered)


async def a_late_delivery_is_a_duplicate(rig: Recovering) -> None:
    """The service may yet send what we have recovered."""
    first = next(row for row in await rig.inbox.find() if row.recovered_from == RecoveredFrom.HISTORY)
    late = NewDelivery.model_validate({**first.model_dump(), "id": str(uuid4()), "recovered_from": "", "edges": ()})
    assert (await rig.inbox.accept(late)).duplicate_of == first.id


async def test_history_in_the_recycle_bin_is_named_and_comes_back_with_the_item(rig: Recovering) -> None:
    await before(rig)
    work = rig.azure.person.work_items
    for title in ("Door squeaks", "Door squeaks loudly"):
        await work.patch(3, [set_field("System.Title", title)])
        await rig.settled()  # what fails first is kept by the service, and what follows is lost
    await work.delete(3)
    async with rig.worker():
        result = await rig.recover()
        (named,) = [one for one in result.tally.unrecovered if one.what == "work item 3"]
        assert "so revisions 3 cannot be read" in named.reason
        assert "workitem.deleted" in {row.event_type for row in await rig.inbox.find(item_id=3)}
        await work.restore(3)
        await rig.recover()
    assert sorted((await ours(rig))[3]) == theirs(rig)[3]


async def test_what_came_with_minimal_details_is_not_taken_for_lost(rig: Recovering) -> None:
    work = rig.azure.person.work_items
    async with rig.listening("minimal"):
        for title in ("Basket", "Till"):
            await rig.azure.make(title=title)
        await work.add_comment(PROJECT, 1, "<p>Seen</p>")
        await work.patch(2, [set_field("System.Title", "Till is open")])
        for item in (1, 2):
            await work.delete(item)
        await work.restore(1)
        await rig.settled()
        async with rig.worker():
            result = await rig.recover()
    assert (result.tally.recovered, result.tally.unrecovered) == ({}, ())


async def test_however_much_came_of_an_item_with_minimal_details_none_of_it_is_taken_for_lost(rig: Recovering) -> None:
    async with rig.listening("minimal"):
        await rig.azure.make()
        for words in ("Seen", "Once more", "And again"):
            await rig.azure.person.work_items.add_comment(PROJECT, 1, f"<p>{words}</p>")
        await rig.settled()
        with patch.object(room, "HEARD_MAX", 2):
            async with rig.worker():
                result = await rig.recover()
    assert result.tally.recovered == {}


async def test_a_recovery_goes_on_behind_what_is_kept_when_its_worker_dies(rig: Recovering) -> None:
    await before(rig)
    await outage(rig)
    source = Halting(rig.source(), after=2)
    async with rig.worker(source=source):
        running = await rig.start()
        await source.halted.wait()
    kept = {row.id for row in await rig.inbox.find() if row.recovered_from}
    assert kept
    async with rig.worker():
        result = await running.result()
    told = await ours(rig)
    assert {item: sorted(found) for item, found in told.items()} == theirs(rig)
    assert result.tally.unrecovered_count == 1


async def test_trouble_with_subscriptions_is_kept_told_and_repaired_before_the_gap_is_read(rig: Recovering) -> None:
    await before(rig)
    await outage(rig)
    down = HookState(
        organisation="fabrikam",
        subscription_id="s1",
        event_type="workitem.updated",
        status="disabledBySystem",
        problem=HookProblem.DISABLED,
    )
    left = down.model_copy(
        update={"subscription_id": "s2", "status": "disabledByUser", "problem": HookProblem.SWITCHED_OFF}
    )
    gone = HookState(organisation="fabrikam", event_type="workitem.commented", problem=HookProblem.MISSING)
    keeper = QuietKeeper(down, left, gone)
    async with rig.worker(keeper):
        result = await rig.recover(watch=True)
    assert keeper.replaced == [down, gone]
    hooks = {(one.event_type, one.problem) for one in await rig.recoveries.hooks()}
    assert ("workitem.updated", HookProblem.SWITCHED_OFF) in hooks
    assert ("workitem.deleted", HookProblem.SILENT) in hooks
    assert result.tally.recovered["workitem.commented"]
    assert ("workitem.commented", HookProblem.SILENT) not in hooks, "it is known why nothing came"
    _, repaired = sorted(await Audit(rig.store).find(action="hook.repaired"), key=lambda one: str(one.data["old"]))
    assert (repaired.data["old"], repaired.data["new"], repaired.data["problem"]) == ("s1", "fresh-1", "disabled")
    changed = [event.data["problem"] for event in await Audit(rig.store).find(action="hook.changed")]
    assert changed[:2] == ["disabled", "switched_off"]


async def test_events_come_back_where_subscriptions_may_not_be_read(rig: Recovering) -> None:
    await before(rig)
    await rig.azure.make(title="Lamp")
    await rig.azure.fail(method="GET", path="hooks/subscriptions", times=100, status=403)
    async with rig.worker(RefusedKeeper()):
        result = await rig.recover(watch=True)
    assert result.tally.recovered["workitem.created"] == 1
    assert [one.what for one in result.tally.unrecovered if "not looked after" in one.reason] == ["subscriptions"]


async def test_what_cannot_come_back_is_counted_once_however_often_it_is_looked_for(rig: Recovering) -> None:
    await before(rig)
    await rig.azure.fail(method="GET", path="hooks/subscriptions", times=1_000, status=403)
    policy = HookPolicy(subscriptions=(HookRule(name="code", events=("git.push", "build.complete")),))
    source = EventSource({"fabrikam": rig.azure.service}, rig.receiver, policy)
    async with rig.worker(RefusedKeeper(), source):
        dry = await rig.recover(dry_run=True, watch=True)
        first = await rig.recover(watch=True)
        again = await rig.recover(watch=True)
    assert {one.what for one in first.tally.unrecovered} == {"git.push", "build.complete", "subscriptions"}
    assert dry.tally.unrecovered_count == first.tally.unrecovered_count == len(first.tally.unrecovered)
    assert (again.tally.unrecovered_count, again.tally.standing) == (0, first.tally.unrecovered)
    told = [event.data["unrecovered"] for event in await Audit(rig.store).find(action="events.recovered")]
    assert told[-2:] == [3, 0]


async def test_whoever_was_away_looks_for_what_was_lost_meanwhile(rig: Recovering) -> None:
    assert rig.client is not None
    asks = [RecoverRequest(organisation=f"org-{uuid4().hex[:8]}")]
    pulse = recovery.Pulse(rig.recoveries, Here(rig.client), asks, timedelta(), "nobody")
    name = recovery.workflow_id(asks[0].organisation, "")
    assert await rig.recoveries.beat(recovery.RECEIVER) is None
    task = asyncio.create_task(pulse.run())
    try:
        await rig.there(name)
    finally:
        task.cancel()
    described = await rig.client.get_workflow_handle(name).describe()
    assert described.workflow_type == "RecoverEvents"
    await rig.client.get_workflow_handle(name).terminate()


def test_projects_are_those_that_hooks_name() -> None:
    rules = [HookRule(name="a", events=("git.push",), projects=("Web", "Shop")), HookRule(name="b", events=())]
    named = Policy(version="1", hooks=HookPolicy(subscriptions=(rules[0],)))
    assert recovery.projects_of(named, "fabrikam") == ("Shop", "Web")
    assert recovery.projects_of(Policy(version="1", hooks=HookPolicy(subscriptions=tuple(rules))), "x") == ("",)
    assert recovery.projects_of(Policy(version="1"), "fabrikam") == ("",)
