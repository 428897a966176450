"""Long tests start first and apart from each other; all others stay in the order in which they were found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ordering import long_first

LENGTHS = st.lists(st.sampled_from([0, 0, 0, 0, 10, 60, 90]), max_size=60)


@given(LENGTHS, st.integers(1, 5))
def test_nothing_is_lost_and_the_others_keep_their_order(lengths: list[int], workers: int) -> None:
    items = list(enumerate(lengths))
    ordered = long_first(items, workers, lambda item: item[1])
    assert sorted(ordered) == items
    assert [item for item in ordered if not item[1]] == [item for item in items if not item[1]]


@pytest.mark.parametrize(
    ("workers", "parts"),
    [
        (1, [[90, 60, 20, 10, 0, 0, 0, 0, 0, 0]]),
        (2, [[90, 0, 0, 0, 0], [60, 20, 10, 0, 0]]),
        (3, [[90, 0, 0], [60, 0, 0], [20, 10, 0, 0]]),
    ],
)
def test_each_worker_gets_its_share_of_long_ones_at_the_start(workers: int, parts: list[list[int]]) -> None:
    ordered = long_first([0, 10, 0, 60, 0, 20, 0, 0, 90, 0], workers, float)
    assert ordered == [item for part in parts for item in part]
