"""Deliveries that go together, and links that come back from their other ends: what causes one look, and what none."""

from collections.abc import Sequence

import pytest

from pointsman.contracts.base import Json
from pointsman.contracts.process_control import CheckedProject, ProcessControl
from pointsman.contracts.records import DeliveryState, WriteIntent
from pointsman.domain.sync.recognising import BY, LINKS
from pointsman.observability import names
from pointsman.ports_inbox import Ended
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from tests.starter.dispatch_rig import CALLER, CHAIN, KEY, POLICY, Rig, running, updated, write_title
from tests.starter.web_rig import created

TITLE: dict[str, Json] = {"System.Title": {"oldValue": "a", "newValue": "Crane stops at one"}}


async def test_what_waits_of_one_item_goes_together(store: Store) -> None:
    rig = Rig(store)
    receipts = [await rig.accept(updated(number)) for number in range(1, 6)]
    other = await rig.accept(created(42))
    async with running(rig):
        rows = await rig.settled(*receipts, other)
        await rig.counted(5, f"{names.DISPATCHED}_total", tenant="north", kind="updated", outcome="dispatched")
    assert sorted(rig.world.hand_overs) == [1, 5]
    assert [what.event.rev for what in rig.world.taken if what.event.key == KEY] == [1, 2, 3, 4, 5]
    assert {(row.state, row.workflow_id) for row in rows if row.item_id == 41} == {
        (DeliveryState.DISPATCHED, "ado/harbour/Quay/41")
    }


async def test_behind_an_event_that_is_handed_over_scope_is_left_to_the_workflow(store: Store) -> None:
    rig = Rig(store)
    receipts = [await rig.accept(updated(number, project=name)) for number, name in ((1, "Quay"), (2, "Pier"))]
    before = await rig.accept(updated(3, 42, project="Pier"))
    async with running(rig):
        rows = await rig.settled(*receipts, before)
    assert [row.state for row in rows] == [DeliveryState.DISPATCHED] * 2 + [DeliveryState.OUT_OF_SCOPE]
    assert {row.workflow_id for row in rows[:2]} == {"ado/harbour/Quay/41"}


async def test_an_echo_among_others_is_not_handed_over_with_them(store: Store) -> None:
    rig = Rig(store)
    await rig.end()
    await write_title(rig)
    receipts = [
        await rig.accept(updated(5, changed=TITLE)),
        *[await rig.accept(updated(number)) for number in (6, 7)],
    ]
    async with running(rig):
        rows = await rig.settled(*receipts)
    assert [row.state for row in rows] == [DeliveryState.ECHO, DeliveryState.DISPATCHED, DeliveryState.DISPATCHED]
    assert rig.world.hand_overs == [2]


async def test_replays_of_one_event_go_one_after_the_other(store: Store) -> None:
    rig = Rig(store)
    rig.world.fail = lambda what: None if what.event.replayed_by else ValueError("not yet")
    async with running(rig):
        dead = await rig.accept(created())
        await rig.settled(dead)
    again = [await rig.inbox.replay(dead.id, "ada") for _ in range(2)]
    async with running(rig):
        rows = await rig.settled(*again)
    assert [row.state for row in rows] == [DeliveryState.DISPATCHED, DeliveryState.DUPLICATE]


OURS, ADA = "pointsman@harbour.example", "ada@harbour.example"


def linked_to_41(by: str) -> bytes:
    """The event of item 42, which became the child of 41."""
    url = "https://dev.azure.com/harbour/_apis/wit/workItems/41"
    added: list[Json] = [{"rel": "System.LinkTypes.Hierarchy-Reverse", "url": url}]
    return updated(9, 42, {}, relations={"added": added}, revisedBy={"uniqueName": by})


async def write_link(rig: Rig, status: str) -> None:
    """Our own write of a link to 42."""
    values: dict[str, Json] = {LINKS: ["System.LinkTypes.Hierarchy-Forward 42"], BY: OURS}
    await rig.ledger.intend(WriteIntent(operation="op-2", chain=CHAIN, base_rev=4, values=values), CALLER)
    if status:
        await rig.ledger.settle("op-2", status, 4, CALLER)


