"""The dispatcher over a real store: in order for each item, at least once, and no row holds up another item's."""

from collections.abc import Sequence
from datetime import datetime

import pytest

from pointsman.contracts.actions import Action
from pointsman.contracts.base import Json
from pointsman.contracts.records import Delivery, DeliveryState, WriteIntent
from pointsman.contracts.work_items import (
    EventKind,
    WorkItemEvent,
    WorkItemKey,
    WorkItemState,
)
from pointsman.domain.deliveries import read_bytes
from pointsman.observability import names
from pointsman.ports import Unavailable
from pointsman.ports_inbox import ItemNames
from pointsman.store.engine import Store
from pointsman.store.ids import new_id
from pointsman.store.inbox import Inbox
from pointsman.temporal_server import DevServer
from starter.connection import Connection
from starter.handing import TemporalAway, deliver_by
from starter.judging import HandOver
from tests.starter.dispatch_rig import CALLER, CHAIN, KEY, POLICY, Rig, running, until, updated, write_title
from tests.starter.web_rig import created


async def test_a_delivery_becomes_an_event_of_its_items_workflow(store: Store) -> None:
    async with running(Rig(store)) as rig:
        receipt = await rig.accept(updated(7))
        (row,) = await rig.settled(receipt)
        await rig.counted(1, f"{names.DISPATCHED}_total", tenant="north", kind="updated", outcome="dispatched")
    (what,) = rig.world.taken
    assert (row.state, row.workflow_id) == (DeliveryState.DISPATCHED, "ado/harbour/Quay/41")
    assert (what.tenant, what.chain_id, what.known_workflow_id) == ("north", receipt.chain_id, "")
    assert (what.event.delivery_id, what.event.idempotency_key) == (receipt.id, "updated:harbour:41:7")
    assert (what.event.key, what.event.rev, what.event.update_id) == (KEY, 7, 7)
    assert what.event.changed_fields == ("System.Title",)
    assert rig.count(f"{names.DISPATCH_SECONDS}_count") == 1


async def test_what_was_accepted_before_the_start_is_handed_over_too(store: Store) -> None:
    rig = Rig(store)
    receipts = [await rig.accept(created(number)) for number in range(1, 8)]
    async with running(rig):
        await rig.settled(*receipts)
    assert sorted(rig.world.items) == list(range(1, 8))


async def test_events_of_one_item_go_in_order_even_if_the_first_fails_for_a_while(store: Store) -> None:
    rig = Rig(store)
    fails = iter([ValueError("once"), ValueError("twice")])
    rig.world.fail = lambda what: next(fails, None) if what.event.rev == 1 else None
    receipts = [await rig.accept(updated(number)) for number in range(1, 6)]
    async with running(rig):
        await rig.settled(*receipts)
    assert [what.event.rev for what in rig.world.taken] == [1, 2, 3, 4, 5]


async def test_several_items_go_at_once_up_to_the_bound_and_never_one_twice(store: Store) -> None:
    rig = Rig(store)
    rig.world.hold.clear()
    receipts = [await rig.accept(created(number)) for number in range(1, 10)]
    receipts.append(await rig.accept(updated(2, 1)))
    async with running(rig):
        await until(lambda: rig.world.at_once == 4)
        rig.world.hold.set()
        await rig.settled(*receipts)
    assert rig.world.most_at_once == 4
    assert sorted(rig.world.items) == sorted([*range(1, 10), 1])


async def test_a_poisonous_row_dies_visibly_and_holds_up_neither_its_item_nor_others(store: Store) -> None:
    rig = Rig(store)
    rig.world.fail = lambda what: ValueError("too large for Temporal") if what.event.update_id == 1 else None
    poison, later, other = [await rig.accept(body) for body in (updated(1), updated(2), created(42))]
    async with running(rig):
        rows = await rig.settled(poison, later, other)
        await rig.counted(1, f"{names.DISPATCHED}_total", tenant="north", kind="updated", outcome="dead")
    assert [row.state for row in rows] == [DeliveryState.DEAD, DeliveryState.DISPATCHED, DeliveryState.DISPATCHED]
    assert rows[0].reason == "3 attempts, the last: ValueError: too large for Temporal"
    assert [event.chain.correlation_id for event in await rig.audit.find(action=Action.DELIVERY_DEAD)] == [
        poison.chain_id
    ]


