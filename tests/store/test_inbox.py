"""The inbox keeps what it acknowledged, knows what it has seen, and lets no item wait for another."""

import asyncio
from collections.abc import Coroutine
from datetime import timedelta

import pytest

from pointsman.contracts.records import DeliveryState
from pointsman.ports import Missing, Rejected
from pointsman.ports_inbox import Ended, Known
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from tests.store.samples import NOW, delivery


async def actions(store: Store) -> list[str]:
    return [event.action for event in await Audit(store).find()]


async def due_ids(inbox: Inbox, limit: int = 100) -> list[str]:
    return [row.id for row in await inbox.due(NOW + timedelta(minutes=1), limit)]


async def test_a_delivery_comes_back_as_it_was_kept(store: Store) -> None:
    sent = delivery(body=bytes(range(256)), traceparent="00-1-2-01", subscription_id="s", notification_id=2**40)
    receipt = await Inbox(store).accept(sent)
    kept = await Inbox(store).get(sent.id)
    assert kept is not None
    assert kept.model_dump(include=set(type(sent).model_fields)) == sent.model_dump()
    assert (kept.correlation_id, kept.chain_id) == (sent.id, sent.id) == (receipt.id, receipt.chain_id)


async def test_a_known_key_is_kept_as_a_duplicate_of_the_first(store: Store) -> None:
    inbox = Inbox(store)
    first, second, third = delivery("k"), delivery("k"), delivery("k", tenant="other")
    for sent in (first, second, third):
        await inbox.accept(sent)
    assert [row.state for row in await inbox.find()] == ["pending", "duplicate", "pending"]
    assert (await inbox.accept(delivery("k"))).duplicate_of == first.id
    assert await actions(store) == [
        "delivery.accepted",
        "delivery.duplicate",
        "delivery.accepted",
        "delivery.duplicate",
    ]


async def test_accepting_the_same_delivery_again_changes_nothing(store: Store) -> None:
    inbox, sent = Inbox(store), delivery()
    assert await inbox.accept(sent) == await inbox.accept(sent) == await Inbox(store).accept(sent)
    assert len(await inbox.find()) == 1
    assert await actions(store) == ["delivery.accepted"]


async def test_accepting_the_same_duplicate_again_changes_nothing(store: Store) -> None:
    inbox, first, second = Inbox(store), delivery("k"), delivery("k")
    await inbox.accept(first)
    assert await inbox.accept(second) == await inbox.accept(second) == await Inbox(store).accept(second)
    assert [row.state for row in await inbox.find()] == ["duplicate", "pending"]
    assert await actions(store) == ["delivery.accepted", "delivery.duplicate"]


async def test_an_id_that_belongs_to_another_delivery_is_refused(store: Store) -> None:
    inbox, first = Inbox(store), delivery("k")
    await inbox.accept(first)
    taken, beside = delivery("other", id=first.id), delivery("beside")
    results = await asyncio.gather(inbox.accept(taken), inbox.accept(beside), return_exceptions=True)
    assert isinstance(results[0], Rejected)
    assert "is there already under another key: nothing was changed" in str(results[0])
    assert sorted(row.idempotency_key for row in await inbox.find()) == ["beside", "k"]


async def test_many_at_once_give_one_first_and_otherwise_duplicates(store: Store) -> None:
    inboxes = [Inbox(store) for _ in range(4)]
    receipts = await asyncio.gather(*[inboxes[at % 4].accept(delivery(f"key-{at % 10}")) for at in range(200)])
    assert sum(not receipt.duplicate_of for receipt in receipts) == 10
    assert len({receipt.chain_id for receipt in receipts}) == 1
    rows = await Inbox(store).find(limit=1_000)
    assert sorted(row.id for row in rows) == sorted(receipt.id for receipt in receipts)


