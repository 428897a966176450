"""What a workflow task told the books before it was lost never was: the true step replaces it."""

import pytest

from pointsman.contracts.work_items import Transition, Usage, WorkItemState
from pointsman.store.audit import Audit
from pointsman.store.engine import Store
from pointsman.store.items import Items
from tests.store.samples import CALLER, CHAIN, KEY, NOW

WAITING, PARKED, WITHDRAWN, DONE = (
    WorkItemState.WAITING,
    WorkItemState.PARKED,
    WorkItemState.WITHDRAWN,
    WorkItemState.DONE,
)


def step(number: int, after: WorkItemState, history_length: int) -> Transition:
    return Transition(
        number=number, before=None, after=after, reason=f"step {number}", at=NOW, history_length=history_length
    )


async def tell(store: Store, *steps: Transition) -> list[str]:
    """Tell the steps in this order; returns the states that the books have then, the item's own last."""
    items = Items(store)
    for one in steps:
        await items.record(one, CHAIN, CALLER, Usage(), 0.0)
    row = await items.get(KEY.organisation, KEY.id)
    assert row is not None
    return [*(str(found.transition.after) for found in await items.transitions(KEY)), str(row.state)]


async def test_the_step_of_the_longer_history_stands(store: Store) -> None:
    first, lost, true = step(6, WAITING, 60), step(7, PARKED, 70), step(7, WITHDRAWN, 74)
    assert await tell(store, first, lost, true, true) == ["waiting", "withdrawn", "withdrawn"]
    changes = [event.data for event in await Audit(store).find(action="item.changed")]
    assert [change["after"] for change in changes] == ["waiting", "parked", "withdrawn"]
    assert changes[-1]["instead_of"] == ["parked"]


async def test_all_that_the_lost_task_told_goes(store: Store) -> None:
    lost = (step(7, PARKED, 70), step(8, DONE, 70))
    assert await tell(store, step(6, WAITING, 60), *lost, step(7, WITHDRAWN, 74)) == [
        "waiting",
        "withdrawn",
        "withdrawn",
    ]


@pytest.mark.parametrize("late", [step(7, PARKED, 70), step(8, DONE, 70)])
async def test_a_lost_task_that_tells_late_is_not_heard(store: Store, late: Transition) -> None:
    assert await tell(store, step(6, WAITING, 60), step(7, WITHDRAWN, 74), late) == [
        "waiting",
        "withdrawn",
        "withdrawn",
    ]


async def test_a_task_that_is_repeated_as_it_was_changes_nothing(store: Store) -> None:
    assert await tell(store, step(6, WAITING, 60), step(6, WAITING, 64)) == ["waiting", "waiting"]
    assert len(await Audit(store).find(action="item.changed")) == 1


async def test_steps_of_older_workers_have_no_length_and_stand(store: Store) -> None:
    assert await tell(store, step(6, WAITING, 0), step(6, PARKED, 0), step(7, DONE, 12)) == ["waiting", "done", "done"]
