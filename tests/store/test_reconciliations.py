"""Our books as a comparison reads them, what each came to, and tombstones: on both databases."""

from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.reconciliation import ReconcileReport, ReconcileTally
from pointsman.contracts.records import Chain, DeliveryState, WriteIntent
from pointsman.contracts.work_items import Facts, WorkItemKey
from pointsman.observability.metrics import Metrics
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from pointsman.store.conflicts import Conflicts
from pointsman.store.engine import Store
from pointsman.store.inbox import Inbox
from pointsman.store.items import Items
from pointsman.store.ledger import Ledger
from pointsman.store.reconciliations import Reconciliations
from pointsman.store.standing import Standings
from pointsman.store.tombstones import Tombstones
from starter.web.health import set_gauges
from tests.store.samples import CALLER, delivery


def key(item_id: int, project: str = "Web") -> WorkItemKey:
    return WorkItemKey(organisation="fabrikam", project=project, id=item_id)


def chain(item_id: int, project: str = "Web") -> Chain:
    return Chain(tenant="default", correlation_id="c-1", key=key(item_id, project))


async def taken_in(store: Store, item_id: int, rev: int = 3, project: str = "Web") -> None:
    facts = Facts(key=key(item_id, project), type="Bug", title="Login fails", rev=rev)
    await Items(store).take_in(facts, chain(item_id, project), CALLER)


async def test_items_of_a_project_come_in_pages_by_id(store: Store) -> None:
    for item_id in (9, 2, 5):
        await taken_in(store, item_id)
    await taken_in(store, 7, project="Shop")
    books = Reconciliations(store)
    assert await books.ids("fabrikam", "web", 0, 2) == [2, 5]
    assert await books.ids("fabrikam", "Web", 5, 2) == [9]
    assert await books.ids("contoso", "Web", 0, 2) == []


async def test_what_the_books_say_of_an_item_comes_from_all_of_them(store: Store) -> None:
    await taken_in(store, 7)
    inbox, ledger = Inbox(store), Ledger(store)
    for number in (2, 4):
        told = delivery(idempotency_key=f"updated:fabrikam:7:{number}", item_id=7, organisation="fabrikam")
        receipt = await inbox.accept(told)
        await inbox.settle(receipt.id, DeliveryState.DISPATCHED)
    dead = delivery(idempotency_key="x", item_id=7, organisation="fabrikam", state=DeliveryState.DEAD)
    await inbox.accept(dead)
    for operation in ("made", "doubtful"):
        intent = WriteIntent(operation=operation, chain=chain(7), base_rev=3, values={"System.Title": "B"})
        await ledger.intend(intent, CALLER)
    await ledger.settle("made", "written", 5, CALLER)
    await Conflicts(store).open(chain(7), "made", 5, [FieldConflict(field="System.Title")])
    await Agreements(store).read(chain(7), 4, {"System.Title": "A"}, [])
    await Tombstones(store).keep(chain(7), 5, CALLER, deleted=True)
    known = await Reconciliations(store).known("fabrikam", [7, 8])
    ours = known[7]
    assert (ours.rev, ours.agreed_rev, ours.agreed) == (5, 4, {"System.Title": "A"})
    assert (ours.heard, ours.pending, ours.dead, ours.gap) == (3, 0, 1, True)
    assert (ours.conflicts, [one.operation for one in ours.in_doubt]) == (("CON-1",), ["doubtful"])
    assert (ours.project, ours.state, ours.tombstone is not None) == ("Web", "received", True)
    assert (known[8].state, known[8].heard, known[8].tombstone) == (None, 0, None)


async def test_a_tombstone_stands_until_it_is_cleared_and_each_turn_is_told_once(store: Store) -> None:
    stones = Tombstones(store)
    assert await stones.get(key(7)) is None
    await stones.keep(chain(7), 5, CALLER, deleted=False)
    assert await stones.get(key(7)) is None
    for _ in range(2):
        await stones.keep(chain(7), 5, CALLER, deleted=True)
    first = await stones.get(key(7))
    assert first is not None
    assert first.cleared_at is None
    for _ in range(2):
        await stones.keep(chain(7), 6, CALLER, deleted=False)
    cleared = await stones.get(key(7))
    assert cleared is not None
    assert (cleared.since, cleared.cleared_at is not None) == (first.since, True)
    await stones.keep(chain(7), 7, CALLER, deleted=True)
    again = await stones.get(key(7))
    assert again is not None
    assert (again.cleared_at, again.since > first.since) == (None, True)
    told = [event.action for event in await Audit(store).find(key=key(7))]
    assert told == ["item.buried", "item.returned", "item.buried"]


def report(project: str, trouble: int, **counts: int) -> ReconcileReport:
    tally = ReconcileTally(items=sum(counts.values()), counts=counts, trouble=trouble)
    return ReconcileReport(organisation="fabrikam", project=project, by="ada", tally=tally)


async def test_of_each_project_the_last_report_counts_for_lists_and_gauges(store: Store) -> None:
    books = Reconciliations(store)
    first, second = CALLER, CALLER.model_copy(update={"run_id": "run-2"})
    await books.finish(report("Web", 2, lost=2, equal=7), first)
    await books.finish(report("Shop", 0, equal=3), first)
    await books.finish(report("Web", 9, lost=9), first)
    await books.finish(report("Web", 1, lost=1, equal=8), second)
    found = [(one.project, one.tally.trouble) for _, one in await books.latest("fabrikam")]
    assert found == [("Shop", 0), ("Web", 1)]
    assert len(await Audit(store).find(action="project.reconciled")) == 3
    measured = Metrics()
    set_gauges(measured, await Standings(store)())
    told = measured.exposition().decode()
    assert 'pointsman_sync_items{project="Web",state="lost",target="fabrikam"} 1.0' in told
    assert 'pointsman_sync_items_in_trouble{project="Web",target="fabrikam"} 1.0' in told
    assert 'pointsman_sync_items{project="Shop",state="equal",target="fabrikam"} 3.0' in told
    assert 'pointsman_sync_last_compared_timestamp_seconds{project="Shop",target="fabrikam"}' in told
