"""A provider that fails again and again is left alone, then tried with one call."""

import pytest

from pointsman.llm.breakers import BreakerPolicy, Breakers, BreakerState
from pointsman.llm.errors import CircuitOpenError, InvalidRequestError, ProviderOverloadedError

NAME = "openai/operator"
DOWN, WRONG = ProviderOverloadedError("down"), InvalidRequestError("wrong")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breakers:
    breakers = Breakers(BreakerPolicy(failures_max=3, open_seconds=30), now=clock)
    for _ in range(3):
        breakers.enter(NAME, "openai")
        breakers.failed(NAME, DOWN)
    return breakers


def test_three_failures_in_a_row_open_the_circuit() -> None:
    breakers = opened(Clock())
    assert breakers.state(NAME) is BreakerState.OPEN
    assert breakers.state("anthropic/operator") is BreakerState.CLOSED
    with pytest.raises(CircuitOpenError, match="failed 3 times in a row and is left alone for 30 s") as caught:
        breakers.enter(NAME, "openai")
    assert caught.value.retry_after is not None
    assert caught.value.retry_after.total_seconds() == 30


def test_a_success_between_them_keeps_it_closed() -> None:
    breakers = Breakers(BreakerPolicy(failures_max=2))
    for _ in range(5):
        breakers.failed(NAME, DOWN)
        breakers.succeeded(NAME)
    assert breakers.state(NAME) is BreakerState.CLOSED


def test_a_wrong_request_says_nothing_of_the_provider() -> None:
    breakers = Breakers(BreakerPolicy(failures_max=1))
    breakers.failed(NAME, WRONG)
    breakers.enter(NAME, "openai")
    assert breakers.state(NAME) is BreakerState.CLOSED


def test_after_the_pause_one_call_tries_and_a_success_closes() -> None:
    clock = Clock()
    breakers = opened(clock)
    clock.now = 30
    assert breakers.state(NAME) is BreakerState.HALF_OPEN
    breakers.enter(NAME, "openai")
    with pytest.raises(CircuitOpenError, match="for 1 s more"):
        breakers.enter(NAME, "openai")
    breakers.succeeded(NAME)
    breakers.enter(NAME, "openai")
    assert breakers.state(NAME) is BreakerState.CLOSED


def test_a_trial_that_fails_opens_it_again() -> None:
    clock = Clock()
    breakers = opened(clock)
    clock.now = 30
    breakers.enter(NAME, "openai")
    breakers.failed(NAME, DOWN)
    clock.now = 59
    assert breakers.state(NAME) is BreakerState.OPEN


def test_a_trial_that_is_cancelled_lets_the_next_one_try() -> None:
    clock = Clock()
    breakers = opened(clock)
    clock.now = 30
    breakers.enter(NAME, "openai")
    breakers.abandoned(NAME)
    breakers.enter(NAME, "openai")
