"""Two writers, events late, twice, in disorder, and processes that die: `sync_machine` says what holds."""

from tests.activities import sync_machine


def test_two_writers_converge_without_loop_or_lost_update() -> None:
    sync_machine.drive(steps=20, examples=5, fixed=True)
    assert sync_machine.TwoWriters.steps > 30
