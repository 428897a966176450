"""A replay does what its dry run said, and what has had its effect has none again."""

import json
from collections.abc import Sequence

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import Delivery, DeliveryState, Receipt, WriteIntent
from pointsman.domain.admission import Admission
from pointsman.store.engine import Store
from starter import replays
from starter.judging import Judge
from tests.starter.dispatch_rig import CALLER, CHAIN, KEY, POLICY, Rig, running, updated
from tests.starter.web_rig import created

TITLE: dict[str, Json] = {"System.Title": {"oldValue": "a", "newValue": "ours"}}


def judge(rig: Rig) -> Judge:
    return Judge(rig.inbox, rig.ledger, POLICY, rig.admission)


async def planned(rig: Rig, rows: Sequence[Delivery]) -> list[DeliveryState]:
    return [one.decision.state for one in await replays.plan(rig.inbox, judge(rig), rows, "ada")]


async def replayed(rig: Rig, rows: Sequence[Delivery]) -> list[Delivery]:
    copies = [await rig.inbox.replay(row.id, "ada") for row in replays.in_order(rows)]
    rig.dispatcher.wake()
    return await rig.settled(*copies)


async def everything(rig: Rig) -> list[Delivery]:
    return list(await rig.inbox.find())


async def a_little_of_all(rig: Rig) -> list[Receipt]:
    """Temporal refuses, so that all that could be handed over is dead; one write of ours has its echo."""
    rig.world.fail = lambda what: ValueError("no")
    receipts = [
        await rig.accept(created(41)),
        await rig.accept(updated(2)),
        await rig.accept(updated(2)),
        await rig.accept(created(42)),
        await rig.accept(updated(9, item_id=43, project="Elsewhere")),
        await rig.accept(b"{"),
        await rig.accept(b'{"eventType": "git.push"}'),
    ]
    # In scope when it was created, somewhere else when it was updated: the first makes the second ours, too.
    receipts += [await rig.accept(created(44)), await rig.accept(updated(3, item_id=44, project="Elsewhere"))]
    return receipts


async def test_a_dry_run_says_what_then_happens(store: Store) -> None:
    rig = Rig(store)
    receipts = await a_little_of_all(rig)
    async with running(rig):
        await rig.settled(*receipts)
        rig.world.fail = lambda what: None
        before = await everything(rig)
        told = await planned(rig, before)
        assert await everything(rig) == before
        assert rig.world.taken == []
        rows = await replayed(rig, before)
    assert [row.state for row in rows] == told
    assert set(told) == {
        DeliveryState.DISPATCHED,
        DeliveryState.DUPLICATE,
        DeliveryState.OUT_OF_SCOPE,
        DeliveryState.DEAD,
        DeliveryState.UNKNOWN,
    }


async def test_replayed_twice_it_has_one_effect(store: Store) -> None:
    rig = Rig(store)
    receipts = await a_little_of_all(rig)
    async with running(rig):
        await rig.settled(*receipts)
        rig.world.fail = lambda what: None
        rows = await everything(rig)
        await replayed(rig, rows)
        handed_over = list(rig.world.taken)
        again = await everything(rig)
        told = await planned(rig, again)
        assert [row.state for row in await replayed(rig, again)] == told
        assert DeliveryState.DISPATCHED not in told
    assert rig.world.taken == handed_over
    assert {what.event.replayed_by for what in handed_over} == {"ada"}


async def test_a_replay_of_what_was_handed_over_names_who_had_the_effect(store: Store) -> None:
    async with running(Rig(store)) as rig:
        (first,) = await rig.settled(await rig.accept(created()))
        (row,) = await replayed(rig, [first])
        (twice,) = await replayed(rig, [row])
    assert (row.state, row.reason) == (DeliveryState.DUPLICATE, f"had its effect: {first.id} was handed over")
    assert (twice.state, twice.reason) == (row.state, row.reason)
    assert len(rig.world.taken) == 1
    told = await rig.audit.find(action=Action.DELIVERY_REPLAYED)
    assert [(event.actor, event.data["of"]) for event in told] == [("ada", first.id), ("ada", row.id)]


async def test_the_echo_of_our_own_write_is_one_again(store: Store) -> None:
    rig = Rig(store)
    await rig.end()
    intent = WriteIntent(operation="op", chain=CHAIN, base_rev=1, values={"System.Title": "ours"})
    await rig.ledger.intend(intent, CALLER)
    await rig.ledger.settle("op", "written", 5, CALLER)
    async with running(rig):
        (echo,) = await rig.settled(await rig.accept(updated(5, changed=TITLE)))
        assert await planned(rig, [echo]) == [DeliveryState.ECHO]
        (row,) = await replayed(rig, [echo])
    assert (row.state, row.reason) == (DeliveryState.ECHO, "our write op")


async def test_a_dry_run_proves_no_write_in_doubt(store: Store) -> None:
    rig = Rig(store)
    await rig.end()
    receipt = await rig.accept(updated(5, changed=TITLE))
    intent = WriteIntent(operation="op", chain=CHAIN, base_rev=1, values={"System.Title": "ours"})
    await rig.ledger.intend(intent, CALLER)
    row = await rig.inbox.get(receipt.id)
    assert row is not None
    assert await planned(rig, [row]) == [DeliveryState.ECHO]
    assert [write.status for write in await rig.ledger.writes(KEY)] == ["intended"]


async def test_order_of_arrival_decides_whatever_order_is_asked_for(store: Store) -> None:
    rig = Rig(store)
    for number in range(3):
        await rig.accept(json.dumps({"eventType": "git.push", "id": str(number)}).encode())
    rows = await everything(rig)
    assert [row.sequence for row in replays.in_order([*rows, *rows])] == sorted(row.sequence for row in rows)


async def test_what_may_have_no_effect_has_none_by_a_replay(store: Store) -> None:
    settled = Rig(store, admission=Admission(organisations=("fabrikam",)))
    async with running(settled) as rig:
        await rig.settled(await rig.accept(created(41)))
        rows = await everything(rig)
        assert await planned(rig, rows) == [DeliveryState.UNKNOWN]
        (copy,) = await replayed(rig, rows)
    assert (copy.state, copy.reason) == (
        DeliveryState.UNKNOWN,
        "organisation 'harbour' is not among those of settings: fabrikam",
    )
