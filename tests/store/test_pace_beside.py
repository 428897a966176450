"""Who only looks at an account's pace keeps to it: beside services that hold places, and that were told to wait."""

from datetime import timedelta

from pointsman.store.engine import Store
from pointsman.store.tracker_pace import LEASE, StorePaceBeside, StoreSharedPace
from tests.store.llm_books import Clock

PLACES, ACCOUNT = 6, "fabrikam/token 0123"
NONE = timedelta()


async def test_a_command_takes_what_services_leave_and_one_place_at_the_least(store: Store) -> None:
    clock = Clock()
    service = StoreSharedPace(store, ACCOUNT, PLACES, clock)
    command = StorePaceBeside(store, ACCOUNT, PLACES, clock)
    assert await command.renew(0, 20, 0) == (PLACES, NONE)
    await service.renew(1, 0, 1)  # it holds half of the spare ones, too
    assert await command.renew(0, 20, 1) == (2, NONE)
    await service.renew(20, 0, PLACES)
    assert await command.renew(0, 20, 1) == (1, NONE)
    clock.move(seconds=LEASE.total_seconds())
    assert await command.renew(0, 20, 1) == (PLACES, NONE), "whoever held the places has died"


async def test_a_command_waits_as_services_were_told_to(store: Store) -> None:
    clock = Clock()
    command = StorePaceBeside(store, ACCOUNT, PLACES, clock)
    await StoreSharedPace(store, ACCOUNT, PLACES, clock).told(timedelta(seconds=30))
    assert (await command.renew(1, 0, 0))[1] == timedelta(seconds=30)
    clock.move(seconds=31)
    assert (await command.renew(1, 0, 0))[1] == NONE


async def test_a_command_leaves_nothing_behind(store: Store) -> None:
    clock = Clock()
    command = StorePaceBeside(store, ACCOUNT, PLACES, clock)
    await command.renew(20, 20, 0)
    await command.told(timedelta(seconds=30))
    assert await StoreSharedPace(store, ACCOUNT, PLACES, clock).renew(20, 0, 0) == (PLACES, NONE)
