"""Long tests start first and apart from each other, those of a server come together; the others stay as they were."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ordering import SERVED_SECONDS, arranged


class Sample(NamedTuple):
    number: int
    seconds: float = 0
    server: str = ""


def ordered(samples: list[Sample], workers: int) -> list[Sample]:
    return arranged(samples, workers, lambda one: one.seconds, lambda one: one.server)


SAMPLES = st.lists(
    st.tuples(st.sampled_from([0, 0, 0, 0, 10, 60, 90]), st.sampled_from(["", "", "", "temporal", "postgresql"])),
    max_size=60,
).map(lambda told: [Sample(number, *one) for number, one in enumerate(told)])


@given(SAMPLES, st.integers(1, 5))
def test_nothing_is_lost_and_what_shares_something_keeps_its_order(samples: list[Sample], workers: int) -> None:
    found = ordered(samples, workers)
    assert sorted(found) == samples
    for server in ("", "temporal", "postgresql"):
        kept = [one for one in samples if not one.seconds and one.server == server]
        assert [one for one in found if not one.seconds and one.server == server] == kept


@pytest.mark.parametrize(
    ("workers", "parts"),
    [
        (1, [[90, 60, 20, 10, 0, 0, 0, 0, 0, 0]]),
        (2, [[90, 0, 0, 0, 0], [60, 20, 10, 0, 0]]),
        (3, [[90, 0, 0], [60, 0, 0], [20, 10, 0, 0]]),
    ],
)
def test_each_worker_gets_its_share_of_long_ones_at_the_start(workers: int, parts: list[list[int]]) -> None:
    samples = [Sample(number, seconds) for number, seconds in enumerate([0, 10, 0, 60, 0, 20, 0, 0, 90, 0])]
    assert [one.seconds for one in ordered(samples, workers)] == [seconds for part in parts for seconds in part]


def test_what_asks_a_server_comes_to_one_worker_after_its_long_ones() -> None:
    servers = ["", "temporal", "", "postgresql", "temporal", ""] * 3
    samples = [Sample(number, server=server) for number, server in enumerate(servers)]
    long = [Sample(18, 60), Sample(19, 6 * SERVED_SECONDS - 0.1, "temporal"), Sample(20)]
    found = ordered(samples + long, workers=3)
    parts = [found[:7], found[7:14], found[14:]]
    assert [[one.server or one.seconds for one in part if one.server or one.seconds] for part in parts] == [
        [60],
        ["temporal"] * 6,
        ["temporal"] + ["postgresql"] * 3,
    ]
    assert parts[2][0].seconds, "its own long one comes first"
