"""When a call is tried again outside a workflow, and how long that waits."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.llm.errors import (
    CircuitOpenError,
    InvalidRequestError,
    ProviderError,
    ProviderOverloadedError,
    RateLimitedError,
)
from pointsman.llm.retries import Retrier, RetryPolicy

DOWN, WRONG = ProviderOverloadedError("down"), InvalidRequestError("wrong")


def limited(seconds: float | None = None) -> RateLimitedError:
    return RateLimitedError("slow down", retry_after=None if seconds is None else timedelta(seconds=seconds))


def waits(policy: RetryPolicy, *errors: ProviderError) -> list[float | None]:
    retrier = Retrier(policy, now=lambda: 0.0, jitter=lambda most: most)
    found = [retrier.wait(error) for error in errors]
    return [None if wait is None else wait.total_seconds() for wait in found]


def test_pauses_grow_by_the_base_up_to_the_limit() -> None:
    assert waits(RetryPolicy(retries_max=7), *[DOWN] * 8) == [2, 4, 8, 16, 32, 32, 32, None]


def test_rate_limits_have_retries_of_their_own() -> None:
    errors = [DOWN, limited(), DOWN, limited(), DOWN, limited(), limited(), limited(), limited(), DOWN]
    assert waits(RetryPolicy(), *errors) == [2, 2, 4, 4, 8, 8, 16, 32, None, None]


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 0.0), (7.0, 7.0), (32.0, 32.0), (32.1, None), (300.0, None)])
def test_what_the_provider_asks_for_is_waited_for_or_fails_at_once(asked: float, pause: float | None) -> None:
    assert waits(RetryPolicy(), limited(asked)) == [pause]


@pytest.mark.parametrize("error", [WRONG, CircuitOpenError("open", retry_after=timedelta(seconds=1))])
def test_what_no_repetition_mends_is_not_repeated(error: ProviderError) -> None:
    assert waits(RetryPolicy(), error) == [None]


def test_the_deadline_ends_it() -> None:
    clock = [0.0]
    retrier = Retrier(RetryPolicy(deadline_seconds=10), now=lambda: clock[0], jitter=lambda most: most)
    assert retrier.wait(limited(9)) == timedelta(seconds=9)
    clock[0] = 9.0
    assert retrier.left == timedelta(seconds=1)
    assert retrier.wait(limited(1)) is None


@given(st.integers(1, 5))
def test_jitter_spreads_over_the_whole_pause(tried: int) -> None:
    policy = RetryPolicy(retries_max=5)
    retrier = Retrier(policy, now=lambda: 0.0)
    for number in range(1, tried + 1):
        wait = retrier.wait(DOWN)
        assert wait is not None
        assert 0 <= wait.total_seconds() <= min(policy.wait_seconds_max, policy.base**number)
