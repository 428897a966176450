"""Places are shared by need: nobody gets more than wanted, none is left while somebody lacks, people go first."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman.domain.shares import Demand, fair_shares

NEEDS = st.builds(Demand, urgent=st.integers(0, 20), bulk=st.integers(0, 20))


def test_those_who_want_least_are_served_and_the_others_get_equal_parts() -> None:
    assert fair_shares({"a": Demand(1), "b": Demand(20), "c": Demand(20)}, 15) == {"a": 1, "b": 7, "c": 7}
    assert fair_shares({"a": Demand(bulk=20), "b": Demand(urgent=9)}, 15) == {"a": 6, "b": 9}
    assert fair_shares({}, 15) == {}


@given(st.dictionaries(st.sampled_from("abcde"), NEEDS), st.integers(0, 40))
def test_shares_are_wanted_and_none_is_wasted(demands: dict[str, Demand], places: int) -> None:
    shares = fair_shares(demands, places)
    wanted = sum(one.urgent + one.bulk for one in demands.values())
    assert sum(shares.values()) == min(places, wanted)
    assert all(shares[name] <= one.urgent + one.bulk for name, one in demands.items())


@given(st.dictionaries(st.sampled_from("abcde"), NEEDS), st.integers(0, 40))
def test_nobody_who_lacks_has_two_fewer_than_another_of_the_same_urgency(
    demands: dict[str, Demand], places: int
) -> None:
    shares = fair_shares({name: Demand(one.urgent) for name, one in demands.items()}, places)
    for name, one in demands.items():
        if shares[name] < one.urgent:
            assert max(shares.values()) - shares[name] <= 1