async def test_a_dead_row_that_is_replayed_goes_through_with_the_name_of_who_asked(store: Store) -> None:
    rig = Rig(store)
    rig.world.fail = lambda what: None if what.event.replayed_by else ValueError("not yet")
    async with running(rig):
        dead = await rig.accept(created())
        await rig.settled(dead)
        again = await rig.inbox.replay(dead.id, "ada")
        rig.dispatcher.wake()
        (row,) = await rig.settled(again)
    (what,) = rig.world.taken
    assert row.state is DeliveryState.DISPATCHED
    assert what.event.replayed_by == "ada"
    assert what.event.idempotency_key != "created:harbour:41"


async def test_nothing_dies_while_temporal_is_away(store: Store) -> None:
    rig = Rig(store)
    away = iter([True] * 20)
    rig.world.fail = lambda what: TemporalAway("UNAVAILABLE") if next(away, False) else None
    receipts = [await rig.accept(created(number)) for number in range(1, 4)]
    async with running(rig):
        rows = await rig.settled(*receipts)
        await until(lambda: rig.dispatcher.trouble() == "")
    assert {row.state for row in rows} == {DeliveryState.DISPATCHED}
    assert {row.attempts for row in rows} == {0}
    assert rig.count(f"{names.DISPATCH_FAILURES}_total", tenant="north", reason="TemporalAway") == 20


async def test_trouble_is_told_while_it_lasts(store: Store) -> None:
    rig = Rig(store)
    assert rig.dispatcher.trouble() == "does not run"
    rig.world.fail = lambda what: TemporalAway("UNAVAILABLE: nobody there")
    async with running(rig):
        await rig.accept(created())
        await until(lambda: bool(rig.dispatcher.trouble()))
        assert rig.dispatcher.trouble() == "TemporalAway: UNAVAILABLE: nobody there"
        assert rig.count(names.DISPATCHER_LEADS) == 1
    assert rig.count(names.DISPATCHER_LEADS) == 0


class FlakyInbox(Inbox):
    """The store's inbox, whose disk fails now and then."""

    failures = 6

    async def due(self, now: datetime, limit: int, apart: ItemNames = (), each: int = 1) -> Sequence[Delivery]:
        self._fail()
        return await super().due(now, limit, apart, each)

    async def settle(self, delivery_id: str, state: DeliveryState, reason: str = "", workflow_id: str = "") -> None:
        self._fail()
        await super().settle(delivery_id, state, reason, workflow_id)

    def _fail(self) -> None:
        if self.failures and self.failures % 2:
            self.failures -= 1
            raise Unavailable("disk full")
        self.failures = max(0, self.failures - 1)


async def test_a_store_that_fails_now_and_then_loses_nothing(store: Store) -> None:
    rig = Rig(store, inbox=FlakyInbox(store))
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(created()))
    assert (row.state, row.attempts) == (DeliveryState.DISPATCHED, 0)
    assert len(rig.world.taken) >= 1  # at least once: what was handed over and not noted goes again


async def test_a_dispatcher_that_is_stopped_in_the_middle_leaves_the_row_for_the_next(store: Store) -> None:
    first = Rig(store)
    first.world.hold.clear()
    receipt = await first.accept(created())
    async with running(first):
        await until(lambda: first.world.at_once == 1)
    assert first.world.taken == []
    second = Rig(store)
    async with running(second):
        (row,) = await second.settled(receipt)
    assert row.state is DeliveryState.DISPATCHED


async def test_an_item_out_of_scope_is_recorded_and_nothing_else(store: Store) -> None:
    async with running(Rig(store)) as rig:
        (row,) = await rig.settled(await rig.accept(updated(1, project="Pier")))
    assert (row.state, row.reason) == (DeliveryState.OUT_OF_SCOPE, "no scope rule of policy 7 takes it")
    assert rig.world.taken == []


async def test_a_delivery_that_does_not_tell_the_scope_goes_to_the_workflow(store: Store) -> None:
    async with running(Rig(store)) as rig:
        (row,) = await rig.settled(await rig.accept(created(41, resource={"id": 41})))
    assert row.state is DeliveryState.DISPATCHED
    assert rig.world.taken[0].event.key == WorkItemKey(organisation="harbour", project="", id=41)


async def test_an_item_that_moves_keeps_its_workflow_and_leaves_scope_to_it(store: Store) -> None:
    rig = Rig(store)
    await rig.end(WorkItemState.WORKING)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(9, project="Pier")))
    (what,) = rig.world.taken
    assert (row.state, row.workflow_id) == (DeliveryState.DISPATCHED, "first-workflow")
    assert what.event.key.project == "Pier"


