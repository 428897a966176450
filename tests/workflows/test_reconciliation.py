"""Items of a project compared with our books: each standing, what is mended, and what only the recycle bin may say."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import reconciliation as room
from pointsman.clients.azure_devops.item_pages import ItemPages
from pointsman.clients.azure_devops.patches import set_field
from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.policy import Match, Policy, ScopeRule
from pointsman.contracts.reconciliation import ReconcileFinding, ReconcileReport, ReconcileTally, TheirItem
from pointsman.contracts.records import DeliveryState, Selection
from pointsman.contracts.sync import RepairRules, SyncPolicy
from pointsman.contracts.work_items import WorkItemState
from pointsman.domain.sync.recognising import marked
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from pointsman.store.conflicts import Conflicts
from pointsman.temporal_server import DevServer
from starter import reconciliation
from tests.workflows.reconciling_rig import BUGS, PROJECT, Reconciled, chain_of, key, reconciling

PRIORITY, TITLE = "Microsoft.VSTS.Common.Priority", "System.Title"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncGenerator[Reconciled]:
    async with reconciling(tmp_path) as made:
        await made.listen()
        yield made


async def known(rig: Reconciled) -> int:
    """A bug that both sides know the same of."""
    made = await rig.azure.make(Common_Priority=3)
    await rig.compare()
    await rig.heard()
    return made.id


def found(tally: ReconcileTally) -> ReconcileFinding:
    (one,) = tally.findings
    return one


async def test_a_change_that_never_came_is_brought_back_once_and_marked(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    await rig.azure.person.work_items.add_comment(PROJECT, item, "<p>Seen</p>")
    dry = await rig.compare(dry_run=True)
    assert (dry.counts, dry.events, dry.trouble) == ({"lost": 1}, 0, 1)
    assert await rig.inbox.find(state="pending") == []
    tally = await rig.compare()
    assert (tally.counts, tally.events, tally.trouble) == ({"lost": 1}, 3, 0)
    assert found(tally).repaired
    waiting = await rig.inbox.find(state="pending")
    assert {one.recovered_from for one in waiting} == {"reconciliation"}
    assert sorted(one.event_type for one in waiting) == ["workitem.commented", "workitem.updated", "workitem.updated"]
    assert (await rig.compare()).counts == {"pending": 1}
    await rig.heard()
    again = await rig.compare()
    assert (again.counts, again.events, again.findings) == ({"equal": 1}, 0, ())


async def test_what_has_just_happened_may_still_be_on_its_way(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    tally = await rig.compare(settle=timedelta(hours=1))
    assert (tally.counts, tally.events) == ({"pending": 1}, 0)


async def test_policy_may_leave_the_mending_to_people(rig: Reconciled) -> None:
    item = await known(rig)
    rig.policy = BUGS.model_copy(update={"sync": SyncPolicy(repair=RepairRules(lost_events=False, lost_writes=False))})
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    await rig.intend(item, "op-1", 1, Microsoft__VSTS__Common__Priority=1)
    tally = await rig.compare()
    assert (tally.counts, tally.events, tally.writes, tally.trouble) == ({"lost": 1}, 0, 0, 1)


async def test_an_item_that_is_ours_and_never_came_is_brought_in_and_others_are_left(rig: Reconciled) -> None:
    await rig.azure.make("Task")
    await rig.azure.make("Bug")
    tally = await rig.compare()
    assert (tally.counts, tally.events) == ({"foreign": 1, "lost": 1}, 1)
    (row,) = await rig.inbox.find(state="pending")
    assert (row.item_id, row.event_type) == (2, "workitem.created")


async def test_what_no_scope_rule_takes_any_more_is_abandoned(rig: Reconciled) -> None:
    item = await known(rig)
    rig.policy = Policy(version="2", scope=(ScopeRule(name="tasks", match=Match(types=("Task",))),))
    tally = await rig.compare()
    assert (found(tally).standing, found(tally).reason) == ("abandoned", "none of 1 scope rules takes it any more")
    assert (found(tally).item_id, tally.trouble) == (item, 0)


async def test_a_conflict_that_nobody_has_decided_is_told(rig: Reconciled) -> None:
    item = await known(rig)
    conflict = FieldConflict(field=PRIORITY, base=3, ours=1, theirs=4)
    await Conflicts(rig.store).open(chain_of(item), "op-1", 2, [conflict])
    tally = await rig.compare()
    assert (found(tally).standing, found(tally).reason, tally.trouble) == ("conflicting", "nobody has decided CON-1", 1)
    await Conflicts(rig.store).settle(key(item), {PRIORITY: "theirs"}, "ada")
    assert (await rig.compare()).counts == {"equal": 1}


async def test_an_agreement_that_says_otherwise_at_the_same_revision_is_a_conflict(rig: Reconciled) -> None:
    item = await known(rig)
    fields = (await rig.azure.service.work_items.get(item)).fields
    await Agreements(rig.store).read(chain_of(item), 1, fields, [])
    assert (await rig.compare()).counts == {"equal": 1}
    await Agreements(rig.store).read(chain_of(item), 1, {**fields, TITLE: "Another"}, [])
    assert found(await rig.compare()).reason == "at revision 1 our books say otherwise: System.Title"


async def test_an_event_that_is_missing_between_others_is_found(rig: Reconciled) -> None:
    """The revision alone would not tell: the last one came."""
    item = await known(rig)
    for title in ("Basket loses items", "Basket loses all items"):
        await rig.azure.person.work_items.patch(item, [set_field(TITLE, title)])
    await rig.hear_last(item)
    await rig.heard()
    tally = await rig.compare()
    assert (tally.counts, tally.events) == ({"lost": 1}, 1)


async def test_a_dead_delivery_is_a_loss_that_people_must_look_at(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    await rig.compare()
    (row,) = await rig.inbox.find(state="pending")
    await rig.inbox.settle(row.id, DeliveryState.DEAD, "10 attempts")
    tally = await rig.compare()
    assert (found(tally).standing, tally.trouble) == ("lost", 1)
    assert found(tally).reason == "1 deliveries are dead: see pointsman inbox list --state dead"


async def test_an_item_under_way_is_pending_and_what_it_lost_comes_back_nevertheless(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.take_in(item, WorkItemState.WAITING)
    assert (await rig.compare()).counts == {"pending": 1}
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    tally = await rig.compare()
    assert (tally.counts, tally.events) == ({"lost": 1}, 1)


async def test_writes_in_doubt_are_settled_by_the_history(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.intend(item, "carried-out", 1, Microsoft__VSTS__Common__Priority=1)
    await rig.intend(item, "never", 1, Microsoft__VSTS__Common__Severity=1)
    await rig.azure.service.work_items.patch(item, [set_field(PRIORITY, 1)])
    tally = await rig.compare()
    assert (tally.writes, tally.events) == (2, 1)
    writes = {one.operation: (one.status, one.rev) for one in await rig.ledger.writes(key(item))}
    assert writes == {"carried-out": ("written", 2), "never": ("abandoned", 0)}
    (event,) = await Audit(rig.store).find(action="write.written")
    assert event.data["evidence"] == "reconciliation: its revision"


async def a_run_waits(rig: Reconciled, item: int) -> None:
    await rig.take_in(item, WorkItemState.WAITING)


async def a_delivery_is_dead(rig: Reconciled, item: int) -> None:
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    await rig.compare()
    (row,) = await rig.inbox.find(state="pending")
    await rig.inbox.settle(row.id, DeliveryState.DEAD, "10 attempts")


async def it_moved(rig: Reconciled, item: int) -> None:
    await move(rig, item, "Contoso")


@pytest.mark.parametrize("stands", [a_run_waits, a_delivery_is_dead, it_moved])
async def test_writes_in_doubt_are_settled_whatever_else_there_is_to_say_of_the_item(
    rig: Reconciled, stands: Callable[[Reconciled, int], Awaitable[None]]
) -> None:
    item = await known(rig)
    await stands(rig, item)
    there = await rig.azure.service.work_items.get(item)
    await rig.intend(item, "carried-out", there.rev, Microsoft__VSTS__Common__Priority=1)
    await rig.azure.service.work_items.patch(item, [set_field(PRIORITY, 1)])
    assert (await rig.compare()).writes == 1
    assert [(one.status, one.rev) for one in await rig.ledger.writes(key(item))] == [("written", there.rev + 1)]


async def test_writes_in_doubt_to_an_item_that_nobody_worked_on_are_settled(rig: Reconciled) -> None:
    item = (await rig.azure.make("Epic", "Tills")).id
    await rig.intend(item, "never", 1, Microsoft__VSTS__Common__Priority=1)
    assert (await rig.compare()).writes == 1


async def test_what_was_said_and_never_answered_is_settled_by_the_comments(rig: Reconciled) -> None:
    item = await known(rig)
    for operation in ("r/status.1", "r/status.2"):
        await rig.say(item, operation, f"<p>{operation}</p>")
    await rig.azure.service.work_items.add_comment(PROJECT, item, marked("<p>r/status.1</p>", "r/status.1"))
    assert (await rig.compare()).writes == 2
    writes = {one.operation: one.status for one in await rig.ledger.writes(key(item))}
    assert writes == {"r/status.1": "written", "r/status.2": "abandoned"}


async def test_of_a_write_in_doubt_to_an_item_that_is_gone_it_is_told_that_nobody_can_know(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.intend(item, "perhaps", 1, Microsoft__VSTS__Common__Priority=1)
    await rig.azure.person.work_items.delete(item)
    assert found(await rig.compare()).reason.endswith("writes in doubt that only its history could tell of: 1")
    await rig.azure.person.work_items.restore(item)
    assert (await rig.compare()).writes == 1


async def test_the_recycle_bin_makes_a_tombstone_and_restoring_clears_it(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.azure.person.work_items.delete(item)
    tally = await rig.compare()
    assert (tally.counts, tally.events, found(tally).repaired) == ({"deleted": 1}, 1, True)
    (row,) = await rig.inbox.find(state="pending")
    assert (row.event_type, row.recovered_from) == ("workitem.deleted", "reconciliation")
    stone = await rig.tombstones.get(key(item))
    assert stone is not None
    assert stone.cleared_at is None
    await rig.heard()
    assert (await rig.compare()).counts == {"deleted": 1}
    assert (await rig.azure.service.work_items.deleted(item)).id == item  # nobody of ours took it out
    await rig.azure.person.work_items.restore(item)
    back = await rig.compare()
    assert (back.counts, found(back).repaired) == ({"lost": 1}, True)
    assert {one.event_type for one in await rig.inbox.find(state="pending")} >= {"workitem.restored"}
    stone = await rig.tombstones.get(key(item))
    assert stone is not None
    assert stone.cleared_at is not None
    actions = [await Audit(rig.store).find(action=name) for name in ("item.buried", "item.returned")]
    assert [len(events) for events in actions] == [1, 1]


async def test_after_its_grace_a_deleted_item_is_looked_for_no_more(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.azure.person.work_items.delete(item)
    await rig.compare()
    await rig.heard()
    rig.policy = BUGS.model_copy(update={"sync": SyncPolicy(grace=timedelta(microseconds=1))})
    pages = ItemPages(rig.clients)
    asked: list[int] = []

    class Watched(ItemPages):
        async def in_recycle_bin(self, organisation: str, item_id: int) -> TheirItem | None:
            asked.append(item_id)
            return await pages.in_recycle_bin(organisation, item_id)

    ask = rig.ask()
    carry = await ActivityEnvironment().run(rig.room(Watched(rig.clients)).begin, ask)
    step = ask.model_copy(update={"carry": carry})
    carry = await ActivityEnvironment().run(rig.room(Watched(rig.clients)).compare, step)
    assert (carry.tally.counts, asked) == ({"deleted": 1}, [])


async def test_what_cannot_be_read_is_not_deleted(rig: Reconciled) -> None:
    """Whoever may not see an item is told the same as of one that never was."""
    item = await known(rig)
    del rig.azure.world.items["fabrikam"][item]
    tally = await rig.compare()
    assert (found(tally).standing, tally.events, tally.trouble) == ("hidden", 0, 1)
    assert "or a permission is missing" in found(tally).reason
    assert await rig.tombstones.get(key(item)) is None
    assert await rig.inbox.find(state="pending") == []


async def test_an_item_that_moved_keeps_its_identity_and_is_told_of(rig: Reconciled) -> None:
    item = await known(rig)
    await move(rig, item, "Contoso")
    tally = await rig.compare()
    assert (found(tally).standing, found(tally).reason) == ("moved", "to Contoso")
    assert (tally.events, found(tally).repaired) == (1, True)
    (row,) = await rig.inbox.find(state="pending")
    assert (row.item_id, row.project, row.event_type) == (item, "Contoso", "workitem.updated")


async def move(rig: Reconciled, item: int, project: str) -> None:
    await rig.azure.person.work_items.patch(
        item,
        [
            set_field("System.TeamProject", project),
            set_field("System.AreaPath", project),
            set_field("System.IterationPath", project),
        ],
    )


async def test_a_project_is_compared_page_by_page_on_both_sides(
    rig: Reconciled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "PAGE", 2)
    ids = [(await rig.azure.make("Bug", f"Bug {number}")).id for number in range(5)]
    assert (await rig.compare()).events == 5
    await rig.heard()
    for item in ids[1:4]:
        await rig.azure.person.work_items.delete(item)
    tally = await rig.compare()
    assert (tally.items, tally.counts) == (5, {"equal": 2, "deleted": 3})


async def test_a_repeated_step_brings_nothing_back_twice(rig: Reconciled) -> None:
    item = await known(rig)
    await rig.azure.person.work_items.patch(item, [set_field(TITLE, "Basket loses items")])
    ask = rig.ask()
    carry = await ActivityEnvironment().run(rig.room().begin, ask)
    step = ask.model_copy(update={"carry": carry})
    await ActivityEnvironment().run(rig.room().compare, step)
    await ActivityEnvironment().run(rig.room().compare, step)
    assert len(await rig.inbox.select(Selection(item_id=item, event_type="workitem.updated"))) == 1


async def test_a_project_that_we_may_not_see_ends_the_comparison(rig: Reconciled) -> None:
    ask = rig.ask(project="Nowhere")
    carry = await ActivityEnvironment().run(rig.room().begin, ask)
    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(rig.room().compare, ask.model_copy(update={"carry": carry}))
    assert refused.value.non_retryable


async def test_each_project_has_a_report_and_the_last_one_counts(dev_server: DevServer, tmp_path: Path) -> None:
    client = await dev_server.connect()
    async with reconciling(tmp_path, client) as rig:
        await rig.listen()
        await rig.azure.make()
        async with rig.worker():
            running = await reconciliation.start(client, rig.ask(project=""), rig.queue)
            result = await running.result()
            again = await reconciliation.start(client, rig.ask(), rig.queue)
            await again.result()
        assert [(one.project, one.tally.events) for one in result.reports] == [("Contoso", 0), (PROJECT, 1)]
        kept = [one for _, one in await rig.reconciliations.latest("fabrikam")]
        assert [(one.project, one.tally.counts, one.by) for one in kept] == [
            ("Contoso", {}, "ada"),
            (PROJECT, {"pending": 1}, "ada"),
        ]
        events = await Audit(rig.store).find(action="project.reconciled")
        assert [one.data["counts"] for one in events] == [{}, {"lost": 1}, {"pending": 1}]


async def test_a_dry_run_keeps_no_report(rig: Reconciled) -> None:
    report = ReconcileReport(organisation="fabrikam", project=PROJECT, dry_run=True)
    await ActivityEnvironment().run(rig.room().finish, report)
    assert await rig.reconciliations.latest() == []
