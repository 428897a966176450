"""How long items rest between hand-overs: while the process is busy with them, and no longer."""

from dataclasses import dataclass

from starter.lanes import LOOK_SECONDS, REST_MAX_SECONDS, Lanes

HELD, BUSY, IDLE = 5, 0.9, 0.2


@dataclass
class Machine:
    """A clock, and the processor time of the process."""

    now: float = 100.0
    spent: float = 0.0

    def lanes(self) -> Lanes:
        return Lanes(lambda: self.now, lambda: self.spent)

    def goes_on(self, lanes: Lanes, share: float, hand_overs: int, late: float = 0.0) -> None:
        for number in range(hand_overs):
            lanes.handed(("harbour", number + 1))
        self.now += LOOK_SECONDS
        self.spent += LOOK_SECONDS * share
        lanes.look(late)


def test_nothing_rests_while_the_process_is_not_busy() -> None:
    machine = Machine()
    lanes = machine.lanes()
    machine.goes_on(lanes, IDLE, 50)
    assert lanes.apart() == frozenset()


def test_what_was_handed_over_rests_while_the_process_is_busy_and_then_goes_on() -> None:
    machine = Machine()
    lanes = machine.lanes()
    for _ in range(20):
        machine.goes_on(lanes, BUSY, HELD)
    assert lanes.rest_seconds == REST_MAX_SECONDS
    assert lanes.apart() == {("harbour", number) for number in range(1, HELD + 1)}
    machine.now += REST_MAX_SECONDS
    assert lanes.apart() == frozenset()


def test_a_late_event_loop_counts_as_busy_and_calm_ends_the_rest() -> None:
    machine = Machine()
    lanes = machine.lanes()
    machine.goes_on(lanes, IDLE, HELD, late=0.1)
    assert lanes.rest_seconds > 0
    machine.goes_on(lanes, IDLE, HELD)
    assert lanes.rest_seconds == 0


def test_a_process_that_is_busy_with_something_else_holds_nothing_back() -> None:
    machine = Machine()
    lanes = machine.lanes()
    machine.goes_on(lanes, BUSY, 1)
    assert lanes.rest_seconds == 0


def test_what_is_under_way_is_not_looked_at() -> None:
    lanes = Machine().lanes()
    lanes.busy.add(("harbour", 7))
    assert lanes.apart() == {("harbour", 7)}
