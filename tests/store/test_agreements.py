"""What both sides agreed on, conflicts and quarantines are kept with their life, on both databases."""

from pointsman.contracts.lifecycle import FieldConflict
from pointsman.contracts.records import Caller, Chain, WriteIntent
from pointsman.contracts.work_items import WorkItemKey
from pointsman.store.agreements import Agreements
from pointsman.store.audit import Audit
from pointsman.store.conflicts import Conflicts, Quarantines
from pointsman.store.engine import Store
from pointsman.store.ledger import Ledger

KEY = WorkItemKey(organisation="fabrikam", project="Web", id=42)
CHAIN = Chain(tenant="team", correlation_id="c-1", key=KEY)
US = Caller(workflow_id="w", run_id="r")


async def test_an_agreement_is_read_advanced_and_forgotten(store: Store) -> None:
    kept = Agreements(store)
    assert await kept.advance(CHAIN, 2, {"a": 1}) is None, "nothing is agreed before the item was read"
    await kept.read(CHAIN, 3, {"a": 1, "b": [1, {"c": None}]}, ["Related 7"])
    await kept.advance(CHAIN, 5, {"a": 2}, comments={9: 1})
    await kept.own_comment(CHAIN, 9, is_status=True)
    found = await kept.get(KEY)
    assert found is not None
    assert (found.rev, found.fields, found.links) == (5, {"a": 2, "b": [1, {"c": None}]}, ("Related 7",))
    assert (found.comments, found.own_comments, found.status_comment) == ({9: 1}, (9,), 9)
    assert await kept.advance(CHAIN, 5, {"a": 2}, comments={9: 1}) == found, "the same again writes nothing"
    await kept.forget(KEY)
    await kept.forget(KEY)
    assert await kept.get(KEY) is None


async def test_an_item_that_moved_is_the_same_in_its_new_project(store: Store) -> None:
    kept = Agreements(store)
    await kept.read(CHAIN, 3, {"a": 1}, [])
    moved = KEY.model_copy(update={"project": "Shop"})
    await kept.read(CHAIN.model_copy(update={"key": moved}), 4, {"a": 1}, [])
    assert [one.key.project for one in await kept.find("fabrikam", "shop")] == ["Shop"]
    assert await kept.find("fabrikam", "Web") == []


async def test_a_project_is_paged_by_id(store: Store) -> None:
    kept = Agreements(store)
    for number in (3, 1, 2):
        key = KEY.model_copy(update={"id": number})
        await kept.read(CHAIN.model_copy(update={"key": key}), 1, {"n": number}, [])
    first = await kept.find("fabrikam", limit=2)
    assert [one.key.id for one in first] == [1, 2]
    assert [one.fields for one in await kept.find("fabrikam", after=2)] == [{"n": 3}]


async def test_a_conflict_stands_once_with_its_newest_values_until_it_is_settled(store: Store) -> None:
    kept = Conflicts(store)
    await kept.open(CHAIN, "op", 4, [FieldConflict(field="a", ours=1, theirs=2)])
    (again,) = await kept.open(CHAIN, "op", 5, [FieldConflict(field="a", ours=1, theirs=3)])
    assert (again.id, again.their_rev, again.conflict.theirs) == ("CON-1", 5, 3)
    (closed,) = await kept.settle(KEY, {"a": "theirs", "b": "ours"}, "ada")
    assert (closed.by, closed.conflict.outcome) == ("ada", "theirs")
    assert await kept.settle(KEY, {"a": "ours"}, "bob") == []
    assert await kept.find() == []
    assert await kept.find(item_id=42, project="Web", organisation="fabrikam", every=True) == [closed]
    (fresh,) = await kept.open(CHAIN, "op-2", 6, [FieldConflict(field="a", ours=1, theirs=4)])
    assert fresh.id == "CON-2"
    actions = [one.action for one in await Audit(store).find(key=KEY)]
    assert actions == ["conflict.opened", "conflict.settled", "conflict.opened"]


async def test_a_quarantine_keeps_its_first_reason_until_it_is_released(store: Store) -> None:
    kept = Quarantines(store)
    await kept.put(CHAIN, "a loop", 20, US)
    assert (await kept.put(CHAIN, "another", 21, US)).reason == "a loop"
    assert await kept.released_at(KEY) is None
    released = await kept.release(KEY, "ada")
    assert released is not None
    assert (released.released_by, await kept.get(KEY), await kept.find()) == ("ada", None, [])
    assert await kept.released_at(KEY) == released.released_at
    assert await kept.release(KEY, "bob") is None
    assert [one.action for one in await Audit(store).find(key=KEY)] == ["item.quarantined", "item.released"]


async def test_states_count_what_stands_by_project(store: Store) -> None:
    await Agreements(store).read(CHAIN, 3, {"a": 1}, [])
    await Conflicts(store).open(CHAIN, "op", 4, [FieldConflict(field="a", ours=1, theirs=2)])
    await Quarantines(store).put(CHAIN, "a loop", 20, US)
    await Ledger(store).intend(WriteIntent(operation="op", chain=CHAIN, base_rev=3, values={"a": 1}), US)
    (state,) = await Agreements(store).states("fabrikam")
    assert (state.project, state.items, state.conflicts, state.quarantined, state.in_doubt) == ("Web", 1, 1, 1, 1)
    assert await Agreements(store).states("contoso") == []
