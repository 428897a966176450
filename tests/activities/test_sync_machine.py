"""Two writers, events late, twice, in disorder, and processes that die: `sync_machine` says what holds."""

from tests.activities import sync_machine


def test_two_writers_converge_without_loop_or_lost_update() -> None:
    sync_machine.drive(steps=25, examples=6, first_seed=2)
    assert sync_machine.TwoWriters.came_to["written"] > 1