async def test_an_item_has_the_chain_of_its_first_delivery(store: Store) -> None:
    inbox = Inbox(store)
    first, other = await inbox.accept(delivery(item_id=1)), await inbox.accept(delivery(item_id=2))
    later = await Inbox(store).accept(delivery(item_id=1))
    elsewhere = await inbox.accept(delivery(item_id=1, organisation="contoso"))
    assert later.chain_id == first.id
    assert len({first.chain_id, other.chain_id, elsewhere.chain_id}) == 3


async def test_only_the_oldest_pending_delivery_of_an_item_is_due(store: Store) -> None:
    inbox = Inbox(store)
    first, second, other = delivery(item_id=1), delivery(item_id=1), delivery(item_id=2)
    for sent in (first, second, other):
        await inbox.accept(sent)
    assert await due_ids(inbox) == [first.id, other.id]
    await inbox.settle(first.id, DeliveryState.DISPATCHED, workflow_id="w")
    assert await due_ids(inbox) == [second.id, other.id]
    assert await due_ids(inbox, limit=1) == [second.id]


async def test_a_postponed_delivery_holds_up_its_item_and_no_other(store: Store) -> None:
    inbox = Inbox(store)
    first, second, other = delivery(item_id=1), delivery(item_id=1), delivery(item_id=2)
    for sent in (first, second, other):
        await inbox.accept(sent)
    await inbox.postpone(first.id, "Temporal is away", NOW + timedelta(hours=1))
    assert await due_ids(inbox) == [other.id]
    row = await inbox.get(first.id)
    assert row is not None
    assert (row.attempts, row.reason, row.next_at) == (1, "Temporal is away", NOW + timedelta(hours=1))
    assert [row.id for row in await inbox.due(NOW + timedelta(hours=2), 10)] == [first.id, other.id]


async def test_a_dead_delivery_blocks_nothing_and_can_be_replayed(store: Store) -> None:
    inbox = Inbox(store)
    first, second = delivery(item_id=1), delivery(item_id=1)
    for sent in (first, second):
        await inbox.accept(sent)
    await inbox.settle(first.id, DeliveryState.DEAD, "five attempts")
    assert await due_ids(inbox) == [second.id]
    again = await inbox.replay(first.id, by="ada")
    row = await inbox.get(again.id)
    assert row is not None
    assert (row.state, row.replayed_by, row.body, row.chain_id) == ("pending", "ada", first.body, first.id)
    assert row.idempotency_key.startswith(f"{first.idempotency_key}#replay-")
    await inbox.replay(again.id, by="ada")
    assert (await actions(store))[-2:] == ["delivery.replayed", "delivery.replayed"]
    assert (await Audit(store).find(action="delivery.replayed"))[0].actor == "ada"


async def test_deliveries_without_an_item_do_not_wait_for_each_other(store: Store) -> None:
    inbox = Inbox(store)
    sent = [delivery(item_id=0) for _ in range(3)]
    for one in sent:
        await inbox.accept(one)
    assert await due_ids(inbox) == [one.id for one in sent]


async def test_what_is_done_stays_done_but_may_turn_out_to_be_an_echo(store: Store) -> None:
    inbox, sent = Inbox(store), delivery()
    await inbox.accept(sent)
    await inbox.settle(sent.id, DeliveryState.DISPATCHED, workflow_id="w")
    await inbox.settle(sent.id, DeliveryState.DEAD, "late")
    await inbox.settle(sent.id, DeliveryState.ECHO, "ours")
    await inbox.settle(sent.id, DeliveryState.DISPATCHED)
    row = await inbox.get(sent.id)
    assert row is not None
    assert (row.state, row.reason, row.workflow_id) == ("echo", "ours", "w")
    assert row.dispatched_at is not None
    assert await actions(store) == ["delivery.accepted", "delivery.dispatched", "delivery.echo"]