async def test_before_the_item_is_read_earlier_deliveries_tell_its_workflow_and_project(store: Store) -> None:
    async with running(Rig(store)) as rig:
        await rig.settled(await rig.accept(created()))
        bare = created(41, eventType="workitem.deleted", resource={"id": 41, "rev": 2})
        await rig.settled(await rig.accept(bare))
    _, what = rig.world.taken
    assert (what.known_workflow_id, what.event.key) == ("ado/harbour/Quay/41", KEY)


TITLE: dict[str, Json] = {"System.Title": {"oldValue": "a", "newValue": "Crane stops at one"}}


async def test_the_echo_of_our_own_write_starts_no_run_after_the_end(store: Store) -> None:
    rig = Rig(store)
    await rig.end()
    await write_title(rig)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(5, changed=TITLE)))
    assert (row.state, row.reason) == (DeliveryState.ECHO, "our write op-1")
    assert rig.world.taken == []


@pytest.mark.parametrize("status", ["", "abandoned"])
async def test_the_echo_of_a_write_in_doubt_starts_no_run_and_settles_the_write(store: Store, status: str) -> None:
    rig = Rig(store)
    await rig.end(WorkItemState.FAILED)
    values: dict[str, Json] = {"System.Title": "Crane stops at one"}
    await rig.ledger.intend(WriteIntent(operation="op-1", chain=CHAIN, base_rev=4, values=values), CALLER)
    if status:
        await rig.ledger.settle("op-1", status, 0, CALLER)
    async with running(rig):
        (row, again) = await rig.settled(await rig.accept(updated(5, changed=TITLE)), await rig.accept(updated(6)))
    (write,) = await rig.ledger.writes(KEY)
    (told,) = await rig.audit.find(action="write.written")
    assert (row.state, row.reason) == (DeliveryState.ECHO, "our write op-1")
    assert (write.status, write.rev, told.data["evidence"]) == ("written", 5, f"delivery {row.id}")
    assert again.state is DeliveryState.DISPATCHED


async def test_a_part_of_a_write_in_doubt_proves_nothing(store: Store) -> None:
    rig = Rig(store)
    await rig.end(WorkItemState.PARKED)
    values: dict[str, Json] = {"System.Title": "Crane stops at one", "System.History": "<p>Renamed.</p>"}
    await rig.ledger.intend(WriteIntent(operation="op-1", chain=CHAIN, base_rev=4, values=values), CALLER)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(5, changed=TITLE)))
    (write,) = await rig.ledger.writes(KEY)
    assert (row.state, write.status) == (DeliveryState.ECHO, "intended")


async def test_somebody_elses_change_does_start_one(store: Store) -> None:
    rig = Rig(store)
    await rig.end()
    await write_title(rig)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(6)))
    assert (row.state, row.workflow_id) == (DeliveryState.DISPATCHED, "first-workflow")


NOISE: dict[str, Json] = {"System.Rev": {"oldValue": 5, "newValue": 6}, "System.BoardLane": {"newValue": "Fast"}}
FEWER: dict[str, Json] = {**NOISE, "System.CommentCount": {"oldValue": 2, "newValue": 1}}
MORE: dict[str, Json] = {**NOISE, "System.CommentCount": {"oldValue": 1, "newValue": 2}}
LINKED: dict[str, Json] = {**NOISE, "System.RelatedLinkCount": {"oldValue": 1, "newValue": 2}}
REF: Json = {"commentId": 7, "version": 2}


@pytest.mark.parametrize(
    ("changed", "ref", "starts"),
    [
        pytest.param(NOISE, None, False, id="a card in another lane"),
        pytest.param(FEWER, REF, False, id="a comment that was taken back"),
        pytest.param(NOISE, REF, True, id="an edited comment without its words"),
        pytest.param(MORE, None, True, id="a comment without its words"),
        pytest.param(LINKED, None, True, id="a link without what it connects"),
        pytest.param({}, None, True, id="no word on what changed"),
    ],
)
async def test_what_changes_nothing_that_matters_starts_no_run_after_the_end(
    store: Store, changed: dict[str, Json], ref: Json, starts: bool
) -> None:
    rig = Rig(store)
    await rig.end()
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(6, changed=changed, commentVersionRef=ref)))
    assert (row.state is DeliveryState.DISPATCHED, len(rig.world.taken)) == (starts, starts)
    assert starts or row.reason.startswith("changes nothing that matters")