@pytest.mark.parametrize(
    ("status", "by", "state"),
    [
        ("written", OURS, DeliveryState.ECHO),
        ("written", ADA, DeliveryState.DISPATCHED),
        ("", OURS, DeliveryState.DISPATCHED),
    ],
    ids=["known", "by-another", "in-doubt"],
)
async def test_the_other_end_of_a_link_that_we_wrote_starts_no_run(
    store: Store, status: str, by: str, state: DeliveryState
) -> None:
    rig = Rig(store)
    await write_link(rig, status)
    receipt = await rig.accept(linked_to_41(by))
    async with running(rig):
        (row,) = await rig.settled(receipt)
    assert row.state is state
    assert [what.event.key.id for what in rig.world.taken] == [42] * (state is DeliveryState.DISPATCHED)


async def test_a_run_that_is_open_hears_of_the_other_end_of_our_link(store: Store) -> None:
    rig = Rig(store)
    await write_link(rig, "written")
    receipts = [await rig.accept(updated(1, 42)), await rig.accept(linked_to_41(OURS))]
    async with running(rig):
        rows = await rig.settled(*receipts)
    assert [row.state for row in rows] == [DeliveryState.DISPATCHED] * 2


class BatchInbox(Inbox):
    """The store's inbox, which notes how many rows are settled at once, and refuses more than it is told."""

    def __init__(self, store: Store, most: int = 1_000) -> None:
        super().__init__(store)
        self.most = most
        self.batches: list[int] = []

    async def settle_all(self, settled: Sequence[Ended]) -> None:
        self.batches.append(len(settled))
        if len(settled) > self.most:
            raise ValueError("one of these cannot be settled")
        await super().settle_all(settled)


async def test_deliveries_that_cause_nothing_are_settled_together(store: Store) -> None:
    rig = Rig(store, inbox=(inbox := BatchInbox(store)))
    receipts = [await rig.accept(updated(1, number, project="Pier")) for number in range(1, 31)]
    async with running(rig):
        rows = await rig.settled(*receipts)
        await rig.counted(30, f"{names.DISPATCHED}_total", tenant="north", kind="updated", outcome="out_of_scope")
    assert {row.state for row in rows} == {DeliveryState.OUT_OF_SCOPE}
    assert inbox.batches == [30]


async def test_what_cannot_be_settled_together_is_settled_one_by_one(store: Store) -> None:
    rig = Rig(store, inbox=(inbox := BatchInbox(store, most=1)))
    receipts = [await rig.accept(updated(1, number, project="Pier")) for number in range(1, 4)]
    async with running(rig):
        rows = await rig.settled(*receipts)
    assert {(row.state, row.attempts) for row in rows} == {(DeliveryState.OUT_OF_SCOPE, 0)}
    assert inbox.batches == [3, 1, 1, 1]


CHECKED = ProcessControl(
    on_events=True, projects=(CheckedProject(organisation="Harbour", project="pier", process="ours"),)
)


async def test_an_item_that_no_scope_rule_takes_is_checked_where_policy_names_its_project(store: Store) -> None:
    rig = Rig(store, policy=POLICY.model_copy(update={"process": CHECKED}))
    receipts = [await rig.accept(updated(number, project=name)) for number, name in ((1, "Pier"), (2, "Pier"))]
    receipts.append(await rig.accept(updated(1, 42, project="Dock")))
    async with running(rig):
        rows = await rig.settled(*receipts)
    assert {(row.state, row.workflow_id) for row in rows} == {(DeliveryState.OUT_OF_SCOPE, "")}
    assert [(what.event.key.id, what.only_checked) for what in rig.world.taken] == [(41, True)] * 2
    assert rig.world.hand_overs == [2]


async def test_what_comes_into_scope_is_worked_on_with_no_check_beside_it(store: Store) -> None:
    rig = Rig(store, policy=POLICY.model_copy(update={"process": CHECKED}))
    receipts = [await rig.accept(updated(1, project="Pier")), await rig.accept(updated(2))]
    async with running(rig):
        rows = await rig.settled(*receipts)
    assert [row.state for row in rows] == [DeliveryState.OUT_OF_SCOPE, DeliveryState.DISPATCHED]
    assert [(what.event.rev, what.only_checked) for what in rig.world.taken] == [(2, False)]