async def test_text_that_no_database_can_hold_is_replaced(store: Store) -> None:
    inbox = Inbox(store)
    sent = delivery("k\x00\ud800", event_type="workitem.\x00", project="Bähn\x00", item_id=10**30)
    await inbox.accept(sent)
    row = await inbox.get(sent.id)
    assert row is not None
    assert (row.event_type, row.project, row.item_id) == ("workitem.\ufffd", "Bähn\ufffd", 0)
    assert (await inbox.accept(delivery("k\x00\ud800"))).duplicate_of == sent.id


async def test_find_narrows_by_state_and_item(store: Store) -> None:
    inbox = Inbox(store)
    for item_id in (1, 2, 1):
        await inbox.accept(delivery(item_id=item_id))
    rows = await inbox.find(item_id=1)
    assert [row.item_id for row in rows] == [1, 1]
    assert rows[0].sequence > rows[1].sequence
    await inbox.settle(rows[0].id, DeliveryState.DEAD)
    assert [row.id for row in await inbox.find(state="dead")] == [rows[0].id]
    assert len(await inbox.find(limit=2)) == 2


async def test_where_an_item_went_is_told_by_its_own_deliveries_and_no_other_organisations(store: Store) -> None:
    inbox = Inbox(store)
    first = delivery()
    await inbox.accept(first)
    await inbox.settle(first.id, DeliveryState.DISPATCHED, workflow_id="ado/fabrikam/rail/42")
    for _ in range(30):
        await inbox.accept(delivery(organisation="contoso", project="docks"))
    last = delivery(project="")
    await inbox.accept(last)
    known = await inbox.known([("fabrikam", 42), ("contoso", 42), ("fabrikam", 43)])
    assert known == {("fabrikam", 42): Known("ado/fabrikam/rail/42", "rail"), ("contoso", 42): Known("", "docks")}


async def test_many_settled_at_once_leave_an_event_each_and_those_that_are_done_stay(store: Store) -> None:
    inbox, audit = Inbox(store), Audit(store)
    given = [delivery(item_id=number) for number in range(1, 5)]
    for one in given:
        await inbox.accept(one)
    await inbox.settle(given[0].id, DeliveryState.DEAD, "first")
    over = Ended(given[3].id, DeliveryState.DISPATCHED, workflow_id="w")
    out = [Ended(one.id, DeliveryState.OUT_OF_SCOPE, "no rule") for one in given[:3]]
    await inbox.settle_all([*out, over])
    rows = {row.item_id: (row.state, row.reason, row.workflow_id) for row in await inbox.find()}
    left = (DeliveryState.OUT_OF_SCOPE, "no rule", "")
    assert rows == {1: (DeliveryState.DEAD, "first", ""), 2: left, 3: left, 4: (DeliveryState.DISPATCHED, "", "w")}
    assert {event.data["delivery"] for event in await audit.find(action="delivery.out_of_scope")} == {
        one.id for one in given[1:3]
    }
    assert [row.dispatched_at is not None for row in await inbox.find()] == [True, False, False, False]


async def test_of_many_settled_at_once_one_that_is_missing_changes_nothing(store: Store) -> None:
    inbox, given = Inbox(store), delivery()
    await inbox.accept(given)
    with pytest.raises(Missing, match="no delivery 'gone'"):
        await inbox.settle_all([Ended(given.id, DeliveryState.DEAD), Ended("gone", DeliveryState.DEAD)])
    assert [row.state for row in await inbox.find()] == [DeliveryState.PENDING]


@pytest.mark.parametrize("change", ["settle", "postpone", "replay"])
async def test_a_delivery_that_is_not_there_is_named(store: Store, change: str) -> None:
    inbox = Inbox(store)
    calls: dict[str, Coroutine[None, None, object]] = {
        "settle": inbox.settle("gone", DeliveryState.DEAD),
        "postpone": inbox.postpone("gone", "e", NOW),
        "replay": inbox.replay("gone", "ada"),
    }
    with pytest.raises(Missing, match="no delivery 'gone' in the inbox: nothing was changed"):
        await calls.pop(change)
    for other in calls.values():
        other.close()
    assert await inbox.get("gone") is None
    assert await actions(store) == []