async def test_while_a_run_is_open_it_hears_of_all(store: Store) -> None:
    rig = Rig(store)
    await rig.end(WorkItemState.WORKING)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(6, changed=NOISE)))
    assert row.state is DeliveryState.DISPATCHED


async def test_a_comment_that_a_rollback_took_back_is_its_echo(store: Store) -> None:
    rig = Rig(store)
    await rig.end()
    values: dict[str, Json] = {"System.History": "", "+comment": 7, "+by": "pointsman@quay.example"}
    await rig.ledger.intend(
        WriteIntent(operation="rollback/1/comment-7", chain=CHAIN, base_rev=5, values=values), CALLER
    )
    await rig.ledger.settle("rollback/1/comment-7", "written", 0, CALLER)
    by: Json = {"uniqueName": "ada@quay.example"}
    async with running(rig):
        ours = await rig.accept(updated(6, changed=FEWER, commentVersionRef=REF))
        theirs = await rig.accept(updated(7, changed=FEWER, commentVersionRef=REF, revisedBy=by))
        (echo, another) = await rig.settled(ours, theirs)
    assert (echo.state, echo.reason) == (DeliveryState.ECHO, "our write rollback/1/comment-7")
    assert another.state is DeliveryState.OUT_OF_SCOPE


async def test_the_echo_of_a_write_that_is_settled_reaches_no_run_that_is_about_to_end(store: Store) -> None:
    rig = Rig(store)
    await rig.end(WorkItemState.PUBLISHING)
    await write_title(rig)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(5, changed=TITLE)))
    assert (row.state, row.reason) == (DeliveryState.ECHO, "our write op-1")
    assert rig.world.taken == []


async def test_while_a_run_is_open_it_judges_what_is_in_doubt_itself(store: Store) -> None:
    rig = Rig(store)
    await rig.end(WorkItemState.PUBLISHING)
    values: dict[str, Json] = {"System.Title": "Crane stops at one"}
    await rig.ledger.intend(WriteIntent(operation="op-1", chain=CHAIN, base_rev=4, values=values), CALLER)
    async with running(rig):
        (row,) = await rig.settled(await rig.accept(updated(5, changed=TITLE)))
    assert row.state is DeliveryState.DISPATCHED
    assert [write.status for write in await rig.ledger.writes(KEY)] == ["intended"]


@pytest.mark.parametrize(
    ("body", "state"), [(b"{", DeliveryState.DEAD), (b'{"eventType": "git.push"}', DeliveryState.UNKNOWN)]
)
async def test_a_replay_of_what_nobody_understands_ends_where_it_began(
    store: Store, body: bytes, state: DeliveryState
) -> None:
    async with running(Rig(store)) as rig:
        (row,) = await rig.settled(await rig.accept(body))
    assert row.state is state
    assert rig.world.taken == []


async def test_events_reach_one_real_workflow_as_start_and_signals(store: Store, dev_server: DevServer) -> None:
    connection = Connection(dev_server.address)
    deliver = deliver_by(connection, POLICY, f"test-{new_id()}")
    item = int(new_id()[:8], 16) % 1_000_000 + 1
    async with running(Rig(store, deliver=deliver)) as rig:
        await rig.settled(await rig.accept(created(item)))
    receipts = [await rig.accept(updated(number, item)) for number in (2, 3)]
    async with running(rig):
        rows = await rig.settled(*receipts)
    (workflow_id,) = {row.workflow_id for row in rows}
    workflow = (await connection.client()).get_workflow_handle(workflow_id)
    history = await workflow.fetch_history()
    signals = [event.workflow_execution_signaled_event_attributes for event in history.events]
    assert [signal.signal_name for signal in signals if signal.signal_name] == ["deliver", "deliver_all"]
    await workflow.terminate()


async def test_a_temporal_where_nobody_answers_is_away(free_port: int) -> None:
    event = WorkItemEvent(delivery_id="d", idempotency_key="k", correlation_id="d", kind=EventKind.CREATED, key=KEY)
    deliver = deliver_by(Connection(f"127.0.0.1:{free_port}"), POLICY)
    with pytest.raises(TemporalAway, match="No Temporal server answers"):
        await deliver(HandOver(event, "north", "c"))


async def test_what_the_receiver_has_read_is_not_read_again(store: Store) -> None:
    rig = Rig(store)
    receipt = await rig.accept(updated(7))
    rig.dispatcher.came(receipt.id, read_bytes(updated(8)))
    async with running(rig):
        await rig.settled(receipt)
    assert [what.event.rev for what in rig.world.taken] == [8]
